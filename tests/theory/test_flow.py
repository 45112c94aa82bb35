"""The flow in the chart against numerical differentiation of eigenvalues, its closed forms against integration."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import sympy as sp

from theory import families
from theory.errors import InputError
from theory.flow import TAU, initial, prove_closed_form, sharpness_flow
from theory.loss import Loss
from theory.proof import Status

MOVING = [name for name in families.names() if name != "rayleigh"]


def chart_point(loss, rng):
    """Near the start, inside the domain."""
    at = []
    for value, (low, high) in zip(loss.minima.start, loss.minima.domain, strict=True):
        low, high = max(float(low), value - 0.4), min(float(high), value + 0.4)
        at.append(rng.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low)))
    return np.array(at)


def field_by_differences(loss, p, step=1e-4):
    """-2 g/(4 + K^2) from eigenvalues of the Hessian in floating point and central differences alone."""
    zeta_of = sp.lambdify(loss.minima.chart, list(loss.minima.point), "numpy")
    hessian_of = sp.lambdify(loss.variables, loss.hessian, "numpy")

    def zeta(q):
        vector = np.array(zeta_of(*q), dtype=float)
        return vector / np.linalg.norm(vector)

    def log_sharpness(q):
        return np.log(np.linalg.eigvalsh(np.array(hessian_of(*zeta(q)), dtype=float))[-1])

    def slope(f):
        shifts = step * np.eye(len(p))
        return np.array([(f(p + h) - f(p - h)) / (2 * step) for h in shifts])

    tangents = slope(zeta)  # (m, D)
    g = np.linalg.solve(tangents @ tangents.T, slope(log_sharpness))
    squared = g @ tangents @ tangents.T @ g
    return -2 * g / (4 + squared)


def integrate(flow, p, time, steps=400):
    """dp/d tau = field(p) by Runge and Kutta's fourth-order method; (steps + 1, m)."""
    compiled = sp.lambdify(flow.chart, list(flow.field), "numpy")
    path, h = [np.array(p, dtype=float)], time / steps
    for _ in range(steps):
        q = path[-1]
        a = np.array(compiled(*q), dtype=float)
        b = np.array(compiled(*(q + h / 2 * a)), dtype=float)
        c = np.array(compiled(*(q + h / 2 * b)), dtype=float)
        d = np.array(compiled(*(q + h * c)), dtype=float)
        path.append(q + h / 6 * (a + 2 * b + 2 * c + d))
    return np.array(path)


@pytest.mark.parametrize("name", MOVING)
def test_field_against_differences_of_eigenvalues(name):
    loss = families.get(name).default()
    flow = sharpness_flow(loss)
    compiled = sp.lambdify(flow.chart, list(flow.field), "numpy")
    rng = np.random.default_rng(0)
    for p in [np.array(loss.minima.start), *(chart_point(loss, rng) for _ in range(4))]:
        # Central differences leave step^2 = 1e-8 times a third derivative of order one to a hundred.
        np.testing.assert_allclose(np.array(compiled(*p), dtype=float), field_by_differences(loss, p), atol=2e-6)


def test_ridge_by_hand():
    (p,) = (flow := sharpness_flow(families.get("ridge").default())).chart
    # On the great circle the metric is 1 and lambda_1 = 2 + cos 2p, so g = -2 sin 2p/(2 + cos 2p).
    g = -2 * sp.sin(2 * p) / (2 + sp.cos(2 * p))
    assert sp.simplify(flow.sharpness - 2 - sp.cos(2 * p)) == 0
    assert sp.simplify(flow.log_sharpness_gradient[0] - g) == 0
    assert sp.simplify(flow.field[0] + 2 * g / (4 + g**2)) == 0


def test_regression_by_hand():
    (p,) = (flow := sharpness_flow(families.get("bn-regression").default())).chart
    # p is tan(alpha) up to a constant factor: tan(alpha(tau)) = tan(alpha_0) exp(-tau).
    assert flow.closed_form == {p: initial(p) * sp.exp(-TAU)}
    assert (
        sp.simplify(flow.log_gradient_squared - 4 * (p * sp.sqrt(flow.log_gradient_squared).subs(p, 1) / 2) ** 2) == 0
    )


def test_rayleigh_stands_still():
    flow = sharpness_flow(families.get("rayleigh").default())
    assert flow.stands_still
    assert not any(flow.field)
    assert flow.closed_form == {p: initial(p) for p in flow.chart}


@pytest.mark.parametrize("name", MOVING)
def test_closed_forms_along_an_integrated_flow(name):
    flow = sharpness_flow(families.get(name).default())
    path = integrate(flow, flow.loss.minima.start, 1.0)
    times = np.linspace(0, 1, len(path))
    held = 0
    for symbol, invariant in flow.invariants.items():
        values = sp.lambdify(flow.chart, invariant, "numpy")(*path.T)
        np.testing.assert_allclose(values - values[0], times, atol=1e-8)  # Runge and Kutta's error at h = 1/400
        assert symbol in flow.chart
        held += 1
    if flow.conserved is not None:
        values = sp.lambdify(flow.chart, flow.conserved, "numpy")(*path.T)
        np.testing.assert_allclose(values, values[0], atol=1e-8)
        held += 1
    for i, (symbol, form) in enumerate((flow.closed_form or {}).items()):
        start = {initial(s): v for s, v in zip(flow.chart, flow.loss.minima.start, strict=True)}
        values = sp.lambdify(TAU, form.subs(start), "numpy")(times)
        np.testing.assert_allclose(values, path[:, i], atol=1e-8)
        assert symbol == flow.chart[i]
        held += 1
    assert held  # every family has one of the three
    assert prove_closed_form(flow).status is Status.PROVED


@pytest.mark.parametrize("name", [name for name in MOVING if name != "surface"])
@pytest.mark.parametrize("wrong", [2, -1, sp.Rational(1, 2)])
def test_planted_error_in_a_quadrature(name, wrong):
    flow = sharpness_flow(families.get(name).default())
    planted = replace(flow, invariants={s: wrong * e for s, e in flow.invariants.items()}, closed_form=None)
    assert prove_closed_form(planted).status is Status.REFUTED


def test_planted_errors_in_a_conserved_quantity_and_in_a_closed_form():
    flow = sharpness_flow(families.get("surface").default())
    p, _ = flow.chart
    assert prove_closed_form(replace(flow, conserved=flow.conserved + p / 100)).status is Status.REFUTED
    flow = sharpness_flow(families.get("bn-regression").default())
    (p,) = flow.chart
    for wrong in (initial(p) * sp.exp(-2 * TAU), initial(p) * sp.exp(TAU), initial(p) * sp.exp(-TAU) + 1):
        assert prove_closed_form(replace(flow, closed_form={p: wrong})).status is Status.REFUTED


def test_a_flow_is_immutable_and_made_once():
    loss = families.get("ridge").default()
    flow = sharpness_flow(loss)
    assert sharpness_flow(loss) is flow
    with pytest.raises(FrozenInstanceError):
        flow.sharpness = sp.Integer(1)


def test_no_flow_without_minima():
    x, y = sp.symbols("x y", real=True)
    with pytest.raises(InputError, match="minima=None"):
        sharpness_flow(Loss(name="bare", variables=(x, y), expression=x * y / (x**2 + y**2)))
