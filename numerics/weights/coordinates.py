"""Coordinates in which gradient descent on all weights of a network is plain: w = S y, S = diag sqrt(eta_j).

    w_j+ = (1 - eta_j lambda_j) w_j - eta_j grad_j L(w)        is        y+ = (1 - eps R) y - grad L(S y),

eps the rate, R = diag(eta_j lambda_j/eps), the Hessian S H S and the edge 2. Nothing is asked of L: where all of w is
scale-invariant, on y = theta/sqrt(effective_lr), this is the sphere with its schedule; where nothing is, plain gradient
descent with weight decay. y is taken in units of its length at the start, so that it has length one or so: the step is
then effective_lr = 1/unit^2 and no longer 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.leaves import Leaves
from sharpflow.numerics.numbers import check_not_negative, check_positive
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.weights.grouping import Groups, groups
from sharpflow.theory.errors import InputError

__all__ = ["Coordinates", "OfPath", "coordinates"]

# A number for all leaves, a function of a leaf's path, or numbers by patterns, the first that is found in it.
OfPath = float | Callable[[str], float] | Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Weights as a vector y (D,) of length one or so.

    Attributes:
        objective: as it was given.
        scaled: L as a function of y, with the weight decay of each leaf.
        leaves: of the weights.
        scales: w over y, of each leaf.
        learning_rates: of each leaf; decays: its weight decay times its learning rate, over the rate.
        spheres: numbers of the leaves that are scale-invariant, together where they share learning rate and decay.
        effective_lr: step of gradient descent in y, 1/unit^2.
        invariant: the leaves of all groups, also of those whose leaves do not share both numbers: these may be scaled
            at the start, as L does not see it, and a step then does not rescale them.
        split: a sentence on the groups whose leaves do not share both numbers, with a pattern that keeps them; else "".
    """

    objective: Objective
    scaled: Objective
    leaves: Leaves
    scales: tuple[float, ...]
    learning_rates: tuple[float, ...]
    decays: tuple[float, ...]
    spheres: tuple[tuple[int, ...], ...]
    effective_lr: float
    invariant: tuple[int, ...]
    split: str = ""

    def from_weights(self, w: np.ndarray, /) -> np.ndarray:
        """Y (..., D) of weights (..., D)."""
        y: np.ndarray = w / np.repeat(self.scales, self.leaves.sizes)
        return y

    def to_weights(self, y: np.ndarray, /) -> np.ndarray:
        """Weights (..., D) of y."""
        w: np.ndarray = y * np.repeat(self.scales, self.leaves.sizes)
        return w

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """The entries of each sphere."""
        ranges = [np.arange(part.start, part.stop) for part in self.leaves.slices]
        return tuple(np.concatenate([ranges[i] for i in sphere]) for sphere in self.spheres)

    def shown(self, y: np.ndarray, /) -> np.ndarray:
        """(..., D): what is on a sphere as a unit vector, and the rest of the weights as they are."""
        z = np.array(self.to_weights(y))
        for part in self.parts:
            z[..., part] /= np.linalg.norm(z[..., part], axis=-1, keepdims=True)
        return z

    def sphere_lr(self, y: np.ndarray, /) -> np.ndarray:
        """eta/|w|^2 (...,) of the first sphere; the learning rate of the first leaf that decays where there is none."""
        if not self.spheres:
            return np.full(np.shape(y)[:-1], self.learning_rates[_first(self.decays)])
        w, part = self.to_weights(y), self.parts[0]
        out: np.ndarray = self.learning_rates[self.spheres[0][0]] / np.sum(w[..., part] ** 2, axis=-1)
        return out

    def grown(self, y: np.ndarray, c: float, /) -> np.ndarray:
        """Y (D,) with all that is scale-invariant multiplied by c."""
        out = np.array(y)
        for i in self.invariant:
            out[self.leaves.slices[i]] *= c
        return out

    def to_json(self) -> list[dict[str, Any]]:
        """[{"leaves", "size", "kind", "learning_rate", "decay"}], decay in units of the rate."""
        names, sizes = np.array(self.leaves.names), np.array(self.leaves.sizes)
        told = [("invariant", sphere) for sphere in self.spheres]
        rest = [i for i in range(len(names)) if not any(i in sphere for sphere in self.spheres)]
        alike = sorted({(self.learning_rates[i], self.decays[i]) for i in rest})
        told += [("free", tuple(i for i in rest if (self.learning_rates[i], self.decays[i]) == kind)) for kind in alike]
        return [
            {
                "leaves": names[list(members)].tolist(), "size": int(sizes[list(members)].sum()), "kind": kind,
                "learning_rate": self.learning_rates[members[0]], "decay": self.decays[members[0]],
            }
            for kind, members in told
        ]  # fmt: skip


