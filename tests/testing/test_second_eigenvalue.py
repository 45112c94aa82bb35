"""A second eigenvalue that comes to the edge on the way is no fault of the loss."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import Objective
from sharpflow.claim import Measurement, Numeric
from sharpflow.claims import mean_square_oscillation
from sharpflow.claims._shared import joined, unless_several
from sharpflow.testing import check_loss
from sharpflow.testing.check import Outcome
from sharpflow.theory import rules

RATE = 1e-5
TIMES = np.linspace(0.0, 2.0, 201)


def meeting(w):
    """Eigenvalues 2 + 1.8 u_1 and 2.95 or so on the sphere u_4 = u_5 = 0 of R^5, coupled; they meet where u_3 = 0."""
    u = w / jnp.linalg.norm(w)
    first, second = u[3] + 0.3 * u[2] * u[4], u[4] * (1 + 0.2 * u[3])
    return (first**2 * (2 + 1.8 * u[0]) + 2.95 * second**2) / 2


def meets(name="meeting"):
    return Objective(meeting, (0.65, 0.74, 0.15, 0.0, 0.0), name=name)


def run_with(second, *, measured=None, edges=True):
    """A case whose flow has a second eigenvalue at the edge from flow time ``second`` on, and tr Sigma 0.3, then 0.5.

    Of one period at the end nothing can be learnt: |theta - retraction|^2 is far off.
    """
    trace = np.where(second <= TIMES, 0.5, 0.3)
    ratio = np.where(second <= TIMES, 1.0, 0.7)
    measured = np.append(np.nan, trace[1:]) if measured is None else measured
    series = SimpleNamespace(
        flow_effective_lr=np.full(len(TIMES), 0.5), flow_spectrum=4 * np.stack([np.ones(len(TIMES)), ratio], axis=1),
        mean_square=RATE * measured, flow_mean_square=RATE * trace,
    )  # fmt: skip
    start = np.tile([0.8, 0.6, 0.0, 0.0, 0.0], (len(TIMES), 1))
    run = SimpleNamespace(
        edges=series if edges else None, times=TIMES, rate=RATE, time=2.0, minima_points=start, message="",
        gd=SimpleNamespace(mean_square_oscillation=100 * RATE), result=SimpleNamespace(ok=True, advice=""),
    )  # fmt: skip
    return SimpleNamespace(comparison=run, subject=meets(), objective=meets(), rule=rules.get("gd-wd"))


@pytest.fixture
def without_horizon(monkeypatch):
    monkeypatch.setattr(mean_square_oscillation, "beyond_horizon", lambda case: None)


@pytest.mark.parametrize(("second", "expected"), [(0.5, 0.5), (1.5, 0.4)])
@pytest.mark.usefixtures("without_horizon")
def test_several_eigenvalues_are_weighed_with_the_trace_of_sigma(second, expected):
    """Over the time since the second one came, or the last half of the run where that is longer."""
    found = mean_square_oscillation.measure(run_with(second))
    assert found.status is Numeric.CONSISTENT, found
    assert found.expected == pytest.approx(expected, abs=1e-3)
    assert found.measured == pytest.approx(found.expected, rel=1e-12)
    # No flow time of less than one, half of the run, is averaged over: the tolerance stays at some per cent.
    assert found.tolerance == pytest.approx(10 * RATE**0.5 * found.expected, rel=1e-2)
    assert f"from {second:.3g} on" in found.message


@pytest.mark.usefixtures("without_horizon")
def test_a_wrong_mean_square_of_several_eigenvalues_is_seen():
    measured = 1.05 * np.where(TIMES >= 0.5, 0.5, 0.3)
    assert mean_square_oscillation.measure(run_with(0.5, measured=measured)).status is Numeric.INCONSISTENT


def test_when_a_second_eigenvalue_joins():
    assert joined(run_with(1.0)) == 100
    assert joined(run_with(3.0)) is None
    assert joined(run_with(1.0, edges=False)) is None


def test_a_flow_of_one_eigenvalue_is_not_held_against_a_loss_where_two_meet():
    """Of other rules, and in a chart, the flow has one eigenvalue: what is off where two meet says nothing."""
    wrong = Measurement(Numeric.INCONSISTENT, 1.0, 2.0, 0.1, "the mean square")
    right = Measurement(Numeric.CONSISTENT, 2.0, 2.0, 0.1, "the mean square")
    case = run_with(3.0, edges=False)
    # lambda_1 = 2 + 1.8 0.8 and 2.95 at first, and they meet where u_1 = 0.95/1.8.
    assert unless_several(wrong, case) is wrong
    case.comparison.minima_points[60:, :2] = 0.95 / 1.8, np.sqrt(1 - (0.95 / 1.8) ** 2)
    found = unless_several(wrong, case)
    assert found.status is Numeric.NOT_APPLICABLE
    assert "from flow time 0.6 on a second eigenvalue" in found.message
    assert unless_several(right, case) is right
    # A flow that follows them all is judged.
    assert unless_several(wrong, run_with(0.5)) is wrong


def network():
    """30 weights, tanh; |w| divided out."""
    random = np.random.default_rng(0)
    inputs, target = random.normal(size=(6, 4)), random.normal(size=6)

    def residuals(w):
        hidden, out = jnp.split(w / jnp.linalg.norm(w), [24])
        return 3 * jnp.tanh(3 * jnp.asarray(inputs) @ hidden.reshape(6, 4).T) @ out - 0.3 * jnp.asarray(target)

    start = random.normal(size=30)
    return Objective(lambda w: jnp.sum(residuals(w) ** 2) / 2, start, residuals=residuals, name="network")


@pytest.mark.longest
@pytest.mark.parametrize(("loss", "expected"), [(meets(), 0.5), (network(), 0.467)], ids=["meeting", "network"])
def test_a_loss_is_not_accused_of_a_second_eigenvalue_at_the_edge(loss, expected):
    """In the network K^2 of the largest of the two gave 0.25 or 0.33, whichever it was at the end."""
    report = check_loss(loss, checks=["period", "mean_square", "monotone_sharpness", "tracking", "energy_law"])
    assert report.ok, str(report)
    result = report["mean_square"]
    assert result.outcome is Outcome.PASSED
    assert "a second eigenvalue is at the edge from" in result.trial.message
    assert result.trial.expected == pytest.approx(expected, rel=0.01)
