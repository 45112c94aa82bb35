"""Derivations on the generic loss, kept on disk: they depend on the rule and on this program, and take seconds.

A file is named by what the rule does (`sharpflow.theory.fingerprint`), the sources of `theory` and the version of
SymPy, so that a change of any of them asks for another file; and it holds a checksum of its content, so that a damaged
file is seen, said so, and written anew. ``$SHARPFLOW_CACHE=off`` keeps nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import sympy as sp

from sharpflow import theory
from sharpflow.terminal.output import replacing
from sharpflow.theory.cache import cache_folder
from sharpflow.theory.fingerprint import fingerprint
from sharpflow.theory.rule import Rule

__all__ = ["generic_result"]

STYLES = ("text", "ascii", "markdown", "latex")


@cache
def _program() -> str:
    """A hash of the sources of `theory` and of SymPy's version."""
    digest = hashlib.sha256(sp.__version__.encode())
    for source in sorted(Path(theory.__file__).parent.rglob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def generic_result(rule: Rule, /) -> tuple[dict[str, Any], str]:
    """The JSON content, the four texts under ``"texts"``, and a sentence on the cache ("" for a plain hit or miss)."""
    place = cache_folder("derivations")
    key = hashlib.sha256((fingerprint(rule) + _program()).encode()).hexdigest()[:32]
    path = None if place is None else place / f"{rule.name[:40].replace(os.sep, '_')}-{key}.json"
    said = ""
    if path is not None and path.exists():
        kept = _read(path)
        if kept is not None:
            return kept, ""
        said = f"The kept derivation {path.name} is damaged; it was derived and written anew."
    made = _derive(rule)
    if path is not None:
        body = json.dumps(made)
        with replacing(str(path), "the cache") as place_of_file:
            place_of_file.write_text(json.dumps({"sha256": _sum(body), "content": body}), encoding="utf-8")
    return made, said


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        body = whole["content"]
        if not isinstance(body, str) or whole["sha256"] != _sum(body):
            return None
        content: dict[str, Any] = json.loads(body)
    # What a damaged file may hold: no text, no JSON, other JSON, or brackets deeper than Python reads.
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return content


def _derive(rule: Rule) -> dict[str, Any]:
    from sharpflow.theory.derivation.generic import derive_generic

    result = derive_generic(rule)
    texts = {style: result.render("text" if style == "ascii" else style, unicode=style != "ascii") for style in STYLES}
    return result.to_json() | {"texts": texts}
