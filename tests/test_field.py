"""What broke in other people's hands, each with the value it should have had; a line names the kind of each."""

import json
from decimal import Decimal, localcontext
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

from sharpflow import cli
from sharpflow.claim import Measurement, Numeric
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.formulas import lambdify
from sharpflow.numerics.objective import Objective, objective_of
from sharpflow.numerics.spectrum.dense import eigenvalues, sharpness
from sharpflow.numerics.spectrum.eigenpairs import top_eigenpairs
from sharpflow.testing import Outcome, check_loss
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss, Minima

X, Y, Z = sp.symbols("x y z", real=True)
P = sp.Symbol("p", real=True)
R2 = X**2 + Y**2 + Z**2


def ridge(coefficient, name="ridge-like"):
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0), start=(0.35,))
    return Loss(name, (X, Y, Z), Z**2 / (2 * R2) * (2 + coefficient * (X**2 - Y**2) / R2), circle)


# Kind: exact numbers of a formula that are no int64.
NUMBERS = {
    "decimal": sp.Rational("0.6180339887"),
    "float32": np.float32(0.7),
    "large quotient": sp.Rational(10**25 + 7, 3 * 10**25),
    "fifty digits": sp.Float("0.61803398874989484820458683436563811772030917980576", 50),
}


@pytest.mark.parametrize("coefficient", NUMBERS.values(), ids=NUMBERS)
def test_a_formula_with_any_exact_number_runs_on_both_sides(coefficient):
    loss = ridge(coefficient)
    c = float(mpmath.mpf(str(sp.N(sp.sympify(coefficient), 30))))
    w = np.array([0.3, 0.5, 0.7])
    r2 = w @ w
    expected = w[2] ** 2 / (2 * r2) * (2 + c * (w[0] ** 2 - w[1] ** 2) / r2)
    assert float(objective_of(loss).value(w)) == pytest.approx(expected, rel=1e-15)
    result = compare(loss, rate=1e-3, time=0.5)
    assert result.result.ok
    # |zeta'| <= 1/2, and the distance is of the order of intrinsic_lr = 0.045.
    assert result.max_distance < 0.05


@pytest.mark.parametrize(
    "number",
    [sp.Integer(10**30 + 1), sp.Rational(3**41, 7**30), sp.Float("0.1", 60), sp.Rational(1, 3), sp.Integer(2**63)],
    ids=str,
)
def test_a_number_is_rounded_once_to_the_nearest_float(number):
    if isinstance(number, sp.Rational):
        expected = float(Fraction(number.p, number.q))
    else:
        with localcontext() as context:
            context.prec = 70
            expected = float(Decimal(str(number)))
    assert float(lambdify((X,), number * X)(jnp.asarray(1.0))) == expected
    assert float(lambdify((X,), X + number)(jnp.asarray(0.0))) == expected


@pytest.mark.parametrize(("power", "at", "expected"), [(2, 0.0, 2.0), (3, -2.0, -12.0), (-3, -2.0, 12 / (-2.0) ** 5)])
def test_whole_powers_keep_their_derivatives_at_zero_and_below(power, at, expected):
    f = lambdify((X,), X**power)
    assert float(jax.grad(jax.grad(f))(at)) == pytest.approx(expected, rel=1e-14)


def test_a_number_beyond_float64_is_told():
    with pytest.raises(InputError, match=r"beyond float64"):
        lambdify((X,), 10**400 * X)


def test_sums_in_a_formula_keep_whole_limits():
    k = sp.Symbol("k", integer=True)
    assert float(lambdify((X,), sp.Sum(X**k / k, (k, 1, 3)))(2.0)) == pytest.approx(2 + 2 + 8 / 3)


# Kind: an exception of the program itself is an error of its own, with its traceback: nobody is accused, and no
# command ends with 0.
def broken(*_):
    raise ZeroDivisionError("planted")


def test_an_internal_error_of_a_measurement_is_counted_apart(monkeypatch, capsys):
    from sharpflow import claims

    monkeypatch.setitem(vars(claims.get("homogeneity")), "measure", broken)
    assert cli.main(["verify", "ridge", "--claim", "homogeneity", "--json", "-"]) == 70
    said = capsys.readouterr()
    row = json.loads(said.out)["claims"][0]
    assert row["numeric"] == "error"
    assert "ZeroDivisionError: planted" in row["message"]
    assert "Traceback" in said.err
    assert "1 error" in said.err


def test_an_internal_error_of_a_proof_is_counted_apart(monkeypatch):
    from sharpflow import claims
    from sharpflow.claim import Case
    from sharpflow.theory import rules
    from sharpflow.verification.prover import prove

    monkeypatch.setitem(vars(claims.get("homogeneity")), "prove", broken)
    found = prove(0, claims.get("homogeneity"), Case(ridge(1), rules.get("gd-wd")))
    assert found.status == "error"
    assert "planted" in found.message


