"""The oscillation at the edge itself: x_t, effective_lr and the place on Gamma, step by step of gradient descent.

    y' = 2 alpha U + delta ...,    U' = a - b X^2 + delta ...,    sigma' = delta (X^2/<X^2> + delta ...)

in the fast time T = delta t, delta = sqrt(rate), with X^2 = e^y, x = delta X along v_1 at even t, effective_lr*lambda_1
= edge + delta U, and <X^2> = a/b (for gradient descent with weight decay alpha = 1, a = 4, b = 2 (4 + K^2), edge 2).
The terms of the next order are those of `sharpflow.theory.edge.energy_law`, the two-step map of the rule: they hold
how the oscillation grows or dies out, and they keep its phase right over times of order 1/rate. Gamma is passed along
the curve of the averaged flow, d zeta/d sigma = -D g, as the drift points along g whatever X is: so all that is known
of the loss is a table along that one curve, which no rate enters, and three equations are left to solve. On odd t one
step of the same map follows.

One eigenvalue is at the edge; where a second one meets it the curve ends (gap_closed). Terms of relative order rate are
left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from sharpflow.numerics.brief import brief
from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure
from sharpflow.numerics.descent.law import Law, law_of
from sharpflow.numerics.flows.path import Path
from sharpflow.numerics.formulas import lambdify
from sharpflow.numerics.numbers import check_amplitude, check_iterations, check_rate, check_time
from sharpflow.numerics.objective import Objective, as_objective
from sharpflow.numerics.predictions.curve import BLOCK, Curve, curve_along
from sharpflow.numerics.residuals import settle
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.spectrum.dense import normal_rank, unit_vector
from sharpflow.theory import rules
from sharpflow.theory.edge.edge_law import QUARTIC_RESPONSE
from sharpflow.theory.edge.jets import CUBIC, MIXED, QUARTIC, RATIO, K
from sharpflow.theory.edge.one_step import U, X
from sharpflow.theory.edge.series import DELTA
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["ResolvedPath", "resolved_flow"]

configure()

Array = jax.Array

# Local errors of y, U and sigma. A run at rate 1e-6 over flow time 3 has 1350 periods of some 40 steps; they are worth
# a phase of 1e-4 or so, a thousandth of intrinsic_lr's share in it.
RTOL, ATOL = 1e-9, 1e-10
MAX_STEPS = 10_000_000
# sigma runs ahead of flow time by delta (U_0 - U)/a, some delta for every orbit that is still a small one.
AHEAD, DOUBLINGS = 4.0, 4
# log X^2 beyond which nothing is left of an oscillation, or of the run.
LARGEST = 600.0


@brief
@dataclass(frozen=True, eq=False, kw_only=True)
class ResolvedPath(Path):
    """A `Path` of gradient descent itself at N iterations, predicted; it ends where ``result`` is not successful.

    ``points`` are theta_t, zeta + x v_1 + what the other normal directions follow with; ``result`` is successful,
    gap_closed, diverged, or max_steps.

    Attributes:
        rate: eps.
        steps: (N,) iterations t, of either parity.
        minima_points: (N, D) zeta, the point of Gamma next to theta_t.
        x: (N,) the displacement along v_1, with its sign (v_1's is that at the start, carried along).
        edge: (N,) effective_lr*lambda_1, lambda_1 that of zeta.
        energy: (N,) U^2/2 + (a/(2 alpha)) (X^2/<X^2> - 1 - log(X^2/<X^2>)).
    """

    rate: float
    steps: np.ndarray
    minima_points: np.ndarray
    x: np.ndarray
    edge: np.ndarray
    energy: np.ndarray


class _Fields:
    """The equations of one rule, as functions of numbers: made from what the exact wing derived."""

    def __init__(self, law: Law) -> None:
        single, energy = law.exact.single, law.exact.energy
        rule = law.exact.rule
        if single is None or energy is None or not rule.has_effective_lr or single.slow:
            raise InputError(f"rule {rule.name!r} has no slow oscillator in x and effective_lr alone to resolve.")
        steps, known = energy.steps, law.exact.defaults

        def read(expression: sp.Expr) -> sp.Expr:
            """In the invariants of `Curve`: c_21^2/m and c_4 come together."""
            whole = sp.expand(sp.sympify(expression).subs(known))
            response = sp.expand(whole.subs(QUARTIC, QUARTIC_RESPONSE + 3 * CUBIC**2 + 3 * MIXED**2 / RATIO))
            if response.free_symbols - {X, U, K, CUBIC, QUARTIC_RESPONSE, DELTA}:
                raise InputError(f"rule {rule.name!r}: its oscillator is not one of K, c_3 and Q alone.")
            return response

        symbols = (X, U, K, CUBIC, QUARTIC_RESPONSE)
        speed = energy.push * energy.growth / energy.brake
        pairs = (
            (2 * steps.x / X, 2 * steps.x_next / X), (steps.u, steps.u_next),
            (steps.s / speed, steps.s_next / speed),
        )  # fmt: skip
        leading, following = ([read(sp.cancel(pair[i])) for pair in pairs] for i in (0, 1))
        self.leading, self.following = lambdify(symbols, leading), lambdify(symbols, following)
        once = [read(series[0].as_expr() + DELTA * series[1].as_expr()) for series in (single.x, single.u)]
        self.odd = lambdify((*symbols, DELTA), once)
        # What another normal direction follows with, per c_21j X^2: a function of m_j.
        lean = sp.cancel(single.slaved["y"][2].as_expr().subs(known) / (MIXED * X**2))
        self.lean: Callable[[Any], Any] = lambdify((RATIO,), lean)


def _solver(fields: _Fields) -> Callable[..., Any]:
    import diffrax  # a second of imports, for what few runs ask for

    def solve(start: Array, times: Array, rate: Array, corrected: Array, sign: Array, table: Array, h: Array) -> Any:
        delta = jnp.sqrt(rate)

        def at(sigma: Array) -> Array:
            """K, c_3, Q, lambda_1 at sigma, from the cubics of the table (4, n, 4)."""
            place = jnp.clip((sigma / h).astype(int), 0, table.shape[1] - 1)
            c, t = table[:, place], sigma - place * h
            out: Array = ((c[0] * t + c[1]) * t + c[2]) * t + c[3]
            return out

        def field(_: Any, z: Array, args: Any) -> Array:
            y, u, sigma = z
            k, cubic, response, _ = at(sigma)
            state = (sign * jnp.exp(y / 2), u, k, cubic, response)
            first, second = (jnp.stack(jnp.broadcast_arrays(*f(*state))) for f in (fields.leading, fields.following))
            return (first + corrected * delta * second) * jnp.stack([jnp.ones(()), jnp.ones(()), delta])

        out = diffrax.diffeqsolve(
            diffrax.ODETerm(field), diffrax.Tsit5(), t0=0.0, t1=times[-1] / delta, dt0=0.01, y0=start,
            saveat=diffrax.SaveAt(ts=times / delta),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=ATOL),
            max_steps=MAX_STEPS, adjoint=diffrax.ForwardMode(), throw=False,
        )  # fmt: skip
        assert out.ys is not None
        return out.ys, jax.vmap(at)(out.ys[:, 2]), out.result._value

    return solve


@lru_cache(maxsize=16)
def _compiled(key: Identity[Rule]) -> tuple[_Fields, Compiled]:
    fields = _Fields(law_of(key.value))
    return fields, Compiled(_solver(fields))


def compiled_resolved_flow(rule: Rule, /) -> Compiled:
    """The program behind `resolved_flow`, for those who time it: one for each rule, whatever loss, rate and start."""
    return _compiled(Identity(rule))[1]


def resolved_flow(
    subject: Loss | Objective, start: Any = None, /, *, rate: float, time: float, rule: Rule | None = None,
    amplitude: float = 1.2, steps: Any = None, corrected: bool = True,
) -> ResolvedPath:  # fmt: skip
    """x_t, effective_lr and zeta of a run that sets off at the edge, as `sharpflow.numerics.comparison.compare` does.

    Args:
        subject: the loss; lambda_1 must be simple.
        start: (D,), on Gamma (brought there by Newton); default the objective's.
        rate, time: of the run; flow time.
        rule: default gradient descent with weight decay.
        amplitude: |x| at the start, in units of its equilibrium; not 0. A negative one sets off on the other side.
        steps: (N,) iterations to report, rising from 0 on; default 401 even ones.
        corrected: with the terms of the next order in delta; without them X' = X U, U' = 4 - 2 (4 + K^2) X^2.

    Raises:
        InputError: a number is out of range, the start is not near a manifold of minimizers, or the rule has no slow
            oscillator.

    Examples:
        >>> from sharpflow import resolve_loss, resolved_flow
        >>> path = resolved_flow(resolve_loss("ridge"), rate=1e-4, time=0.1)
        >>> path.result.value, f"{path.edge.min():.2f} to {path.edge.max():.2f}"
        ('successful', '1.99 to 2.01')
    """
    rule = rules.get("gd-wd") if rule is None else rule
    check_iterations(check_time(time), check_rate(rate))
    check_amplitude(amplitude)
    law, objective = law_of(rule), as_objective(subject)
    fields, program = _compiled(Identity(rule))
    if steps is None:
        steps = 2 * np.unique(np.linspace(0, time / rate / 2, BLOCK + 1).astype(int))
    steps = np.asarray(steps)
    if steps.ndim != 1 or len(steps) < 2 or steps[0] < 0 or np.any(np.diff(steps) < 1) or steps[-1] * rate > 2 * time:
        raise InputError("steps must be rising iteration numbers, from 0 on, within the time.")
    zeta = unit_vector(objective, objective.start if start is None else start, "start")
    objective, zeta = settle(objective, zeta)
    rank = normal_rank(objective, zeta)
    delta = math.sqrt(rate)
    length = time + AHEAD * delta * (1 + abs(amplitude))
    for _ in range(DOUBLINGS):
        curve = curve_along(objective, zeta, rank=rank, length=length, law=law, lean=fields.lean)
        found, code = _run(program, curve, steps, rate, amplitude, corrected, law)
        if curve.result is not RESULTS.SUCCESSFUL or not np.any(found["sigma"] > curve.times[-1]):
            break
        length *= 2  # an oscillation that has grown large runs ahead
    return _result(objective, law, fields, curve, found, code, steps, rate, corrected)


def _run(
    program: Compiled, curve: Curve, steps: np.ndarray, rate: float, amplitude: float, corrected: bool, law: Law
) -> tuple[dict[str, np.ndarray], int]:
    """y, U, sigma and the jets of the curve at the even steps next below ``steps``."""
    even = np.unique(steps - steps % 2)
    # One size for some hundred records each; what is added lies just beyond the end.
    extra = -len(even) % BLOCK
    times = rate * np.concatenate([even, even[-1] + 2 + 2 * np.arange(extra)])
    x = abs(amplitude) * math.sqrt(float(law.mean_square(curve.jets[0, 0] ** 2)))
    begin = np.array([2 * math.log(x), 0.0, 0.0])
    ys, jets, code = program(
        begin, times, np.float64(rate), np.float64(corrected), np.float64(math.copysign(1, amplitude)),
        curve.cubics, np.float64(curve.spacing),
    )  # fmt: skip
    ys, jets = np.asarray(ys), np.asarray(jets)
    place = np.searchsorted(even, steps - steps % 2)
    names = ("y", "u", "sigma")
    return dict(zip(names, ys[place].T, strict=True)) | {
        "jets": jets[place], "sign": np.full(len(steps), math.copysign(1, amplitude))
    }, int(code)  # fmt: skip


def _result(
    objective: Objective, law: Law, fields: _Fields, curve: Curve, found: dict[str, np.ndarray], code: int,
    steps: np.ndarray, rate: float, corrected: bool,
) -> ResolvedPath:  # fmt: skip
    delta = math.sqrt(rate)
    known = np.isfinite(found["y"]) & np.isfinite(found["u"]) & (np.abs(found["y"]) < LARGEST)
    alive = np.cumprod(known).astype(bool)
    result, message = RESULTS.SUCCESSFUL, ""
    if not alive.all():
        import diffrax

        stopped = code == int(diffrax.RESULTS.max_steps_reached._value)  # type: ignore[attr-defined]
        result = RESULTS.MAX_STEPS if stopped else RESULTS.DIVERGED
        message = f"the oscillation is not known after flow time {rate * float(steps[alive][-1:].sum()):.4g}"
    beyond = alive & (found["sigma"] > curve.times[-1])
    if beyond.any():
        first = int(np.argmax(beyond))
        at = f"at flow time {rate * float(steps[first]):.4g}"
        if curve.result.ok:  # it ran ahead by many times the time that was asked for
            result, message = RESULTS.DIVERGED, f"{at} the oscillation has grown out of all bounds"
        else:
            result, message = curve.result, f"{at} it comes to where the curve along Gamma ends"
        alive &= np.arange(len(steps)) < first
    steps, y, u, sigma, jets, sign = (
        a[alive] for a in (steps, *(found[n] for n in ("y", "u", "sigma", "jets", "sign")))
    )
    k, cubic, response, _ = jets.T
    square = law.mean_square(k**2)
    x = sign * np.exp(y / 2)
    share, odd = x**2 / square, steps % 2 == 1
    energy = u**2 / 2 + law.drive / (2 * law.alpha) * (share - 1 - np.log(share))
    after = fields.odd(x, u, k, cubic, response, delta if corrected else 0.0)
    sigma = sigma + np.where(odd, rate * share, 0.0)
    x, u = (np.where(odd, np.asarray(new), old) for new, old in zip(after, (x, u), strict=True))
    zeta, top, lean, sharpness = curve.at(sigma)
    points = zeta + delta * x[:, None] * top + rate * (x**2)[:, None] * lean
    edge = law.edge + delta * u
    return ResolvedPath(
        rate * steps, points / np.linalg.norm(points, axis=1, keepdims=True), edge / sharpness, sharpness[:, None],
        None, result, message, objective.name, rate=float(rate), steps=steps, minima_points=zeta, x=delta * x,
        edge=edge, energy=energy,
    )  # fmt: skip
