"""Gradient descent on the loss with an L2 term: w+ = w - eta (grad L(w) + lambda w)."""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """w - learning_rate (grad L(w) + weight_decay w)."""
    return w - p.learning_rate * (gradient(w) + p.weight_decay * w), {}


rule = Rule(
    name="gd-l2",
    update=update,
    title="gradient descent with L2 regularisation",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
)
