"""Errors planted on purpose, each named: every one must be refuted, with a witness.

Two ways to plant. Into a formula: the true left side against a wrong right side. Into the program: one quantity is
replaced by a wrong one, and the program's own proofs must notice, since they reach it by two paths.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart import corollaries, oscillator, routes
from sharpflow.theory.chart.assumptions import prove_chart, prove_log_sharpness_gradient, prove_simple_sharpness
from sharpflow.theory.chart.corollaries import prove_monotone, prove_speed_bound
from sharpflow.theory.chart.flow import TAU, prove_closed_form, sharpness_flow
from sharpflow.theory.chart.geometry import Geometry, geometry_of
from sharpflow.theory.chart.regression import prove_regression_angle
from sharpflow.theory.chart.routes import (
    K2,
    drift_coefficient,
    prove_drift,
    prove_oscillator,
    scaled_map,
    schedule_rates,
)
from sharpflow.theory.edge import averaging
from sharpflow.theory.edge.averaging import A, B, U, X, prove_energy, prove_period
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Status
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.invariance import contracted_derivative, prove_euler_generic, prove_homogeneity
from sharpflow.theory.sphere.reduction import reduce_rule
from sharpflow.theory.sphere.statements import prove_quasi_rmsprop, prove_rescaling, prove_sphere_map

GD = rules.get("gd-wd")
CURVED = ("conic", "surface")


def fresh(name, label):
    """A built-in loss under another name: nothing about it is in a cache yet."""
    return replace(families.get(name).default(), name=f"{name} with {label}")


def true(left, right, domain=None):
    assert prove_equal("control", left, right, domain=domain).status is Status.PROVED


def false(left, right, domain=None):
    step = prove_equal("planted", left, right, domain=domain)
    assert step.status is Status.REFUTED
    assert step.witness


def refuted(proof: Proof, *titles):
    """The proof is refuted, by a witness in each of the named lines at least."""
    assert proof.status is Status.REFUTED
    wrong = {step.title: step for step in proof.steps if step.status is Status.REFUTED}
    assert all(step.witness for step in wrong.values())
    for title in titles:
        assert any(title in found for found in wrong), (title, list(wrong))


@pytest.mark.parametrize(
    "name", ["ridge", "conic", *(pytest.param(n, marks=pytest.mark.deep) for n in ("surface", "two-layer"))]
)
def test_planted_three_for_four_in_the_formula(name):
    loss = families.get(name).default()
    geometry, k2 = geometry_of(loss), geometry_of(loss).log_sharpness_gradient_squared
    response = scaled_map(loss, GD).u_rate
    true(response, 4 - 2 * (4 + k2) * X**2, geometry.domain)
    false(response, 3 - 2 * (4 + k2) * X**2, geometry.domain)
    false(response, 4 - 2 * (3 + k2) * X**2, geometry.domain)


def test_planted_three_for_four_in_the_program(monkeypatch):
    loss = families.get("ridge").default()
    growth, brake = schedule_rates(reduce_rule(GD))
    monkeypatch.setattr(routes, "schedule_rates", lambda _: (growth, brake - 1))
    refuted(prove_oscillator(loss, GD), "response of the edge")
    refuted(prove_drift(loss, GD), "mean square", "two routes")


def test_planted_lost_half_in_the_sharpness(monkeypatch):
    monkeypatch.setattr(Geometry, "sharpness", property(lambda self: self.eigenvalues[0] / 2))
    loss = fresh("ridge", "half its sharpness")
    refuted(prove_oscillator(loss, GD), "lambda_1, from the expanded gradient")
    refuted(prove_simple_sharpness(loss), "H v_1 = lambda_1 v_1")


def test_planted_doubled_drift_in_the_formula():
    loss = families.get("conic").default()
    geometry = geometry_of(loss)
    k2, g = geometry.log_sharpness_gradient_squared, geometry.log_sharpness_gradient
    averaged = scaled_map(loss, GD).drift.subs(X**2, 2 / (4 + k2))
    true(averaged, -2 * g / (4 + k2), geometry.domain)
    false(averaged, -4 * g / (4 + k2), geometry.domain)
    false(averaged, -g / (4 + k2), geometry.domain)


def test_planted_doubled_drift_in_the_program(monkeypatch):
    loss = families.get("conic").default()
    right = drift_coefficient
    monkeypatch.setattr(routes, "drift_coefficient", lambda reduction: 2 * right(reduction))
    refuted(prove_drift(loss, GD), "mean square", "two routes")
    monkeypatch.setattr(corollaries, "flow_coefficient", lambda k2: 4 / (4 + k2))
    refuted(prove_monotone(loss))
    refuted(prove_speed_bound(loss))


@pytest.mark.parametrize("name", ["ridge", "conic", pytest.param("surface", marks=pytest.mark.deep)])
def test_planted_sign_of_the_gradient_in_the_formula(name):
    loss = families.get(name).default()
    geometry = geometry_of(loss)
    true(scaled_map(loss, GD).drift, -(X**2) * geometry.log_sharpness_gradient, geometry.domain)
    false(scaled_map(loss, GD).drift, X**2 * geometry.log_sharpness_gradient, geometry.domain)


def test_planted_sign_of_the_gradient_in_the_program(monkeypatch):
    right = Geometry.log_sharpness_gradient.func
    monkeypatch.setattr(Geometry, "log_sharpness_gradient", property(lambda self: -right(self)))
    loss = fresh("ridge", "a gradient of the wrong sign")
    refuted(prove_log_sharpness_gradient(loss), "projected on the tangents")
    refuted(prove_drift(loss, GD), "displacement along Gamma")


@pytest.mark.parametrize("name", CURVED)
def test_planted_metric_of_the_chart_plane(monkeypatch, name):
    """The Euclidean metric in a chart that is not flat."""
    monkeypatch.setattr(Geometry, "metric", property(lambda self: sp.eye(len(self.chart))))
    monkeypatch.setattr(Geometry, "inverse_metric", property(lambda self: sp.eye(len(self.chart))))
    loss = fresh(name, "a Euclidean metric")
    refuted(prove_chart(loss), "induced metric")
    refuted(prove_log_sharpness_gradient(loss), "projected on the tangents")


@pytest.mark.parametrize("name", CURVED)
def test_planted_metric_in_the_formula(name):
    """The gradient by the chart's partial derivatives alone, the index not raised."""
    loss = families.get(name).default()
    geometry = geometry_of(loss)
    true(scaled_map(loss, GD).drift, -(X**2) * geometry.inverse_metric * geometry.log_sharpness_derivatives)
    false(scaled_map(loss, GD).drift, -(X**2) * geometry.log_sharpness_derivatives, geometry.domain)
    # The metric of the chart's point, not normalised to the sphere.
    jacobian = geometry.ray.jacobian(geometry.chart)
    false(jacobian.T * jacobian, geometry.metric, geometry.domain)


