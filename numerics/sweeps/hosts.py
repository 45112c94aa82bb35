"""A sweep shared by the processes of `jax.distributed`: process i of n takes every n-th block.

Blocks do not speak to each other, so that only the beginning and the end are common: all must hold the same plan, and
the directory, which all must see, is whole when the last one is through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sharpflow.numerics.sweeps.plan import make_plan
from sharpflow.numerics.sweeps.store import SweepFiles
from sharpflow.numerics.sweeps.sweep import Sweep, read_sweep, sweep
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss

__all__ = ["share"]


def share(
    losses: Sequence[Loss], /, *, resume: bool, about: dict[str, Any], shard: tuple[int, int], **options: Any
) -> Sweep:
    """`sharpflow.numerics.sweeps.sweep.sweep` in every process of an initialised `jax.distributed`.

    Raises:
        InputError: the processes were started with different grids, or with ``shard``, which is decided here.
    """
    import jax
    from jax.experimental import multihost_utils

    if shard != (0, 1):
        raise InputError("--shard and --distributed exclude each other: the processes share the blocks by themselves.")
    names = ("rates", "starts", "seed", "time", "amplitude", "block")
    plan = make_plan(losses, options["rules"], devices=options["devices"], **{name: options[name] for name in names})
    mine = np.frombuffer(bytes.fromhex(plan.digest), dtype=np.uint8).astype(np.int32)
    everyone = np.asarray(multihost_utils.process_allgather(mine)).reshape(-1, len(mine))
    if not (everyone == mine).all():
        raise InputError("the processes were started with different grids; give all of them the same arguments.")
    made = np.ones(1, dtype=np.int32)
    problem: InputError | None = None
    if not resume and jax.process_index() == 0:
        try:
            SweepFiles.begin(options["out"], plan, about)
        except InputError as error:
            made, problem = np.zeros(1, dtype=np.int32), error
    if not np.asarray(multihost_utils.process_allgather(made)).all():
        raise problem or InputError("the first process could not make the directory; its message says why.")
    result = sweep(
        losses, resume=True, about=about, shard=(jax.process_index(), jax.process_count()), **options
    )  # fmt: skip
    multihost_utils.sync_global_devices("every shard is through")
    if not result.missing:
        return result
    if jax.process_index() == 0:
        SweepFiles.open(options["out"]).seal()
    return read_sweep(options["out"])
