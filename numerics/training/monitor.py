"""A training loop of one's own, watched while it runs: how far the top of the spectrum is from the edge.

At weights w with learning rates eta the eigenvalues of S H S, S = diag sqrt(eta), are looked at, and of a rule with
second moments nu those of P^{-1/2} S H S P^{-1/2}, P = sqrt(nu) + epsilon (frozen). The edge is 2, times 1 + beta for
heavy ball and (1 + beta_1)/(1 - beta_1) where the momentum is an average, as Adam's is. Scale-invariant weights have
eta/|w|^2 as effective_lr in it: no case of their own.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.ledger import Ledger
from sharpflow.numerics.numbers import check_not_negative, check_number, check_positive, check_whole, generator
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.spectrum.eigenpairs import block_eigenpairs
from sharpflow.numerics.weights.grouping import Groups, groups
from sharpflow.theory.errors import InputError

__all__ = ["Monitor", "MonitorFiles", "read_monitor", "said"]

Array = jax.Array
RECORDS = "records"
# Of eigenvectors, relative to the top eigenvalue: values are off by the square of it. And Hessian products of a record.
TOLERANCE, PRODUCTS = 1e-2, 200
# Reached: within this part of the edge.
AT_EDGE = 0.03


class MonitorFiles(Ledger):
    """The records of a monitor on disk, one file each."""

    FORMAT: ClassVar = "sharpflow-monitor-1"
    HOLDS: ClassVar = ("monitored run", "monitored run")
    ONE: ClassVar = "record"
    FOLDERS: ClassVar = (RECORDS,)


@lru_cache(maxsize=16)
def _program(objective: Objective, count: int) -> Compiled:
    """(w, d, guess (D + 1, b)) -> L, the top eigenpairs of d H d, and whether they converged."""

    def run(w: Array, d: Array, guess: Array) -> tuple[Array, ...]:
        (value, _), product = jax.linearize(jax.value_and_grad(objective.function), w)

        def scaled(v: Array) -> Array:
            return jnp.append(d * product(d * v[:-1])[1], 0.0)

        # In a space of one dimension more, of which the last direction is left out, as is theta on a sphere.
        last = jnp.zeros(len(w) + 1).at[-1].set(1.0)
        found = block_eigenpairs(
            scaled, last, guess, jnp.asarray(TOLERANCE), count=count, max_products=PRODUCTS, least=1
        )  # fmt: skip
        return value, found.values, found.vectors[:-1], found.converged

    return Compiled(run)


class Monitor:
    """Call it in every step; every ``every`` steps it looks at the spectrum and keeps a record.

    Args:
        objective: L on the data that it is to be judged by: all of it, or a fixed set of probes of a mini-batch loss.
        every: steps between records. A record costs some fifty gradients of the objective (10 % of a loop over the same
            data at every=500, measured on a perceptron on digits); each says what the monitor took so far.
        out: a new folder for the records, which a crash cannot spoil; `sharpflow monitor --status DIR` reads it.
        log: called with each record, a dictionary of numbers, as TensorBoard and Weights & Biases take it.
        momentum: beta of heavy ball, or beta_1 of a rule whose momentum is an average.
        averaged: whether the momentum is an average (Adam's); default where ``state`` holds first and second moments.
        beta2, epsilon: of second moments, where ``state`` holds them.
        count: eigenvalues to look at, as far as there is room.

    Examples:
        >>> import jax.numpy as jnp
        >>> from sharpflow import Monitor, Objective
        >>> objective = Objective(lambda p: jnp.sum(p["w"] ** 2 * jnp.arange(1.0, 5)) / 2, {"w": jnp.ones(4)})
        >>> monitor = Monitor(objective, every=10, count=1)
        >>> record = monitor(0, {"w": jnp.ones(4)}, learning_rate=0.25)
        >>> round(record["eigenvalue_1"], 3), record["edge"]
        (1.0, 2.0)
    """

    def __init__(
        self, objective: Objective, /, *, every: int = 2000, out: str | os.PathLike[str] | None = None,
        log: Callable[[dict[str, float]], None] | None = None, momentum: float = 0.0, averaged: bool | None = None,
        beta2: float = 0.999, epsilon: float = 1e-8, count: int = 1,
    ) -> None:  # fmt: skip
        if not isinstance(objective, Objective):
            raise InputError(f"Monitor takes an Objective, not {type(objective).__name__}.")
        self.objective, self.log = objective, log
        self.every, self.momentum = check_whole("every", every), check_not_negative("momentum", momentum)
        if not self.momentum < 1:
            raise InputError(f"momentum = {momentum} must be below 1.")
        self.averaged, self.beta2, self.epsilon = (
            averaged,
            check_number("beta2", beta2),
            check_number("epsilon", epsilon),
        )
        # A block with its random vector is less than half of the space.
        self.count = min(check_whole("count", count), max(1, objective.dimension // 3))
        self.records: list[dict[str, float]] = []
        self.files = None
        if out is not None:
            about = {"name": objective.name, "every": every, "leaves": list(self._names)}
            self.files = MonitorFiles.create(out, json.dumps(about), about)
            (self.files.path / RECORDS).mkdir(exist_ok=True)
        self._guess: np.ndarray | None = None
        self._direction: np.ndarray | None = None
        self._reached: int | None = None
        self._spent, self._began = 0.0, time.perf_counter()

    @property
    def _names(self) -> tuple[str, ...]:
        return self.objective.leaves.names if self.objective.leaves is not None else ("w",)

    @cached_property
    def groups(self) -> Groups:
        """The scale-invariant weights, looked at once."""
        return groups(self.objective)

    def __call__(
        self, step: int, params: Any, /, *, learning_rate: float, weight_decay: float = 0.0, state: Any = None
    ) -> dict[str, float] | None:
        """The record of this step; ``None`` where none is due.

        Args:
            step: its number.
            params: the weights, flat or a tree like the objective's start; arrays of any framework.
            learning_rate, weight_decay: as they are in this step; the decay is decoupled, w -= eta lambda w.
            state: of optax, where second moments or a momentum are in it, or {"nu": tree, "count": steps}.
        """
        if step % self.every:
            return None
        begun = time.perf_counter()
        w = self.objective.vector(params, "params")
        eta, decay = check_positive("learning_rate", learning_rate), check_not_negative("weight_decay", weight_decay)
        nu, moments = self._second_moments(state)
        d = np.sqrt(eta) / np.sqrt(nu) if nu is not None else np.full(len(w), math.sqrt(eta))
        averaged = moments if self.averaged is None else self.averaged
        beta = self.momentum
        edge = 2 * (1 + beta) / (1 - beta) if averaged else 2 * (1 + beta)
        value, values, vectors, converged = (np.asarray(a) for a in _program(self.objective, self.count)(
            w, d, self._start(len(w))
        ))  # fmt: skip
        self._guess = vectors
        record = {"step": float(step), "loss": float(value), "edge": edge, "learning_rate": eta, "weight_decay": decay}
        record |= {f"eigenvalue_{i + 1}": float(v) for i, v in enumerate(values)}
        record["of_edge"] = float(values[0]) / edge
        record["converged"] = float(converged)
        record |= self._shapes(w, vectors[:, 0], eta)
        record |= self._times(step, record["of_edge"], eta * decay * record.get("top_on_sphere", 0.0))
        self._spent += time.perf_counter() - begun
        record["cost"] = self._spent / max(time.perf_counter() - self._began, 1e-9)
        self.records.append(record)
        if self.files is not None:
            self.files.save(RECORDS, len(self.records) - 1, {key: np.float64(v) for key, v in record.items()})
        if self.log is not None:
            self.log(record)
        return record

    def _start(self, dimension: int) -> np.ndarray:
        """The vectors of the record before, with a random one; (D + 1, k + 1)."""
        guess = generator(len(self.records)).standard_normal((dimension + 1, self.count + 1))
        if self._guess is not None:
            guess[:-1, : self.count] = self._guess
        return guess

    def _second_moments(self, state: Any) -> tuple[np.ndarray | None, bool]:
        """sqrt(nu) + epsilon, bias-corrected, as a vector (D,), and whether first moments are there as well."""
        found = _find(state)
        if found is None:
            return None, False
        nu, count, first = found
        vector = np.concatenate([np.ravel(np.asarray(a, dtype=float)) for a in jax.tree.leaves(nu)])
        if vector.size != self.objective.dimension or not np.all(vector >= 0):
            raise InputError(
                f"state: second moments of {vector.size} numbers do not fit the {self.objective.dimension} weights."
            )
        if count:
            vector = vector / (1 - self.beta2**count)
        return np.sqrt(vector) + self.epsilon, first

    def _shapes(self, w: np.ndarray, top: np.ndarray, eta: float) -> dict[str, float]:
        """Norms of what is scale-invariant, what they come to rest at, and how far its direction has turned."""
        if self.objective.leaves is None or not self.groups.groups:
            return {"norm": float(np.linalg.norm(w))}
        where = dict(zip(self._names, self.objective.leaves.slices, strict=True))
        parts = [np.concatenate([np.r_[where[name]] for name in group.leaves]) for group in self.groups.groups]
        whole = np.concatenate(parts)
        theta, squared = w[whole], float(np.sum(w[whole] ** 2))
        out = {"norm": math.sqrt(squared), "effective_lr": eta / squared}
        own = float(np.sum(top[whole] ** 2))
        out["top_on_sphere"] = own
        for group, part in zip(self.groups.groups, parts, strict=True):
            out[f"share/{group.leaves[0]}"] = float(np.sum(w[part] ** 2)) / squared
            # Layers share the norm as the top eigenvector does, once that is at the edge.
            out[f"rest/{group.leaves[0]}"] = float(np.sum(top[part] ** 2) / own) if own > 0 else math.nan
        direction = theta / math.sqrt(squared)
        if self._direction is not None:
            out["rotation"] = float(np.linalg.norm(direction - self._direction))
        self._direction = direction
        return out

    def _times(self, step: int, of_edge: float, rate: float) -> dict[str, float]:
        """Steps until the edge, as effective_lr grows by weight decay alone, and steps since it was reached.

        The top eigenvalue grows by 2 ``rate`` a step, the share of its vector in what is scale-invariant taken into
        account: as it is now, which gives the order of the time and no more where that share is small.
        """
        if self._reached is None and of_edge >= 1 - AT_EDGE:
            self._reached = step
        if self._reached is not None:
            return {"since": float(step - self._reached)}
        if not 0 < rate < 1 or of_edge <= 0:
            return {}
        return {"waiting": -math.log(of_edge) / (-2 * math.log1p(-rate))}


def _find(state: Any) -> tuple[Any, int, bool] | None:
    """(nu, count, whether first moments are there) of a state of optax, or of a dictionary."""
    if isinstance(state, dict) and "nu" in state:
        return state["nu"], int(state.get("count", 0)), "mu" in state
    if hasattr(state, "nu"):
        return state.nu, int(np.max(getattr(state, "count", 0))), hasattr(state, "mu")
    if isinstance(state, tuple | list):
        return next((found for part in state if (found := _find(part)) is not None), None)
    return None


def read_monitor(out: str | os.PathLike[str], /) -> tuple[str, list[dict[str, float]]]:
    """The name of the objective and the records in a folder, in order."""
    files = MonitorFiles.open(out)
    found = files.whole(RECORDS)
    records = [{key: float(v) for key, v in found[index].items()} for index in sorted(found)]
    return str(files.manifest.get("name", "")), records


def said(record: dict[str, float], /) -> str:
    """A line on a record."""
    parts = [f"step {record['step']:.0f}", f"loss {record['loss']:.4g}", f"{100 * record['of_edge']:.0f} % of the edge"]
    if "waiting" in record:
        parts.append(f"reached in about {record['waiting']:.0f} steps by weight decay")
    if "since" in record:
        parts.append(f"reached {record['since']:.0f} steps ago")
    if "rotation" in record:
        parts.append(f"turned by {record['rotation']:.2g}")
    return ", ".join([*parts, f"{100 * record['cost']:.1f} % of the time"])
