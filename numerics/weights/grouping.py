"""The scale-invariant weights of a network, alone or together, by measurement.

    L(c^a w) = c^k L(w):        sum_i a_i <grad_i L, w_i> = k L        (first order)
                                Hess L (a w) + a grad L = k grad L     (second)

of leaves i scaled by c^(a_i), at random points around the start and for random c. An epsilon in a normalization breaks
the identities by its share of the variance it stands beside, which falls as 1/c^2 where the leaves grow: so it is told
from a loss that is not invariant.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import jax
import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.leaves import Leaves
from sharpflow.numerics.numbers import generator
from sharpflow.numerics.objective import Objective, as_objective, require_scale_invariant
from sharpflow.numerics.weights.scalings import disjoint, kernel, simplest, sums
from sharpflow.theory.loss import Loss

__all__ = ["Group", "Groups", "LeafKind", "groups"]

Kind = Literal["invariant", "homogeneous", "dead", "free"]

# Of each leaf, in units of its root mean square: far enough that no two leaves look alike.
SPREAD = 0.3
# Sums of some thousand products, through some ten layers, each 1e-16: what is below is rounding.
ROUNDING = 1e-9
# Where the first identity fails by more, at weights of their own size, an epsilon is no longer a small effect.
SMALL = 0.05
# Grown by so much an epsilon's effect falls to a 64th; half of that is asked for.
GROWN, FALLS = 8.0, 32.0


@dataclass(frozen=True)
class LeafKind:
    """A leaf of the weights and what scaling it does.

    Attributes:
        path, shape: of the leaf; share: of |start|^2.
        kind: invariant, alone or in its group; homogeneous, L(c w) = c^degree L(w); dead, grad L = 0; or free.
        group: the number of its group in `Groups.groups`; ``None`` where it is in none.
        degree: 0 of what is invariant or dead; ``None`` of what is free.
        units: "columns" (last axis) or "rows" (first) where each is invariant by itself; else "".
        epsilon_effect: of the group, how far the first identity fails at the start's size, of what it could at most; 0
            where it is rounding.
    """

    path: str
    shape: tuple[int, ...]
    share: float
    kind: Kind
    group: int | None = None
    degree: float | None = None
    units: str = ""
    epsilon_effect: float = 0.0


@dataclass(frozen=True)
class Group:
    """Leaves that are invariant together, L(c w) = L(w) where all of them are scaled, and no part of them is."""

    leaves: tuple[str, ...]
    size: int
    epsilon_effect: float = 0.0


@brief
@dataclass(frozen=True)
class Groups:
    """The scale-invariant weights of a network, and the rest.

    Attributes:
        name: of the objective.
        leaves: each with its kind.
        groups: invariant ones, without a leaf in common.
        rescaled: pairs of sets of leaves that rescale against each other: L does not change where one is multiplied by
            c and the other divided by it.
        proved: whether that is proved, of a formula, and not only measured.
    """

    name: str
    leaves: tuple[LeafKind, ...]
    groups: tuple[Group, ...]
    rescaled: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    proved: bool = False

    @property
    def whole(self) -> bool:
        """True where all weights together are invariant: the loss lives on one sphere."""
        return all(leaf.kind in ("invariant", "dead") for leaf in self.leaves)

    def to_json(self) -> dict[str, Any]:
        """{"leaves": [...], "groups": [...], "rescaled": [...]}, for `json.dumps`."""
        return {
            "name": self.name,
            "leaves": [{**asdict(leaf), "shape": list(leaf.shape)} for leaf in self.leaves],
            "groups": [{**asdict(group), "leaves": list(group.leaves), "kind": "invariant"} for group in self.groups],
            "rescaled": [[list(up), list(down)] for up, down in self.rescaled],
            "proved": self.proved,
        }


class _Measured:
    """Values and gradients of an objective at scaled points."""

    def __init__(self, objective: Objective, leaves: Leaves, points: np.ndarray) -> None:
        self.leaves, self.points = leaves, points
        self._both = Compiled(jax.value_and_grad(objective.function))
        self._second = objective.hvp
        self.here = self.at(np.zeros(len(leaves.names)))

    def at(self, exponents: np.ndarray, c: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(S, D) points with leaf i multiplied by c^(a_i), L (S,) and grad L (S, D) there."""
        factors = np.repeat(c ** np.asarray(exponents, dtype=float), self.leaves.sizes)
        points = self.points * factors
        found = [self._both(w) for w in points]
        return points, np.array([float(v) for v, _ in found]), np.array([np.asarray(g) for _, g in found])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(S, m), of each leaf, of values (S, D)."""
        return np.stack([values[:, part].sum(axis=1) for part in self.leaves.slices], axis=1)

    def parts(self, looked: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        """<grad_i L, w_i> (S, m), and |grad_i L| |w_i|, which it is at most."""
        w, g = looked[0], looked[2]
        return self.sums(w * g), np.sqrt(self.sums(w**2) * self.sums(g**2))

    def violation(self, a: np.ndarray, c: float = 1.0) -> float:
        """|sum a_i <grad_i L, w_i>| over what it could be at most, the largest of the points with leaves grown by c."""
        inner, size = self.parts(self.at(np.abs(a), c) if c != 1 else self.here)
        return float((np.abs(inner @ a) / np.maximum(size @ np.abs(a), np.finfo(float).tiny)).max())

    def second(self, a: np.ndarray, degree: float = 0.0) -> float:
        """|Hess L (a w) + a grad L - k grad L| over the size of its parts, the largest of three points."""
        factors = np.repeat(np.asarray(a, dtype=float), self.leaves.sizes)
        worst = 0.0
        for w, g in zip(self.points[:3], self.here[2][:3], strict=True):
            product = np.asarray(self._second(w, factors * w))
            size = float(np.linalg.norm(product) + np.linalg.norm((np.abs(factors) + abs(degree)) * g))
            worst = max(worst, float(np.linalg.norm(product + (factors - degree) * g)) / max(size, 1e-300))
        return worst

    def scaled(self, a: np.ndarray, degree: float, random: np.random.Generator) -> float:
        """|L(c^a w) - c^k L(w)| over the largest |L|, the largest of the points, c in [1/4, 4]."""
        c = float(4 ** random.uniform(-1, 1))
        values = self.at(a, c)[1]
        return float(np.abs(values - c**degree * self.here[1]).max() / np.abs(self.here[1]).max())

    def holds(self, a: np.ndarray, random: np.random.Generator) -> float | None:
        """The effect of an epsilon on the invariance (0: rounding), or ``None`` where there is no invariance."""
        first = self.violation(a)
        # Gradients that cancel in every point but not between them: values and second derivatives say so.
        others = max(self.second(a), self.scaled(a, 0.0, random))
        if max(first, others) <= ROUNDING:
            return 0.0
        if int(np.min(a)) < 0 or max(first, others) > SMALL:
            return None
        return first if self.violation(a, GROWN) <= max(first / FALLS, ROUNDING) else None


def _points(objective: Objective, leaves: Leaves, count: int, random: np.random.Generator) -> np.ndarray:
    """(S, D) around the start: a leaf of zeros, as biases begin, is moved as those that are not."""
    start = objective.start
    sizes = np.array([np.sqrt(np.mean(start[part] ** 2)) for part in leaves.slices])
    usual = np.median(sizes[sizes > 0])
    spread = np.repeat(np.where(sizes > 0, sizes, usual), leaves.sizes)
    return start + SPREAD * spread * random.standard_normal((count, len(start)))


def groups(subject: Loss | Objective, /, *, seed: int = 0) -> Groups:
    """The scale-invariant weights of a network: each leaf alone, leaves together, and what rescales against what.

    Args:
        subject: an objective, of a tree of arrays to be told leaf by leaf; a loss is one leaf, and what is said of it
            is proved.
        seed: of the random points.

    Examples:
        >>> import jax.numpy as jnp
        >>> from sharpflow import Objective, groups
        >>> def loss(p):
        ...     return jnp.sum((p["gain"] * p["w"] / jnp.linalg.norm(p["w"]) - 1.0) ** 2)
        >>> found = groups(Objective(loss, {"w": jnp.arange(1.0, 4.0), "gain": jnp.ones(2)[:1]}))
        >>> [(leaf.path, leaf.kind) for leaf in found.leaves]
        [('gain', 'free'), ('w', 'invariant')]
    """
    if isinstance(subject, Loss):
        require_scale_invariant(subject)
        shape = (subject.dimension,)
        leaf = LeafKind("w", shape, 1.0, "invariant", 0, 0.0)
        return Groups(subject.name, (leaf,), (Group(("w",), subject.dimension),), proved=True)
    return _groups(as_objective(subject), seed)


@lru_cache(maxsize=64)
def _groups(objective: Objective, seed: int) -> Groups:
    leaves = objective.leaves or Leaves(("w",), ((objective.dimension,),), None)
    random, m = generator(seed), len(leaves.names)
    measured = _Measured(objective, leaves, _points(objective, leaves, 2 * m + 6, random))
    inner, size = measured.parts(measured.here)
    whole = size.sum(axis=1, keepdims=True)
    kinds: list[Kind] = ["dead" if (size[:, [i]] <= ROUNDING * whole).all() else "free" for i in range(m)]
    found: list[tuple[np.ndarray, float]] = []
    for i in range(m):
        if kinds[i] == "free" and (effect := measured.holds(_only(i, m), random)) is not None:
            found.append((_only(i, m), effect))
    rest = [i for i in range(m) if kinds[i] == "free" and not any(a[i] for a, _ in found)]
    basis = []
    for short in simplest(kernel(inner[:, rest], size[:, rest])):
        a = np.zeros(m, dtype=int)
        a[rest] = short
        a = a if a.sum() >= 0 else -a
        if measured.holds(a, random) is not None:
            basis.append(a)
    for a in disjoint(sums(basis), leaves.sizes) if basis else []:
        if (effect := measured.holds(a, random)) is not None:
            found.append((a, effect))
    degrees: dict[int, float] = {}
    taken = {i for a, _ in found for i in np.flatnonzero(a)}
    for i in rest:
        if i not in taken and (degree := _degree(measured, inner[:, i], _only(i, m), random)) is not None:
            kinds[i], degrees[i] = "homogeneous", degree
    norms = np.array([np.sum(objective.start[part] ** 2) for part in leaves.slices])
    told = [
        LeafKind(name, shape, float(share), kind, degree=0.0 if kind == "dead" else degrees.get(i))
        for i, (name, shape, share, kind) in enumerate(
            zip(leaves.names, leaves.shapes, norms / norms.sum(), kinds, strict=True)
        )
    ]
    for number, (a, effect) in enumerate(found):
        for i in np.flatnonzero(a).tolist():
            units = _units(measured, leaves, i) if a.sum() == 1 else ""
            told[i] = replace(told[i], kind="invariant", group=number, degree=0.0, units=units, epsilon_effect=effect)

    def named(chosen: np.ndarray) -> tuple[str, ...]:
        return tuple(name for name, there in zip(leaves.names, chosen, strict=True) if there)

    sets = tuple(Group(named(a > 0), int(a @ np.asarray(leaves.sizes)), effect) for a, effect in found)
    pairs = tuple((named(a > 0), named(a < 0)) for a in basis if min(a) == -1 and max(a) == 1)
    return Groups(objective.name, tuple(told), sets, pairs)


def _only(i: int, m: int) -> np.ndarray:
    return np.eye(m, dtype=int)[i]


def _degree(measured: _Measured, inner: np.ndarray, a: np.ndarray, random: np.random.Generator) -> float | None:
    """k of L(c w_i) = c^k L(w), where that holds."""
    with np.errstate(all="ignore"):
        ratios = inner / measured.here[1]
    degree = float(np.median(ratios))
    if not np.isfinite(ratios).all() or np.abs(ratios - degree).max() > ROUNDING * max(abs(degree), 1):
        return None
    good = max(measured.second(a, degree), measured.scaled(a, degree, random)) <= ROUNDING
    return round(degree, 9) if good else None


def _units(measured: _Measured, leaves: Leaves, i: int) -> str:
    """The units of a leaf, columns or rows, where each by itself is invariant, as far as the leaf is."""
    shape, part = leaves.shapes[i], leaves.slices[i]
    if len(shape) < 2:
        return ""
    w, _, g = (a[:, part].reshape(-1, *shape) if np.ndim(a) > 1 else a for a in measured.here)
    for name, axes in (("columns", tuple(range(1, len(shape)))), ("rows", tuple(range(2, len(shape) + 1)))):
        inner, size = (w * g).sum(axis=axes), np.sqrt((w**2).sum(axis=axes) * (g**2).sum(axis=axes))
        if shape[-1 if name == "columns" else 0] > 1 and (np.abs(inner) <= SMALL * size + ROUNDING * size.max()).all():
            return name
    return ""
