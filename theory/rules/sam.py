"""Sharpness-aware minimisation, full batch, on the sphere: theta+ is the direction of theta - eta G(theta + rho G/|G|).

eta is of order one (below 2/lambda_1), rho small; the clock is rho^2 t. Not smooth on Gamma: G/|G| jumps there.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - learning_rate G(theta + radius G/|G|)."""
    g = gradient(w)
    return w - p.learning_rate * gradient(w + p.radius * g / ops.norm(g)), {}


rule = Rule(
    name="sam",
    update=update,
    space="sphere",
    rate="radius**2",
    at_rate=lambda rate: {"radius": rate**0.5},
    constants={"learning_rate": 0.3},
    intrinsic_lr=lambda rate: rate**0.5,
    title="sharpness-aware minimisation",
    source="Wen, Ma, Li 2022, arXiv:2211.05729",
)
