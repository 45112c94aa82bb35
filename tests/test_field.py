"""What broke in other people's hands, each with the value it should have had; a line names the kind of each."""

import json
import re
import time
from dataclasses import replace
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
from sharpflow.testing import Outcome, check_loss
from sharpflow.testing.running import doing
from sharpflow.theory import rules
from sharpflow.theory.chart.flow import sharpness_flow
from sharpflow.theory.derivation.derivation import derive
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.zero import normal_form, witness_of
from sharpflow.theory.sphere.invariance import prove_homogeneity

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
    from sharpflow.verification.prover import prove

    monkeypatch.setitem(vars(claims.get("homogeneity")), "prove", broken)
    found = prove(claims.get("homogeneity"), Case(ridge(1), rules.get("gd-wd")))
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
    assert "'-5' is no seed; give a whole number from 0" in capsys.readouterr().err


# Kind: checked by number where there is a formula, and not looked for where a number would show it.
@pytest.mark.parametrize(
    "factor",
    [R2 / (R2 + sp.Rational(1, 10**40)), sp.sqrt(R2 / (R2 + sp.Rational(1, 10**60))), 1 + X / 10**30],
    ids=["quotient", "root", "linear"],
)
def test_homogeneity_of_a_formula_is_refuted_however_small_the_epsilon(factor):
    loss = Loss("nearly", (X, Y, Z), Z**2 / R2 * factor)
    step = prove_homogeneity(loss).steps[0]
    assert step.status == "refuted"
    # The witness itself, by exact arithmetic or 80 digits of mpmath.
    at = {name: sp.Rational(value) for name, value in step.witness.items() if name != "residual"}
    w = {v: at[v.name] for v in loss.variables}
    scaled = {v: at["c"] * at[v.name] for v in loss.variables}
    apart = sp.N(loss.expression.subs(scaled) - loss.expression.subs(w), 20, maxn=300)
    assert float(apart) == pytest.approx(float(step.witness["residual"]), rel=1e-6)
    assert check_loss(loss, checks=["homogeneity"])["homogeneity"].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "zero",
    [
        sp.sqrt(5 + 2 * sp.sqrt(6)) - sp.sqrt(2) - sp.sqrt(3), sp.sin(X) ** 2 + sp.cos(X) ** 2 - 1,
        sp.log(6) - sp.log(2) - sp.log(3), sp.exp(X) * sp.exp(-X) - 1,
    ],
    ids=str,
)  # fmt: skip
def test_what_is_zero_has_no_witness(zero):
    assert witness_of(zero) == {}


def test_a_chart_that_passes_through_the_origin_names_no_direction_there():
    loss = replace(ridge(1), minima=Minima((P,), (P * sp.cos(P), P * sp.sin(P), 0), start=(0.35,), domain=((-1, 2),)))
    found = check_loss(loss, checks=["chart"])["chart"]
    assert found.outcome is Outcome.FAILED
    assert "Minima.point is 0 at p = 0" in found.trial.message
    assert check_loss(ridge(1), checks=["chart"]).ok


@pytest.mark.parametrize("jumps", [True, False])
def test_a_loss_that_jumps_far_from_its_minima_is_found(jumps):
    def function(w):
        turned = jnp.where(w[0] < 0, w[::-1], w) if jumps else w
        return turned[2] ** 2 * (2 + turned[1] / jnp.linalg.norm(w)) / (w @ w)

    found = check_loss(Objective(function, np.array([1.0, 0.3, 0.1])), checks=["smoothness"])["smoothness"]
    assert found.outcome is (Outcome.FAILED if jumps else Outcome.PASSED)
    if jumps:
        assert "jump of L itself" in found.trial.message
        assert found.trial.counterexample["w"][0] == pytest.approx(0, abs=1e-9)


# Kind: a derivative that JAX gives as nan of what is smooth; one failure, with the cure.
def test_the_square_of_a_norm_that_vanishes_on_gamma_is_named():
    objective = Objective(
        lambda w: jnp.linalg.norm(w[2:]) ** 2 * (2 + w[0] ** 2 / (w @ w)) / (w @ w), np.array([0.8, 0.6, 0.0, 0.0])
    )
    report = check_loss(
        objective,
        checks=[
            "homogeneity",
            "derivatives",
            "finite",
            "single_precision",
            "smoothness",
            "minimizers",
            "simple_sharpness",
        ],
    )
    assert [result.check for result in report.failed] == ["finite"]
    said = report["finite"].explain()
    assert "L is smooth there" in said
    assert "jnp.sum(u**2)" in " ".join(said.split())


