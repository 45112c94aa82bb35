"""The figures of runs with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.figures.plots import edge_line
from sharpflow.figures.style import DESCENT, FLOW, PAGE, Figure, ended, power, styled

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
    sharpness.set(ylabel=r"sharpness $\lambda_1$", ylim=(0, None), title=f"{run.loss}, {run.rule}{ended(run)}")
    sharpness.legend()
    edge.plot(run.times, run.edge, color=DESCENT)
    edge.plot(path.times, path.effective_lr * path.sharpness, color=FLOW, linestyle="--")
    edge_line(edge, run.edge_value)
    nu = rf"$\nu$ = {run.noise:.4g}, rate $\varepsilon$ = {power(run.rate)}"
    edge.set(ylabel=r"$\eta_{\rm eff}\,\lambda_1$", ylim=(0, None), title=nu)
    for number, series in enumerate(run.distance):
        label = f"{len(run.distance)} seeds" if number == 0 else None
        distance.plot(run.times, series / run.intrinsic_lr, color=DESCENT, linewidth=0.6, alpha=0.6, label=label)
    distance.set(
        ylabel=r"distance of block means / $\eta_{\mathrm{in}}$", ylim=(0, None),
        title=rf"$\eta_{{\mathrm{{in}}}}$ = {run.intrinsic_lr:.2g}",
    )  # fmt: skip
    if run.steps:
        distance.legend()
    for axes in (sharpness, edge, distance):
        axes.set(xlabel=r"flow time $\tau$", xlim=(0, run.time))
    return figure
