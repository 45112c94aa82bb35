"""The referee refereed: every check on losses and rules that are wrong in one way each, and on right ones.

``sharpflow check --self-test`` prints the table check by mutant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sharpflow.terminal import tables
from sharpflow.testing import checks
from sharpflow.testing.check import RuleSubject, Subject
from sharpflow.testing.mutants.wrong_losses import Wrong, plain, wrong_losses
from sharpflow.testing.mutants.wrong_rules import wrong_rules
from sharpflow.testing.result import CheckResult, Report
from sharpflow.testing.running import Runner, check_loss, check_rule

__all__ = ["Row", "caught", "markdown", "mutants", "right", "self_test"]


@dataclass(frozen=True)
class Row:
    """One subject: a mutant, or a right one (``wrong`` is ``None``), with its results."""

    name: str
    wrong: Wrong | None
    report: Report

    @property
    def good(self) -> bool:
        """True where the mutant is caught by the check that should catch it, or the right one is accused of nothing."""
        if self.wrong is None:
            return self.report.ok
        return self.report[self.wrong.caught_by].outcome.value == "failed"


def mutants() -> tuple[Wrong, ...]:
    """All of them, losses before rules."""
    return (*wrong_losses(), *wrong_rules())


def right() -> tuple[Any, ...]:
    """Right losses in many forms, and the built-in rules."""
    import jax.numpy as jnp

    from sharpflow.numerics.networks import two_layer
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory import families, rules

    def residuals(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return jnp.stack([u[2] * jnp.sqrt(3.0 + u[0] ** 2), u[3]])

    squares = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, (0.9, 0.4, 0.1, 0.05), residuals, "with-residuals")
    return (
        *(families.get(name).default() for name in families.names()),
        plain(),
        squares,
        two_layer.batch,
        two_layer.layer,
        two_layer.weight,
        *(rules.get(name) for name in rules.names()),
    )


def caught(mutant: Wrong, /) -> CheckResult:
    """The result of the one check that should catch it."""
    from sharpflow.theory import rules

    made: Any = mutant.make()
    subject = RuleSubject(made) if mutant.about == "rule" else Subject(made, rules.get("gd-wd"))
    return Runner(subject).result(mutant.caught_by)


def self_test(say: Callable[[str], None] = lambda line: None, /) -> list[Row]:
    """Every check on every mutant and on every right subject."""
    from sharpflow.theory.rule import Rule

    rows = []
    for mutant in mutants():
        say(mutant.name)
        made: Any = mutant.make()
        rows.append(Row(mutant.name, mutant, (check_rule if mutant.about == "rule" else check_loss)(made)))
    for subject in right():
        say(subject.name)
        report = check_rule(subject) if isinstance(subject, Rule) else check_loss(subject)
        rows.append(Row(subject.name, None, report))
    return rows


SIGNS = {"passed": ".", "failed": "X", "inconclusive": "?", "not_applicable": "", "expected_failure": "x", "error": "!"}


def markdown(rows: list[Row], /) -> str:
    """Two tables, losses and rules: a row for each subject, a column for each check."""
    lines = [
        "# The referee refereed",
        "",
        "`sharpflow check --self-test --output docs/referee.md` writes this page: every check on losses and rules that",
        "are wrong on purpose, in one way each, and on right ones.",
        "",
        "X failed, . passed, x failed as declared, ? inconclusive, ! a mistake of sharpflow itself; blank: not",
        "applicable, mostly because a check that it supposes failed. **X** is the check that should catch the mutant.",
    ]
    for about in ("loss", "rule"):
        names = checks.names(about)
        cells = []
        for row in rows:
            if {result.check for result in row.report} != set(names):
                continue
            signs = [SIGNS[row.report[name].outcome.value] for name in names]
            if row.wrong is not None:
                signs = [f"**{s}**" if row.wrong.caught_by == n else s for n, s in zip(names, signs, strict=True)]
            what = "nothing" if row.wrong is None else row.wrong.what.replace("|", "\\|")
            cells.append((row.name, what, *signs))
        lines += ["", *tables.markdown((about, "what is wrong", *names), cells)]
    found = [row for row in rows if row.wrong is not None]
    clean = [row for row in rows if row.wrong is None]
    lines += [
        "",
        f"{sum(row.good for row in found)} of {len(found)} mutants are caught by the check that should catch them; "
        f"{sum(row.good for row in clean)} of {len(clean)} right losses and rules are accused of nothing.",
    ]
    return "\n".join(lines)
