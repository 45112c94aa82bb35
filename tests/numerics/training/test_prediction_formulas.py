"""The flow beside a training run, of flows and runs that are written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.training import prediction as training_prediction
from sharpflow.numerics.training.prediction import predict

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
ENTRY = 1


def given(monkeypatch, *, lr=0.4, at_edge=0.5):
    """A run that enters the edge at its second record, and a flow that ends a little after flow time 2."""
    asked: list[dict[str, Any]] = []
    flows = np.array([[4.0, 3.9], [3.0, 2.0], [2.0, 1.9], [np.nan, np.nan]])

    def flow(objective, point, **options):
        asked.append({**options, "point": point})

        def at(times):
            asked[-1]["at"] = times
            lr = np.array([0.5, 0.6, 1.0, np.nan])
            return Path(times, np.tile(point, (len(times), 1)), lr, flows)

        return SimpleNamespace(effective_lr=np.array([at_edge]), at=at, result=RESULTS.SUCCESSFUL, message="")

    start = np.array([0.0, 1.0])
    found = SimpleNamespace(result=RESULTS.SUCCESSFUL, message="", point=start, rank=1, moved=0.25)
    monkeypatch.setattr(training_prediction, "relax", lambda *_: found)
    monkeypatch.setattr(training_prediction, "edge_flow", flow)
    own = np.array([[9.0, 1], [5.0, 4.9], [4.0, 1], [3.0, 2.9], [1.0, 0.5]])
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(pieces=1, variations=()), names=("seed 0",), entry=np.array([ENTRY]), times=TIMES,
        state=SimpleNamespace(entry_weights=np.array([[3.0, 4.0]], np.float32)),
        columns={"effective_lr": np.array([[0.1], [lr], [0.5], [0.66], [1.0]]), "spectrum": own[:, None, :]},
    )  # fmt: skip
    model = SimpleNamespace(scale_invariant=True, norm="layer", head="layer")
    errors = SimpleNamespace(test_loss=0.7, test_wrong=None)
    task: Any = SimpleNamespace(model=model, objective="loss", errors=lambda _: errors, name="made")
    return task, run, asked


def test_the_flow_begins_where_the_run_enters_the_edge(monkeypatch):
    task, run, asked = given(monkeypatch)
    found = predict(task, run)
    # Where the edge is 0.5 and the run has 0.4 it begins below, and waits.
    assert asked[1]["effective_lr"] == 0.4
    assert asked[1]["time"] == pytest.approx(2.5)
    np.testing.assert_allclose(asked[1]["at"], [0, 0.5, 1.5, 2.5])
    # The flow was known to the third record after the entry.
    np.testing.assert_allclose(found.times, [0.5, 1.0, 2.0])
    np.testing.assert_allclose(found.sharpness, [4, 3, 2])
    np.testing.assert_allclose(found.gd_sharpness, [5, 4, 3])
    # effective_lr*lambda within a twentieth of 2: 2 and 1.95; 1.8 and 1.2; 2 and 1.9, which is no more than that.
    assert found.edges.tolist() == [2, 0, 1]
    # 2 and 1.96; 2 and 0.5; 1.98 and 1.914.
    assert found.gd_edges.tolist() == [2, 1, 2]
    np.testing.assert_allclose(found.test_loss, 0.7)
    assert np.isnan(found.test_error).all()
    assert found.moved == 0.25
    assert found.worst_ratio == pytest.approx(1.5)


def test_a_run_beyond_the_edge_begins_on_it(monkeypatch):
    task, run, asked = given(monkeypatch, lr=0.59)
    predict(task, run)
    assert asked[1]["effective_lr"] == 0.5


def test_a_run_far_beyond_the_edge_of_these_minima_goes_to_others(monkeypatch):
    task, run, asked = given(monkeypatch, lr=0.61)  # by more than a fifth
    found = predict(task, run)
    assert len(asked) == 1
    assert found.result is RESULTS.OFF_EDGE
    assert "would be 2.44" in found.message
    assert found.moved == 0.25
    assert not len(found.times)


def test_a_run_that_enters_at_its_last_record_has_no_flow(monkeypatch):
    task, run, _ = given(monkeypatch)
    run.entry = np.array([4])
    assert predict(task, run).result is RESULTS.OFF_EDGE


def test_batch_norm_in_pieces_is_another_loss(monkeypatch):
    from sharpflow.theory.errors import InputError

    task, run, _ = given(monkeypatch)
    task.model.norm, run.recipe.pieces = "batch", 2
    with pytest.raises(InputError, match="another loss"):
        predict(task, run)
