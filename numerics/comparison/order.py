"""The power of intrinsic_lr in the tracking error: max |theta_t - zeta| = C intrinsic_lr^p, fitted.

p is the slope of log(distance) against log(intrinsic_lr) by least squares; the 95 % interval is Student's, with n
- 2 degrees of freedom for n rates (n - 3 where the next term is fitted as well). One tolerance at one rate would prove
nothing about an asymptotic statement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpflow.numerics.brief import brief
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.result import Comparison
from sharpflow.numerics.comparison.setting import default_rule
from sharpflow.numerics.numbers import check_rates
from sharpflow.numerics.objective import Objective
from sharpflow.numerics.results import RESULTS, Numeric
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["ACCEPTED", "Fit", "Order", "fit_power", "order"]

# Two decades of intrinsic_lr^2, where the next term of the expansion, intrinsic_lr smaller, bends the line by
# under 0.05.
DEFAULT_RATES = tuple(10.0 ** (-4 - k / 3) for k in range(7))
# The claim is order 1. The orbit's phase at the end and the next term of the expansion move a fit over two decades
# by some hundredths; half-integer powers, the nearest alternatives, lie well outside.
ACCEPTED = (0.9, 1.1)
# The power on Gamma, two, that makes the next term of the distance; between half-integer powers.
NEXT = (1.75, 2.25)
# A power on Gamma with an interval below this, half-way from 0 to the least half-integer power, is that of something no
# rate makes smaller.
STAYS = 0.25
CONFIDENCE = 0.95
# A part in a thousand of intrinsic_lr is no tracking error but the flow's own and rounding: there is no power to fit.
VISIBLE = 1e-3


@dataclass(frozen=True)
class Fit:
    """y = constant * x^slope * exp(bend x^2): slope, its 95 % interval, constant, largest deviation in log y, bend."""

    slope: float
    low: float
    high: float
    constant: float
    deviation: float
    bend: float = 0.0


@brief
@dataclass(frozen=True)
class Order:
    """A fitted order.

    Attributes:
        loss, rule, time: what was fitted.
        rates, intrinsic_lrs, distances: of the runs, n each; the distance is nan where a run failed.
        estimate, interval: the power of intrinsic_lr and its 95 % interval, fitted with the next term (the message says
            so) where a straight line is too steep; nan where the runs allow no fit.
        constant, bend: distance = constant*intrinsic_lr^estimate*exp(bend*intrinsic_lr^2); bend is 0 without the next
            term.
        on_minima: the power for gradient descent retracted to Gamma, and its interval, as (estimate, low, high).
        verdict: consistent, inconsistent or inconclusive with order one.
        message: which runs failed, or what the numbers say.
        comparisons: the runs themselves.
    """

    loss: str
    rule: str
    time: float
    rates: tuple[float, ...]
    intrinsic_lrs: tuple[float, ...]
    distances: tuple[float, ...]
    estimate: float
    interval: tuple[float, float]
    constant: float
    on_minima: tuple[float, float, float]
    verdict: Numeric
    message: str
    comparisons: tuple[Comparison, ...]
    bend: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` writes; numbers that do not exist are null."""

        def number(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "loss": self.loss,
            "rule": self.rule,
            "time": self.time,
            "rates": list(self.rates),
            "intrinsic_lr": list(self.intrinsic_lrs),
            "max_distance": [number(d) for d in self.distances],
            "order": number(self.estimate),
            "interval": [number(v) for v in self.interval],
            "constant": number(self.constant),
            "bend": number(self.bend),
            "order_on_minima": number(self.on_minima[0]),
            "interval_on_minima": [number(v) for v in self.on_minima[1:]],
            "verdict": self.verdict.value,
            "message": self.message,
        }


