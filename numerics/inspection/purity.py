"""Whether a function of the user's is pure, and means the same under jit, vmap and grad: its trace is read.

A jaxpr holds every operation of a JAX function with its types: callbacks to the host and single precision show there;
two traces that differ come from something that the function remembers or draws. What it does beside them is watched for
(`sharpflow.numerics.inspection.effects`, `sharpflow.numerics.inspection.memory`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.inspection.effects import noted, random_change, random_states, seeded
from sharpflow.numerics.inspection.loss import Finding
from sharpflow.numerics.inspection.memory import changed, memory
from sharpflow.numerics.measurements.probes import random_directions
from sharpflow.numerics.objective import Objective

__all__ = ["Trace", "differing_transformation", "read_trace"]

LOW = ("float32", "float16", "bfloat16")
WORDS = 200
# Of the global generators: none that a function would be likely to set by itself, which would then change nothing.
SEEDS = (860_233, 860_239)


@dataclass(frozen=True)
class Trace:
    """What the trace of a function shows.

    Attributes:
        callbacks: names of operations that leave the program.
        low_precision: operations whose result is less than float64, though w is float64.
        impure: what differs between two traces or calls; empty where nothing does.
        prints: what it printed while it was traced or called.
        effects: what it did to files, processes and the network, with the line.
        drawn: what it did to the global random states; empty where nothing.
        changes: variables that it changed.
    """

    callbacks: tuple[str, ...]
    low_precision: tuple[str, ...]
    impure: str
    prints: str
    effects: tuple[str, ...] = ()
    drawn: str = ""
    changes: tuple[str, ...] = ()


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner)


def read_trace(function: Callable[[Any], Any], start: np.ndarray, /, *, also: tuple[Any, ...] = ()) -> Trace:
    """Trace ``function`` twice and call it twice at ``start`` (D,), under different global random states.

    What it leaves behind is looked for the second time, when what it keeps for good (``lru_cache``, imports) is there.

    Args:
        function: takes a float array (D,), returns a scalar.
        start: (D,).
        also: functions that it calls in a way that cannot be seen from it.
    """
    w = jnp.asarray(start)
    printed = io.StringIO()
    traces, values, effects, drawn = [], [], [], ""

    def body() -> None:
        # A fresh function each time, or JAX would remember the first trace.
        traces.append(jax.make_jaxpr(lambda v: function(v))(w))
        values.append(np.asarray(function(w)))

    with contextlib.redirect_stdout(printed):
        for seed in SEEDS:
            kept = memory(function, *also)
            with seeded(seed):
                states = random_states()
                effects = noted(body)
                drawn = random_change(states)
    changes = changed(kept, memory(function, *also))
    callbacks, low = [], []
    for equation in _equations(traces[0].jaxpr):
        name = str(equation.primitive)
        if "callback" in name or "outside_call" in name or name in ("infeed", "outfeed"):
            callbacks.append(name)
        if any(str(getattr(v.aval, "dtype", "")) in LOW for v in equation.outvars):
            low.append(name)
    impure = ""
    if str(traces[0]) != str(traces[1]):
        impure = "two traces of it are different programs"
    elif any(not _equal(a, b) for a, b in zip(traces[0].consts, traces[1].consts, strict=True)):
        impure = "two traces of it hold different constants"
    elif not _equal(values[0], values[1]):
        impure = f"two calls at one point give {float(values[0]):.17g} and {float(values[1]):.17g}"
    return Trace(
        tuple(dict.fromkeys(callbacks)), tuple(dict.fromkeys(low)), impure, printed.getvalue()[:WORDS],
        tuple(effects), drawn, tuple(changes),
    )  # fmt: skip


def _equal(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))


def differing_transformation(objective: Objective, /, *, seed: int = 0) -> Finding:
    """The largest difference of L and grad L between plain calls, jit, vmap, and forward mode, relative to their size.

    A transformation that raises gives inf, with what it said.
    """
    f = objective.function
    points = random_directions(objective, 4, seed)
    tangent = np.roll(points, 1, axis=0)

    def each(g: Callable[[Any], Any]) -> np.ndarray:
        return np.array([np.asarray(g(jnp.asarray(w))) for w in points])

    plain, gradient = each(f), each(jax.grad(f))
    slope = np.einsum("nd,nd->n", gradient, tangent)
    ways: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
        "jit": (lambda: each(jax.jit(f)), plain),
        "vmap": (lambda: jax.vmap(f)(points), plain),
        "jit of vmap of grad": (lambda: jax.jit(jax.vmap(jax.grad(f)))(points), gradient),
        "forward mode": (lambda: jax.vmap(lambda w, v: jax.jvp(f, (w,), (v,))[1])(points, tangent), slope),
        "lax.map": (lambda: jax.lax.map(f, jnp.asarray(points)), plain),
    }
    worst = Finding(0.0)
    for name, (way, expected) in ways.items():
        try:
            found = np.asarray(way())
        except Exception as error:  # whatever the user's function raises there
            return Finding(float("inf"), {}, f"under {name} it fails: {type(error).__name__}: {str(error)[:WORDS]}")
        size = max(float(np.abs(expected).max()), 1e-300)
        apart = np.abs(found - expected).reshape(len(points), -1).max(axis=1) / size
        k = int(np.nanargmax(apart)) if np.isfinite(apart).any() else 0
        if not apart[k] <= worst.value:
            worst = Finding(float(apart[k]), {"w": points[k]}, f"plain and {name}")
    return worst
