"""Kinks: along Gamma and across it, told from what only vanishes on Gamma."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from sharpflow import Loss, Minima, cli
from sharpflow.numerics.inspection.kinks import (
    GRID,
    KINK,
    _largest,
    chart_jump,
    derivative_jump,
    jump_across,
    jump_beside,
)
from sharpflow.numerics.inspection.loss import slope_jump
from sharpflow.numerics.minima.chart import chart_points, embed
from sharpflow.numerics.objective import objective_of
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.self_test import caught, mutants
from sharpflow.theory import families
from sharpflow.theory.chart.smoothness import switches

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
r = sp.sqrt(r2)


def on_circle(name, expression, start=0.35):
    minima = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(start,), domain=((-3, 3),))
    return Loss(name=name, variables=(x, y, z), expression=expression, minima=minima)


@pytest.mark.parametrize(
    ("factor", "place"),
    [
        (3 + sp.Abs(x) / r, np.pi / 2),
        pytest.param(3 + sp.Max(y / r, sp.Rational(1, 2)), np.pi / 6, marks=pytest.mark.deep),
        pytest.param(3 + sp.Abs(x - y) ** 3 / r**3 + sp.Abs(x - y) / (100 * r), np.pi / 4, marks=pytest.mark.deep),
        (sp.Piecewise((3, x > y), (3 + (x - y) / r, True)), np.pi / 4),
    ],
)
def test_a_kink_that_gamma_crosses_is_found_where_it_is(factor, place):
    loss = on_circle("across", z**2 / r2 * factor)
    found, at = chart_jump(loss)
    assert found.value > KINK
    # The circle meets the line twice.
    assert min(abs((at["p"] - place) % np.pi), abs((at["p"] + place) % np.pi), abs((at["p"] - place) % np.pi - np.pi),
               abs((at["p"] + place) % np.pi - np.pi)) < 1e-3  # fmt: skip
    assert found.order <= 3
    assert derivative_jump(loss) > KINK


@pytest.mark.parametrize("power", [2, *(pytest.param(power, marks=pytest.mark.deep) for power in (3, 4))])
def test_what_vanishes_on_gamma_to_high_order_is_no_kink(power):
    # D^3 of z^4 is proportional to z: across Gamma it changes by twice its size, which shrinks with the distance.
    loss = on_circle("flat", (z**2 / r2) ** power * (3 + x * y / r2))
    points = embed(loss, chart_points(loss))
    for step in (1e-3, 1e-5, 1e-6):
        assert jump_across(objective_of(loss), points, step=step).value < KINK
    assert chart_jump(loss)[0].value < KINK


@pytest.mark.deep
def test_only_the_rank_is_at_fault_in_a_quartic():
    report = check_loss(on_circle("quartic", z**4 / r2**2 * (3 + x * y / r2)))
    assert [result.check for result in report.failed] == ["minimal_kernel"]


CONE = (x * y - z**2) / r2


def on_cone(name, expression):
    minima = Minima(chart=(p,), point=(sp.exp(p), sp.exp(-p), 1), start=(0.4,), domain=((-1, 1),))
    return Loss(name=name, variables=(x, y, z), expression=expression, minima=minima)


def test_rounding_of_derivatives_that_vanish_on_gamma_is_no_kink():
    """On z = 0 they are 0 exactly; on x y = z^2 they are 1e-32 here and 1e-34 there."""
    report = check_loss(on_cone("flat", CONE**4), checks=["smoothness", "minimal_kernel"])
    assert [result.check for result in report.failed] == ["minimal_kernel"]
    assert report["smoothness"].trial.measured < KINK / 30


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.deep), sp.Rational(1, 10**6)])
def test_a_kink_where_all_other_derivatives_vanish_is_found(size):
    """However small the part with the kink is beside what the loss is off Gamma."""
    loss = on_cone("kinked", CONE**4 + size * CONE**2 * (2 + sp.Abs(x - y) / r))
    found, at = chart_jump(loss)
    assert found.value > KINK
    assert abs(at["p"]) < 1e-3


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("ridge", "surface") else pytest.mark.deep) for n in families.names()]
)
def test_no_family_has_a_kink_anywhere_near(name):
    # Three decades: what is analytic leaves rounding and the fifth derivative over a fifty-thousandth of an interval.
    assert derivative_jump(families.get(name).default()) < KINK / 30


def test_two_pieces_of_a_curve_are_no_kink():
    """The curve goes on elsewhere from its middle on: the derivatives on either side are no two sides of one place."""
    smooth = objective_of(on_circle("smooth", z**2 / r2 * (3 + x * y / r2)))
    along = np.array([[0.0, 0.0, 1.0]])

    def arcs(gap):
        def place(k, s):
            angle = s + np.where(s > 0.5, gap, 0.0)
            return np.stack([np.cos(angle), np.sin(angle), 0 * s], axis=1)

        return _largest(smooth, place, along, np.linspace(0.01, 0.99, GRID), np.zeros(4))

    assert arcs(1.0).value < KINK
    # Too small a gap to be seen is a jump, largest of the fourth derivative -24 (3 + sin(2 angle)), of size 96.
    assert arcs(9e-4).value == pytest.approx(9e-4 * 2 * np.cos(1.0) / 4, rel=0.01)


def test_a_kink_beside_a_point():
    loss = on_circle("beside", z**2 / r2 * (3 + sp.Abs(x) / r))
    near, far = embed(loss, np.array([[np.pi / 2 + 1e-4], [0.7]]))
    assert jump_beside(objective_of(loss), near).value > KINK
    assert jump_beside(objective_of(loss), far).value < KINK


def test_places_where_an_expression_switches():
    e = sp.Abs(x) + sp.Max(x, y) + sp.Piecewise((x, z > y), (y, True)) + sp.sqrt(x + z) + sp.sqrt(2) * x**2
    assert {f for f in switches(e) if f != y - z} == {x, x - y, x + z}
    assert len(switches(e)) == 4
    assert switches(z**2 / r2) == ()


@pytest.mark.deep
@pytest.mark.parametrize("name", ["native-kink-across-gamma", "relu"])
def test_a_kink_of_an_objective_is_found_along_gamma(name):
    result = caught(next(m for m in mutants() if m.name == name))
    assert result.outcome is Outcome.FAILED
    assert result.trial.measured > 0.01


@pytest.mark.deep
def test_a_flow_that_stops_at_a_kink_says_so(tmp_path, capsys, monkeypatch):
    (tmp_path / "near.py").write_text(
        "import sympy as sp\nfrom sharpflow import Loss, Minima\n"
        "x, y, z = sp.symbols('x y z', real=True)\np = sp.Symbol('p', real=True)\nr2 = x**2 + y**2 + z**2\n"
        "loss = Loss(name='near', variables=(x, y, z), expression=z**2/r2*(3 + 2*sp.Abs(x)/sp.sqrt(r2)),\n"
        "    minima=Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(1.5,), domain=((-3, 3),)))\n"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "near.py:loss", "--time", "1"]) == 1
    out = capsys.readouterr().out
    assert "max_steps" in out
    assert "A kink of the loss is near the end of the flow" in out


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (z**2 / r2 * (3 + 2 * sp.Abs(x) * y / r2), "x = 0 there"),
        pytest.param(sp.Abs(z) / r * (3 + x * y / r2), "z = 0 there", marks=pytest.mark.deep),
        pytest.param(
            z**2 / r2 * (3 + x * y / r2) + (z**2 / r2) ** sp.Rational(3, 4), "z = 0 there", marks=pytest.mark.deep
        ),
    ],
    ids=["across", "first-derivative", "second-derivative"],
)
def test_a_kink_is_one_failure_and_the_formula_is_told(expression, said):
    report = check_loss(on_circle("kinked", expression), checks=["derivatives", "smoothness", "minimizers"])
    assert [result.check for result in report.failed] == ["smoothness"]
    assert said in report["smoothness"].explain()


def test_the_slope_jumps_at_a_kink_only():
    w, u = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, 1.0])
    kinked, smooth = on_circle("kinked", 2 * sp.Abs(z) / r), on_circle("smooth", z**2 / r2)
    assert slope_jump(objective_of(kinked), w, u) == pytest.approx(4, rel=1e-6)
    assert slope_jump(objective_of(smooth), w, u) < 1e-5


def test_where_every_place_has_a_corner_no_derivative_is_judged(monkeypatch):
    """A check that leaves out all it could compare has not passed."""
    from sharpflow.numerics.inspection import differences
    from sharpflow.testing import check_loss
    from sharpflow.testing.check import Outcome
    from sharpflow.testing.mutants.wrong_losses import plain

    monkeypatch.setattr(differences, "slope_jump", lambda *_, step: float(step == differences.SIDE))
    result = check_loss(plain(), checks=["derivatives"])[0]
    assert result.outcome is Outcome.INCONCLUSIVE
    assert "jumps at every place" in result.trial.message
