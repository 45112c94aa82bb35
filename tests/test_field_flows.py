"""The same as tests/test_field.py for spectra, flows, schedules and rules."""

import re
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.measurements.rule_check import at_other_slopes, check_rule_on
from sharpflow.numerics.minima.relax import relax
from sharpflow.numerics.minima.rest import curved
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import eigenvalues, frame, sharpness, unit_vector
from sharpflow.numerics.spectrum.eigenpairs import top_eigenpairs
from sharpflow.terminal.progress import progress_line
from sharpflow.testing import Outcome, check_loss, check_rule
from sharpflow.theory import families, rules
from sharpflow.theory.chart.flow import sharpness_flow
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.reduction import reduce_rule

X, Y, Z = sp.symbols("x y z", real=True)
P = sp.Symbol("p", real=True)
R2 = X**2 + Y**2 + Z**2


def ridge(coefficient, name="ridge-like"):
    circle = Minima(chart=(P,), point=(sp.cos(P), sp.sin(P), 0), start=(0.35,))
    return Loss(name, (X, Y, Z), Z**2 / (2 * R2) * (2 + coefficient * (X**2 - Y**2) / R2), circle)


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


# Kind: a schedule, seen by the clock of its start.
def scheduled(slope, wd_slope):
    return replace(rules.get("gd-scheduled"), name="planned", constants={"slope": slope, "wd_slope": wd_slope})


@pytest.mark.parametrize("slopes", [(0.5, 0.5), (-0.5, -0.5), (0.01, -0.5), (0, 0), (0, -0.4)], ids=str)
def test_a_right_schedule_is_accused_of_nothing_before_it_runs(slopes):
    report = check_rule(scheduled(*slopes), checks=["rule_purity", "clock", "weight_decay"])
    assert report.ok, str(report)


def energy_of_a_schedule(slope, wd_slope, rate=1e-5, steps=30_000):
    """c = dE/d integral of U^2 ds of L = sin^2(angle)/2 in the plane, K = 0, iterated in NumPy, in its own clock."""
    x = 1.5 * np.sqrt(rate * (2 + slope) / 4)
    wd, lr = rate, 1.0
    w = np.array([np.sqrt(1 - x**2), x]) * (2 * (1 - rate)) ** -0.5  # effective_lr*lambda_1 = 2
    energies, drive = [], [0.0]
    for step in range(steps):
        squared, here = w @ w, lr * wd
        if step % 2 == 0:
            u = (lr / ((1 - here) * squared) - 2) / np.sqrt(here)
            y = np.log(w[1] ** 2 / squared / here / ((2 + slope) / 4))
            energies.append(u**2 / 2 + (2 + slope) * (np.exp(y) - 1 - y))
            drive.append(drive[-1] + 2 * here * u**2)
        gradient = np.array([0.0, w[1]]) / squared - w[1] ** 2 / squared**2 * w
        w = (1 - here) * w - lr * gradient
        lr, wd = lr * (1 + slope * here), wd * (1 + wd_slope * here)
    return np.polyfit(drive[:-1], energies, 1)[0]


@pytest.mark.parametrize("slopes", [(0.5, 0.5), (0.2, 0.0001), (0.0001, -0.2)], ids=str)
def test_the_energy_coefficient_of_a_schedule_is_that_of_a_simulation(slopes):
    # B = K = 0, and Q = c_4 = -12 of w_2^2/(2 |w|^2).
    derived = edge_law(scheduled(*slopes)).coefficient
    values = {"slope": slopes[0], "wd_slope": slopes[1], "K2": 0, "B": 0, "Q": -12}
    number = float(derived.subs({symbol: values[symbol.name] for symbol in derived.free_symbols}))
    assert number == pytest.approx(-sum(slopes) / 2, abs=1e-12)
    assert energy_of_a_schedule(*slopes) == pytest.approx(number, abs=5e-3)


@pytest.mark.parametrize("slopes", [(0.2, 0.0001), (0.1, 0.05)], ids=str)
def test_the_law_of_a_schedule_holds_on_iterates(slopes):
    """Of the start's clock the energy coefficient is 1.13 and 1.09 of the one derived."""
    found = check_rule_on(families.get("ridge").default(), scheduled(*slopes))
    assert [ratio.name for ratio in found.ratios if ratio.agrees is not True] == []


