"""Heavy-ball momentum with coupled weight decay: m+ = beta m + grad L(w) + lambda w, w+ = w - eta m+."""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """w - learning_rate (beta momentum + grad L(w) + weight_decay w)."""
    momentum = p.beta * state.momentum + gradient(w) + p.weight_decay * w
    return w - p.learning_rate * momentum, {"momentum": momentum}


rule = Rule(
    name="heavy-ball-coupled",
    update=update,
    state=("momentum",),
    constants={"beta": 0.5},
    title="heavy-ball momentum, weight decay in the gradient",
    source="Polyak 1964",
)
