"""Gradient descent with decoupled weight decay: w+ = (1 - eta lambda) w - eta grad L(w)."""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """(1 - learning_rate weight_decay) w - learning_rate grad L(w)."""
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}


rule = Rule(
    name="gd-wd",
    update=update,
    title="gradient descent with weight decay",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
)
