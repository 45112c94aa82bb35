"""Normalized gradient descent on the sphere: theta+ is the direction of theta - eta G/|G|. The clock is eta^2 t.

Not smooth on Gamma: no multiplier crosses -1 and there is no smooth oscillator; its drift comes from orbits of period
two.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - learning_rate G/|G|."""
    g = gradient(w)
    return w - p.learning_rate * g / ops.norm(g), {}


rule = Rule(
    name="normalized-gd",
    update=update,
    space="sphere",
    rate="learning_rate**2",
    at_rate=lambda rate: {"learning_rate": rate**0.5},
    intrinsic_lr=lambda rate: rate**0.5,
    title="normalized gradient descent",
    source="Arora, Li, Panigrahi 2022, arXiv:2205.09745",
)
