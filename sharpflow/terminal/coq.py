"""A file for Coq, written, and judged by its kernel where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sharpflow.terminal.output import Output, replacing

if TYPE_CHECKING:
    from sharpflow.theory.kernel.coqc import Verdict

__all__ = ["deliver"]


def deliver(content: dict[str, Any], output: Output, place: str | None, /) -> Verdict | None:
    """Write the text of an export to ``place`` and have it checked; without a place it is only shown.

    Args:
        content: text under ``"coq"``, the counts of `sharpflow.theory.kernel.export.Export.counts`, and ``"reasons"``.
        output: for the sentences.
        place: a path, or ``None``.

    Returns: the kernel's verdict; ``None`` where it was not asked.
    """
    from sharpflow.theory.kernel.coqc import INSTALL, check, coqc

    if place is None:
        output.say(content["coq"].rstrip("\n"))
        return None
    with replacing(place, "--output") as path:
        path.write_text(content["coq"], encoding="utf-8")
    output.say(
        f"{place}: {content['steps']} proved steps, {content['exported']} of them as lemmas ({content['hollow']} with "
        f"one expression on both sides), {content['not_exported']} not exported."
    )
    output.say(*(f"  not exported, {count}: {reason}" for reason, count in content["reasons"].items()))
    if coqc() is None:
        output.say(f"not checked: {INSTALL}.")
        return None
    verdict = check(content["coq"])
    output.say(*verdict.sentences())
    return verdict
