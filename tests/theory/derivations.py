"""Derivations that several files look at, made once."""

from __future__ import annotations

from functools import cache

from sharpflow.theory import families, rules
from sharpflow.theory.derivation.derivation import Derivation, derive


@cache
def derived(name: str, rule: str = "gd-wd") -> Derivation:
    """The derivation of a built-in rule on the default member of a family."""
    return derive(families.get(name).default(), rules.get(rule))
