"""The two forms in which gradient descent runs: the rule's own update of w, and its reduction to the sphere.

weights: w+ = update(w); theta = w/|w|, effective_lr = a function of |w|^2 (for a rule on the sphere w is theta,
and is normalised after each step).
sphere: theta+ = (theta - step G)/|theta - step G|, effective_lr+ = schedule(effective_lr, |G|^2), G = grad L(theta).

Both carry ``position`` (D,) and ``state`` (a dict of arrays), and both are functions that JAX traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import sympy as sp

from sharpflow.numerics.formulas import lambdify
from sharpflow.theory.edge.frame import NORM, Frame
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.rule import Operations, Rule
from sharpflow.theory.sphere.reduction import Reduction, norm_squared_at, reduce_rule

__all__ = ["MINIMUM", "Form", "FormName", "default_form", "form_of", "reduction_of"]

FormName = Literal["sphere", "weights"]
Array = jax.Array
# Among the parameters of a run: min L, for rules that ask for L - min L. No parameter of a rule can have this name.
MINIMUM = "min L"

_OPERATIONS = Operations(dot=jnp.dot, norm=jnp.linalg.norm, sqrt=jnp.sqrt)


@dataclass(frozen=True)
class Form:
    """A rule ready to run.

    Attributes:
        begin: (theta, effective_lr, parameters) -> (position, state). An effective_lr of nan leaves the position
            as it is.
        step: (position, state, value_and_gradient, parameters) -> (position+, state+, L, |G|^2), L and G at the
            old point.
        read: (position, state, parameters) -> (theta, effective_lr, |w|^2), with nan for what the rule does not have.
    """

    begin: Callable[[Array, Array, Mapping[str, Array]], tuple[Array, dict[str, Array]]]
    step: Callable[..., tuple[Array, dict[str, Array], Array, Array]]
    read: Callable[[Array, dict[str, Array], Mapping[str, Array]], tuple[Array, Array, Array]]


def _unit(v: Array) -> Array:
    return v / jnp.linalg.norm(v)


def reduction_of(rule: Rule, /) -> Reduction:
    """`sharpflow.theory.sphere.reduction.reduce_rule`, derived once for each rule."""
    return _reduction(Identity(rule))


@lru_cache(maxsize=64)
def _reduction(key: Identity[Rule]) -> Reduction:
    return reduce_rule(key.value)


@lru_cache(maxsize=64)
def _form(key: Identity[Rule], name: FormName) -> Form:
    return _sphere(key.value) if name == "sphere" else _weights(key.value)


def form_of(rule: Rule, name: FormName, /) -> Form:
    """The rule in the form asked for.

    Raises:
        InputError: there is no such form, or the rule has no sphere form.
    """
    if name not in ("sphere", "weights"):
        raise InputError(f"form must be 'sphere' or 'weights', not {name!r}.")
    return _form(Identity(rule), name)


def _sphere(rule: Rule) -> Form:
    reduction = reduction_of(rule)
    e, g2, n2 = reduction.effective_lr, reduction.gradient_squared, reduction.norm_squared
    names = tuple(reduction.parameters)
    symbols = (e, g2, *reduction.parameters.values())
    if reduction.step.has(n2):
        raise InputError(f"rule {rule.name!r}: its step {reduction.step} depends on |w|; use form='weights'.")
    step_size = lambdify(symbols, reduction.step)
    schedule = None if reduction.schedule is None else lambdify(symbols, reduction.schedule)
    inverse = reduction.norm_squared_of_effective_lr
    norm_squared = None if inverse is None else lambdify(symbols, inverse)

    def begin(theta: Array, effective_lr: Array, parameters: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        return _unit(theta), ({} if schedule is None else {"effective_lr": effective_lr})

    def step(position, state, value_and_gradient, parameters):  # type: ignore[no-untyped-def]
        loss, gradient = value_and_gradient(position)
        squared = gradient @ gradient
        numbers = (state.get("effective_lr", 0.0), squared, *(parameters[name] for name in names))
        moved = _unit(position - step_size(*numbers) * gradient)
        return moved, ({} if schedule is None else {"effective_lr": schedule(*numbers)}), loss, squared

    def read(position, state, parameters):  # type: ignore[no-untyped-def]
        effective_lr = state.get("effective_lr", jnp.asarray(jnp.nan))
        numbers = (effective_lr, 0.0, *(parameters[name] for name in names))
        squared = jnp.asarray(jnp.nan) if norm_squared is None else norm_squared(*numbers)
        return position, effective_lr, squared

    return Form(begin, step, read)


class _Gradient:
    """``gradient(w)`` and ``gradient.excess_loss(w)`` = L(w) - min L, as an update reads them."""

    def __init__(self, value_and_gradient: Callable[[Array], tuple[Array, Array]], minimum: Any) -> None:
        self._both, self._minimum = value_and_gradient, minimum

    def __call__(self, w: Array) -> Array:
        return self._both(w)[1]

    def excess_loss(self, w: Array) -> Array:
        # Rounding may bring it below 0, where a rule that takes its root would make nan of it.
        return jnp.maximum(self._both(w)[0] - self._minimum, 0.0)


def _weights(rule: Rule) -> Form:
    on_sphere = rule.space == "sphere"
    to_lr, to_norm = _norm_maps(rule)

    def begin(theta: Array, effective_lr: Array, parameters: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        position = _unit(theta) if on_sphere else theta
        # Momentum-like state starts at rest; a caller with a better start passes its own state.
        state = {s: effective_lr if s == "effective_lr" else jnp.zeros_like(theta) for s in rule.state}
        for name, value in rule.initial(SimpleNamespace(**parameters)).items():
            state[name] = jnp.asarray(value, dtype=float)
        if not on_sphere and to_norm is not None:
            length = jnp.sqrt(to_norm(effective_lr, parameters, state))
            position = jnp.where(jnp.isnan(effective_lr), theta, length * _unit(theta))
        return position, state

    def step(position, state, value_and_gradient, parameters):  # type: ignore[no-untyped-def]
        gradient = _Gradient(value_and_gradient, parameters.get(MINIMUM, 0.0))
        p = SimpleNamespace(**{name: value for name, value in parameters.items() if name != MINIMUM})
        moved, new = rule.step(position, gradient, SimpleNamespace(**state), p, _OPERATIONS)
        # grad L(w) = grad L(theta)/|w|: XLA shares this evaluation with the one inside the update.
        loss, own = value_and_gradient(position)
        return (_unit(moved) if on_sphere else moved), dict(vars(new)), loss, (own @ own) * (position @ position)

    def read(position, state, parameters):  # type: ignore[no-untyped-def]
        squared = position @ position
        if on_sphere:
            return position, state.get("effective_lr", jnp.asarray(jnp.nan)), jnp.asarray(jnp.nan)
        effective_lr = jnp.asarray(jnp.nan) if to_lr is None else to_lr(squared, parameters, state)
        return _unit(position), effective_lr, squared

    return Form(begin, step, read)


def _norm_maps(rule: Rule) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
    """effective_lr of |w|^2, and its inverse, with the parameters and the state's slow scalars; ``None`` without."""
    if rule.space == "sphere":
        return None, None
    frame = Frame(rule)
    parameters = rule.parameter_symbols()
    # The state may have a name that a parameter has too.
    scalars = {name: sp.Symbol(f"{name}_of_state", positive=True) for name in frame.scalars}
    try:
        own = frame.effective_lr_of(parameters, scalars)
    except InputError:  # the update runs, but has no effective learning rate
        return None, None
    squared, lr = sp.Symbol("norm_squared", positive=True), sp.Symbol("effective_lr", positive=True)
    forth = sp.simplify(own.subs(NORM, sp.sqrt(squared)))
    if own.has(sp.Symbol("gradient_squared", positive=True)) or not forth.has(squared):
        return None, None
    back = norm_squared_at(forth, squared, lr)
    if back is None:
        return None, None
    names, symbols = tuple(parameters), tuple(parameters.values())
    states = tuple(scalars)
    forward = lambdify((squared, *symbols, *scalars.values()), forth)
    backward = lambdify((lr, *symbols, *scalars.values()), back)

    def numbers(parameters: Mapping[str, Array], state: Mapping[str, Array]) -> list[Array]:
        return [*(parameters[n] for n in names), *(state[s] for s in states)]

    return (
        lambda value, parameters, state: forward(value, *numbers(parameters, state)),
        lambda value, parameters, state: backward(value, *numbers(parameters, state)),
    )


def default_form(rule: Rule, /) -> FormName:
    """The sphere where the rule reduces to it (a step there is the cheaper one), its own update otherwise."""
    try:
        reduction = reduction_of(rule)
    except InputError:
        return "weights"
    return "weights" if reduction.step.has(reduction.norm_squared) else "sphere"
