"""Gradient descent with weight decay whose learning rate and weight decay change slowly in flow time.

d log(learning_rate)/d tau = slope, d log(weight_decay)/d tau = wd_slope, d tau = learning_rate weight_decay dt.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Gradient descent with the learning rate and the weight decay of the state, each moved by its slope."""
    step = state.learning_rate * state.weight_decay
    return (1 - step) * w - state.learning_rate * gradient(w), {
        "learning_rate": state.learning_rate * (1 + p.slope * step),
        "weight_decay": state.weight_decay * (1 + p.wd_slope * step),
    }


rule = Rule(
    name="gd-scheduled",
    update=update,
    state=("learning_rate", "weight_decay"),
    at_rate=lambda rate: {"learning_rate": 1, "weight_decay": rate},
    initial=lambda p: {"learning_rate": p.learning_rate, "weight_decay": p.weight_decay},
    constants={"slope": 0.5, "wd_slope": -0.5},
    title="gradient descent with slowly varying learning rate and weight decay",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085, with schedules",
)
