"""A loss in JAX: derivatives against SymPy's, and what a bad objective is told."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.objective import Objective, objective_of, once_for_each_loss
from sharpflow.numerics.residuals import settle, without_residuals
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory import families
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

SYMMETRIC = ("ridge", "conic", "surface", "two-layer", "rayleigh", "crossing", "bn-regression")


def entries(dimension):
    return st.lists(
        st.floats(-3, 3, allow_subnormal=False).filter(lambda v: abs(v) > 0.05), min_size=dimension, max_size=dimension
    )


@pytest.mark.parametrize("name", SYMMETRIC)
def test_derivatives_agree_with_sympy(name):
    loss = families.get(name).default()
    objective = objective_of(loss)
    exact = sp.lambdify(loss.variables, [list(loss.gradient), loss.hessian.tolist()], cse=True)

    @settings(deadline=None, max_examples=20)
    @given(entries(loss.dimension))
    def check(values):
        w = np.array(values)
        exact_gradient, exact_hessian = exact(*w)
        # |w| >= 0.07; derivatives of order k scale as |w|^-k: 1e-9 is 1e4 roundings of a number of order 500.
        np.testing.assert_allclose(objective.gradient(w), np.array(exact_gradient, dtype=float), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(objective.hessian(w), np.array(exact_hessian, dtype=float), rtol=1e-9, atol=1e-9)
        v = np.linspace(1, 2, len(w))
        np.testing.assert_allclose(objective.hvp(w, v), objective.hessian(w) @ v, rtol=1e-9, atol=1e-9)

    check()


@pytest.mark.parametrize("name", SYMMETRIC)
def test_scale_invariance_in_floating_point(name):
    objective = objective_of(families.get(name).default())
    w = objective.start + 0.1 * np.sin(np.arange(objective.dimension) + 1.0)
    assert float(objective.value(3.7 * w)) == pytest.approx(float(objective.value(w)), rel=1e-12, abs=1e-14)
    assert abs(float(objective.gradient(w) @ w)) < 1e-12  # Euler: a sum of D products of order one


def test_special_functions_trace():
    x, y = sp.symbols("x y", real=True)
    ratio = x**2 / (x**2 + y**2)
    loss = Loss(
        name="special", variables=(x, y), expression=sp.erf(ratio) + sp.loggamma(1 + ratio) + sp.gamma(1 + ratio)
    )
    w = np.array([0.6, 1.1])
    exact = float(loss.expression.subs({x: w[0], y: w[1]}))
    assert float(objective_of(loss).value(w)) == pytest.approx(exact, rel=1e-13)


def test_one_objective_for_one_loss():
    assert objective_of(families.get("ridge").default()) is objective_of(families.get("ridge").default())


@pytest.mark.parametrize("name", ["ridge", "surface"])
def test_the_rank_is_that_of_the_chart_where_there_is_one(name):
    loss = families.get(name).default()
    objective = objective_of(loss)
    read_off = replace(objective, rank=None)
    assert normal_rank(objective, objective.start) == loss.dimension - 1 - len(loss.minima.chart)
    assert normal_rank(read_off, objective.start) == objective.rank
    # Where it is known nothing is looked at.
    assert normal_rank(replace(objective, rank=1), np.zeros(loss.dimension)) == 1
    assert objective_of(Loss(loss.name, loss.variables, loss.expression)).rank is None


def square(w):
    return jnp.sum(w**2) / jnp.sum(w**2)


def test_residuals_of_which_the_loss_is_half_the_squares_are_taken():
    def residuals(w):
        return jnp.array([2.0, -1.0]) * w / jnp.sqrt(w @ w)

    one = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, (1.0, 2.0), residuals)
    assert float(one.value(one.start)) == pytest.approx(0.8)
    # Rounding is forgiven in units of the loss, here some 1e6.
    large = Objective(lambda w: 5e5 * (1 + 1e-9) * jnp.sum(residuals(w) ** 2), (1.0, 2.0), lambda w: 1e3 * residuals(w))
    assert float(large.value(large.start)) == pytest.approx(8e5)
    for factor in (0.25, 1.0, 0.5 * (1 + 1e-7)):
        with pytest.raises(InputError, match="must be equal"):
            Objective(lambda w, f=factor: f * jnp.sum(residuals(w) ** 2), (1.0, 2.0), residuals)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(function=square, start=[[1.0, 2.0]]), "must be a vector"),
        (dict(function=square, start=[1.0, np.nan]), "not finite"),
        (dict(function=square, start=[0.0, 0.0]), "zero vector"),
        (dict(function=square, start="up"), "not a vector"),
        (dict(function=lambda w: w, start=[1.0, 2.0]), "must return a scalar"),
        (dict(function=lambda w: jnp.log(-w[0]), start=[1.0, 2.0]), "not finite at start"),
        (dict(function=lambda w: w[0] + 1j, start=[1.0, 2.0]), "a loss is real"),
        (dict(function=lambda w: w @ jnp.ones(3), start=[1.0, 2.0]), "fails at start"),
        (dict(function=square, start=[1.0, 2.0], residuals=lambda w: w), "must be equal"),
        (dict(function=square, start=[1.0, 2.0], residuals=lambda w: w[0]), "must return a vector"),
        (dict(function=3, start=[1.0, 2.0]), "must be callable"),
        (dict(function=square, start=[1.0, 2.0], rank=2), "rank = 2 must be a whole number from 1 to 1"),
    ],
)
def test_bad_objectives_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        Objective(**arguments)


def test_a_variable_may_be_called_as_a_function_is():
    arcsin, y, z = sp.symbols("arcsin y z", real=True)
    r = sp.sqrt(arcsin**2 + y**2 + z**2)
    loss = Loss(name="names", variables=(arcsin, y, z), expression=z**2 / r**2 * (2 + sp.asin(y / r)))
    assert float(objective_of(loss).value(np.array([1.0, 0.0, 1.0]))) == pytest.approx(1.0)


def test_a_complex_loss_is_refused():
    x, y = sp.symbols("x y", real=True)
    loss = Loss(name="cube-root", variables=(x, y), expression=sp.Pow(-8, sp.Rational(1, 3)) * x**2 / (x**2 + y**2))
    with pytest.raises(InputError, match="complex"):
        objective_of(loss)


def test_a_point_beside_the_zero_of_dependent_residuals_is_taken_there():
    def residuals(w):
        x, y, z = w / jnp.linalg.norm(w)
        return jnp.stack([z * (1 + x), 2 * z * (1 + x), 0 * y])

    objective = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, (0.6, 0.8, 0.0), residuals)
    beside = np.array([0.6, 0.8, 0.02]) / np.linalg.norm([0.6, 0.8, 0.02])
    kept, point = settle(objective, beside)
    assert kept is objective
    np.testing.assert_allclose(point, [0.6, 0.8, 0.0], atol=1e-3)  # J^+ r is normal to first order in 0.02
    assert abs(point[2]) < 1e-14


def test_objectives_of_one_loss_share_what_is_compiled():
    """A copy with another start or name, as each start on Gamma is, compiles nothing anew."""
    made = []

    @once_for_each_loss
    def program(objective, power):
        made.append((objective.name, power))
        return object()

    def function(w):
        return (w[0] / jnp.linalg.norm(w)) ** 2

    def residuals(w):
        return jnp.sqrt(2.0) * w[:1] / jnp.linalg.norm(w)

    first = Objective(function, [1.0, 0.5, 0.2], residuals, "first")
    others = replace(first, start=np.array([0.1, 1.0, 0.3])), replace(first, name="another")
    assert all(program(o, 2) is program(first, 2) for o in others)
    # another power, other residuals, another number of weights, another function, or an objective that is made anew
    # (what the function reads may have changed): programs of their own
    different = (
        without_residuals(first), replace(first, start=np.ones(4)),
        replace(first, function=lambda w: function(w), name="another"),
        Objective(function, np.ones(3), residuals, "anew"),
    )  # fmt: skip
    assert program(without_residuals(others[0]), 2) is program(different[0], 2)
    assert len({program(o, 2) for o in (first, *different)} | {program(first, 3)}) == 6
    assert sorted(made) == [("anew", 2), ("another", 2), ("first", 2), ("first", 2), ("first", 2), ("first", 3)]
    program.cache_clear()
    assert program(first, 3) is not None
    assert len(made) == 7


@pytest.mark.deep
def test_relax_of_a_copy_compiles_nothing_anew(caplog):
    objective = Objective(objective_of(families.get("ridge").default()).function, [0.9, 0.3, 0.2], name="here")
    copy = replace(objective, start=np.array([0.9, 0.3, 0.1]))
    relax(objective)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        found = relax(copy)
    assert found.result.ok
    assert "Finished XLA compilation" not in caplog.text
    with jax.log_compiles(), caplog.at_level("WARNING"):
        relax(copy, max_steps=99_999)
    assert "Finished XLA compilation" in caplog.text  # what is looked for above is what it would say
