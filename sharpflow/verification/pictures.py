"""The pictures of a verification report, drawn from the runs that its measurements made."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from sharpflow.figures import plots
from sharpflow.theory.errors import InputError
from sharpflow.verification.report import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpflow.claim import Case
    from sharpflow.verification.verification import Verification

__all__ = ["pictures_for"]

# Large enough for a screen of twice the usual density at the page's width, small enough for a page of some megabytes.
DOTS = 160
# Of the orbits of the portrait: nearly harmonic, and two that are not.
AMPLITUDES = (1.3, 2.0, 3.0)


def pictures_for(verification: Verification, /) -> tuple[Picture, ...]:
    """For each loss with a comparison its runs; one portrait, one order plot, and real data where it was used."""
    pictures: list[Picture] = []
    compared = [c for c in verification.cases if "comparison" in c.__dict__ and c.rule.name == "gd-wd"]
    for case in compared:
        pictures += _of_comparison(case)
    if compared:
        pictures += _of_oscillation(compared[0])
    ids = {v.id for v in verification.verdicts if v.numeric == "consistent"}
    if compared and "tracking" in ids:
        pictures += _of_order(compared[0])
    if "regression-real-data" in ids:
        pictures += _of_real_data(compared[0])
    return tuple(pictures)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS)
    return buffer.getvalue()


def _of_comparison(case: Case) -> list[Picture]:
    run = case.comparison
    where = f"{run.loss}, {run.rule}, rate {run.rate:g}, flow time {run.time:g}"
    try:
        return [
            Picture(
                f"{run.loss}: gradient descent and the flow",
                f"Sharpness, effective_lr times sharpness (the edge is {run.edge_value:.4g}), and the distance "
                f"to the flow in units of intrinsic_lr, over flow time; {where}.",
                _png(plots.comparison(run)),
            ),
            Picture(
                f"{run.loss}: the sphere",
                f"Minimizers, iterates at even steps and the flow on the unit sphere; {where}.",
                _png(plots.sphere(run, case.loss)),
            ),
        ]
    except InputError:  # a run that failed at once has nothing to draw, and its verdict says so
        return []


def _of_oscillation(case: Case) -> list[Picture]:
    from sharpflow.numerics.descent.orbit import edge_orbit

    orbits = [edge_orbit(case.subject, case.rule, rate=1e-6, amplitude=a, periods=3.0) for a in AMPLITUDES]
    if not all(orbit.finite for orbit in orbits):
        return []
    caption = (
        "Displacement and edge at even steps of gradient descent, in the scaled variables of the theory, over "
        f"level sets of the conserved energy; {case.subject.name}, rate 1e-6, three amplitudes."
    )
    return [Picture("The oscillation at the edge", caption, _png(plots.portrait(orbits, title=case.subject.name)))]


def _of_order(case: Case) -> list[Picture]:
    from sharpflow.numerics.comparison.order import order

    result = order(case.subject, rule=case.rule, time=1.0)
    try:
        drawn = _png(plots.order(result))
    except InputError:
        return []
    caption = (
        "Largest distance to the flow over flow time 1 against intrinsic_lr, fitted powers with 95 % intervals; "
        f"{result.loss}."
    )
    return [Picture("Order of the tracking error", caption, drawn)]


def _of_real_data(case: Case) -> list[Picture]:
    from sharpflow.numerics.measurements.regression_checks import angle_series

    series = [angle_series(case.rule, name, rate=1e-6, time=2.0) for name in ("breast-cancer", "diabetes")]
    good = [s for s in series if len(s.times)]
    if not good:
        return []
    caption = (
        "Angle between the weights, retracted to the minima, and the minimum-norm interpolant, on scikit-learn's data "
        "sets at rate 1e-6, against the closed form."
    )
    return [Picture("Regression with batch normalization on real data", caption, _png(plots.regression_angle(good)))]
