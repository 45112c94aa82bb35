"""Update rules that are wrong on purpose, each in one way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sharpflow.testing.mutants.wrong_losses import Wrong

if TYPE_CHECKING:
    from sharpflow.theory.rule import Rule

__all__ = ["wrong_rules"]


def _rule(name: str, update: Callable[..., Any], **options: Any) -> Rule:
    from sharpflow.theory.rule import Rule

    return Rule(name=name, update=update, **options)


def _noisy() -> Rule:
    import numpy as np

    def update(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        noise = np.random.rand()  # noqa: NPY002  the point of it
        return (1 - p.learning_rate * p.weight_decay) * w - (1 + 1e-9 * noise) * p.learning_rate * gradient(w), {}

    return _rule("noisy", update)


def _counting() -> Rule:
    calls: list[int] = []

    def update(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        calls.append(0)
        rate = p.learning_rate * (1 + 1e-9 * len(calls))
        return (1 - p.learning_rate * p.weight_decay) * w - rate * gradient(w), {}

    return _rule("counting", update)


def _single_rule() -> Rule:
    def update(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        slope = gradient(w)
        if hasattr(slope, "astype"):
            slope = slope.astype("float32").astype("float64")
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * slope, {}

    return _rule("float32-gradient", update)


def _two_rules() -> Rule:
    def update(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        # What JAX runs is not what SymPy reads: a twentieth more decay.
        decay = 1.05 if hasattr(w, "aval") else 1
        return (1 - decay * p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}

    return _rule("two-faced", update)


@cache
def wrong_rules() -> tuple[Wrong, ...]:
    """The wrong rules."""

    def forgotten(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return w - p.learning_rate * gradient(w), {}

    def grows(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return (1 + p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}

    def plain(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}

    def ascends(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return (1 - p.learning_rate * p.weight_decay) * w + p.learning_rate * gradient(w), {}

    def by_coordinate(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * abs(w) * gradient(w), {}

    def undeclared(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        return plain(w, gradient, state, p, ops)[0], {"momentum": gradient(w)}

    def constant(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        theta = w - state.effective_lr * gradient(w)
        return theta, {"effective_lr": state.effective_lr * (1 - 4 * p.learning_rate * p.weight_decay)}

    def still(w: Any, gradient: Any, state: Any, p: Any, ops: Any) -> Any:
        momentum = state.momentum / 2 + gradient(w)
        decayed = (1 - p.learning_rate * p.weight_decay) * w
        return decayed - p.learning_rate * momentum, {"momentum": state.momentum}

    three_halves = {"learning_rate": 1}
    return (
        Wrong("forgotten-decay", "the factor 1 - eps is forgotten", "weight_decay",
              lambda: _rule("forgotten-decay", forgotten), "rule"),
        Wrong("growing", "the sign of the decay is wrong", "weight_decay", lambda: _rule("growing", grows), "rule"),
        Wrong("wrong-rate", "the text of the rate is not the rate", "clock",
              lambda: _rule("wrong-rate", plain, rate="learning_rate"), "rule"),
        Wrong("wrong-scaling", "weight_decay = rate^(3/2)", "clock",
              lambda: _rule("wrong-scaling", plain, at_rate=lambda r: three_halves | {"weight_decay": r**1.5}), "rule"),
        Wrong("ascent", "goes up the gradient", "descent", lambda: _rule("ascent", ascends), "rule"),
        Wrong("by-coordinate", "steps in proportion to |w_i|: depends on the axes", "derivation",
              lambda: _rule("by-coordinate", by_coordinate), "rule"),
        Wrong("undeclared-state", "returns a state that it does not declare", "rule_purity",
              lambda: _rule("undeclared-state", undeclared), "rule"),
        Wrong("still-state", "returns the old momentum", "rule_purity",
              lambda: _rule("still-state", still, state=("momentum",)), "rule"),
        Wrong("noisy", "draws from the global random state", "rule_purity", _noisy, "rule"),
        Wrong("counting", "counts its calls", "rule_purity", _counting, "rule"),
        Wrong("float32-gradient", "the gradient goes through float32", "rule_purity", _single_rule, "rule"),
        Wrong("two-faced", "JAX runs another rule than SymPy reads", "interpreters", _two_rules, "rule"),
        Wrong("falling-schedule", "effective_lr falls on the sphere", "closed_orbit",
              lambda: _rule("falling-schedule", constant, space="sphere", state=("effective_lr",)), "rule"),
    )  # fmt: skip
