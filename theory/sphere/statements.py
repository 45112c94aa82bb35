"""Statements on the reduction of a rule to the sphere, proved for every loss in every dimension.

theta+ = (theta - effective_lr G)/|theta - effective_lr G| and effective_lr+ = schedule(effective_lr, |G|^2) come out
of `sharpflow.theory.sphere.reduction`, which runs the rule's own update on vectors of span{theta, G} and uses nothing
of R^D but the Gram matrix diag(1, |G|^2) (see `sharpflow.theory.sphere.vectors`): that is why D does not enter. The
statements checked here are the ones of the theory.
"""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.errors import InputError
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.sphere.reduction import Reduction

__all__ = ["prove_equilibrium_norm", "prove_quasi_rmsprop", "prove_rescaling", "prove_sphere_map"]

ANY_DIMENSION = (
    "Only <theta, theta> = 1, <theta, G> = 0 and <G, G> = |G|^2 are used: the identity holds in every dimension."
)
_SCALE = sp.Symbol("c", positive=True)


def _weights_only(reduction: Reduction) -> tuple[sp.Symbol, sp.Symbol]:
    """Learning rate and weight decay of gradient descent with weight decay."""
    p = reduction.parameters
    if reduction.rule.space != "weights" or not {"learning_rate", "weight_decay"} <= set(p) or not reduction.is_smooth:
        raise InputError(
            f"rule {reduction.rule.name!r}: this statement is about gradient descent on weights with learning_rate "
            f"and weight_decay."
        )
    return p["learning_rate"], p["weight_decay"]


def prove_sphere_map(reduction: Reduction, /) -> Proof:
    """w+ = (1 - eps) w - eta grad L(w) is projected gradient descent with a schedule of its own."""
    eta, decay = _weights_only(reduction)
    eps = eta * decay
    e, g2, n2 = reduction.effective_lr, reduction.gradient_squared, reduction.norm_squared
    assert reduction.effective_lr_of_norm is not None
    assert reduction.next_norm_squared is not None
    assert reduction.schedule is not None
    recursion = (1 - eps) ** 2 * n2 + eta**2 * g2 / n2
    # A second path to the schedule: |w+|^2 by Pythagoras on the sphere, then effective_lr from its definition.
    by_pythagoras = (reduction.scale**2 * (1 + e**2 * g2)).subs(e, reduction.effective_lr_of_norm)
    return Proof(
        f"{reduction.rule.name} on the sphere",
        (
            prove_equal(
                "effective learning rate: what multiplies G on the sphere",
                reduction.effective_lr_of_norm,
                eta / ((1 - eps) * n2),
                show=(e, eta / ((1 - eps) * n2)),
                note="w+ = A (theta - step G) with A > 0 for eps < 1; step is read off. " + ANY_DIMENSION,
            ),
            prove_equal(
                "the squared norm of the next w",
                reduction.next_norm_squared,
                recursion,
                show=(sp.Symbol("|w+|^2"), recursion),
                note="Expanded from the update with the Gram matrix.",
            ),
            prove_equal(
                "the same by Pythagoras: |w+|^2 = A^2 |theta - effective_lr G|^2 = A^2 (1 + effective_lr^2 |G|^2)",
                by_pythagoras,
                reduction.next_norm_squared,
            ),
            prove_equal(
                "schedule of the effective learning rate",
                reduction.schedule,
                e / ((1 - eps) ** 2 * (1 + e**2 * g2)),
                show=(sp.Symbol("effective_lr+"), e / ((1 - eps) ** 2 * (1 + e**2 * g2))),
                note="|w|^2 is eliminated between the two lines above. " + ANY_DIMENSION,
            ),
        ),
    )