def _first(decays: tuple[float, ...]) -> int:
    return next((i for i, ratio in enumerate(decays) if ratio > 0), 0)


def _each(what: str, given: OfPath, names: tuple[str, ...], check: Callable[[str, Any], float]) -> tuple[float, ...]:
    """The number of each leaf."""
    if isinstance(given, Mapping):
        missing = [name for name in names if not any(re.search(pattern, name) for pattern in given)]
        if missing:
            raise InputError(f"{what}: no pattern fits {missing[0]}; end with '' (all that are left).")
        values: list[Any] = [next(v for pattern, v in given.items() if re.search(pattern, name)) for name in names]
    else:
        values = [given(name) if callable(given) else given for name in names]
    return tuple(check(f"{what} of {name}", value) for name, value in zip(names, values, strict=True))


def coordinates(
    objective: Objective, learning_rate: OfPath | None, weight_decay: OfPath | None = None, no_decay: str | None = None,
    /
) -> Coordinates | None:  # fmt: skip
    """The coordinates of a network that is trained like this; ``None`` where all of it lives on one sphere.

    Args:
        objective: with any weights.
        learning_rate: of each leaf; not needed where all weights are scale-invariant, as then it sets a length only.
        weight_decay: of each leaf, of which only the ratios matter: the rate says how large it is; default the same.
        no_decay: a pattern of the leaves without weight decay, as "bias|scale".

    Raises:
        InputError: there is no learning rate, and weights that are not scale-invariant see it; a number is out of
        range.
    """
    if learning_rate is None and (objective.leaves is None or objective.decay is not None):
        return None
    found = groups(objective)
    plain = no_decay is None and not any(callable(g) or isinstance(g, Mapping) for g in (learning_rate, weight_decay))
    if found.whole and plain and not any(group.epsilon_effect for group in found.groups):
        return None
    if learning_rate is None:
        raise InputError(_missing(objective, found))
    leaves = objective.leaves or Leaves(("w",), ((objective.dimension,),), None)
    try:
        undecayed = re.compile(no_decay) if no_decay is not None else None
    except re.error as error:
        raise InputError(f"no_decay = {no_decay!r} is no pattern: {error}.") from None
    if undecayed is not None and not any(undecayed.search(name) for name in leaves.names):
        raise InputError(f"no_decay = {no_decay!r} is found in no leaf; there are {', '.join(leaves.names[:6])}.")
    rates = _each("learning_rate", learning_rate, leaves.names, lambda what, v: check_positive(what, v))
    decay = _each("weight_decay", 1.0 if weight_decay is None else weight_decay, leaves.names, check_not_negative)
    both = [
        (eta, 0.0 if undecayed is not None and undecayed.search(name) else eta * own)
        for name, eta, own in zip(leaves.names, rates, decay, strict=True)
    ]
    every = [tuple(leaves.names.index(name) for name in group.leaves) for group in found.groups]
    # A group whose leaves do not share both numbers is not rescaled by a step: its leaves are like any other weights.
    whole = [group for group in every if len({both[i] for i in group}) == 1]
    broken = [group for group in every if group not in whole]
    alike = dict.fromkeys(both[group[0]] for group in whole)
    spheres = tuple(tuple(sorted(i for group in whole if both[group[0]] == kind for i in group)) for kind in alike)
    spheres = tuple(sorted(spheres, key=lambda s: (both[s[0]][1] == 0, -sum(leaves.sizes[i] for i in s))))
    first = both[spheres[0][0]][1] if spheres else 0.0
    reference = first or next((product for _, product in both if product > 0), 0.0)
    if not reference:
        raise InputError("no weights decay: the rate, learning rate times weight decay, is 0; let some of them.")
    invariant = tuple(leaves.names.index(name) for group in found.groups for name in group.leaves)
    made = _made(objective, leaves, rates, tuple(product / reference for _, product in both), spheres, invariant)
    if not broken:
        return made
    at_edge = "" if spheres else ": at the edge sharpness is then 2/learning_rate"
    return replace(made, split=_split(leaves.names, broken, both, undecayed, at_edge))


