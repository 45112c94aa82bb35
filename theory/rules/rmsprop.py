"""Scalar RMSprop on the sphere: effective_lr = eta/sqrt(v), v+ = beta v + (1 - beta)|G|^2, 1 - beta = C_b eta^2.

The step uses v before its update, as the sphere form of GD with weight decay does (C_b = 2). The clock is eta^2 t.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - effective_lr G, and the second moment v = (eta/effective_lr)^2 moved by 1 - beta = C_b eta^2."""
    g = gradient(w)
    forget = p.C_b * p.learning_rate**2
    v = (p.learning_rate / state.effective_lr) ** 2
    v_next = (1 - forget) * v + forget * ops.dot(g, g)
    return w - state.effective_lr * g, {"effective_lr": p.learning_rate / ops.sqrt(v_next)}


rule = Rule(
    name="rmsprop",
    update=update,
    space="sphere",
    state=("effective_lr",),
    rate="learning_rate**2",
    at_rate=lambda rate: {"learning_rate": rate**0.5},
    constants={"C_b": 4.0},
    intrinsic_lr=lambda rate: rate**0.5,
    title="scalar RMSprop, step before the update of v",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
)