def test_a_schedule_whose_slopes_cancel_is_tried_at_others():
    sums = [sum(rule.constants.values()) for rule in at_other_slopes(rules.get("gd-scheduled"))]
    assert sums[0] == 0
    assert all(total != 0 for total in sums[1:])
    assert len(sums) == 3
    assert at_other_slopes(rules.get("gd-wd")) == (rules.get("gd-wd"),)


# Kind: rest judged in units of the steepest direction: a valley floor beside steep walls looked like its bottom.
def valley(k, dimension=4):
    """(k z^2 + (x^2 - y^2)^2/|w|^2)/|w|^2: walls of curvature 2 k beside a floor with Gamma at |x| = |y|, z = 0."""

    def function(w):
        r2 = w @ w
        return (k * w[2] ** 2 + (w[0] ** 2 - w[1] ** 2) ** 2 / r2) / r2

    return Objective(function, np.array([0.9, 0.3, 1e-12, 0.2, *np.zeros(dimension - 4)]), name="valley")


@pytest.mark.parametrize("k", [1e2, 1e6, 1e8, 1e10], ids=str)
@pytest.mark.parametrize("options", [{}, {"max_steps": 10}], ids=str)
def test_gradient_flow_comes_to_the_bottom_of_a_valley_however_steep(k, options):
    objective = valley(k)
    found = relax(objective, **options)
    assert found.result.ok, found.message
    assert found.rank == 2
    assert float(objective.value(found.point)) < 1e-20
    # d/ds log(u/x y) along the floor z = 0: by the flow on the sphere in SciPy.
    end = bottom(objective.start[[0, 1, 3]])
    np.testing.assert_allclose(found.point[[0, 1, 3]], end, atol=2e-3)


def bottom(start):
    """Gradient flow of (x^2 - y^2)^2/|w|^4 on the sphere of (x, y, u), by SciPy."""

    def field(_, w):
        x, y, _ = w
        r2, d = w @ w, x**2 - y**2
        return -(4 * d * np.array([x, -y, 0]) / r2**2 - 4 * d**2 / r2**3 * w)

    end = solve_ivp(field, (0, 200), start / np.linalg.norm(start), rtol=1e-10, atol=1e-12).y[:, -1]
    return end / np.linalg.norm(end)


def test_where_no_implicit_step_fits_a_valley_floor_is_no_rest():
    objective = valley(1e8, dimension=402)
    found = relax(objective)
    assert found.result is RESULTS.NOT_AT_MINIMA
    assert "of L left over" in found.message
    # The flow's own point: never above the start, but for the last bits of its 402 weights.
    begin = float(objective.value(unit_vector(objective, objective.start)))
    assert float(objective.value(found.point)) <= begin * (1 + 1e-14)


def test_directions_that_residuals_curve_are_no_more_than_there_are_residuals():
    """Kind: a rank from the whole Hessian, which residuals that are left bend along the kernel of J, too."""

    def residuals(w):
        r2 = w @ w
        return jnp.stack([jnp.sqrt(2e8) * w[2] / jnp.sqrt(r2), jnp.sqrt(2.0) * (w[0] ** 2 - w[1] ** 2) / r2])

    start = np.array([0.9, 0.3, 1e-12, 0.2])
    objective = Objective(lambda w: residuals(w) @ residuals(w) / 2, start, residuals=residuals)
    found = relax(objective)
    assert found.result is RESULTS.SUCCESSFUL
    assert found.rank == 2
    off = np.array([0.6, 0.5, 0.3, 0.4])
    whole = np.asarray(eigenvalues(replace(objective, residuals=None), off))
    assert (np.abs(whole) > 1e-11 * np.abs(whole).max()).sum() > 2
    assert curved(objective, off / np.linalg.norm(off)) == 2


def test_a_run_that_ends_early_returns_the_point_of_the_flow():
    objective = valley(10.0, dimension=402)  # more weights than implicit steps are taken for
    found = relax(objective, max_steps=10)
    assert found.result is RESULTS.NOT_AT_MINIMA
    begin = float(objective.value(unit_vector(objective, objective.start)))
    assert float(objective.value(found.point)) <= begin * (1 + 1e-14)


