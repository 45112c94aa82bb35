"""Gradient descent on the sphere with a constant effective_lr: no schedule feeds back.

The one thing that brings effective_lr*lambda_1 down is the motion along Gamma, and nothing brings it up (progressive
sharpening would). The clock is rate*t with a rate that the rule itself does not know: it is the scale of x^2.
"""

from sharpflow.theory.rule import Rule


def update(w, gradient, state, p, ops):  # type: ignore[no-untyped-def]
    """Theta - effective_lr G."""
    return w - state.effective_lr * gradient(w), {"effective_lr": state.effective_lr}


rule = Rule(
    name="constant-lr",
    update=update,
    space="sphere",
    state=("effective_lr",),
    rate="scale**2",
    at_rate=lambda rate: {"scale": rate**0.5},
    intrinsic_lr=lambda rate: rate**0.5,
    title="gradient descent with a constant effective learning rate",
    source="Damian, Nichani, Lee 2022, arXiv:2209.15594",
)
