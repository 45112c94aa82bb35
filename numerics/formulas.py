"""A SymPy expression as a function that JAX traces: `lambdify` with the special functions of jax.scipy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import sympy as sp

from sharpflow.numerics.config import configure

__all__ = ["lambdify"]

configure()


# lambdify prints these as math.*, which JAX cannot trace.
_SPECIAL = {
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "gamma": jax.scipy.special.gamma,
    "loggamma": jax.scipy.special.gammaln,
}


def lambdify(symbols: Any, expression: Any) -> Callable[..., Any]:
    """A SymPy expression as a function of JAX scalars, common subexpressions shared.

    Symbols are renamed in it: one called arcsin would hide the function of that name.
    """
    flat = sp.flatten([symbols])
    names = dict(zip(flat, (sp.Dummy(f"s{k}") for k in range(len(flat))), strict=True))

    def renamed(thing: Any) -> Any:
        if isinstance(thing, tuple | list):
            return type(thing)(renamed(part) for part in thing)
        return thing.xreplace(names) if hasattr(thing, "xreplace") else thing

    function: Callable[..., Any] = sp.lambdify(
        renamed(symbols), renamed(expression), modules=[_SPECIAL, "jax"], cse=True
    )
    return function
