"""The same as tests/test_field.py for minima that no flow leads along: they are told, and nothing is integrated."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from sharpflow.commands.compare import _lines
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.diagnosis import no_second_derivative
from sharpflow.numerics.flows.central_flow import central_flow
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.results import RESULTS
from sharpflow.theory import families, rules
from sharpflow.theory.loss import Loss, Minima

X, Y, Z, U = sp.symbols("x y z u", real=True)
P = sp.Symbol("p", real=True)


def circle(name, variables, expression):
    point = (sp.cos(P), sp.sin(P), *[0] * (len(variables) - 2))
    return Loss(name, variables, expression, Minima(chart=(P,), point=point, start=(0.35,)))


# Kind: a Gamma that is a point. On the sphere of R^3, L = (y^2 + 2 z^2)/|w|^2 has its minimum on the x axis.
BOWL = Objective(lambda w: (w[1] ** 2 + 2 * w[2] ** 2) / (w @ w), np.array([0.9, 0.3, 0.2]), name="bowl")


@pytest.mark.deep
def test_a_minimum_that_is_a_point_is_told_and_the_central_flow_runs_from_there():
    found = compare(BOWL, rate=1e-3, time=0.2)
    assert found.result.ok
    assert "the minimum is a point" in found.message
    assert found.message.endswith("compared with the central flow from there")
    # lambda_1 = 4 there; nothing moves along, and |theta - x axis| is the oscillation.
    assert abs(found.flow_points[-1, 0]) == pytest.approx(1, abs=1e-9)
    assert found.flow.sharpness == pytest.approx(4, rel=1e-3)
    assert found.max_distance < 2 * found.intrinsic_lr
    # As the advice offers it.
    assert central_flow(BOWL, relax(BOWL).point, rate=1e-3, time=0.2).result.ok


def test_another_rule_has_no_figures_at_a_point():
    found = compare(BOWL, rate=1e-3, time=0.2, rule=rules.get("normalized-gd"), start=[1.0, 0.0, 0.0])
    assert found.result is RESULTS.NOT_AT_MINIMA
    assert "the minimum is a point" in found.message
    assert len(found.times) == 0
    assert not any("distance" in line for line in _lines(found))
    assert "sharpflow.central_flow(objective, sharpflow.relax(objective).point, " in found.result.advice


# Kind: a loss without a second derivative at its minima.
def height(w):
    return 2 + w[0] ** 2 / (w @ w)


AT = np.array([0.8, 0.6, 0.0])
HALF = circle("half", (X, Y, Z), sp.Max(Z, 0) ** 2 / (X**2 + Y**2 + Z**2))
KINKS = {
    "modulus": (Objective(lambda w: jnp.abs(w[2]) * height(w) / jnp.linalg.norm(w), AT), np.array([0.8, 0.6, 1e-9])),
    "one side": (Objective(lambda w: jnp.maximum(w[2], 0) ** 2 * height(w) / (w @ w), AT), np.array([0.8, 0.6, 1e-8])),
    "norm": (
        Objective(lambda w: jnp.linalg.norm(w[2:]) * height(w) / jnp.linalg.norm(w), [*AT, 0.1]),
        np.array([0.8, 0.6, 1e-12, -2e-12]),
    ),
    "formula": (HALF, AT),
}  # fmt: skip


@pytest.mark.parametrize(("subject", "at"), KINKS.values(), ids=KINKS)
def test_a_kink_at_the_minimum_is_told(subject, at):
    said = no_second_derivative(subject, as_objective(subject), at)
    assert said.startswith("the loss has a kink at the minimum, w = (0.8, 0.6, ")


@pytest.mark.parametrize(
    "subject", [HALF, pytest.param(KINKS["one side"][0], marks=pytest.mark.deep)], ids=["formula", "one side"]
)
def test_nothing_is_run_from_a_kink(subject, monkeypatch):
    monkeypatch.setattr("sharpflow.numerics.comparison.compare.run_descent", None)
    found = compare(subject, rate=1e-3, time=0.2)
    assert found.result is RESULTS.NOT_AT_MINIMA
    assert "kink" in found.message
    assert not any("distance" in line for line in _lines(found))


def test_singular_values_that_tie_are_told():
    """sum_i (s_i - 1/sqrt 3)^2/2 of W/|W|, 3 x 3: smooth at orthogonal W, where singular vectors are not defined."""

    def function(w):
        s = jnp.linalg.svd(w.reshape(3, 3), compute_uv=False) / jnp.linalg.norm(w)
        return jnp.sum((s - 1 / jnp.sqrt(3.0)) ** 2) / 2

    permutation = np.eye(3)[[1, 2, 0]].ravel() / np.sqrt(3)
    said = no_second_derivative(None, Objective(function, np.arange(9.0)), permutation)
    assert said.startswith("the second derivative that JAX gives is wrong at the minimum")


def test_nothing_is_said_of_what_is_smooth():
    ridge = families.get("ridge").default()
    assert no_second_derivative(ridge, as_objective(ridge), np.array([0.6, 0.8, 0.0])) == ""
    objective = Objective(lambda w: w[2] ** 2 * height(w) / (w @ w), [0.8, 0.5, 0.3])
    assert no_second_derivative(objective, objective, np.array([0.6, 0.8, 1e-9])) == ""


# Kind: two eigenvalues that are one, at the start of a flow of one.
@pytest.mark.parametrize("gap", [0, sp.Rational(8, 10**7)])
def test_a_tie_at_the_start_is_told_before_anything_runs(gap, monkeypatch):
    monkeypatch.setattr("sharpflow.numerics.comparison.compare.run_descent", None)
    r2 = X**2 + Y**2 + Z**2 + U**2
    found = compare(circle("tied", (X, Y, Z, U), (Z**2 + (1 - gap) * U**2) / r2), rate=1e-3, time=0.2)
    assert found.result is RESULTS.GAP_CLOSED
    assert "lambda_1 = 2 and lambda_2 = " in found.message
    assert "meet at the start" in found.message
    assert not any("distance" in line for line in _lines(found))


# Kind: a minimum so flat that nothing curves there, taken for a manifold by what rounding leaves.
@pytest.mark.parametrize("power", [4, 6])
def test_a_flat_minimum_is_no_manifold_however_near_the_flow_came(power):
    found = relax(Objective(lambda w: (w[2] / jnp.linalg.norm(w)) ** power, [0.8, 0.5, 0.3]), max_steps=3)
    assert found.result is RESULTS.NOT_AT_MINIMA
    assert found.rank == 0
    assert "a flat minimum" in found.message
