"""What is read off a path with several eigenvalues at the edge, on a path written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sharpflow.numerics.compiled import NUMBERS, STEPS, buffer
from sharpflow.numerics.flows.central_step import CentralStepper
from sharpflow.numerics.flows.edge_step import Stepper
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.results import RESULTS

TIMES = np.array([0.0, 0.5, 1.5])
FLOW = Path(
    times=TIMES, points=np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0]]),
    effective_lr=np.array([0.5, 0.5, 1.0]),
    spectrum=np.array([[4.0, 3.99, np.nan], [4.0, 3.9, 1.0], [2.0, 1.995, 0.5]]),
    sigma=np.array([[[0.5, 0], [0, 0]], [[0.25, 0], [0, 0.125]], [[0.3, 0.1], [0.1, 0.2]]]), residual=0.0,
    result=RESULTS.SUCCESSFUL, message="", rejected=0, seconds=0.0, compile_seconds=0.0,
)  # fmt: skip


def test_eigenvalues_within_a_hundredth_of_the_edge_are_counted():
    assert FLOW.edge_count.tolist() == [2, 1, 2]
    assert FLOW.sharpness.tolist() == [4, 4, 2]
    assert FLOW.mean_square.tolist() == [0.5, 0.375, 0.5]


def test_between_the_steps_and_beyond():
    at = FLOW.at([0.0, 0.5, 1.0, 1.5, 1.6, -0.1])
    points, spectrum, effective_lr = at.points, at.spectrum, at.effective_lr
    np.testing.assert_allclose(points[[0, 1, 3]], FLOW.points, atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(points[:4], axis=1), 1)
    np.testing.assert_allclose(effective_lr[[0, 1, 3]], FLOW.effective_lr)
    assert 0.5 < effective_lr[2] < 1
    assert 2 < spectrum[2, 0] < 4
    # The third eigenvalue was carried from the first step on.
    np.testing.assert_array_equal(np.isnan(spectrum[:, 2]), [True, False, False, False, True, True])
    np.testing.assert_allclose(spectrum[[1, 2, 3], 2], [1, 0.75, 0.5])
    assert np.all(np.isnan(points[4:]))
    # Sigma goes from one step to the next in a straight line.
    np.testing.assert_allclose(at.mean_square[:4], [0.5, 0.375, 0.4375, 0.5])
    assert np.isnan(at.mean_square[4])
    assert (at.result, at.name, at.time) == (FLOW.result, FLOW.name, -0.1)
    assert len(at.trajectory()) == 4  # as far as it exists
    path = FLOW.trajectory()
    np.testing.assert_array_equal(path.sharpness, FLOW.sharpness)


@pytest.mark.parametrize(("last", "crowded"), [(0.985, True), (0.975, False), (1.2, True), (-0.5, False)])
def test_an_eigenvalue_within_a_fiftieth_of_the_edge_may_have_another_beside_it(last, crowded):
    def edge(here, log_lr):
        return here + log_lr

    state: Any = SimpleNamespace(here=np.array([0.9, last - 0.1]), log_lr=0.1, point=np.ones(5))
    stepper: Any = SimpleNamespace(edge=edge, k=2, normals=SimpleNamespace(exhausts=False), oscillating=True)
    for kind in (Stepper, CentralStepper):
        assert bool(kind.crowded(stepper, state)) is crowded
    stepper.normals.exhausts = stepper.oscillating = False
    assert not CentralStepper.crowded(stepper, state)
    stepper.normals.exhausts = True
    assert not Stepper.crowded(stepper, state)
    # There is no third eigenvalue on the sphere of three.
    few: Any = SimpleNamespace(here=state.here, log_lr=0.1, point=np.ones(3))
    stepper.oscillating = True
    assert not CentralStepper.crowded(stepper, few)


def test_rows_of_a_stretch_fit_into_memory():
    assert buffer(3) == STEPS
    assert buffer(NUMBERS // 20) == 20
    assert buffer(NUMBERS) == 8