def fit_power(x: Sequence[float], y: Sequence[float], /, *, bend: bool = False) -> Fit:
    """Least squares of log y on log x, with Student's interval for the slope.

    With ``bend`` y = constant x^slope exp(bend x^2): the next term where two errors, of orders p and p + 1 and
    at right angles, add up by their squares.

    Raises:
        InputError: fewer than three points (four with a bend; no degree of freedom is left for an interval), or one
            that is not positive.
    """
    from scipy.stats import t as student

    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    unknown = 3 if bend else 2
    if xs.shape != ys.shape or xs.ndim != 1 or len(xs) <= unknown:
        raise InputError(f"a fitted power with an interval needs at least {('three', 'four')[bend]} points.")
    if not (np.all(np.isfinite(xs) & (xs > 0)) and np.all(np.isfinite(ys) & (ys > 0))):
        raise InputError("a power can be fitted to positive finite numbers only.")
    if len(np.unique(xs)) < unknown:
        raise InputError(f"a power needs at least {('two', 'three')[bend]} different abscissae.")
    u, v = np.log(xs), np.log(ys)
    design = np.stack([np.ones_like(u), u - u.mean(), *([(xs / xs.max()) ** 2] if bend else [])], axis=1)
    found = np.linalg.lstsq(design, v, rcond=None)[0]
    residuals = v - design @ found
    free = len(u) - unknown
    variance = float(residuals @ residuals) / free * float(np.linalg.inv(design.T @ design)[1, 1])
    half = float(student.ppf((1 + CONFIDENCE) / 2, free)) * math.sqrt(variance)
    slope = float(found[1])
    constant = math.exp(float(found[0] - slope * u.mean()))
    b = float(found[2] / xs.max() ** 2) if bend else 0.0
    return Fit(slope, slope - half, slope + half, constant, float(np.abs(residuals).max()), b)


def spanning(rates: Sequence[float], decades: float = 2.0) -> tuple[float, ...]:
    """``rates`` as rising floats over at least so many decades, or `InputError`."""
    values = check_rates(rates)
    if len(values) < 3:
        raise InputError(f"different rates given: {len(values)}. That is too few for an interval; give at least three.")
    # 1e-4/1e-6 is 100 up to rounding.
    if math.log10(values[-1] / values[0]) < decades - 1e-9:
        raise InputError(
            f"rates {values[0]:g} to {values[-1]:g} span under {decades:g} decades, too few to fit an order."
        )
    return values