def with_clock(factor):
    """Gradient descent whose rate is taken for ``factor`` times what it is."""
    return Rule(
        name="clock", update=GD.update, at_rate=lambda rate: {"learning_rate": 1, "weight_decay": rate * factor}
    )


@pytest.mark.parametrize("factor", [2, sp.Rational(1, 2)])
def test_planted_clock_of_the_flow(factor):
    """tau = 2 rate t, or rate t/2, for tau = rate t."""
    loss = families.get("ridge").default()
    geometry, k2 = geometry_of(loss), geometry_of(loss).log_sharpness_gradient_squared
    scaled = scaled_map(loss, with_clock(factor))
    false(scaled.u_rate, 4 - 2 * (4 + k2) * X**2, geometry.domain)
    mean_square = oscillator.oscillator_of(scaled).mean_square
    flow = -2 * geometry.log_sharpness_gradient / (4 + k2)
    false(scaled.drift.subs(X**2, mean_square), flow, geometry.domain)
    true(scaled.drift.subs(X**2, mean_square), factor * flow, geometry.domain)


def test_planted_clock_of_the_oscillator():
    """U' per step or per two steps, for U' per unit of T = delta t."""
    loss = families.get("ridge").default()
    k2 = geometry_of(loss).log_sharpness_gradient_squared
    delta = sp.Symbol("delta", positive=True)
    response = 4 - 2 * (4 + k2) * X**2
    true(scaled_map(loss, GD).u_rate, response)
    false(scaled_map(loss, GD).u_rate, delta * response)
    false(scaled_map(loss, GD).u_rate, 2 * response)
    false(scaled_map(loss, GD).x_rate, 2 * X * U)


def descent(update, **changes):
    return reduce_rule(Rule(**({"name": "planted", "update": update} | changes)))


def test_planted_forgotten_factor_of_weight_decay():
    """w+ = w - eta grad L(w)."""
    reduction = descent(lambda w, g, s, p, ops: (w - p.learning_rate * g(w), {}))
    refuted(prove_sphere_map(reduction), "effective learning rate", "squared norm", "schedule")
    refuted(prove_quasi_rmsprop(reduction), "exact recursion")


def test_planted_sign_of_weight_decay():
    """w+ = (1 + eta lambda) w - eta grad L(w)."""
    reduction = descent(
        lambda w, g, s, p, ops: ((1 + p.learning_rate * p.weight_decay) * w - p.learning_rate * g(w), {})
    )
    refuted(prove_sphere_map(reduction), "effective learning rate", "squared norm", "schedule")


def test_planted_sign_of_the_step():
    """Gradient ascent."""
    reduction = descent(
        lambda w, g, s, p, ops: ((1 - p.learning_rate * p.weight_decay) * w + p.learning_rate * g(w), {})
    )
    refuted(prove_sphere_map(reduction), "effective learning rate")


