"""Vectors of span{theta, G} in every dimension, and the rules reduced with them, against coordinates."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.theory import rules
from sharpflow.theory.chart.expansion import expand, expand_nonsmooth
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.errors import InputError
from sharpflow.theory.families import get
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.rule import Operations, Rule
from sharpflow.theory.sphere.reduction import exact, growth_at_rest, is_decayed_descent, reduce_rule
from sharpflow.theory.sphere.statements import (
    prove_equilibrium_norm,
    prove_quasi_rmsprop,
    prove_rescaling,
    prove_sphere_map,
)
from sharpflow.theory.sphere.vectors import SpanVector, gradient_of, operations

G2 = sp.Symbol("gradient_squared", positive=True)
NUMPY = Operations(dot=np.dot, norm=np.linalg.norm, sqrt=np.sqrt)
SMALL = st.integers(-5, 5)


def rule(update, **changes):
    return Rule(**({"name": "user", "update": update} | changes))


@settings(max_examples=25, deadline=None)
@given(SMALL, SMALL, SMALL, SMALL, st.integers(1, 4), st.integers(2, 6))
def test_span_vectors_are_vectors_of_every_dimension(a, b, c, d, k, dimension):
    random = np.random.default_rng(dimension)
    theta = random.standard_normal(dimension)
    theta /= np.linalg.norm(theta)
    gradient = random.standard_normal(dimension)
    gradient -= theta * (gradient @ theta)
    first, second = SpanVector(sp.Integer(a), sp.Integer(b), G2), SpanVector(sp.Integer(c), sp.Integer(d), G2)
    u, v = a * theta + b * gradient, c * theta + d * gradient
    for symbolic, numeric in ((first + second, u + v), (first - k * second, u - k * v), (-first / k, -u / k)):
        dense = float(symbolic.along) * theta + float(symbolic.against) * gradient
        # a few operations on numbers below 100
        np.testing.assert_allclose(dense, numeric, atol=1e-12)
    size = gradient @ gradient
    assert float(operations.dot(first, second).subs(G2, size)) == pytest.approx(u @ v, abs=1e-11)
    assert float(operations.norm(first).subs(G2, size)) == pytest.approx(np.linalg.norm(u), abs=1e-11)


def test_a_gradient_on_the_ray():
    gradient = gradient_of(G2)
    at = gradient(SpanVector(sp.Integer(3), sp.Integer(0), G2))
    assert (at.along, at.against) == (0, sp.Rational(1, 3))
    with pytest.raises(InputError, match="off the ray"):
        gradient(SpanVector(sp.Integer(3), sp.Integer(1), G2))


def loss_and_gradient(w):
    """The ridge, in coordinates."""
    x, y, z = w
    r2 = w @ w
    height = 2 + (x * x - y * y) / r2
    outer = z * z / (2 * r2)
    d_height = np.array([2 * x, -2 * y, 0.0]) / r2 - 2 * (x * x - y * y) * w / r2**2
    return outer * height, (np.array([0, 0, z]) / r2 - z * z * w / r2**2) * height + outer * d_height


@pytest.mark.parametrize("name", ["gd-wd", "gd-l2", "rmsprop", "normalized-gd", "constant-lr"])
def test_a_reduction_against_the_rule_run_in_coordinates(name):
    """Ten steps of the rule itself, and of its sphere form, from one start."""
    chosen = rules.get(name)
    reduction = reduce_rule(chosen)
    p = chosen.parameters(0.01)
    numbers = {reduction.parameters[key]: value for key, value in vars(p).items()}
    arguments = (reduction.effective_lr, reduction.gradient_squared)
    theta = np.array([0.6, 0.3, 0.4])
    w = theta / np.linalg.norm(theta) * (1 if chosen.space == "sphere" else 1.7)
    theta = theta / np.linalg.norm(theta)
    effective = 0.3
    if reduction.effective_lr_of_norm is not None:
        effective = float(reduction.effective_lr_of_norm.subs(numbers | {reduction.norm_squared: w @ w}))
    step = sp.lambdify(arguments, reduction.step.subs(numbers))
    schedule = None if reduction.schedule is None else sp.lambdify(arguments, reduction.schedule.subs(numbers))
    state = SimpleNamespace(**{s: effective for s in chosen.state})
    for _ in range(10):
        gradient = loss_and_gradient(theta)[1]
        squared = gradient @ gradient
        theta = theta - step(effective, squared) * gradient
        theta /= np.linalg.norm(theta)
        effective = effective if schedule is None else schedule(effective, squared)
        w, state = chosen.step(w, lambda at: loss_and_gradient(at)[1], state, p, NUMPY)
        if chosen.space == "sphere":
            w = w / np.linalg.norm(w)
        # ten steps of contractions and rotations: rounding grows by far less than 1e3
        np.testing.assert_allclose(w / np.linalg.norm(w), theta, atol=1e-13)
        if reduction.effective_lr_of_norm is not None:
            known = float(reduction.effective_lr_of_norm.subs(numbers | {reduction.norm_squared: w @ w}))
            assert known == pytest.approx(effective, rel=1e-12)
        elif chosen.state:
            assert state.effective_lr == pytest.approx(effective, rel=1e-12)


def test_the_theory_of_gradient_descent_on_the_sphere():
    reduction = reduce_rule(rules.get("gd-wd"))
    for prove in (prove_sphere_map, prove_quasi_rmsprop, prove_rescaling, prove_equilibrium_norm):
        assert prove(reduction).status is Status.PROVED


def doubled(w, gradient, state, p, ops):
    """Twice the decay."""
    return (1 - 2 * p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}


@pytest.mark.parametrize(
    ("chosen", "growth", "descent"),
    [
        (rules.get("gd-wd"), 0.99**-2, True),
        (rules.get("gd-l2"), 0.99**-2, True),
        (rule(doubled), 0.98**-2, False),
        (rules.get("rmsprop"), (1 - 4 * 0.01) ** -0.5, False),
        (rules.get("constant-lr"), 1.0, False),
        (rules.get("normalized-gd"), None, False),
    ],
)
def test_growth_at_rest(chosen, growth, descent):
    """Of effective_lr in a step where G = 0: (1 - eps)^-2 for decayed w, (1 - C_b eta^2)^(-1/2) for RMSprop."""
    reduction = reduce_rule(chosen)
    found = growth_at_rest(reduction, 0.01)
    assert found == (None if growth is None else pytest.approx(growth, rel=1e-12))
    assert is_decayed_descent(reduction) is descent


@pytest.mark.parametrize("name", ["rmsprop", "normalized-gd"])
def test_statements_about_weights_are_refused_for_rules_on_the_sphere(name):
    with pytest.raises(InputError, match="on weights"):
        prove_sphere_map(reduce_rule(rules.get(name)))


def test_floats_in_a_rule_are_read_exactly():
    assert exact(0.5) == sp.Rational(1, 2)
    assert exact(0.1 * G2) == G2 / 10


def lr(p):
    return p.learning_rate


BAD_RULES = [
    (lambda: rule(3), "must be a function"),
    (lambda: rule(lambda w, gradient, state, p: (w, {})), "takes 4 arguments"),
    (lambda: rule(lambda w, g, s, p, o: (w, {}), space="torus"), "'weights' or 'sphere'"),
    (lambda: rule(lambda w, g, s, p, o: (w, {}), state="momentum"), "forget a comma"),
    (lambda: rules.get("adam"), "no built-in rule is called 'adam'"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: w - lr(p) * g(w))), "must return the new w and a dict"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w, None))), "must return the new w and a dict"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w, {"m": 0}))), r"state \['m'\], declared is \[\]"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w, {}), state=("effective_lr",))), "declared is"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w, {"m": 0}), state=("m",))), "carries the state m"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w + 1, {}))), "entry by entry"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w - lr(p) * g, {}))), "TypeError"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w * w, {}))), "entry by entry"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (p.beta * w, {}))), "no attribute 'beta'"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (o.exp(0) * w, {}))), "no attribute 'exp'"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (lr(p), {}))), "did not return a vector"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (-lr(p) * g(w), {}))), "no component along"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w - g(w + g(w)), {}))), "off the ray"),
    (lambda: reduce_rule(rule(lambda w, g, s, p, o: (w - o.dot(w, w) * g(w), {}))), "not depend on the norm"),
    (
        lambda: reduce_rule(
            rule(
                lambda w, g, s, p, o: (w - 2 * s.effective_lr * g(w), {"effective_lr": s.effective_lr}),
                space="sphere", state=("effective_lr",),
            )
        ),
        "not what multiplies the gradient",
    ),
    (
        lambda: expand(
            geometry_of(get("rayleigh").default()),
            reduce_rule(rule(rules.get("gd-wd").update, at_rate=lambda r: dict(learning_rate=1, weight_decay=r**0.5))),
        ),
        "does not scale it by rate",
    ),
    (
        lambda: expand(geometry_of(get("rayleigh").default()), reduce_rule(rules.get("normalized-gd"))),
        "not smooth on Gamma",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD_RULES, ids=[m for _, m in BAD_RULES])
def test_bad_rules(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_normalized_gradient_descent_hops_between_two_points():
    loss = get("conic").default()
    orbit = expand_nonsmooth(geometry_of(loss), reduce_rule(rules.get("normalized-gd")))
    start = sp.Symbol("X", positive=True)
    assert (orbit.first, orbit.second) == (start - 1, start)
