"""The results of checks as text and as HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from sharpflow.terminal.tables import aligned, number
from sharpflow.testing.check import Outcome, Trial

__all__ = ["CheckResult", "Report", "explain", "html", "table"]


WORDS = {
    "passed": "passed",
    "failed": "FAILED",
    "inconclusive": "inconclusive",
    "not_applicable": "not applicable",
    "expected_failure": "failed as expected",
    "unexpected_pass": "PASSED, was expected to fail",
    "error": "ERROR of sharpflow",
}
WIDTH = 100
# Entries of a vector; the whole of it is in the JSON.
SHOWN = 8


@dataclass(frozen=True)
class CheckResult:
    """One check on one subject.

    Attributes:
        check: its name.
        subject: name of the loss or rule.
        meaning, source, advice: of the check.
        trial: what was found.
        outcome: of the trial, or what an expectation makes of it.
        seconds: it took.
    """

    check: str
    subject: str
    meaning: str
    source: str
    advice: str
    trial: Trial
    outcome: Outcome
    seconds: float = 0.0

    def explain(self) -> str:
        """The whole of it as text: meaning, numbers, counterexample, what to do."""
        return explain(self)

    def to_json(self) -> dict[str, Any]:
        """As ``check --json`` holds it."""
        return {
            "check": self.check, "subject": self.subject, "outcome": self.outcome.value, "meaning": self.meaning,
            "message": self.trial.message, "measured": self.trial.measured, "expected": self.trial.expected,
            "bound": self.trial.bound, "tolerance": self.trial.tolerance,
            "counterexample": dict(self.trial.counterexample),
            "advice": self.advice, "source": self.source, "seconds": self.seconds,
        }  # fmt: skip


def numbers(trial: Trial) -> tuple[str, str, str]:
    """Measured, expected (a bound with its sign) and tolerance; digits enough to tell a failure from a success."""
    measured, expected, tolerance = (number(v, 4) for v in (trial.measured, trial.expected, trial.tolerance))
    if trial.outcome.value == "failed" and measured == expected and trial.measured != trial.expected:
        measured = f"{trial.measured:.12g}"
    return measured, f"{trial.bound} {expected}".strip() if expected else "", tolerance


def value_text(value: Any) -> str:
    """A number or an array of a counterexample with as many digits as it needs."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return str(value)
    if array.ndim == 0:
        return f"{float(array) + 0.0:.12g}"
    shown = [f"{v + 0.0:.6g}" for v in array.ravel()[:SHOWN]]
    more = f", ... ({array.size} entries)" if array.size > SHOWN else ""
    return f"({', '.join(shown)}{more})"


def counterexample(places: Mapping[str, Any], /) -> list[str]:
    """One line for each entry."""
    width = max((len(name) for name in places), default=0)
    return [f"{name:<{width}} = {value_text(value)}" for name, value in places.items()]


def explain(result: CheckResult, /) -> str:
    """Meaning, what was found, the counterexample, and what to do."""
    trial = result.trial
    lines = [f"{result.check} on {result.subject}: {WORDS[result.outcome.value]}", f"  {result.meaning}"]
    if trial.measured is not None:
        measured, expected, tolerance = numbers(trial)
        wanted = f", expected {expected}" if expected else ""
        lines.append(f"  measured {measured}{wanted}{f', tolerance {tolerance}' if tolerance else ''}")
    if trial.message:
        for part in trial.message.splitlines():
            # A line with a caret under its place stays as it is.
            short = len(part) < WIDTH
            lines += [f"  {part}"] if short else textwrap.wrap(part, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if trial.counterexample:
        lines += ["  counterexample:", *(f"    {line}" for line in counterexample(trial.counterexample))]
        if any(not isinstance(value, str) and np.size(value) > SHOWN for value in trial.counterexample.values()):
            whole = f"All entries: `sharpflow check --json FILE`, or report[{result.check!r}].trial.counterexample."
            lines.append(f"    {whole}")
    if result.outcome.wrong:
        lines += textwrap.wrap(f"What to do: {result.advice}", WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def table(report: Report, /) -> str:
    """A line for each check, and every failure explained below."""
    rows = [("check", "outcome", "measured", "expected", "tolerance", "seconds")]
    for r in report:
        rows.append((r.check, WORDS[r.outcome.value], *numbers(r.trial), f"{r.seconds:.1f}"))
    lines = [*(textwrap.wrap(report.note, WIDTH) if report.note else []), *aligned(rows)]
    for r in report:
        if r.outcome.value not in ("passed", "not_applicable"):
            lines += ["", r.explain()]
    idle: dict[str, list[str]] = {}
    for r in report:
        if r.outcome.value == "not_applicable":
            idle.setdefault(r.trial.message, []).append(r.check)
    if idle:
        lines += ["", "not applicable:"]
        for reason, names in idle.items():
            whole = f"{', '.join(names)}: {reason}"
            lines += textwrap.wrap(whole, WIDTH, initial_indent="  ", subsequent_indent="    ")
    counts: dict[str, int] = {}
    for r in report:
        counts[WORDS[r.outcome.value]] = counts.get(WORDS[r.outcome.value], 0) + 1
    lines += ["", f"{report.subject}: {', '.join(f'{n} {word}' for word, n in counts.items())}."]
    return "\n".join(lines)


def html(report: Report, /) -> str:
    """A table for a notebook; failures open, with their explanation."""
    head = "".join(f"<th>{name}</th>" for name in ("check", "meaning", "outcome", "measured", "expected", "tolerance"))
    rows = []
    for r in report:
        cells = [r.check, r.meaning, WORDS[r.outcome.value], *numbers(r.trial)]
        style = " style='font-weight:bold'" if r.outcome.wrong else ""
        rows.append(f"<tr{style}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
        if r.outcome.wrong:
            rows.append(f"<tr><td colspan='6'><pre>{escape(r.explain())}</pre></td></tr>")
    word = "nothing is wrong" if report.ok else f"{len(report.failed)} failed"
    return (
        f"<table><caption>{escape(report.subject)}: {len(report)} checks, {word}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


@dataclass(frozen=True)
class Report(Sequence[CheckResult]):
    """The results of all checks on one subject, in the order they were run; print it, or show it in a notebook.

    Attributes:
        subject: name of the loss or rule.
        results: one for each check.
        note: what of the subject was under test, where that is a part of it.
    """

    subject: str
    results: tuple[CheckResult, ...]
    note: str = ""

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The results that somebody has to look at."""
        return tuple(result for result in self.results if result.outcome.wrong)

    @property
    def ok(self) -> bool:
        """True where nothing failed that was not expected to."""
        return not self.failed

    def raise_for_failures(self) -> None:
        """AssertionError with every failure explained; nothing where all is well."""
        if self.failed:
            raise AssertionError("\n\n".join(result.explain() for result in self.failed))

    def to_json(self) -> dict[str, Any]:
        """As ``check --json`` holds it."""
        return {
            "subject": self.subject,
            "note": self.note,
            "ok": self.ok,
            "checks": [result.to_json() for result in self.results],
        }

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return next(result for result in self.results if result.check == key)
        return self.results[key]

    def __iter__(self) -> Iterator[CheckResult]:
        return iter(self.results)

    def __str__(self) -> str:
        return table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html(self)
