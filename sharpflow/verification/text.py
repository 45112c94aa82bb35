"""Verdicts as the lines of a terminal: rows of a table, remarks, the closing count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpflow.claim import Verdict
    from sharpflow.verification.verification import Verification

__all__ = ["head", "line", "remarks", "summary"]

_WIDTHS = (27, 14, 15, 15, 13, 13, 9, 15)


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=False)).rstrip()


def head(kernel: bool = False, /) -> str:
    """The names of the columns."""
    return _row(("claim", "loss", "proof", "numeric", "measured", "expected", "tolerance", "kernel")[: 7 + kernel])


def line(v: Verdict, several: bool, kernel: bool = False, /) -> str:
    """The row of a verdict; with the name of its rule where its claim is tried under several."""
    name = f"{v.id} {v.rule}" if several else v.id
    expected = f"<= {_number(v.expected)}" if v.upper and v.expected is not None else _number(v.expected)
    tolerance = "" if v.tolerance is None else f"{v.tolerance:.3g}"
    loss = v.loss if len(v.loss) <= _WIDTHS[1] else f"{v.loss[: _WIDTHS[1] - 3]}..."
    return _row((name, loss, v.proof, v.numeric, _number(v.measured), expected, tolerance, v.kernel))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def remarks(result: Verification) -> list[str]:
    """Lines on what is wrong, what was left open, and which hypotheses fail; each once."""
    lines: list[str] = []
    kinds = (("wrong", result.wrong), ("left open", result.open), ("mistakes of sharpflow itself", result.errors))
    for title, found in kinds:
        if found:
            lines += ["", f"{title}:", *(f"  {v.id} on {v.loss} ({v.proof}, {v.numeric}): {v.message}" for v in found)]
    absent: dict[tuple[str, str], list[str]] = {}
    for v in result.verdicts:
        if v.proof == "not_applicable" or (v.numeric == "not_applicable" and v.message):
            absent.setdefault((v.loss, v.message), []).append(v.id)
    if absent:
        lines += ["", "not applicable:"]
        lines += [f"  {loss}: {message}: {', '.join(ids)}" for (loss, message), ids in absent.items()]
    return lines


def summary(result: Verification) -> str:
    """How many of each verdict, and the time they took."""

    def words(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))

    counts: dict[str, Any] = result.counts()
    stopped = "interrupted after " if result.interrupted else ""
    return (
        f"{len(result.verdicts)} verdicts in {stopped}{result.seconds:.0f} s. Proofs: {words(counts['proof'])}. "
        f"Measurements: {words(counts['numeric'])}."
    )