def test_planted_weight_decay_without_learning_rate():
    """w+ = (1 - lambda) w - eta grad L(w): theta depends on eta and lambda apart."""
    reduction = descent(lambda w, g, s, p, ops: ((1 - p.weight_decay) * w - p.learning_rate * g(w), {}))
    refuted(prove_rescaling(reduction), "nor does its schedule")
    refuted(prove_sphere_map(reduction), "effective learning rate")


def test_planted_forgotten_factor_in_the_schedule():
    """effective_lr+ = effective_lr/((1 - eps)(1 + effective_lr^2 |G|^2)), one factor 1 - eps lost."""
    reduction = reduce_rule(GD)
    eps = reduction.parameters["learning_rate"] * reduction.parameters["weight_decay"]
    e, brake = reduction.effective_lr, 1 + reduction.effective_lr**2 * reduction.gradient_squared
    true(reduction.schedule, e / ((1 - eps) ** 2 * brake))
    false(reduction.schedule, e / ((1 - eps) * brake))
    false(reduction.schedule, e / ((1 - eps) ** 2 * sp.sqrt(brake)))
    broken = replace(reduction, schedule=reduction.schedule * (1 - eps))
    refuted(prove_sphere_map(broken), "schedule of the effective learning rate")


def test_planted_euler_factor():
    """D^{k+1} L(w)[w] = -(k+1) D^k L for -k D^k L, on a loss, and for every L."""
    loss = families.get("conic").default()
    gradient, hessian = loss.gradient, loss.hessian
    w = sp.Matrix(loss.variables)
    true(sp.Matrix([gradient.dot(w)]), sp.Matrix([0]))
    false(sp.Matrix([gradient.dot(w)]), sp.Matrix([-loss.expression]))
    true(hessian * w, -gradient)
    false(hessian * w, -2 * gradient)
    third = sp.Matrix(3, 3, lambda i, j: sum(sp.diff(hessian[i, j], v) * v for v in w))
    true(third, -2 * hessian)
    false(third, -3 * hessian)
    assert prove_euler_generic().status is Status.PROVED
    for k in range(4):
        derivative = sp.Symbol(f"h_{k}")
        true(contracted_derivative(k), -k * derivative)
        false(contracted_derivative(k), -(k + 1) * derivative)


def test_planted_degree():
    """One power of |w| too few."""
    loss = families.get("ridge").default()
    broken = Loss(
        name="planted",
        variables=loss.variables,
        expression=loss.expression * sp.sqrt(sum(v**2 for v in loss.variables)),
    )
    refuted(prove_homogeneity(broken))


def test_planted_energy(monkeypatch):
    right = averaging.energy()
    monkeypatch.setattr(averaging, "energy", lambda: right.subs(A, 2 * A))
    refuted(prove_energy(), "is conserved")


def test_planted_mean_square(monkeypatch):
    """<X^2> = a/(2 b), as for a sinusoidal oscillation of energy a."""
    for module in (averaging, oscillator):
        monkeypatch.setattr(module, "mean_square", lambda: A / (2 * B))
    refuted(averaging.prove_averages(), "mean square of the oscillation")
    refuted(prove_drift(families.get("ridge").default(), GD), "mean square of the oscillation", "two routes")


def test_planted_period(monkeypatch):
    """Two steps counted as one."""
    right = averaging.small_period
    monkeypatch.setattr(averaging, "small_period", lambda rate: right(rate) / 2)
    refuted(prove_period(), "iterations of a small oscillation")


@pytest.mark.parametrize("speed", [2, sp.Rational(1, 2), -1])
def test_planted_closed_form(speed):
    """tan alpha falling twice, or half, as fast, or rising."""
    flow = sharpness_flow(families.get("bn-regression").default())
    assert prove_closed_form(flow).status is Status.PROVED
    planted = {s: e.subs(TAU, speed * TAU) for s, e in flow.closed_form.items()}
    refuted(prove_closed_form(replace(flow, closed_form=planted)), "put into the flow")
    shifted = {s: e.subs(TAU, TAU + 1) for s, e in flow.closed_form.items()}
    refuted(prove_closed_form(replace(flow, closed_form=shifted)), "at tau = 0")


def test_planted_angle(monkeypatch):
    """K = tan(alpha) for K = 2 tan(alpha)."""
    right = Geometry.log_sharpness_gradient_squared.func
    monkeypatch.setattr(Geometry, "log_sharpness_gradient_squared", property(lambda self: right(self) / 4))
    refuted(prove_regression_angle(fresh("bn-regression", "half its gradient")))


def test_planted_limit_of_rmsprop():
    """C_b = 1 taken for gradient descent with weight decay."""
    rmsprop = reduce_rule(rules.get("rmsprop"))
    coefficient, forget = drift_coefficient(rmsprop), rmsprop.parameters["C_b"]
    reference = drift_coefficient(reduce_rule(GD))
    true(2 * coefficient.subs(forget, 2), reference)
    false(2 * coefficient.subs(forget, 1), reference)
    false(coefficient, forget / (2 * forget + K2))
