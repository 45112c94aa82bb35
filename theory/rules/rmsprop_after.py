"""Scalar RMSprop as in textbooks, whose step uses v after its update.

v+ = beta v + (1 - beta)|G|^2, 1 - beta = C_b eta^2, and theta+ is the direction of theta - eta G/sqrt(v+). effective_lr
is eta/sqrt(v), of the v before the step. The clock is eta^2 t.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - eta G/sqrt(v+), v = (eta/effective_lr)^2."""
    g = gradient(w)
    forget = p.C_b * p.learning_rate**2
    v = (1 - forget) * (p.learning_rate / state.effective_lr) ** 2 + forget * ops.dot(g, g)
    effective_lr = p.learning_rate / ops.sqrt(v)
    return w - effective_lr * g, {"effective_lr": effective_lr}


rule = Rule(
    name="rmsprop-after",
    update=update,
    space="sphere",
    state=("effective_lr",),
    rate="learning_rate**2",
    at_rate=lambda rate: {"learning_rate": rate**0.5},
    constants={"C_b": 4.0},
    intrinsic_lr=lambda rate: rate**0.5,
    title="scalar RMSprop, step after the update of v",
    source="Tieleman, Hinton 2012",
)
