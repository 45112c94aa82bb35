"""`check_loss` and `check_rule`: every check on one subject, each with its result."""

from __future__ import annotations

import contextlib
import inspect
import io
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sharpflow.naming.isolated import in_time
from sharpflow.numerics.numbers import check_seed
from sharpflow.testing import checks
from sharpflow.testing.check import Check, Outcome, RuleSubject, Subject, Trial
from sharpflow.testing.result import CheckResult, Report
from sharpflow.theory.errors import InputError, NoClosedForm, known_names
from sharpflow.theory.limits import OF_CHECKS, TimeLimitExceeded, time_limit
from sharpflow.theory.user_frames import raised_at
from sharpflow.verification.prover import internal_error

if TYPE_CHECKING:
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Runner", "check_loss", "check_rule", "chosen_checks", "doing"]


# What waits for something that never comes does no work, and ends by the clock: of a busy machine, which takes longer.
WAITING = 4.0
HELD = (
    "the minima are those of all weights together, and the flow moves all of them: `sharpflow compare SPEC "
    "--learning-rate ETA` runs gradient descent beside it"
)
REPORT = "This is a mistake of sharpflow itself, and says nothing of the subject: please report it with these lines."


class Runner:
    """Runs checks on one subject, each once, what a check supposes before it.

    Args:
        subject: a `Subject` or a `RuleSubject`.
        expected_failed: names of checks that should fail, with the reason.
        limit: processor seconds for each check; default 120.
    """

    def __init__(
        self, subject: Subject | RuleSubject, expected_failed: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> None:  # fmt: skip
        self.subject = subject
        self.limit = OF_CHECKS if limit is None else limit
        self.expected = dict(expected_failed or {})
        self._done: dict[str, CheckResult] = {}
        if isinstance(subject, Subject):
            try:
                # A loss that has no value at its start is a wrong input, once and not in every check.
                with in_time(WAITING * self.limit), time_limit(self.limit):
                    _ = subject.objective
            except SystemExit as error:
                place = raised_at(error.__traceback__) or f"loss {subject.name!r}"
                raise InputError(
                    f"{place}: the function ends the program (sys.exit or os._exit); take that out."
                ) from None
            except TimeLimitExceeded as error:
                raise InputError(
                    f"loss {subject.name!r}: its formula is not prepared for JAX, {error}; shorten it, or "
                    "write it in jax.numpy as an Objective."
                ) from None
        known = [*checks.names("loss"), *checks.names("rule")]
        for name in self.expected:
            if name not in known:
                raise InputError(f"expected_failed names no check: {name!r}; {known_names(name, sorted(known))}")

    def result(self, name: str, /) -> CheckResult:
        """The result of one check; what it supposes is checked first."""
        if name not in self._done:
            check = checks.get(name)
            begin = time.perf_counter()
            waits = next((other for other in check.supposes if not self._holds(other)), None)
            begin = begin if waits is None else time.perf_counter()
            trial = self._try(name, check) if waits is None else self._waits(waits)
            self._done[name] = self._weighed(name, check, trial, time.perf_counter() - begin)
        return self._done[name]

    def _holds(self, name: str) -> bool:
        trial = self.result(name).trial
        return trial.outcome is not Outcome.FAILED and not trial.blocked

    def _waits(self, other: str) -> Trial:
        trial = self._done[other].trial
        if isinstance(self.subject, Subject) and trial.message in self.subject.missing.values():
            return trial
        word = "is not applicable" if trial.blocked else "failed"
        return Trial(Outcome.NOT_APPLICABLE, f"supposes {other}, which {word}", blocked=True)

    def _try(self, name: str, check: Check) -> Trial:
        try:
            # What a user's function prints must not get between the results; the check purity tells of it.
            with in_time(WAITING * self.limit), time_limit(self.limit), contextlib.redirect_stdout(io.StringIO()):
                if isinstance(self.subject, Subject) and (reason := self.subject.missing.get(name)):
                    return Trial(Outcome.NOT_APPLICABLE, reason, blocked=True)
                if check.needs_minima and not len(_minima(self.subject)):
                    return Trial(Outcome.NOT_APPLICABLE, _no_minima(self.subject), blocked=True)
                return check.run(self.subject)
        except TimeLimitExceeded as error:
            # Not a failure: the trace of a large network is slow as well.
            place = raised_at(error.__traceback__)
            where = f"in {place}: correct a loop there that does not end" if place else f"in {doing(error)}"
            return Trial(Outcome.INCONCLUSIVE, f"given up, {error}, {where}, or give a larger time limit")
        except InputError as reason:
            # A rule that cannot be run or read as it is written is at fault; of a loss, only a quantity is missing.
            outcome = Outcome.FAILED if check.about == "rule" else Outcome.INCONCLUSIVE
            return Trial(outcome, str(reason))
        except NoClosedForm as reason:
            return Trial(Outcome.INCONCLUSIVE, str(reason))
        except SystemExit as error:
            place = raised_at(error.__traceback__)
            said = f"{place}: the function ends the program (sys.exit or os._exit)".lstrip(": ")
            return Trial(Outcome.FAILED, said, advice="Take that call out; raise an error where something is wrong.")
        except Exception as error:  # a user's function may raise anything, at any place
            if not self._blames(error.__traceback__):
                return Trial(Outcome.ERROR, internal_error(f"check {name}", error), advice=REPORT)
            return Trial(Outcome.FAILED, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")

    def _blames(self, trace: TracebackType | None) -> bool:
        """True where an exception passed through the subject's own function, or another line of the user's."""
        given = self.subject.given
        named = (getattr(given, attribute, None) for attribute in ("function", "residuals", "update"))
        own = [getattr(inspect.unwrap(f), "__code__", None) for f in named if f is not None]
        frames = [frame.f_code for frame, _ in traceback.walk_tb(trace)]
        return bool(raised_at(trace)) or any(code in frames for code in own if code is not None)

    def _weighed(self, name: str, check: Check, trial: Trial, seconds: float) -> CheckResult:
        reason = self.expected.get(name) or _declared(self.subject, check)
        outcome = trial.outcome
        if reason and outcome is Outcome.FAILED:
            outcome, trial = Outcome.EXPECTED_FAILURE, replace(trial, message=f"{reason}: {trial.message}")
        elif name in self.expected and outcome is Outcome.PASSED:
            outcome = Outcome.UNEXPECTED_PASS
            trial = replace(trial, message=f"expected to fail: {self.expected[name]}; it passes: {trial.message}")
        advice = trial.advice or (check.advice_without_chart if _no_chart(self.subject) else "") or check.advice
        if outcome is Outcome.UNEXPECTED_PASS:
            advice = f"Take {name} out of expected_failed, if the reason is gone, or correct the reason."
        return CheckResult(name, self.subject.name, check.meaning, check.source, advice, trial, outcome, seconds)


def doing(error: BaseException) -> str:
    """The innermost function of the program that an exception passed through, but for the limit's own."""
    names = [(f.f_globals.get("__name__", ""), f.f_code.co_name) for f, _ in traceback.walk_tb(error.__traceback__)]
    own = [name for name in names if name[0].startswith("sharpflow.") and name[0] != time_limit.__module__]
    return ".".join(own[-1]) if own else "the program"


def _minima(subject: Subject | RuleSubject) -> Any:
    assert isinstance(subject, Subject)
    return subject.minima.points


def _no_minima(subject: Subject | RuleSubject) -> str:
    assert isinstance(subject, Subject)
    why = subject.minima.failed[:1]
    said = "; ".join(why).rstrip(".")
    return f"no chart is given, and gradient flow from the start finds no manifold of minima: {said}"


def _no_chart(subject: Subject | RuleSubject) -> bool:
    return isinstance(subject, Subject) and (subject.loss is None or subject.loss.minima is None)


def _declared(subject: Subject | RuleSubject, check: Check) -> str:
    loss = subject.loss if isinstance(subject, Subject) else None
    if loss is None or not check.hypothesis or check.hypothesis not in loss.expects_to_fail:
        return ""
    return f"declared by the loss (expects_to_fail: {check.hypothesis})"


def chosen_checks(names: Iterable[str] | None, about: str, /, *, mixed: bool = False) -> tuple[str, ...]:
    """The checks to run: all of them, or those named, in order; with ``mixed`` those of the other kind are left out.

    Raises:
        InputError: a name is none.
    """
    known = checks.names(about)
    if names is None:
        return known
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if mixed:
            checks.get(name)
        elif name not in known:
            raise InputError(f"there is no check {name!r} of a {about}; {known_names(name, known)}")
    return tuple(name for name in known if name in wanted)


def check_loss(
    loss: Loss | Objective | str,
    /,
    *,
    checks: Iterable[str] | None = None,
    expected_failed: Mapping[str, str] | None = None,
    rule: Rule | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    each: Callable[[CheckResult], None] | None = None,
    limit: float | None = None,
) -> Report:
    """Every check of a loss: is it scale-invariant, differentiated rightly, and does the theory describe it?

    Args:
        loss: a `Loss`, an `Objective`, or the text that names one on the command line.
        checks: names; default all. What a check supposes is tried first, and is not reported unless asked for.
        expected_failed: names of checks that should fail, with the reason; one that passes is then reported.
        rule: what is run; default gradient descent with weight decay.
        seed: of random points.
        progress: called with the name of each check as it begins.
        each: called with each result as it comes.
        limit: processor seconds for each check, which is inconclusive after that; default 120.

    Raises:
        InputError: there is no such check, or no such loss, or it is no real number at its start.
    """
    from sharpflow.naming.specs import resolve_loss
    from sharpflow.theory import rules

    given = resolve_loss(loss) if isinstance(loss, str) else loss
    _require_loss(given)
    subject = _subject(given, rules.get("gd-wd") if rule is None else rule, seed)
    return _report(subject, chosen_checks(checks, "loss"), expected_failed, progress, each, limit)


def check_rule(
    rule: Rule | str,
    /,
    *,
    checks: Iterable[str] | None = None,
    expected_failed: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    each: Callable[[CheckResult], None] | None = None,
    limit: float | None = None,
) -> Report:
    """Every check of an update rule: is it what it says, does it reach the edge, is the law derived for it its own?

    Args:
        rule: a `Rule`, or the text that names one on the command line.
        checks, expected_failed, seed, progress, each, limit: as for `check_loss`.

    Raises:
        InputError: there is no such check, or no such rule.
    """
    from sharpflow.naming.specs import resolve_rule
    from sharpflow.theory.rule import Rule

    given = resolve_rule(rule, trusted=False) if isinstance(rule, str) else rule
    if not isinstance(given, Rule):
        raise InputError(f"check_rule takes a Rule, not {type(given).__name__}; a loss goes to check_loss.")
    return _report(RuleSubject(given, seed), chosen_checks(checks, "rule"), expected_failed, progress, each, limit)


def _subject(given: Loss | Objective, rule: Rule, seed: int) -> Subject:
    """The loss under test; of a network with other weights besides its scale-invariant part."""
    from sharpflow.theory.loss import Loss

    if isinstance(given, Loss):
        return Subject(given, rule, seed)
    from sharpflow.numerics.weights.part import invariant_part

    part, said, held = invariant_part(given)
    if part is None:
        return Subject(given, rule, seed, missing={"homogeneity": said})
    return Subject(part, rule, seed, said, {"minimizers": HELD} if held else {})


def _require_loss(given: object) -> None:
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.loss import Loss

    if not isinstance(given, Loss | Objective):
        raise InputError(
            f"check_loss takes a Loss or an Objective, not {type(given).__name__}; a rule goes to check_rule."
        )


def _report(
    subject: Subject | RuleSubject, names: Sequence[str], expected: Mapping[str, str] | None,
    progress: Callable[[str], None] | None, each: Callable[[CheckResult], None] | None,
    limit: float | None,
) -> Report:  # fmt: skip
    check_seed(subject.seed)
    runner = Runner(subject, expected, limit)
    results = []
    for name in names:
        if progress is not None:
            progress(name)
        results.append(runner.result(name))
        if each is not None:
            each(results[-1])
    return Report(subject.name, tuple(results), subject.note if isinstance(subject, Subject) else "")
