"""A block of a sweep: B starts of one loss under one rule at one rate, gradient descent and the flow side by side.

Every program is vmapped over the starts and, on several devices, split over them; the cells of a block never speak to
each other, so that a result does not depend on how many of them run together (up to the last bits of a compiled sum).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Parts

from sharpflow.numerics.compiled import options
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.descent import parameters_of, prepare
from sharpflow.numerics.descent.forms import MINIMUM
from sharpflow.numerics.descent.law import law_of
from sharpflow.numerics.flows.chart_flow import ATOL, DESCENT, GAP, MAX_STEPS, RTOL, ChartFlow, derived_flow
from sharpflow.numerics.minima.retraction import analyse_traced
from sharpflow.numerics.objective import as_objective, require_scale_invariant
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["CHUNKS", "RECORDS", "BlockProgram", "Cells", "block_program"]

configure()

Array = jax.Array

# A block runs in so many chunks, between which signals are heard; each leaves so many records of the distance.
CHUNKS, RECORDS = 8, 8
# Averages are taken over the last quarter of the records, every second of which is analysed in full: one costs as much
# as some hundred iterations.
LAST, STRIDE = 2 * RECORDS, 2
# Newton that arrived leaves rounding; 1e-6 is above it and far below any oscillation.
ON_MINIMA = 1e-6
# The mean edge is 2 + O(intrinsic_lr); what left it is at 3 or 1 soon.
OFF_EDGE = 0.25


@dataclass(frozen=True)
class Cells:
    """Measurements of a block, one entry for each start (B,); nan where there is nothing to say.

    Attributes:
        steps: iterations of gradient descent.
        failed_at: the first of them that is not finite, -1 for none.
        flow_time: flow time that the flow reached.
        max_distance: largest chordal distance of theta_t from zeta(rate t) over the records that the flow reached.
        end_distance: the same at the last of them.
        end_distance_on_minima: with theta_t retracted to Gamma first.
        mean_edge: effective_lr*lambda_1 over the last quarter, effective_lr averaged over every step.
        mean_square: <|G|^2>/lambda_1^2 over every step of that quarter, in units of the rate: to leading order the mean
            square of the displacement along v_1.
        energy_start, energy_end: E of the oscillation over its least value; at the start, and the mean of the quarter.
        sharpness_start, sharpness_end: lambda_1 on Gamma.
        gap: the smallest (lambda_1 - lambda_2)/lambda_1 along the flow, at the records.
        result: how the cell ended, a value of `RESULTS`.
    """

    steps: np.ndarray
    failed_at: np.ndarray
    flow_time: np.ndarray
    max_distance: np.ndarray
    end_distance: np.ndarray
    end_distance_on_minima: np.ndarray
    mean_edge: np.ndarray
    mean_square: np.ndarray
    energy_start: np.ndarray
    energy_end: np.ndarray
    sharpness_start: np.ndarray
    sharpness_end: np.ndarray
    gap: np.ndarray
    result: np.ndarray


@lru_cache(maxsize=32)
def _program(loss: Identity[Loss], rule: Identity[Rule], devices: tuple[Any, ...]) -> BlockProgram:
    return BlockProgram(loss.value, rule.value, devices=devices)


def block_program(loss: Loss, rule: Rule, devices: Sequence[Any], /) -> BlockProgram:
    """The programs of a loss and a rule on these devices, made once."""
    return _program(Identity(loss), Identity(rule), tuple(devices))


class _SetOff(NamedTuple):
    """Where a cell sets off: on Gamma, v_1 and g/|g| there, the displacement, K, and the loss on Gamma."""

    zeta: Array
    top: Array
    along: Array
    x: Array
    log_gradient: Array
    minimum: Array


class BlockProgram:
    """The programs of one loss and one rule, compiled once for each block size.

    Args:
        loss: with minima in a chart, and a lambda_1 in closed form.
        rule: any that `sharpflow.numerics.descent.law.law_of` has a law for.
        devices: where the starts are split; default: the first device alone.

    Raises:
        InputError: the loss has no chart flow, or the rule no law.
    """

    def __init__(self, loss: Loss, rule: Rule, /, *, devices: Sequence[Any] | None = None) -> None:
        if loss.minima is None:
            raise InputError(f"loss {loss.name!r} has no minima; a sweep draws its starts from their chart.")
        require_scale_invariant(loss)
        flow = derived_flow(loss)
        if flow is None:
            raise InputError(
                f"loss {loss.name!r}: no closed form of lambda_1 in the chart was found, or none within the time "
                "limit of its derivation, so there is no flow to sweep. sharpflow derive says which."
            )
        self.loss, self.rule, self.law = loss, rule, law_of(rule)
        self.objective = as_objective(loss)
        self.rank = normal_rank(self.objective, self.objective.start)
        self.descent = prepare(loss, rule, records=RECORDS, means=True)
        self.chart_flow = ChartFlow(flow, None if self.law.coefficient else self.law.drift)
        chosen = list(devices) if devices else jax.devices()[:1]
        self.mesh = Mesh(np.array(chosen), ("cells",))
        split, whole = Parts("cells"), Parts()
        self._positions = jax.jit(jax.vmap(self._position, in_axes=(0, 0, None, 0, None)), compiler_options=options())
        self._begin = jax.jit(jax.vmap(self._start_cell, in_axes=(0, None, None)), compiler_options=options())
        self._advance = self._over_cells(self._advance_cell, (split, split, whole, whole))
        self._hurry = self._over_cells(self._hurry_cell, (split, split, whole, whole))
        self._look = jax.jit(jax.vmap(self._look_cell), compiler_options=options())
        # Only the descent is split. The rest costs little, and batches of small eigenproblems, which XLA hands to a
        # pool of threads, were seen to make two CPU devices wait for each other for ever.
        self._flow = jax.jit(jax.vmap(self._flow_cell, in_axes=(0, None, None)), compiler_options=options())

    @property
    def devices(self) -> int:
        """How many devices the cells are split over."""
        return int(self.mesh.devices.size)

    def _over_cells(self, function: Callable[..., Any], parts: tuple[Any, ...]) -> Callable[..., Any]:
        """``function`` of one cell over a block: vmapped where the argument is split, shared elsewhere."""
        axes = tuple(0 if part == Parts("cells") else None for part in parts)
        mapped = jax.vmap(function, in_axes=axes)
        if self.devices > 1:
            mapped = jax.shard_map(mapped, mesh=self.mesh, in_specs=parts, out_specs=Parts("cells"), check_vma=False)
        return jax.jit(mapped, compiler_options=options())

    def _position(self, theta: Array, effective_lr: Array, parameters: Any, start: _SetOff, rate: Array) -> Any:
        position, state = self.descent.form.begin(theta, effective_lr, parameters)
        return position, self.law.begin(
            state, position, zeta=start.zeta, top=start.top, along=start.along, x=start.x, rate=rate,
            log_gradient=start.log_gradient,
        )  # fmt: skip

    def _start_cell(self, p: Array, rate: Array, amplitude: Array) -> tuple[Any, ...]:
        zeta = jnp.asarray(self.chart_flow.look(p)[1])
        normal = analyse_traced(self.objective, zeta, self.rank)
        back = normal.retraction
        squared = normal.log_gradient @ normal.log_gradient
        square = self.law.mean_square(squared, normal.sharpness)
        x = amplitude * jnp.sqrt(square * rate)
        theta = back.point + x * normal.top
        effective_lr = self.law.edge / normal.sharpness if self.law.smooth else jnp.full((), jnp.nan)
        good = jnp.maximum(back.distance, back.residual) < ON_MINIMA
        along = normal.log_gradient / jnp.maximum(jnp.sqrt(squared), 1e-300)
        set_off = _SetOff(back.point, normal.top, along, x, jnp.sqrt(squared), self.objective.function(back.point))
        return theta / jnp.linalg.norm(theta), effective_lr, normal.sharpness, good, set_off

    def _advance_cell(self, position: Array, state: Any, parameters: Any, every: Array) -> tuple[Any, ...]:
        """A chunk with the means of effective_lr and |G|^2, and the count of its finite steps."""
        position, state, alive, records, means = self.descent.trace(position, state, parameters, every)
        return position, state, records[0], records[1], jnp.stack(means[1:], axis=-1), alive

    def _hurry_cell(self, position: Array, state: Any, parameters: Any, every: Array) -> tuple[Any, ...]:
        """A chunk with nothing but its records; a step costs a tenth less."""
        form, value_and_gradient = self.descent.form, jax.value_and_grad(self.objective.function)

        def step(_: Any, carry: Any) -> Any:
            position, state = carry
            return form.step(position, state, value_and_gradient, parameters)[:2]

        def record(carry: Any, _: Any) -> Any:
            carry = jax.lax.fori_loop(0, every, step, carry)
            return carry, form.read(carry[0], carry[1], parameters)[:2]

        first = form.read(position, state, parameters)[:2]
        (position, state), rest = jax.lax.scan(record, (position, state), None, length=RECORDS)
        points, effective_lr = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
        return position, state, points, effective_lr

    def _look_cell(self, points: Array) -> tuple[Array, ...]:
        def one(theta: Array) -> tuple[Array, ...]:
            normal = analyse_traced(self.objective, theta, self.rank)
            back = normal.retraction
            # The signed displacement along v_1 enters squared only.
            along = (theta - back.point) @ normal.top
            squared = normal.log_gradient @ normal.log_gradient
            square = self.law.mean_square(squared, normal.sharpness)
            return back.point, back.residual, normal.sharpness, along**2, square

        return jax.vmap(one)(points)

    def _flow_cell(self, p: Array, times: Array, coefficient: Array) -> tuple[Any, ...]:
        """(points, sharpness, gap) at ``times``, nan beyond the end; the end, and the integrator's code."""
        field, look = self.chart_flow.vector_field, self.chart_flow.look
        out = diffrax.diffeqsolve(
            diffrax.ODETerm(field), diffrax.Tsit5(), t0=0.0, t1=times[-1], dt0=jnp.minimum(times[-1], 1e-3), y0=p,
            args=coefficient, saveat=diffrax.SaveAt(ts=times, t1=True),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL, dtmin=1e-12, force_dtmin=False),
            event=diffrax.Event(lambda t, y, args, **_: self.chart_flow.ended(y)), max_steps=MAX_STEPS, throw=False,
        )  # fmt: skip
        assert out.ts is not None
        assert out.ys is not None
        # The record at t1 is there in any case; what an event cut off is infinite.
        reached = jnp.max(jnp.where(jnp.isfinite(out.ts), out.ts, 0.0))
        path = jnp.where(jnp.isfinite(out.ys[:-1]), out.ys[:-1], p)
        _, points, sharpness, gap = jax.vmap(look)(path)
        inside = jax.vmap(self.chart_flow.inside)(path)
        return points, sharpness, gap, inside, reached, out.result._value

    def run(
        self, starts: np.ndarray, /, *, rate: float, time: float, amplitude: float = 1.2,
        between: Callable[[int], None] = lambda steps: None,
    ) -> Cells:  # fmt: skip
        """The block of ``starts`` (B, m) in the chart; ``between`` is called with the iterations done after each chunk.

        B is filled up to a multiple of the number of devices by repeating the last start.
        """
        count = len(starts)
        padded = np.concatenate([starts, np.repeat(starts[-1:], -count % self.devices, axis=0)])
        every = max(2, 2 * round(time / rate / (2 * CHUNKS * RECORDS)))
        steps = CHUNKS * RECORDS * every
        times = np.arange(CHUNKS * RECORDS + 1) * (every * rate)
        parameters = parameters_of(self.rule, rate, None)
        begun = self._begin(padded, np.float64(rate), np.float64(amplitude))
        theta, effective_lr, sharpness, good = (np.asarray(a) for a in begun[:4])
        minimum = np.asarray(begun[4].minimum)
        parameters[MINIMUM] = np.float64(np.min(minimum))  # the loss is constant along Gamma
        coefficient = np.asarray(self.law.coefficient or DESCENT, dtype=float)
        flow = jax.block_until_ready(self._flow(padded, self.law.clock(times), coefficient))
        position, state = self._placed(self._positions(theta, effective_lr, parameters, begun[4], np.float64(rate)))
        series: list[Any] = []
        means: list[Any] = []
        finite = np.zeros(len(padded), dtype=int)
        for chunk in range(CHUNKS):
            before, averaged = (position, state), chunk >= CHUNKS - LAST // RECORDS
            program = self._advance if averaged else self._hurry
            position, state, *found = program(position, state, parameters, np.int64(every))
            points = np.asarray(found[0])
            if averaged:
                means.append(np.asarray(found[2]))
                finite += np.asarray(found[3])
            elif np.isfinite(points).all():
                finite += RECORDS * every
            else:  # which step it was is asked only where there was one
                finite += np.asarray(self._advance(*before, parameters, np.int64(every))[5])
            rest = slice(0 if chunk == 0 else 1, None)  # the record that a chunk begins with ended the one before
            series.append((points[:, rest], np.asarray(found[1])[:, rest]))
            between((chunk + 1) * RECORDS * every)
        points, recorded = (np.concatenate(parts, axis=1) for parts in zip(*series, strict=True))
        last = np.arange(-LAST - 1, 0, STRIDE)
        chosen = np.concatenate([[0], last])
        look = [np.asarray(a) for a in self._look(points[:, chosen])]
        pairs = np.concatenate(means, axis=1).reshape(len(padded), -1, STRIDE, 2)
        measured = _Measured(
            points, recorded[:, chosen], pairs.mean(axis=2), look, [np.asarray(a) for a in flow],
            np.asarray(sharpness), np.asarray(good), finite, steps, every * rate * CHUNKS * RECORDS,
        )  # fmt: skip
        whole = self._collect(measured, rate)
        return Cells(**{name: getattr(whole, name)[:count] for name in Cells.__dataclass_fields__})

    def _placed(self, cells: Any) -> Any:
        return jax.device_put(cells, NamedSharding(self.mesh, Parts("cells")))

    def _collect(self, m: _Measured, rate: float) -> Cells:
        zeta, _, gap, inside, reached, code = m.flow
        back, residual, sharpness, along, square = m.look
        step = m.time / (CHUNKS * RECORDS)
        tau = np.arange(CHUNKS * RECORDS + 1) * step
        alive = tau[None] <= reached[:, None] * (1 + 1e-12)
        alive &= (gap >= GAP) & (inside > 0)
        # What follows the first record at which the flow has ended is not the flow any more.
        alive = np.logical_and.accumulate(alive, axis=1)
        distance = np.where(alive, np.linalg.norm(m.points - zeta, axis=2), np.nan)
        last = np.maximum(alive.sum(axis=1) - 1, 0)
        row = np.arange(len(last))
        on_minima = np.where(alive[:, -1], np.linalg.norm(back[:, -1] - zeta[:, -1], axis=1), np.nan)
        # In between effective_lr is averaged over every step, lambda_1 by the trapezoid of the two ends.
        between = (sharpness[:, 1:-1] + sharpness[:, 2:]) / 2
        edge = m.means[..., 0] * between
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_square = np.mean(m.means[..., 1] / between**2, axis=1) / rate
            u = (m.effective_lr * sharpness - self.law.edge) / math.sqrt(rate)
            y = np.log(along / (square * rate))
            height = self.law.drive / (2 * self.law.alpha) if self.law.smooth else math.nan
            energy = u**2 / 2 + height * (np.exp(y) - 1 - y)
            mean_edge = np.mean(edge, axis=1) if self.rule.has_effective_lr else np.full(len(last), np.nan)
        failed = np.where(m.finite < m.steps, m.finite + 1, -1)
        result = self._results(m, failed, code, alive, gap, inside, residual, mean_edge)
        return Cells(
            steps=np.full(len(last), m.steps), failed_at=failed, flow_time=tau[last],
            max_distance=np.fmax.reduce(distance, axis=1), end_distance=distance[row, last],
            end_distance_on_minima=on_minima, mean_edge=mean_edge, mean_square=mean_square,
            energy_start=energy[:, 0], energy_end=np.mean(energy[:, 1:], axis=1),
            sharpness_start=m.sharpness, sharpness_end=sharpness[:, -1],
            gap=np.fmin.reduce(np.where(alive, gap, np.nan), axis=1), result=result,
        )  # fmt: skip

    def _results(
        self, m: _Measured, failed: np.ndarray, code: np.ndarray, alive: np.ndarray, gap: np.ndarray,
        inside: np.ndarray, residual: np.ndarray, mean_edge: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """The first thing that went wrong in each cell, in the order of what causes what."""
        ended = ~alive[:, -1]
        first = np.argmax(~alive, axis=1)
        row = np.arange(len(first))
        crossed = ended & (gap[row, first] < 10 * GAP)
        full = code == int(diffrax.RESULTS.max_steps_reached._value)  # type: ignore[attr-defined]
        small = code == int(diffrax.RESULTS.dt_min_reached._value)  # type: ignore[attr-defined]
        off = (
            np.abs(mean_edge - self.law.edge) > OFF_EDGE * self.law.edge
            if self.law.smooth
            else np.zeros(len(first), dtype=bool)
        )
        lost = ~np.all(residual < ON_MINIMA, axis=1)
        return np.select(
            [~m.good, failed >= 0, crossed, ended & full, ended & small, ended, lost, off | ~np.isfinite(m.sharpness)],
            [RESULTS.NOT_AT_MINIMA, RESULTS.DIVERGED, RESULTS.GAP_CLOSED, RESULTS.MAX_STEPS, RESULTS.STEPSIZE_UNDERFLOW,
             RESULTS.LEFT_CHART, RESULTS.LEFT_MINIMA, RESULTS.OFF_EDGE],
            RESULTS.SUCCESSFUL,
        ).astype("U24")  # fmt: skip


@dataclass(frozen=True)
class _Measured:
    """All that the programs returned for a block, on the host."""

    points: np.ndarray
    effective_lr: np.ndarray
    means: np.ndarray
    look: list[np.ndarray]
    flow: list[np.ndarray]
    sharpness: np.ndarray
    good: np.ndarray
    finite: np.ndarray
    steps: int
    time: float
