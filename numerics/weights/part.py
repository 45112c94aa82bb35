"""The scale-invariant part of a network: L as a function of those weights alone, all others held as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.objective import Objective
from sharpflow.numerics.weights.grouping import groups

__all__ = ["invariant_part"]

# An epsilon's effect falls as 1/|w|^2: at so many times the norm it is rounding.
FAR = 1e6


@lru_cache(maxsize=64)
def invariant_part(objective: Objective, /) -> tuple[Objective | None, str, bool]:
    """The part, a sentence on what it is, and whether others are held; the objective itself where all of it is one.

    ``None`` where no weight is scale-invariant. Where there is an epsilon the part is taken at a norm at which it has
    no effect: on the direction of the weights alone.
    """
    if objective.leaves is None or objective.decay is not None:
        return objective, "", False
    found = groups(objective)
    kept = [leaf.kind == "invariant" for leaf in found.leaves]
    effect = max((group.epsilon_effect for group in found.groups), default=0.0)
    if found.whole and not effect:
        return objective, "", False
    free = [leaf.path for leaf in found.leaves if leaf.kind in ("free", "homogeneous")]
    if not any(kept):
        more = f" and {len(free) - 3} more" if len(free) > 3 else ""
        return (
            None,
            (
                f"no weight of {objective.name} is scale-invariant ({', '.join(free[:3])}{more} see the learning rate "
                "itself): `sharpflow compare SPEC --learning-rate ETA` runs gradient descent beside their flow"
            ),
            False,
        )
    leaves, start = objective.leaves, objective.start
    own = np.concatenate([start[part] for part, own in zip(leaves.slices, kept, strict=True) if own])
    length = float(np.linalg.norm(own))

    def whole(theta: Any) -> Any:
        if effect:
            theta = FAR * length * theta / jnp.linalg.norm(theta)
        parts, first = [], 0
        for part, size, there in zip(leaves.slices, leaves.sizes, kept, strict=True):
            parts.append(theta[first : first + size] if there else jnp.asarray(start[part]))
            first += size if there else 0
        return jnp.concatenate(parts)

    function, residuals = objective.function, objective.residuals
    part = Objective(
        lambda theta: function(whole(theta)), own,
        None if residuals is None else lambda theta: residuals(whole(theta)), name=objective.name,
    )  # fmt: skip
    names = [leaf.path for leaf in found.leaves if leaf.kind == "invariant"]
    held = f"; {', '.join(free[:4])}{' ...' if len(free) > 4 else ''} held as they are at the start" if free else ""
    small = (
        f"; at a norm at which the epsilon in the normalization has no effect (at the start's it is {effect:.1e})"
        if effect else ""
    )  # fmt: skip
    return (
        part,
        (
            f"checked: the scale-invariant weights, {', '.join(names[:4])}{' ...' if len(names) > 4 else ''} "
            f"({len(own)} of "
            f"{objective.dimension}){held}{small}. `sharpflow inspect` tells all of them"
        ),
        bool(free),
    )