# Kind: one mistake, told twice: a kink of the second derivative is no wrong derivative.
def test_a_kink_of_the_second_derivative_is_one_failure():
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0), start=(0.35,))
    report = check_loss(Loss("half", (X, Y, Z), sp.Max(Z, 0) ** 2 / R2, circle), checks=["derivatives", "smoothness"])
    assert [result.check for result in report.failed] == ["smoothness"]


# Kind: precision of what the value does not depend on.
@pytest.mark.parametrize("used", [False, True])
def test_precision_looks_at_what_the_value_depends_on(used):
    def function(w):
        value = w[2] ** 2 / (w @ w)
        running = 0.9 * jnp.zeros(3, jnp.float32) + 0.1 * w.astype(jnp.float32)
        return value + 0 * jnp.sum(running.astype(float)) if used else value

    found = check_loss(Objective(function, np.array([1.0, 0.5, 0.1])), checks=["precision"])["precision"]
    assert found.outcome is (Outcome.FAILED if used else Outcome.PASSED)


# Kind: eigenvalues that are two to a proof and one to a run: one threshold, and the rate that would tell them apart.
def near_tie(gap):
    """<w, diag(0, 0, 1, 1 - gap) w>/|w|^2 with Gamma the circle z = u = 0, lambda_1 = 2 and lambda_2 = 2 (1 - gap)."""
    u = sp.Symbol("u", real=True)
    r2 = X**2 + Y**2 + Z**2 + u**2
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0, 0), start=(0.35,))
    return Loss("near-tie", (X, Y, Z, u), (Z**2 + (1 - gap) * u**2) / r2, circle)


def test_a_near_tie_is_left_open_by_check_and_by_verify_and_the_rate_is_told():
    from sharpflow.verification.verification import verify

    gap = sp.Rational(8, 10**7)
    result = check_loss(near_tie(gap), checks=["simple_sharpness"])["simple_sharpness"]
    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.trial.measured == pytest.approx(8e-7, rel=1e-6)
    assert "gap^2 = 6.4e-13" in result.trial.message
    assert result.trial.counterexample["lambda_1 - lambda_2"] == pytest.approx(1.6e-6, rel=1e-6)
    verdict = verify([near_tie(gap)], claims=["simple-sharpness"]).verdicts[-1]
    assert (verdict.proof, verdict.numeric) == ("proved", "inconclusive")
    assert "gap^2 = 6.4e-13" in verdict.message


# Kind: the dear questions before the cheap one.
def test_whether_a_loss_is_scale_invariant_is_asked_before_any_gradient_flow(monkeypatch):
    monkeypatch.setattr("sharpflow.numerics.minima.sample.relax", None)
    objective = Objective(lambda w: jnp.sum((w - 1) ** 2), np.array([1.0, 0.5, 0.1]))
    report = check_loss(objective)
    assert [result.check for result in report.failed] == ["homogeneity"]
    assert not [result for result in report if result.outcome is Outcome.ERROR]


# Kind: a limit that only the program's source can change: one option, of one name, in seconds of own work.
@pytest.mark.parametrize("command", ["check", "verify", "derive"])
def test_the_time_limit_is_an_option(command, capsys):
    assert cli.main([command, "--help"]) == 0
    assert "--time-limit SECONDS" in capsys.readouterr().out
    assert cli.main([command, "ridge", "--time-limit", "0"]) == 2
    assert "'0' is not positive" in capsys.readouterr().err