def _split(
    names: tuple[str, ...], broken: list[tuple[int, ...]], both: list[tuple[float, float]],
    undecayed: re.Pattern[str] | None, at_edge: str,
) -> str:  # fmt: skip
    """Which groups a step does not rescale, as their leaves do not share both numbers, and what would keep them."""

    def trained(group: tuple[int, ...], i: int) -> str:
        decays = {both[j][1] / both[j][0] for j in group if both[j][1]}
        own = f"weight decay {both[i][1] / both[i][0]:g}" if len(decays) > 1 else "decays"
        return f"{names[i]} (learning rate {both[i][0]:g}, {own if both[i][1] else 'no decay'})"

    told = "; ".join(", ".join(trained(group, i) for i in group) for group in broken)
    said = (
        f"These weights are scale-invariant together and are trained apart: {told}. A step does not rescale them, so "
        f"that they lie on no sphere and are free here{at_edge}."
    )
    inside = {i for group in broken for i in group}
    by_pattern = [i for i, name in enumerate(names) if undecayed is not None and undecayed.search(name)]
    if not inside & set(by_pattern):
        return f"{said} Give them one learning rate and weight decay to keep them together."
    kept = [name for i, name in enumerate(names) if i in by_pattern and i not in inside]
    pattern = "|".join(re.escape(name) for name in kept)
    if {name for name in names if kept and re.search(pattern, name)} != set(kept):
        pattern = f"^({pattern})$"
    keeps = f"--no-decay '{pattern}'" if kept else "no --no-decay"
    return f"{said} To keep them together: {keeps}."


def _missing(objective: Objective, found: Groups) -> str:
    free = [leaf.path for leaf in found.leaves if leaf.kind not in ("invariant", "dead")]
    if not free:
        return (
            f"{objective.name!r}: an epsilon in a normalization breaks the scale invariance of its weights; give "
            "learning_rate (--learning-rate ETA), with which it is taken as it is."
        )
    more = f" and {len(free) - 3} more" if len(free) > 3 else ""
    return (
        f"{objective.name!r} has weights that are not scale-invariant ({', '.join(free[:3])}{more}), and see the "
        "learning rate itself: give learning_rate (compare --learning-rate ETA)."
    )


@lru_cache(maxsize=64)
def _made(
    objective: Objective, leaves: Leaves, rates: tuple[float, ...], decays: tuple[float, ...],
    spheres: tuple[tuple[int, ...], ...], invariant: tuple[int, ...],
) -> Coordinates:  # fmt: skip
    roots = tuple(math.sqrt(eta) for eta in rates)
    length = float(np.linalg.norm(objective.start / np.repeat(roots, leaves.sizes)))
    # A power of two, so that starts next to each other share what is compiled.
    unit = 2.0 ** round(math.log2(length))
    scales = tuple(unit * root for root in roots)

    def weights(y: Any) -> Any:
        return jnp.concatenate([scale * y[part] for scale, part in zip(scales, leaves.slices, strict=True)])

    function, residuals = objective.function, objective.residuals
    scaled = replace(
        objective, function=lambda y: function(weights(y)),
        residuals=None if residuals is None else lambda y: residuals(weights(y)),
        start=objective.start / np.repeat(scales, leaves.sizes), leaves=None, rank=None,
        decay=tuple(zip(leaves.sizes, decays, strict=True)),
    )  # fmt: skip
    return Coordinates(objective, scaled, leaves, scales, rates, decays, spheres, 1 / unit**2, invariant)
