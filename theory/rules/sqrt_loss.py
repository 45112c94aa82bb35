"""Gradient descent on sqrt(L - min L), on the sphere: theta+ is the direction of theta - eta grad sqrt(L - min L).

Not smooth on Gamma: the gradient has the length sqrt(lambda_1/2) next to it. The clock is eta^2 t.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - learning_rate G/(2 sqrt(L - min L))."""
    return w - p.learning_rate * gradient(w) / (2 * ops.sqrt(gradient.excess_loss(w))), {}


rule = Rule(
    name="sqrt-loss",
    update=update,
    space="sphere",
    rate="learning_rate**2",
    at_rate=lambda rate: {"learning_rate": rate**0.5},
    intrinsic_lr=lambda rate: rate**0.5,
    title="gradient descent on sqrt(L - min L)",
    source="Arora, Li, Panigrahi 2022, arXiv:2205.09745",
)