def test_an_internal_error_of_a_check_accuses_nobody(monkeypatch, capsys):
    monkeypatch.setattr("sharpflow.numerics.inspection.loss.scaling", None)
    assert cli.main(["check", "ridge", "--check", "homogeneity"]) == 70
    said = capsys.readouterr().out
    assert "ERROR of sharpflow" in said
    assert "'NoneType' object is not callable" in said
    assert "FAILED" not in said
    assert "Divide by" not in said


def test_an_exception_of_the_users_own_function_is_still_a_failure():
    calls = []

    def function(w):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("planted by the user")
        return w[2] ** 2 / (w @ w)

    found = check_loss(Objective(function, np.array([1.0, 0.5, 0.1])), checks=["precision"])["precision"]
    assert found.outcome is Outcome.FAILED
    assert "planted by the user" in found.trial.message


def test_a_measurement_that_ends_in_an_error_is_an_error_of_the_check():
    from sharpflow.testing.trying import from_measurement

    assert from_measurement(Measurement(Numeric.ERROR, message="planted")).outcome is Outcome.ERROR


# Kind: a seed that draws nothing.
@pytest.mark.parametrize(
    "command", [["check"], ["verify"], ["compare"], ["sweep", "--rates", "1e-3,1e-2", "--out", "s"]]
)
def test_a_negative_seed_is_refused_by_every_command(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([command[0], "ridge", *command[1:], "--seed=-5"]) == 2
    assert "seed = -5 must be a whole number" in capsys.readouterr().err


# Kind: a spectrum that was never asked for: of the sphere, of a loss that does not live there.
LEAST_SQUARES_DATA = np.random.default_rng(5).standard_normal((30, 9)) * np.linspace(1.0, 2.0, 9)
LEAST_SQUARES_TARGET = np.random.default_rng(6).standard_normal(30)


def least_squares(w):
    return 0.5 * jnp.mean((jnp.asarray(LEAST_SQUARES_DATA) @ w - jnp.asarray(LEAST_SQUARES_TARGET)) ** 2)


def quartic(w):
    return jnp.sum(w**4) / 12 + w[0] * w[1] ** 2


@pytest.mark.parametrize("call", [eigenvalues, sharpness, top_eigenpairs])
def test_a_spherical_spectrum_is_refused_where_the_loss_depends_on_the_length(call):
    objective = Objective(least_squares, np.ones(9))
    with pytest.raises(InputError, match=r"not scale-invariant.* apart.*spherical=False"):
        call(objective, np.ones(9))


@pytest.mark.parametrize("options", [{}, {"guess": np.eye(9)[:, :4]}, {"block": 2}, {"block": 1}], ids=str)
def test_the_whole_hessian_of_least_squares_is_that_of_numpy(options):
    objective = Objective(least_squares, np.ones(9))
    gram = LEAST_SQUARES_DATA.T @ LEAST_SQUARES_DATA / 30
    values, vectors = np.linalg.eigh(gram)
    w = np.arange(1.0, 10.0)
    found = top_eigenpairs(objective, w, count=4, spherical=False, **options)
    assert found.converged
    np.testing.assert_allclose(found.values, values[::-1][:4], rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors * vectors[:, ::-1][:, :4], axis=0)), 1.0, rtol=1e-8)
    np.testing.assert_allclose(eigenvalues(objective, w, spherical=False), values[::-1], rtol=1e-12)


def test_the_whole_hessian_is_taken_at_the_point_and_not_at_its_direction():
    w = np.array([1.5, -0.5, 2.0, 0.3])
    hessian = np.diag(w**2)
    hessian[0, 1] = hessian[1, 0] = 2 * w[1]
    hessian[1, 1] += 2 * w[0]
    objective = Objective(quartic, w)
    assert sharpness(objective, w, spherical=False) == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-12)


def test_the_whole_hessian_of_a_scale_invariant_loss_falls_as_the_length_squared():
    loss, w = ridge(1), np.array([0.9, 0.3, 0.2])
    at, beyond = (eigenvalues(loss, c * w, spherical=False) for c in (1.0, 3.0))
    np.testing.assert_allclose(beyond, at / 9, rtol=1e-12)
    # The sphere leaves a direction out, and between any two eigenvalues of the whole lies one of it.
    inside = eigenvalues(loss, w / np.linalg.norm(w))
    whole = eigenvalues(loss, w / np.linalg.norm(w), spherical=False)
    assert whole[0] >= inside[0] - 1e-12 >= whole[1] - 2e-12
