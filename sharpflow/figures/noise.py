"""The figures of runs with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.figures.style import DESCENT, EDGE, FLOW, PAGE, Figure, power, styled

if TYPE_CHECKING:
    from sharpflow.numerics.comparison.noisy import NoisyComparison

__all__ = ["noisy"]


@styled
def noisy(run: NoisyComparison, /) -> Figure:
    """Sharpness, effective_lr*sharpness and distance of block means: the runs, and the noise flow."""
    figure = Figure(figsize=(PAGE, 2.2))
    sharpness, edge, distance = figure.subplots(1, 3)
    path = run.path
    sharpness.plot(run.times, run.sharpness, color=DESCENT, label="iterates")
    sharpness.plot(path.times, path.sharpness, color=FLOW, linestyle="--", label="noise flow")
    sharpness.set(ylabel=r"sharpness $\lambda_1$", ylim=(0, None))
    sharpness.legend()
    edge.plot(run.times, run.edge, color=DESCENT)
    edge.plot(path.times, path.effective_lr * path.sharpness, color=FLOW, linestyle="--")
    edge.axhline(2, color=EDGE, linewidth=0.5)
    edge.set(ylabel=r"$\eta_{\rm eff}\,\lambda_1$", ylim=(0, None), title=rf"rate $\varepsilon$ = {power(run.rate)}")
    for series in run.distance:
        distance.plot(run.times, series, color=DESCENT, linewidth=0.6, alpha=0.6)
    distance.set(ylabel="distance of block means", ylim=(0, None))
    for axes in (sharpness, edge, distance):
        axes.set(xlabel=r"flow time $\tau$", xlim=(0, run.time))
    return figure
