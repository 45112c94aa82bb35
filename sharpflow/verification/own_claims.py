"""Claims in a file of the user's: a statement, a proof function and a measurement, beside the built-in ones."""

from __future__ import annotations

from sharpflow import claims
from sharpflow.claim import Claim
from sharpflow.naming.specs import resolve_attribute
from sharpflow.theory.errors import InputError

__all__ = ["resolve_claim"]


def resolve_claim(spec: str, /) -> tuple[str, Claim]:
    """The claim that ``file.py:attribute`` or ``module:attribute`` names, after the name it goes by: the attribute's.

    Raises:
        InputError: nothing is named so, the file fails, it is no `Claim`, or a built-in claim has that name.
    """
    value, where = resolve_attribute(spec.strip(), lambda v: isinstance(v, Claim), "a Claim")
    if not isinstance(value, Claim):
        raise InputError(f"{where} is no Claim; write it as sharpflow.claim.Claim(title=..., statement=..., ...).")
    name = spec.rpartition(":")[2].strip().replace("_", "-")
    if name in claims.names():
        raise InputError(f"{where}: {name!r} is the name of a built-in claim; call it otherwise.")
    return name, value
