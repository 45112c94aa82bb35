"""Floating-point numbers that run out on the way to a value: a product that is 0 or inf though its factors are not.

L(c w) = L(w) for a right loss, but w^22 is 0 at |w| = 1e-14 and inf at 1e14: then 0/0 says nothing about the loss. Its
program is run operation by operation at w and at c w, and products, quotients and powers are looked at. Differences,
maxima and branches that become 0 or inf at c w only are a dependence on |w|, and no lack of range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["leaves_range"]

TINY = float(np.finfo(float).tiny)
CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")
POWERS = ("integer_pow", "square", "pow")


def leaves_range(function: Callable[[Any], Any], w: np.ndarray, c: float, /) -> bool:
    """True where a product in ``function`` of (D,) is 0 or inf at c w, not at w, and none of its factors is."""
    program = jax.make_jaxpr(function)(jnp.asarray(w))
    arguments = [(jnp.asarray(w), jnp.asarray(c * w))]
    return _run(program.jaxpr, [(a, a) for a in program.consts], arguments)[0]


def _run(jaxpr: Any, consts: list[Any], arguments: list[Any]) -> tuple[bool, list[Any]]:
    """Look for it in a program; the results, each at w and at c w."""
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atom: Any) -> Any:
        return (atom.val, atom.val) if hasattr(atom, "val") else known[atom]

    for equation in jaxpr.eqns:
        pairs = [read(atom) for atom in equation.invars]
        inner = next((v for k, v in equation.params.items() if k in ("jaxpr", "call_jaxpr")), None)
        if equation.primitive.name in CALLS and inner is not None:
            closed = getattr(inner, "consts", [])
            left, results = _run(getattr(inner, "jaxpr", inner), [(a, a) for a in closed], pairs)
        else:
            found = equation.primitive.get_bind_params(equation.params)
            # Before JAX 0.9, functions and parameters apart.
            functions, options = found if isinstance(found, tuple) else ((), found)
            values = [equation.primitive.bind(*functions, *(p[side] for p in pairs), **options) for side in (0, 1)]
            sides = values if equation.primitive.multiple_results else [[value] for value in values]
            results = list(zip(*sides, strict=True))
            left = _left(equation.primitive.name, [np.asarray(p[1]) for p in pairs], *map(np.asarray, results[0]))
        if left:
            return True, []
        known.update(zip(equation.outvars, results, strict=True))
    return False, [read(atom) for atom in jaxpr.outvars]


def _left(name: str, factors: list[np.ndarray], at_w: np.ndarray, at_cw: np.ndarray) -> bool:
    """True where a product is 0 or inf at c w, of factors that are neither, and was not at w."""
    if at_w.dtype.kind != "f" or not np.all([np.isfinite(f).all() for f in factors]):
        return False
    was = np.isfinite(at_w) & (at_w != 0)
    lost = was & ((at_cw == 0) | ~np.isfinite(at_cw))
    if name in ("mul", "div"):
        return bool(np.any(lost & (factors[0] != 0) & (factors[1] != 0)))
    if name in POWERS:
        return bool(np.any(lost & (factors[0] != 0)))
    if name == "dot_general":
        # A sum of products may be 0 by cancellation: it is too small where the largest product is.
        largest = np.max(np.abs(factors[0]), initial=0.0) * np.max(np.abs(factors[1]), initial=0.0)
        return bool(np.any(lost & ~np.isfinite(at_cw)) or (np.any(lost) and 0 < largest < TINY) or (
            np.any(lost) and largest == 0 and np.any(factors[0]) and np.any(factors[1])))  # fmt: skip
    return False
