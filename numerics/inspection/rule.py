"""Conditions on any update rule, measured on a Rayleigh quotient, whose gradient is written here in NumPy as well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.descent.descent import parameters_of
from sharpflow.numerics.descent.forms import MINIMUM, form_of
from sharpflow.numerics.inspection.loss import Finding
from sharpflow.numerics.inspection.purity import Trace, read_trace
from sharpflow.numerics.numbers import generator
from sharpflow.theory.rule import Operations, Rule

__all__ = ["decay_at_rest", "interpreter_difference", "rule_trace", "same_update", "small_steps", "unchanging_states"]

DIAGONAL = np.array([0.0, 0.0, 1.0, 2.0])
_NUMPY = Operations(dot=np.dot, norm=np.linalg.norm, sqrt=np.sqrt)
RATE = 1e-3


class _Gradient:
    """grad L and L - min L of L(w) = <w, A w>/(2 |w|^2), in NumPy."""

    def __call__(self, w: np.ndarray) -> np.ndarray:
        squared = w @ w
        found: np.ndarray = (DIAGONAL * w - (w @ (DIAGONAL * w)) / squared * w) / squared
        return found

    def excess_loss(self, w: np.ndarray) -> float:
        return float(w @ (DIAGONAL * w) / (2 * (w @ w)))


def _rayleigh(w: Any) -> Any:
    return w @ (jnp.asarray(DIAGONAL) * w) / (2 * (w @ w))


def _begin(
    rule: Rule, seed: int, rate: float = RATE, shift: float = 0.0
) -> tuple[np.ndarray, dict[str, Any], dict[str, np.float64]]:
    """A unit vector next to Gamma, a state, and parameters, with the constants of the rule moved by ``shift``."""
    random = generator(seed)
    w = np.array([0.8, 0.5, 0.2, 0.1]) + 0.05 * random.standard_normal(4)
    w /= np.linalg.norm(w)
    numbers = parameters_of(rule, rate, None)
    numbers |= {name: np.float64(numbers[name] + shift) for name in rule.constants}
    initial = rule.initial(SimpleNamespace(**numbers))
    state: dict[str, Any] = {}
    for name in rule.state:
        scalar = name in initial or name == "effective_lr"
        state[name] = np.float64(initial.get(name, 0.5)) if scalar else 0.1 * random.standard_normal(4)
    return w, state, numbers


def interpreter_difference(rule: Rule, /, *, seed: int = 0) -> Finding:
    """The largest difference between one update run by NumPy and by JAX, relative to |w+|."""
    w, state, numbers = _begin(rule, seed)
    by_numpy, state_numpy = rule.step(w, _Gradient(), SimpleNamespace(**state), SimpleNamespace(**numbers), _NUMPY)
    if rule.space == "sphere":
        by_numpy = by_numpy / np.linalg.norm(by_numpy)
    moved, state_jax = jax.jit(lambda v, s: _jax_step(rule, v, s, numbers))(jnp.asarray(w), state)
    size = float(np.linalg.norm(by_numpy))
    apart = {"w+": float(np.max(np.abs(np.asarray(moved) - by_numpy))) / size}
    for name in rule.state:
        apart[name] = float(np.max(np.abs(np.asarray(state_jax[name]) - np.asarray(getattr(state_numpy, name)))))
    worst = max(apart, key=lambda name: apart[name] if np.isfinite(apart[name]) else np.inf)
    return Finding(apart[worst], {"w": w, "w+ by NumPy": by_numpy, "w+ by JAX": np.asarray(moved)}, worst)


def _jax_step(rule: Rule, w: Any, state: Any, numbers: Any) -> tuple[Any, Any]:
    both = jax.value_and_grad(_rayleigh)
    position, after, _, _ = form_of(rule, "weights").step(w, state, both, {**numbers, MINIMUM: np.float64(0.0)})
    return position, after


def rule_trace(rule: Rule, /) -> Trace:
    """Findings in the trace of one update: callbacks, single precision, memory."""
    w, state, numbers = _begin(rule, 0)

    def moved(v: Any) -> Any:
        position, after = _jax_step(rule, v, state, numbers)
        return jnp.sum(position) + sum(jnp.sum(jnp.asarray(x)) for x in after.values())

    return read_trace(moved, w, also=(rule.update,))


def same_update(rule: Rule, other: Rule, /) -> bool:
    """True where one update of both rules, which have the same states, gives the same to the last digit."""
    found = []
    for which in (rule, other):
        w, state, numbers = _begin(which, 0)
        moved, after = which.step(w, _Gradient(), SimpleNamespace(**state), SimpleNamespace(**numbers), _NUMPY)
        found.append([state[name] for name in rule.state] + [moved] + [getattr(after, name) for name in rule.state])
    return all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def unchanging_states(rule: Rule, /) -> tuple[str, ...]:
    """States that one update leaves exactly as they were, at two places and whatever the constants of the rule are.

    effective_lr may be a constant, and a slope of 0 keeps what another would move.
    """
    names = [name for name in rule.state if name != "effective_lr"]
    for seed, shift in ((0, 0.0), (1, 0.0), (0, 0.11)):
        w, state, numbers = _begin(rule, seed, shift=shift)
        _, after = rule.step(w, _Gradient(), SimpleNamespace(**state), SimpleNamespace(**numbers), _NUMPY)
        names = [name for name in names if np.array_equal(np.asarray(getattr(after, name)), np.asarray(state[name]))]
    return tuple(names)


def decay_at_rest(rule: Rule, /, *, rate: float, steps: int = 400) -> float:
    """k in |w+|/|w| = 1 - k rate where the gradient vanishes, after ``steps`` updates from zeros (nan: 0/0)."""
    numbers = parameters_of(rule, rate, None)
    initial = rule.initial(SimpleNamespace(**numbers))
    state: Any = SimpleNamespace(**{name: np.float64(initial.get(name, 0.0)) if name in initial else np.zeros(4)
                                    for name in rule.state})  # fmt: skip
    w, p, ratio = np.array([0.6, 0.8, 0.0, 0.0]), SimpleNamespace(**numbers), np.nan
    with np.errstate(invalid="ignore", divide="ignore"):  # a rule that divides by |gradient| has no rest: nan
        for _ in range(steps):
            moved, state = rule.step(w, _Gradient(), state, p, _NUMPY)
            ratio = float(np.linalg.norm(moved) / np.linalg.norm(w))
            w = np.asarray(moved)
    return (1 - ratio) / rate


def small_steps(rule: Rule, /, *, seed: int = 0, steps: int = 20) -> tuple[float, float]:
    """L - min L before and after so many updates with an effective learning rate far below the edge."""
    w, state, numbers = _begin(rule, seed, rate=1e-6)
    for name, value in state.items():
        state[name] = np.zeros(4) if np.ndim(value) else value
    if "effective_lr" in state:
        state["effective_lr"] = np.float64(1e-2)
    # |w| = 10: an effective learning rate of a hundredth of the learning rate's.
    position, current = (w if rule.space == "sphere" else 10 * w), SimpleNamespace(**state)
    gradient, p = _Gradient(), SimpleNamespace(**numbers)
    for _ in range(steps):
        moved, current = rule.step(position, gradient, current, p, _NUMPY)
        position = moved / np.linalg.norm(moved) if rule.space == "sphere" else np.asarray(moved)
    return gradient.excess_loss(w), gradient.excess_loss(position)
