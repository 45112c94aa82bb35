"""The monitor of a loop of one's own: against dense eigenvalues, at the edge of each rule, and kept on disk."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sharpflow import cli
from sharpflow.numerics.measurements.weights_checks import mixed
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.training.monitor import Monitor
from sharpflow.theory.errors import InputError

RATES = np.array([1.0, 3.0, 2.0, 0.5])


def quadratic():
    return Objective(lambda p: jnp.sum(jnp.asarray(RATES) * p["w"] ** 2) / 2, {"w": np.ones(4)}, name="quadratic")


def test_a_training_loop_is_followed_to_the_edge_and_kept(tmp_path, capsys):
    objective, seen = mixed(), []
    monitor = Monitor(objective, every=20, out=tmp_path / "run", log=seen.append)
    # A long w, whose effective_lr weight decay brings to the edge.
    w, eta, decay = objective.start * np.array([1, 1, 1, 1.3, 1.3, 1.3]), 0.2, 0.02
    begin = w
    gradient = jax.jit(jax.grad(objective.function))
    for step in range(401):
        monitor(step, objective.unravel(w), learning_rate=eta, weight_decay=decay)
        w = (1 - eta * decay) * w - eta * np.asarray(gradient(w))
    assert len(seen) == len(monitor.records) == 21
    first, last = seen[0], seen[-1]
    dense = eta * np.linalg.eigvalsh(np.asarray(objective.hessian(begin)))[::-1]
    assert first["eigenvalue_1"] == pytest.approx(dense[0], rel=1e-4)
    assert first["effective_lr"] == pytest.approx(eta / np.sum(begin[3:] ** 2))
    assert first["waiting"] > 0
    assert first["share/w"] == first["rest/w"] == 1.0
    # At so large a rate the oscillation is large; without the edge it would be at e^3 of where it began.
    assert 0.9 < max(record["of_edge"] for record in seen) < 2.5
    assert last["of_edge"] < 1.5
    assert "since" in last
    assert (
        cli.main(["monitor", "--status", str(tmp_path / "run"), "--plot", str(tmp_path / "run.svg"), "--json", "-"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["records"][-1]["eigenvalue_1"] == last["eigenvalue_1"]
    assert (tmp_path / "run.svg").stat().st_size > 1000
    assert cli.main(["monitor", "--status", str(tmp_path / "run")]) == 0
    assert "mixed: 21 records" in (line := capsys.readouterr().out)
    assert "% of the edge" in line


def test_the_edge_of_each_rule_and_its_preconditioner():
    params = {"w": np.ones(4)}
    assert Monitor(quadratic())(0, params, learning_rate=0.1)["edge"] == 2.0
    assert Monitor(quadratic(), momentum=0.9)(0, params, learning_rate=0.1)["edge"] == pytest.approx(3.8)
    optax = pytest.importorskip("optax")
    adam = optax.adam(0.1)
    state = adam.init(jax.tree.map(jnp.asarray, params))
    for _ in range(3):
        _, state = adam.update({"w": jnp.asarray([1.0, 2.0, 4.0, 1.0])}, state)
    found = Monitor(quadratic(), momentum=0.9, epsilon=0.0)(0, params, learning_rate=0.1, state=state)
    # With the same gradient in every step bias-corrected nu is its square.
    assert found["eigenvalue_1"] == pytest.approx(0.1 * 3.0 / 2.0, rel=1e-4)
    assert found["edge"] == pytest.approx(2 * 1.9 / 0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Monitor(3), "takes an Objective"),
        (lambda: Monitor(quadratic(), momentum=1.0), "must be below 1"),
        (lambda: Monitor(quadratic(), every=0), "every = 0 must be a whole number"),
        (lambda: Monitor(quadratic())(0, {"v": np.ones(4)}, learning_rate=0.1), "lacks w"),
        (lambda: Monitor(quadratic())(0, {"w": np.ones(4)}, learning_rate=-0.1), "must be positive"),
        (lambda: Monitor(quadratic())(0, {"w": np.ones(4)}, learning_rate=0.1, state={"nu": np.ones(3)}), "do not fit"),
    ],
)
def test_bad_input_is_told_in_a_sentence(make, words):
    with pytest.raises(InputError, match=words):
        make()
