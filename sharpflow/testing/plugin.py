"""The pytest plugin: ``pytest --pyargs sharpflow.testing.suite --sharpflow-loss SPEC --sharpflow-rule SPEC``.

It is loaded by every pytest where sharpflow is installed: all that it registers bears the name of the project, and it
imports nothing but the standard library and pytest until one of its options is used.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_generate_tests", "pytest_terminal_summary"]

GIVE = "nothing to check: give --sharpflow-loss SPEC, --sharpflow-rule SPEC or --sharpflow-derivation FILE"
_NOTHING = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the suite."""
    group = parser.getgroup("sharpflow", "checks of losses and update rules (sharpflow.testing.suite)")
    group.addoption(
        "--sharpflow-loss", action="append", default=[], metavar="SPEC",
        help="a loss to check: a built-in family, file.py:attribute, module:attribute, or text (repeat for more)",
    )  # fmt: skip
    group.addoption("--sharpflow-rule", action="append", default=[], metavar="SPEC", help="an update rule to check")
    group.addoption(
        "--sharpflow-check", action="append", default=[], metavar="NAME", help="this check only (repeat for more)"
    )
    group.addoption(
        "--sharpflow-strict", action="store_true", help="a check that is inconclusive fails; it is skipped otherwise"
    )
    group.addoption(
        "--sharpflow-derivation", action="append", default=[], metavar="FILE",
        help="a derivation, FILE.md or FILE.tex: one test for each displayed equation (repeat for more)",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "sharpflow: a check of a loss or of an update rule")


def pytest_generate_tests(metafunc: Any) -> None:
    """A test for each check of each loss and rule of the command line."""
    if "sharpflow_check" not in metafunc.fixturenames:
        return
    config = metafunc.config
    losses, rules = config.getoption("--sharpflow-loss"), config.getoption("--sharpflow-rule")
    derivations = config.getoption("--sharpflow-derivation")
    if not losses and not rules and not derivations:
        config.stash[_NOTHING] = True
        skip = pytest.mark.skip(reason=GIVE)
        metafunc.parametrize("sharpflow_check", [pytest.param(None, marks=skip, id="nothing-to-check")])
        return
    from sharpflow.naming.specs import resolve_loss, resolve_rule
    from sharpflow.testing.parametrize import cases
    from sharpflow.theory.errors import InputError

    options = {
        "checks": config.getoption("--sharpflow-check") or None,
        "strict": config.getoption("--sharpflow-strict"),
    }
    calls: list[Any] = []
    named = [*((resolve_loss, spec) for spec in losses), *((_rule(resolve_rule), spec) for spec in rules)]
    for resolve, spec in named:
        try:
            calls += [pytest.param(call, id=repr(call)) for call in cases([resolve(spec)], **options)]
        except InputError as error:
            # One test that fails with the reason: the others are no worse for it.
            calls.append(pytest.param(_Unreadable(f"{spec}: {error}"), id=f"input-{spec}"))
    for path in derivations:
        try:
            calls += _equations(path, config.getoption("--sharpflow-strict"))
        except InputError as error:
            calls.append(pytest.param(_Unreadable(str(error)), id=f"input-{path}"))
    metafunc.parametrize("sharpflow_check", calls)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was missing, since the reason of a skip is not shown by itself, and what users' files did when read."""
    if config.stash.get(_NOTHING, False):
        terminalreporter.write_line(f"sharpflow: {GIVE}")
    guard = sys.modules.get("sharpflow.naming.settings")
    if guard is not None and (config.getoption("--sharpflow-loss") or config.getoption("--sharpflow-rule")):
        for remark in guard.REMARKS:
            terminalreporter.write_line(f"sharpflow: note: {remark}")


def _rule(resolve: Any) -> Any:
    return lambda spec: resolve(spec, trusted=False)


def _equations(path: str, strict: bool) -> list[Any]:
    """A test for each displayed equation of a file."""
    from sharpflow.statements.derivation_file import EquationCall, read_equations

    read = read_equations(path)
    before: dict[int, Any] = {}
    calls = [EquationCall(equation, read, before, strict) for equation in read.equations]
    return [pytest.param(call, id=f"{path}:{call.equation.line}-{call.equation.number}".rstrip("-")) for call in calls]


class _Unreadable:
    """The test of an input that names no loss and no rule."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self) -> None:
        pytest.fail(self.message, pytrace=False)