def prove_quasi_rmsprop(reduction: Reduction, /) -> Proof:
    """v = eta_in^2/effective_lr^2 follows scalar RMSprop with 1 - beta_2 = 2 eta_in^2 up to higher order."""
    eta, decay = _weights_only(reduction)
    e, g2 = reduction.effective_lr, reduction.gradient_squared
    assert reduction.schedule is not None
    small, v = sp.symbols("eta_in v", positive=True)
    beta = (1 - eta * decay) ** 4
    next_v = small**2 / reduction.schedule**2
    identity = beta * v + 2 * beta * small**2 * g2 + beta * small**2 * e**2 * g2**2
    as_v = {v: small**2 / e**2}
    eps = sp.Symbol("eps", positive=True)
    forget = sp.series(1 - (1 - eps) ** 4, eps, 0, 2).removeO().subs(eps, small**2 / 2)
    return Proof(
        "the schedule is scalar RMSprop, up to higher order",
        (
            prove_equal(
                "exact recursion of v = eta_in^2/effective_lr^2",
                next_v,
                identity.subs(as_v),
                show=(sp.Symbol("v+"), identity.subs(beta, sp.Symbol("beta"))),
                note="beta = (1 - eps)^4; v+ from the proved schedule. " + ANY_DIMENSION,
            ),
            prove_equal(
                "1 - beta at leading order, in eta_in = sqrt(2 eps)",
                forget,
                2 * small**2,
                show=(sp.Symbol("1 - beta"), 2 * small**2),
                note="So v+ = beta v + (1 - beta) |G|^2 + O(eta_in^4): C_b = 2. The term in |G|^4 carries "
                "eta_in^2 |G|^2, which is O(eta_in^4) at the edge.",
            ),
        ),
    )


def prove_rescaling(reduction: Reduction, /) -> Proof:
    """(eta, lambda, w) and (c^2 eta, lambda/c^2, c w) give the same theta for ever."""
    eta, decay = _weights_only(reduction)
    n2, e = reduction.norm_squared, reduction.effective_lr
    assert reduction.effective_lr_of_norm is not None
    assert reduction.next_norm_squared is not None
    assert reduction.schedule is not None
    rescaled = {eta: _SCALE**2 * eta, decay: decay / _SCALE**2, n2: _SCALE**2 * n2}
    swap = lambda x: x.subs(rescaled, simultaneous=True)  # noqa: E731
    only = {eta: _SCALE**2 * eta, decay: decay / _SCALE**2}
    return Proof(
        "rescaling symmetry",
        (
            prove_equal(
                "the effective learning rate does not change",
                swap(reduction.effective_lr_of_norm),
                reduction.effective_lr_of_norm,
                note="Both runs start at the same theta, so with the same effective_lr.",
            ),
            prove_equal(
                "nor does its schedule",
                reduction.schedule.subs(only, simultaneous=True),
                reduction.schedule,
                show=(
                    sp.Function("schedule")(e, _SCALE**2 * eta, decay / _SCALE**2),
                    sp.Function("schedule")(e, eta, decay),
                ),
                note="(theta, effective_lr) evolve by eps = eta lambda alone; by induction theta_t agrees for every t.",
            ),
            prove_equal(
                "the norm keeps its factor c",
                swap(reduction.next_norm_squared),
                _SCALE**2 * reduction.next_norm_squared,
                note=ANY_DIMENSION,
            ),
        ),
    )


def prove_equilibrium_norm(reduction: Reduction, /) -> Proof:
    """At the edge |w|^2 = eta lambda_1/2, to leading order in eps."""
    eta, decay = _weights_only(reduction)
    assert reduction.norm_squared_of_effective_lr is not None
    sharp = sp.Symbol("lambda_1", positive=True)
    exactly = reduction.norm_squared_of_effective_lr.subs(reduction.effective_lr, 2 / sharp)
    return Proof(
        "the norm at the edge",
        (
            prove_equal(
                "norm at effective_lr lambda_1 = 2, exactly",
                exactly,
                eta * sharp / (2 * (1 - eta * decay)),
                show=(sp.Symbol("|w|^2"), exactly),
                note="The definition of effective_lr, solved for the norm.",
            ),
            prove_equal(
                "norm at the edge as eps = eta lambda goes to 0",
                sp.limit(exactly, decay, 0),
                eta * sharp / 2,
                show=(sp.Symbol("|w|^2"), eta * sharp / 2),
            ),
        ),
    )
