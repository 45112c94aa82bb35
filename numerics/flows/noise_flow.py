"""The flow under label noise: the central path of the edge problem, for any rule and any number of eigenvalues.

Residuals r + s xi with fresh xi ~ N(0, I) in every step, s^2 = nu*rate. For gradient descent with weight decay

    d zeta/d tau = -grad_Gamma of -(nu e/2) log det(2 - e J J^T),    d log e/d tau = 2 - 2 nu e^2 sum_i h_i/(2 - e h_i)

with e = effective_lr and h_i the eigenvalues of the n x n Gram matrix J J^T of the residuals on Gamma; for another rule
what its linearised step gives (`sharpflow.theory.noise.moments`). A smooth equation without complementarity, stiff
where 2 - e h_1 is small. No rate occurs.
"""

from __future__ import annotations

import math
import time as clock
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.flows.noise_step import Field, NoiseState, advance, coefficients_of
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.numbers import check_positive, check_time
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.residuals import residual_count, settle
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import unit_vector
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.noise.moments import noise_law
from sharpflow.theory.rule import Rule

__all__ = ["noise_flow"]

configure()

Array = jax.Array

# Local error of a step, of the point and of log effective_lr: some 50 of them end within 3e-4 of a run at 1e-8.
TOLERANCE = 1e-4
# Eigenvalues that are taken implicitly; further ones are taken explicitly, at smaller steps where they near the edge.
STIFF = 4
# The first step, and how many are kept.
FIRST_STEP, BUFFER = 1e-3, 1024
SMALLEST = 1e-9


def _trace(field: Field) -> Any:
    def run(point: Array, log_lr: Array, noise: Array, end: Array, tolerance: Array, first: Array) -> tuple[Any, ...]:
        top = jnp.zeros((BUFFER, min(2 * field.k, field.count)))
        rows = (jnp.zeros(BUFFER), jnp.zeros((BUFFER, len(point))), jnp.zeros(BUFFER), top)

        def write(rows: Any, at: Array, s: NoiseState) -> Any:
            spectrum = field.look(s.point).values[::-1][: rows[3].shape[1]]
            new = (s.time, s.point, s.log_lr, spectrum)
            return jax.tree.map(lambda buffer, value: buffer.at[at].set(value), rows, new)

        def going(carry: Any) -> Array:
            s, kept, _ = carry
            return (s.time < end) & (kept < BUFFER) & (s.step > SMALLEST)

        def try_one(carry: Any) -> Any:
            s, kept, rows = carry
            s, accept = advance(field, s, noise, end, tolerance)
            # A rejected try writes its state once more, over what stands there.
            rows = write(rows, kept - 1 + accept, s)
            return s, kept + accept, rows

        zero = jnp.zeros(())
        begin = NoiseState(zero, first, point, log_lr, jnp.zeros((), int))
        carry = (begin, jnp.ones((), int), write(rows, jnp.zeros((), int), begin))
        last: tuple[Any, ...] = jax.lax.while_loop(going, try_one, carry)
        return last

    return run


@lru_cache(maxsize=64)
def _compiled(objective: Objective, rule: Identity[Rule], k: int) -> tuple[Compiled, Field]:
    assert objective.residuals is not None
    count = residual_count(objective)
    assert count is not None
    field = Field(objective.residuals, coefficients_of(noise_law(rule.value)), k, count)
    return Compiled(_trace(field)), field


def noise_flow(
    subject: Loss | Objective, start: Any = None, /, *, noise: float, effective_lr: float, time: float,
    rule: Rule | None = None, tolerance: float = TOLERANCE,
) -> Path:  # fmt: skip
    """zeta(tau) and effective_lr under label noise, 0 <= tau <= time (flow time).

    Args:
        subject: an objective with residuals that vanish on Gamma, any number of them at the edge.
        start: (D,), on Gamma or near it (brought there by Newton; from elsewhere `relax` leads there); default the
            objective's.
        noise: nu, the variance of the label noise over the rate.
        effective_lr: at the start, below the edge of the rule.
        time: flow time to go.
        rule: default gradient descent with weight decay; any rule that has a linearised step on Gamma.
        tolerance: local error of a step.

    Returns:
        the path; its ``spectrum`` holds the top eigenvalues of J J^T, its ``sigma`` is ``None``.

    Raises:
        InputError: a number is out of range, there are no residuals that vanish, or the rule has no stationary moments.

    Examples:
        >>> import jax.numpy as jnp
        >>> from sharpflow import Objective, noise_flow
        >>> r = lambda w: jnp.stack([w[2] / jnp.linalg.norm(w) * jnp.sqrt(2 + (w[0]**2 - w[1]**2) / (w @ w))])
        >>> ridge = Objective(lambda w: r(w) @ r(w) / 2, (0.94, 0.34, 0.0), r, name="ridge")
        >>> path = noise_flow(ridge, noise=0.1, effective_lr=0.5, time=1.0)
        >>> path.result.value, bool(path.sharpness[-1] < path.sharpness[0])
        ('successful', True)
    """
    from sharpflow.theory.rules.gd_wd import rule as gd_wd

    objective, rule = as_objective(subject), gd_wd if rule is None else rule
    check_time(time)
    check_positive("noise", noise)
    check_positive("tolerance", tolerance)
    count = residual_count(objective)
    if count is None:
        raise InputError(
            f"{objective.name!r} has no residuals, and label noise is noise of these: give Objective(..., "
            "residuals=...) with L = |residuals|^2/2."
        )
    objective, zeta = settle(objective, unit_vector(objective, objective.start if start is None else start, "start"))
    if objective.residuals is None:
        raise InputError(
            f"{objective.name!r}: the residuals do not vanish near the start; begin at "
            "sharpflow.relax(objective, start).point, on minima that interpolate."
        )
    program, field = _compiled(objective, Identity(rule), min(STIFF, count))
    run = program
    sharpness = float(np.linalg.norm(np.asarray(jax.jacrev(objective.residuals)(zeta)), 2) ** 2)
    e = check_positive("effective_lr", effective_lr)
    if not e * sharpness < field.law.edge:
        raise InputError(
            f"effective_lr = {e:g} must be below {field.law.edge / sharpness:g}, the edge of {rule.name!r} at the "
            f"start of {objective.name!r}: noise has no stationary variance there."
        )
    before, started = run.seconds, clock.perf_counter()
    numbers = (np.float64(v) for v in (math.log(e), noise, time, tolerance, min(FIRST_STEP, time / 10)))
    s, kept, rows = run(zeta, *numbers)
    times, points, log_lr, spectrum = (np.asarray(a)[: int(kept)] for a in rows)
    seconds = clock.perf_counter() - started - (run.seconds - before)
    result = RESULTS.SUCCESSFUL
    if times[-1] < time:
        result = RESULTS.MAX_STEPS if int(kept) >= BUFFER else RESULTS.STEPSIZE_UNDERFLOW
    off = float(np.linalg.norm(np.asarray(objective.residuals(points[-1])))) / math.sqrt(spectrum[-1, 0])
    return Path(
        times, points, np.exp(log_lr), spectrum, None, result, name=objective.name, seconds=seconds,
        compile_seconds=run.seconds, smooth=True, rejected=int(s.rejected), off_minima=off,
    )  # fmt: skip
