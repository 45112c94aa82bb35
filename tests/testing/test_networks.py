"""The referee on networks of which a part only is scale-invariant: no row of failures, and each reason once."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.measurements.weights_checks import mixed
from sharpflow.numerics.models.affine import affine
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.weights.part import invariant_part
from sharpflow.testing.check import Outcome
from sharpflow.testing.running import check_loss

FEW = ["precision", "homogeneity", "euler_identities", "residuals", "smoothness", "minimizers", "tracking"]


def test_what_needs_scale_invariance_is_tried_on_that_part():
    report = check_loss(mixed(), checks=FEW)
    assert report.ok
    assert "w (3 of 6); bias, gain held" in report.note
    assert "3 of 6" in str(report)
    outcomes = {result.check: result.outcome for result in report}
    assert all(outcomes[name] is Outcome.PASSED for name in FEW[:5])
    assert outcomes["minimizers"] is outcomes["tracking"] is Outcome.NOT_APPLICABLE
    assert report["tracking"].trial.message == report["minimizers"].trial.message
    assert "compare SPEC --learning-rate ETA" in report["tracking"].trial.message


def test_of_a_network_without_norms_it_says_so():
    report = check_loss(affine("plain", examples=4, inputs=2, hidden=2), checks=FEW[1:])
    assert report.ok
    assert "no weight of affine-plain is scale-invariant" in report["homogeneity"].trial.message


def test_the_part_is_that_of_the_loss():
    part, _, held = invariant_part(mixed())
    w = np.array([0.3, -0.2, 0.5])
    assert held
    assert float(part.value(w)) == float(mixed().value(np.concatenate([mixed().start[:3], w])))
    flat = Objective(lambda w: w[0] ** 2 / (w @ w), (1.0, 2.0))
    assert invariant_part(flat) == (flat, "", False)


def test_an_epsilon_is_taken_out_and_told():
    def loss(p):
        return jnp.sum((p["w"] / jnp.sqrt(p["w"] @ p["w"] + 1e-5) - 0.5) ** 2)

    part, said, held = invariant_part(Objective(loss, {"w": np.array([1.0, 2.0, 0.5])}))
    assert not held
    assert "epsilon" in said
    assert float(part.value(np.array([1.0, 1, 1]))) == float(part.value(np.array([7.0, 7, 7])))
