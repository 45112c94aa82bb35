"""Heavy-ball momentum with decoupled weight decay: m+ = beta m + grad L(w), w+ = (1 - eta lambda) w - eta m+."""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """(1 - learning_rate weight_decay) w - learning_rate (beta momentum + grad L(w))."""
    momentum = p.beta * state.momentum + gradient(w)
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * momentum, {"momentum": momentum}


rule = Rule(
    name="heavy-ball",
    update=update,
    state=("momentum",),
    constants={"beta": 0.5},
    title="heavy-ball momentum, decoupled weight decay",
    source="Polyak 1964",
)