def test_a_check_that_is_given_up_says_what_it_did(monkeypatch, capsys):
    def endless(*_, **__):
        while True:
            pass

    monkeypatch.setattr("sharpflow.numerics.inspection.loss.scaling", endless)
    assert cli.main(["check", "ridge", "--check", "homogeneity", "--time-limit", "0.4", "--json", "-"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["reports"][0]["checks"]
    assert result["outcome"] == "inconclusive"
    assert re.search(r"given up, over (0\.4|1\.6) s, in .*test_field.py, line", result["message"])
    with pytest.raises(TimeLimitExceeded) as struck, time_limit(0.02):
        edge_law(replace(rules.get("heavy-ball"), name="another"))
    assert doing(struck.value).startswith("sharpflow.theory.edge.")


def test_a_part_of_a_derivation_has_the_time_that_derive_gives_it(capsys):
    assert cli.main(["derive", "ridge", "--time-limit", "0.001", "--fresh", "--json", "-"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert {step["status"] for step in steps} == {"undecided"}
    assert any("0.001 s" in step["statement"] for step in steps)
    assert cli.main(["derive", "generic", "--rule", "heavy-ball", "--time-limit", "0.001", "--fresh"]) == 2
    assert "give a larger --time-limit" in capsys.readouterr().err


def test_a_proof_has_the_time_that_verify_gives_it(capsys):
    words = ["verify", "ridge", "--claim", "homogeneity", "--time-limit", "0.001", "--fresh", "--json", "-"]
    assert cli.main(words) == 0
    assert "given up after 0.001 s of processor time" in json.loads(capsys.readouterr().out)["claims"][0]["message"]


# Kind: roots that are rational on Gamma: sqrt(sin^2 + cos^2) is 1, and the flow is there.
@pytest.mark.parametrize(
    "height", [2 + X / sp.sqrt(X**2 + Y**2), 2 + X * Y / sp.sqrt(X**4 + Y**4 + 2 * X**2 * Y**2 + Z**4)], ids=str
)
def test_a_root_that_is_a_number_on_gamma_leaves_a_flow(height):
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0), start=(0.35,))
    flow = sharpness_flow(Loss("rooted", (X, Y, Z), Z**2 / R2 * height, circle))
    # By hand: lambda_1 = 2 h on the circle of unit speed, dp/dtau = -2 g/(4 + g^2), g = h'/h by differences.
    on_circle = sp.lambdify(P, height.subs({X: sp.cos(P), Y: sp.sin(P), Z: 0}, simultaneous=True), "math")
    for at in (0.35, 1.2, 2.5):
        g = (np.log(on_circle(at + 1e-5)) - np.log(on_circle(at - 1e-5))) / 2e-5
        assert float(flow.sharpness.subs(P, at)) == pytest.approx(2 * on_circle(at), rel=1e-12)
        assert float(flow.field[0].subs(P, at)) == pytest.approx(-2 * g / (4 + g**2), rel=1e-8)


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (sp.sqrt(P**4 + 2 * P**2 + 1), P**2 + 1),
        (1 / sp.sqrt(4 + 4 * sp.cos(P) + sp.cos(P) ** 2), 1 / (2 + sp.cos(P))),
        (sp.sqrt(sp.exp(2 * P) + 2 * sp.exp(P) + 1), sp.exp(P) + 1),
        (sp.sqrt(9 - 6 * sp.cos(P) + sp.cos(P) ** 2), 3 - sp.cos(P)),
    ],
    ids=str,
)
def test_the_root_of_a_square_that_is_of_one_sign_is_there_without_it(root, expected):
    assert normal_form(root) == normal_form(expected)
    # Of both signs it is a modulus, and stays.
    assert normal_form(sp.sqrt(P**2 + 2 * P + 1)) == sp.sqrt(P**2 + 2 * P + 1)


# Kind: minutes of algebra for what one circle decides.
@pytest.mark.deep
def test_roots_and_powers_on_a_circle_are_derived_in_seconds():
    """52 and 30 s of work before; every step proved, and the field against differences of the sharpness."""
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0), start=(0.35,))
    for height in (
        2 + X / sp.sqrt(R2) + Y**3 / R2 ** sp.Rational(3, 2), 3 + sp.sqrt(X**2 + 2 * Y**2) / sp.sqrt(R2)
    ):  # fmt: skip
        begin = time.process_time()
        found = derive(Loss("on a circle", (X, Y, Z), Z**2 / R2 * height, circle))
        assert time.process_time() - begin < 20
        assert {step.status for proof in found.proofs for step in proof.steps} == {"proved"}
        on_circle = sp.lambdify(P, height.subs({X: sp.cos(P), Y: sp.sin(P), Z: 0}, simultaneous=True), "math")
        g = (np.log(on_circle(1.2 + 1e-5)) - np.log(on_circle(1.2 - 1e-5))) / 2e-5
        assert float(found.flow.field[0].subs(P, 1.2)) == pytest.approx(-2 * g / (4 + g**2), rel=1e-8)