def test_minimizers_are_weighed_in_units_of_the_loss_and_not_of_its_steepest_curvature():
    """On the chart L goes from 0.01 to 0.1, which 1e-9 times a curvature of 2e10 forgave: the proof alone saw it."""
    expression = (10**10 * Z**2 + (X**2 - Y**2) ** 2 / R2) / R2
    chart = Minima(chart=(P,), point=(1, P, 0), start=(0.7,), domain=((0.6, 0.8),))
    found = check_loss(Loss("beside", (X, Y, Z), expression, chart), checks=["minimizers"])["minimizers"]
    assert found.outcome is Outcome.FAILED
    assert "L is not the same all over Gamma" in found.trial.message


# Kind: elementwise rules, which are no combination of vectors: said so, with what of the theory applies.
def elementwise(body):
    def update(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * body(gradient(w), ops), {}

    return Rule(name="elementwise", update=update)


BODIES = {
    "adam": lambda g, ops: g / (ops.sqrt(g * g) + 1e-8),
    "sign": lambda g, ops: g / abs(g),
    "square": lambda g, ops: g**2,
    "numpy": lambda g, ops: np.sign(g),
    "jax": lambda g, ops: jnp.sign(g),
    "quotient": lambda g, ops: g / g,
    "shift": lambda g, ops: g + 1e-8,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("derive", [edge_law, reduce_rule])
def test_an_elementwise_rule_is_named(body, derive):
    with pytest.raises(InputError, match=r"entry by entry.*preconditioner"):
        derive(elementwise(body))


# Kind: a parameter that is 1 in every check.
@pytest.mark.parametrize(("power", "outcome"), [(1, Outcome.PASSED), (0, Outcome.FAILED), (2, Outcome.FAILED)])
def test_the_decay_is_tried_at_other_learning_rates_of_the_same_rate(power, outcome):
    def update(w, gradient, state, p, ops):
        return (1 - p.learning_rate**power * p.weight_decay) * w - p.learning_rate * gradient(w), {}

    found = check_rule(Rule(name="forgets", update=update), checks=["weight_decay"])["weight_decay"]
    assert found.outcome is outcome
    if outcome is Outcome.FAILED:
        assert "at the same rate" in found.trial.message


def momentum(decay=lambda p: p.weight_decay, beta=lambda p: p.beta, step=lambda p: p.learning_rate, mass=lambda p: 1):
    """w+ = (1 - learning_rate decay) w - step m+, m+ = beta m + mass grad L(w), each a function of the parameters."""

    def update(w, gradient, state, p, ops):
        moved = beta(p) * state.momentum + mass(p) * gradient(w)
        return (1 - p.learning_rate * decay(p)) * w - step(p) * moved, {"momentum": moved}

    return update


def damped(rate):
    return {"learning_rate": 1, "weight_decay": rate, "dampening": 0}


# At learning_rate = 1, beta = 1/2 and dampening = 0 each of these is heavy ball, to the last digit of every run.
BETA = {"constants": {"beta": 0.5}}
DAMPENING = {"rate": "learning_rate*weight_decay*(1 - dampening)", "at_rate": damped}
MOVED = {
    "right": (momentum(), BETA, None, ""),
    "beta is a number": (momentum(beta=lambda p: 0.5), BETA, "rule_purity", "with beta times 0.7"),
    "the step is a number": (momentum(step=lambda p: 1), BETA, "rule_purity", "with learning_rate times 0.7"),
    "the clock has beta": (
        momentum(), BETA | {"rate": "2*beta*learning_rate*weight_decay"}, "weight_decay", "1.429 with beta times 0.7",
    ),
    "dampening, right": (
        momentum(lambda p: p.weight_decay * (1 - p.dampening), mass=lambda p: 1 - p.dampening), BETA | DAMPENING,
        None, "",
    ),
    "dampening, forgotten": (
        momentum(mass=lambda p: 1 - p.dampening), BETA | DAMPENING, "weight_decay", "1.111 with dampening = 0.1",
    ),
    "beta from the step": (
        momentum(beta=lambda p: 1.5 - p.learning_rate), {}, "derivation", "another one with learning_rate times 0.7",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("update", "options", "check", "words"), MOVED.values(), ids=MOVED)
def test_every_parameter_of_a_rule_is_moved_at_the_same_rate(update, options, check, words):
    rule = Rule(name="moved", update=update, state=("momentum",), **options)
    asked = ["rule_purity", "weight_decay"] + ["derivation"] * (check == "derivation")
    found = [result for result in check_rule(rule, checks=asked) if result.outcome is Outcome.FAILED]
    assert [result.check for result in found] == [check] * (check is not None)
    assert all(words in result.trial.message for result in found)


# Kind: success of a run, taken for agreement.
def test_a_run_to_its_end_beside_a_wrong_flow_does_not_agree():
    loss = families.get("ridge").default()
    right = compare(loss, rate=1e-4, time=1.0)
    flow = sharpness_flow(loss)
    turned = compare(loss, rate=1e-4, time=1.0, flow=replace(flow, field=tuple(-e for e in flow.field)))
    assert right.result.ok
    assert turned.result.ok
    assert (right.agreement, turned.agreement) == ("agrees", "apart")
    assert turned.to_json()["agreement"] == "apart"


# Kind: minutes without a word, and as much work for what nobody asked for.
def test_records_are_taken_back_by_the_block_and_it_is_told_how_far(monkeypatch):
    monkeypatch.setattr("sharpflow.numerics.minima.retraction.BLOCK", 60)
    loss, said = families.get("ridge").default(), []
    whole = compare(loss, rate=1e-3, time=0.5)
    fewer = compare(loss, rate=1e-3, time=0.5, records=20, progress=said.append)
    assert len(fewer.times) == 21
    # The same run, seen at fewer places.
    assert set(fewer.times) <= set(whole.times)
    assert (fewer.times[0], fewer.times[-1]) == (whole.times[0], whole.times[-1])
    np.testing.assert_allclose(fewer.distance, whole.distance[np.isin(whole.times, fewer.times)], atol=1e-14)
    assert any(re.fullmatch(r"the way back to the minima, \d+ of \d+ records, \d+ s left", part) for part in said)
    with pytest.raises(InputError, match="records = 5 must be a whole number from 20 to 400"):
        compare(loss, rate=1e-3, time=0.5, records=5)


def test_what_takes_long_is_told_on_a_pipe_as_well(monkeypatch, capsys):
    monkeypatch.setattr("sharpflow.terminal.progress.QUIET", 0.02)
    with progress_line("mine") as progress:
        progress("the first")
        time.sleep(0.03)
        progress("the second")
        progress("the third")
    assert capsys.readouterr().err == "mine: the second ...\n"


def test_normal_directions_of_a_low_rank_are_those_of_the_whole_hessian():
    """L = sum_i a_i (u_i . w)^2/|w|^2 with three u_i in R^40: H = 2 sum_i a_i u_i u_i^T where w is normal to all."""
    random = np.random.default_rng(3)
    basis = np.linalg.qr(random.standard_normal((40, 4)))[0]
    sizes = np.array([3.0, 1.0, 1e-4])
    objective = Objective(
        lambda w: jnp.sum(jnp.asarray(sizes) * (w @ jnp.asarray(basis[:, :3])) ** 2) / (w @ w), basis[:, 3]
    )
    found = jax.jit(lambda theta: frame(objective, theta, 3))(basis[:, 3])
    np.testing.assert_allclose(found.values, 2 * sizes, rtol=1e-11)
    np.testing.assert_allclose(np.abs(found.vectors.T @ basis[:, :3]), np.eye(3), atol=1e-11)
    # No eigenproblem of the whole: that is what took minutes.
    program = str(jax.make_jaxpr(lambda theta: frame(objective, theta, 3))(basis[:, 3]))
    assert "[40,40]" not in program


# Kind: figures of a flow that did not run.
def test_a_flow_that_never_left_its_start_has_no_figures():
    from sharpflow.commands.compare import _lines

    found = compare(families.get("ridge").default(), rate=1e-3, time=0.1)
    assert any("max distance" in line for line in _lines(found))
    nowhere = np.full_like(found.flow_points, np.nan)
    nowhere[0] = found.flow_points[0]
    stuck = replace(found, flow_points=nowhere, result=RESULTS.STEPSIZE_UNDERFLOW)
    lines = _lines(stuck)
    assert not any("distance" in line for line in lines)
    assert any("stepsize_underflow" in line for line in lines)


def test_a_schedule_on_the_sphere_may_know_the_rate_alone():
    def update(w, gradient, state, p, ops):
        grown = state.effective_lr * (1 + 2 * p.learning_rate * p.weight_decay)
        return w - state.effective_lr * gradient(w), {"effective_lr": grown}

    rule = Rule(name="by-rate", update=update, space="sphere", state=("effective_lr",))
    assert check_rule(rule, checks=["rule_purity"])["rule_purity"].outcome is Outcome.PASSED