def order(
    subject: Loss | Objective, /, *, rates: Sequence[float] = DEFAULT_RATES, time: float = 1.0, rule: Rule | None =
        None,
    start: Any = None, amplitude: float = 1.2, flow: SharpnessFlow | None = None,
) -> Order:  # fmt: skip
    """Fit the order of max |theta_t - zeta| in intrinsic_lr over at least two decades of the rate.

    Args:
        subject, rule, start, amplitude, flow: as in `sharpflow.numerics.comparison.compare.compare`.
        rates: at least three, over two decades or more.
        time: flow time of each run.

    Returns:
        consistent: the estimate lies in `ACCEPTED` and the interval reaches into it; inconsistent: the whole
            interval lies outside;
        inconclusive: anything else, or a run failed (the message names it).

    Examples:
        >>> from sharpflow import order, resolve_loss
        >>> found = order(resolve_loss("ridge"), rates=(1e-2, 1e-3, 1e-4), time=0.1)
        >>> found.verdict.value, round(found.estimate, 1)
        ('consistent', 1.0)
    """
    values = spanning(rates)
    runs = tuple(
        compare(
            subject, rule=rule, rate=r, time=time, start=start, amplitude=amplitude, flow=flow,
            tolerance=_fine(float((rule or default_rule()).intrinsic_lr(r))),
        )
        for r in values
    )  # fmt: skip
    small = tuple(run.intrinsic_lr for run in runs)
    # A run that left the edge still has a distance, and it is what the claim is about; one that ended early has none.
    usable = [run.result in (RESULTS.SUCCESSFUL, RESULTS.OFF_EDGE) for run in runs]
    distances = tuple(run.max_distance if good else math.nan for run, good in zip(runs, usable, strict=True))
    failed = [f"rate {r:g}: {run.result.value}" for r, run, good in zip(values, runs, usable, strict=True) if not good]
    shared: dict[str, Any] = {
        "loss": runs[0].loss, "rule": runs[0].rule, "time": float(time), "rates": values, "intrinsic_lrs": small,
        "distances": distances, "comparisons": runs,
    }  # fmt: skip
    if failed:
        nothing = (math.nan, math.nan, math.nan)
        return Order(
            **shared, estimate=math.nan, interval=(math.nan, math.nan), constant=math.nan, on_minima=nothing,
            verdict=Numeric.INCONCLUSIVE, message="; ".join(failed),
        )  # fmt: skip
    on_minima = fit_power(small, [max(run.max_distance_on_minima, 1e-300) for run in runs])
    fit, plain = _fitted(small, distances, on_minima)
    verdict = judge(fit)
    # The raw distance holds the oscillation itself, which is of order one by the way it starts. Retracted, the
    # error may be smaller than the claim, never larger.
    visible = runs[0].max_distance_on_minima > VISIBLE * small[0]
    if visible and on_minima.slope < ACCEPTED[0] and verdict is Numeric.CONSISTENT:
        verdict = Numeric.INCONSISTENT if on_minima.high < ACCEPTED[0] else Numeric.INCONCLUSIVE
    message = (
        f"order {fit.slope:.3f} in intrinsic_lr, 95 % interval [{fit.low:.3f}, {fit.high:.3f}]; on the minima "
        f"{on_minima.slope:.3f} [{on_minima.low:.3f}, {on_minima.high:.3f}]"
    )
    if plain is not fit:
        message += (
            f". The next term is fitted as well, as the distance rises faster at the larger rates: without it "
            f"{plain.slope:.3f} [{plain.low:.3f}, {plain.high:.3f}]"
        )
    if verdict is not Numeric.CONSISTENT and visible and on_minima.high < STAYS:
        k = int(np.argmin(small))
        message += (
            f". On the minima the distance hardly falls with the rate ({runs[k].max_distance_on_minima:.2g} at "
            f"{values[k]:.2g}): no manifold of minima (the loss still falls along it), or another flow than this one"
        )
    return Order(
        **shared, estimate=fit.slope, interval=(fit.low, fit.high), constant=fit.constant,
        on_minima=(on_minima.slope, on_minima.low, on_minima.high), verdict=verdict, message=message, bend=fit.bend,
    )  # fmt: skip


def _fitted(small: Sequence[float], distances: Sequence[float], on_minima: Fit) -> tuple[Fit, Fit]:
    """The fit to be judged, and the plain one, which it is unless it is too steep.

    The oscillation, across Gamma, is of order one, the error along Gamma of order two; where its constant is large it
    is seen at the larger rates, and a straight line is too steep. So it has to be seen on Gamma: an error of another
    power there is not forgiven. A line that is too flat shows an error that stays.
    """
    plain = fit_power(small, distances)
    low, high = NEXT
    if plain.slope <= 1 or judge(plain) is Numeric.CONSISTENT or len(small) < 4 or not low <= on_minima.slope <= high:
        return plain, plain
    bent = fit_power(small, distances, bend=True)
    return (bent, plain) if judge(bent) is Numeric.CONSISTENT else (plain, plain)


def _fine(small: float) -> float:
    """A tolerance of a step of the edge flow that leaves its own error below `VISIBLE` of intrinsic_lr.

    Steps are of third order locally and of second in all, so that the error is a constant times tolerance^(2/3):
    8e-7 was measured at 1e-8, hence 0.2.
    """
    return float((VISIBLE * small / 0.2) ** 1.5)


def judge(fit: Fit, /) -> Numeric:
    """The verdict on order one."""
    low, high = ACCEPTED
    if fit.high < low or fit.low > high:
        return Numeric.INCONSISTENT
    # An interval wider than the distance to the half-integer powers could not tell them apart.
    if low <= fit.slope <= high and fit.high - fit.low <= 0.5:
        return Numeric.CONSISTENT
    return Numeric.INCONCLUSIVE
