"""What a chart may be, how a bound and a proof are shown, and flat minima: one failure each, and no nan."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from sharpflow import Loss, Minima, Objective
from sharpflow.numerics.inspection.chart_rank import SINGULAR, chart_rank
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome, Trial
from sharpflow.testing.result import CheckResult, numbers
from sharpflow.theory import families, rules

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
EDGE = {"edge_reached", "period", "mean_square", "monotone_sharpness", "second_route", "tracking", "energy_law"}


def ridge(angle, domain=((-1, 1),)):
    minima = Minima(chart=(p,), point=(sp.cos(angle), sp.sin(angle), 0), start=(0.35,), domain=domain)
    return Loss("chart", (x, y, z), z**2 / (2 * r2) * (2 + (x**2 - y**2) / r2), minima)


@pytest.mark.parametrize(
    ("angle", "place"),
    [(p**2, 0.0), ((p - sp.Rational(1, 4)) ** 3, 0.25), (sp.sin(3 * p), np.pi / 6)],
)
def test_a_singular_point_is_found(angle, place):
    found = chart_rank(ridge(angle))
    assert found.value < SINGULAR
    assert abs(abs(found.at["p"]) - place) < 1e-4
    assert not found.everywhere


def test_a_chart_singular_at_the_open_end_of_its_domain_is_regular():
    assert chart_rank(ridge(p**2, ((0, 1),))).value > SINGULAR


@pytest.mark.parametrize("name", families.names())
def test_the_charts_of_all_families_are_regular(name):
    assert chart_rank(families.get(name).default()).value > 100 * SINGULAR


@pytest.mark.parametrize(
    ("angle", "said"),
    [
        pytest.param(sp.Rational(3, 5), "singular everywhere", marks=pytest.mark.deep),
        (p**2, "the chart is singular at p = 0"),
    ],
)
def test_a_bad_chart_is_one_failure(angle, said):
    report = check_loss(ridge(angle))
    assert [result.check for result in report.failed] == ["chart"]
    assert said in report["chart"].trial.message
    assert all(result.outcome is not Outcome.INCONCLUSIVE for result in report)
    for name in EDGE | {"minimizers", "minimal_kernel", "simple_sharpness"}:
        assert report[name].trial.message == "supposes chart, which failed"
    assert "nan" not in str(report)


def test_a_bound_is_shown_as_one_and_a_failure_never_shows_equal_numbers():
    assert numbers(Trial(Outcome.PASSED, measured=0.5, expected=1e-6, bound=">=")) == ("0.5", ">= 1e-06", "")
    failed = Trial(Outcome.FAILED, measured=1.0000001, expected=1.0, tolerance=1e-9)
    assert numbers(failed)[0] == "1.0000001"
    result = CheckResult("chart", "mine", "m", "s", "Mend it.", failed, Outcome.FAILED)
    assert "measured 1.0000001, expected 1, tolerance 1e-09" in result.explain()
    report = check_loss("ridge", checks=["minimizers", "minimal_kernel"])
    assert "<= 0" in str(report)
    assert ">= 1e-06" in str(report)


def test_where_a_proof_refutes_its_witness_is_shown_and_no_numbers(monkeypatch):
    step = SimpleNamespace(status="refuted", title="a step", statement="0 = 1", witness={"p": "1/2"})
    monkeypatch.setattr(
        "sharpflow.verification.prover.prove", lambda *a, **k: SimpleNamespace(status="refuted", steps=[step])
    )
    result = check_loss("ridge", checks=["homogeneity"])[0]
    assert result.outcome is Outcome.FAILED
    assert result.trial.measured is None
    assert result.trial.counterexample == {"p": "1/2"}
    assert "refuted by proof: a step: 0 = 1" in result.explain()
    assert "measured" not in result.explain()


def test_flat_minima_are_called_flat():
    import jax.numpy as jnp

    matrix = jnp.eye(4) + 0.1

    def residuals(w):
        return jnp.maximum(matrix @ (w / jnp.linalg.norm(w)), 0.0)

    flat = Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, (-1.0, -1.0, -0.9, -1.1), residuals, "flat")
    report = check_loss(flat, checks=["minimizers"])
    assert "the Hessian vanishes where gradient flow ended: a flat minimum" in report[0].trial.message
    assert "nan" not in str(report)


def test_a_kink_does_not_make_two_forms_of_one_run_differ():
    import jax.numpy as jnp

    from sharpflow.numerics.measurements.probes import forms

    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((12, 6)))

    def function(w):
        return jnp.sum(jnp.abs(matrix @ (w / jnp.linalg.norm(w))))

    rough = Objective(function, np.random.default_rng(1).standard_normal(6), name="sum-of-moduli")
    for seed in range(5):
        found = forms(rough, rules.get("gd-wd"), rate=1e-3, seed=seed)
        # Each step stretches rounding by 1.5 at the most.
        assert max(found.sphere, found.rescaled) < 1e-11
