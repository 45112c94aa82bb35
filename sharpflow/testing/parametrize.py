"""`parametrize_with_checks`: one test of the user's own pytest file for each check and subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sharpflow.testing.check import Outcome
from sharpflow.testing.result import CheckResult
from sharpflow.theory.errors import InputError, known_names

if TYPE_CHECKING:
    from sharpflow.claim import Claim
    from sharpflow.numerics.objective import Objective
    from sharpflow.testing.running import Runner
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["CheckCall", "ClaimCall", "as_pytest", "cases", "parametrize_with_checks"]


# Names of checks to reasons, for all subjects; the same for each subject by its name; or a function of the subject.
Expected = Mapping[str, str] | Mapping[str, Mapping[str, str]] | Callable[[Any], Mapping[str, str]]


def expected_of(given: Any, subject: str, /) -> Mapping[str, str] | None:
    """The checks expected to fail of the subject of that name: a mapping of checks holds for all of them."""
    if given and all(isinstance(entry, Mapping) for entry in given.values()):
        return dict(given.get(subject, {}))
    return None if given is None else dict(given)


class CheckCall:
    """One check of one subject; called without arguments, it runs and fails, is skipped or passes as pytest has it."""

    def __init__(self, runner: Runner, name: str, strict: bool = False) -> None:
        self.runner = runner
        self.name = name
        self.strict = strict

    def __call__(self) -> None:
        """Run the check, once for each subject, whatever order the tests come in."""
        as_pytest(self.runner.result(self.name), strict=self.strict)

    def __repr__(self) -> str:
        return f"{self.name}-{self.runner.subject.name}"


class ClaimCall:
    """One claim on one loss; called, it fails where it is refuted or inconsistent, and is skipped where it is open."""

    def __init__(self, claim: Claim, loss: Loss, strict: bool = False) -> None:
        self.claim, self.loss, self.strict = claim, loss, strict

    def __call__(self) -> None:
        """Prove and measure."""
        import pytest

        from sharpflow.verification.verification import verify

        __tracebackhide__ = True
        if not self.claim.covers(self.loss):
            pytest.skip(f"the claim {self.claim.title!r} is not about {self.loss.name}")
        (verdict,) = (
            v for v in verify([self.loss], claims=[], own={"own": self.claim}).verdicts if v.loss != "generic"
        )
        said = f"{self.claim.title}: {verdict.proof}, {verdict.numeric}: {verdict.message}"
        if verdict.wrong or (self.strict and verdict.open):
            pytest.fail(said, pytrace=False)
        if verdict.open:
            pytest.skip(said)

    def __repr__(self) -> str:
        return f"{self.claim.title.replace(' ', '-')}-{self.loss.name}"


def _losses(subjects: Iterable[Any]) -> list[Loss]:
    from sharpflow.naming.specs import resolve_loss
    from sharpflow.theory.loss import Loss

    found = [resolve_loss(given) if isinstance(given, str) else given for given in subjects]
    return [loss for loss in found if isinstance(loss, Loss)]


def as_pytest(result: CheckResult, /, *, strict: bool = False) -> None:
    """Fail, skip, xfail or pass, with the explanation of the result; an inconclusive one fails where it is strict."""
    import pytest

    __tracebackhide__ = True
    if result.outcome.wrong or (strict and result.outcome is Outcome.INCONCLUSIVE):
        pytest.fail(result.explain(), pytrace=False)
    if result.outcome is Outcome.EXPECTED_FAILURE:
        pytest.xfail(result.trial.message)
    if result.outcome in (Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE):
        pytest.skip(f"{result.outcome.value}: {result.trial.message}")


def cases(
    subjects: Iterable[Loss | Objective | Rule | str],
    /,
    *,
    checks: Iterable[str] | None = None,
    expected_failed: Expected | None = None,
    strict: bool = False,
) -> list[CheckCall]:
    """A call for each check and subject, losses and rules alike."""
    from sharpflow.naming.specs import resolve_loss
    from sharpflow.numerics.objective import Objective
    from sharpflow.testing.check import RuleSubject, Subject
    from sharpflow.testing.running import Runner, chosen_checks
    from sharpflow.theory import rules
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

    if isinstance(subjects, str | Loss | Objective | Rule):
        raise InputError("parametrize_with_checks takes a list of losses and rules: write [it] for one.")
    found: list[CheckCall] = []
    subjects = [resolve_loss(given) if isinstance(given, str) else given for given in subjects]
    if isinstance(expected_failed, Mapping) and any(isinstance(v, Mapping) for v in expected_failed.values()):
        names = [getattr(subject, "name", "") for subject in subjects]
        if unknown := [name for name in expected_failed if name not in names]:
            raise InputError(f"expected_failed names no subject: {unknown[0]!r}; {known_names(unknown[0], names)}")
    checks = None if checks is None else [checks] if isinstance(checks, str) else list(checks)
    for subject in subjects:
        if not isinstance(subject, Loss | Objective | Rule):
            raise InputError(f"there is no check of a {type(subject).__name__}; give a Loss, an Objective or a Rule.")
        given = expected_failed
        expected = given(subject) if callable(given) else expected_of(given, subject.name)
        about = "rule" if isinstance(subject, Rule) else "loss"
        tested = RuleSubject(subject) if isinstance(subject, Rule) else Subject(subject, rules.get("gd-wd"))
        runner = Runner(tested, expected)
        found += [CheckCall(runner, name, strict) for name in chosen_checks(checks, about, mixed=True)]
    return found


def parametrize_with_checks(
    subjects: Iterable[Loss | Objective | Rule | str],
    /,
    *,
    checks: Iterable[str] | None = None,
    expected_failed: Expected | None = None,
    strict: bool = False,
    claims: Iterable[Claim] = (),
) -> Any:
    """A decorator: the test is called with ``check`` for every check of every loss and rule; call it.

        @parametrize_with_checks([my_loss, my_rule])
        def test_it(check):
            check()

    Args:
        subjects: losses, objectives, rules, or texts that name losses.
        checks: names; default all.
        expected_failed: names of checks that should fail, with the reason; for one subject of several
            ``{subject name: {check: reason}}``, or a function of the subject that gives them; such a check is an
            expected failure, and fails the test where it passes.
        strict: whether an inconclusive check fails the test; it is skipped otherwise.
        claims: `sharpflow.claim.Claim` of your own, each a test more for every loss it is about.
    """
    import pytest

    subjects = subjects if isinstance(subjects, str) or not isinstance(subjects, Iterable) else list(subjects)
    calls: list[CheckCall | ClaimCall] = []
    calls += cases(subjects, checks=checks, expected_failed=expected_failed, strict=strict)
    calls += [ClaimCall(claim, subject, strict) for claim in claims for subject in _losses(subjects)]
    return pytest.mark.parametrize("check", [pytest.param(call, id=repr(call)) for call in calls])
