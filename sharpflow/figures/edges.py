"""The figures of a comparison at the edge: several eigenvalues, and the oscillation itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sharpflow.figures.plots import distances, edge_line, plain_axis
from sharpflow.figures.style import DESCENT, FLOW, PAGE, Figure, ended, power, styled
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sharpflow.numerics.comparison.result import Comparison

__all__ = ["edges", "oscillation"]

# Eigenvalues drawn: those that come near the edge, and a few that do not.
SHOWN = 6
# Gradient descent's eigenvalues breathe by intrinsic_lr about the edge.
NEAR = 0.05


@styled
def edges(run: Comparison, /) -> Figure:
    """Top eigenvalues times effective_lr, sharpness, distance, oscillation and excess loss: measured and predicted.

    Of weights that are not all scale-invariant the eigenvalues are those of S H S, S^2 their learning rates.
    The oscillation and the loss of gradient descent are averages over at least one period, pi/intrinsic_lr iterations.
    """
    if run.edges is None or not len(run.times):
        raise InputError("there is no flow with several eigenvalues at the edge in this comparison.")
    figure = Figure(figsize=(PAGE, 4.4))
    grid = figure.subplots(2, 3)
    _spectrum(grid[0, 0], run)
    sharpness = grid[0, 1]
    sharpness.plot(run.times, run.sharpness, color=DESCENT)
    sharpness.plot(run.times, run.flow_sharpness, color=FLOW, linestyle="--")
    plain_axis(sharpness)
    named = r"$\lambda_1$" if run.groups is None else r"$\lambda_1(SHS)/\eta_{\mathrm{eff}}$"
    sharpness.set(ylabel=f"sharpness {named}", title=rf"rate $\varepsilon$ = {power(run.rate)}")
    distances(grid[0, 2], run)
    series = run.edges
    measured = (series.mean_square / run.rate, series.excess_loss / run.rate)
    predicted = (series.flow_mean_square / run.rate, series.flow_excess_loss / run.rate)
    labels = (r"$\langle|\theta-\zeta|^2\rangle/\varepsilon$ and tr $\Sigma$", r"mean excess loss / $\varepsilon$")
    for axes, values, flow, label in zip(grid[1, :2], measured, predicted, labels, strict=True):
        axes.plot(run.times, _averaged(run, values), color=DESCENT)
        axes.plot(run.times, flow, color=FLOW, linestyle="--")
        axes.set(ylabel=label, ylim=(0, None))
    count = grid[1, 2]
    for values, effective_lr, colour, style in (
        (series.spectrum, run.effective_lr, DESCENT, "-"), (series.flow_spectrum, series.flow_effective_lr, FLOW, "--"),
    ):  # fmt: skip
        near = np.sum(_averaged(run, effective_lr[:, None] * values) > 2 * (1 - NEAR), axis=1).astype(float)
        near[~np.isfinite(values[:, 0])] = np.nan
        count.step(run.times, near, color=colour, linestyle=style, where="mid")
    count.set(ylabel=rf"$\lambda_i$ within {100 * NEAR:g} % of the edge", ylim=(0, None))
    count.yaxis.get_major_locator().set_params(integer=True)
    for axes in grid.flat:
        axes.set_xlabel(r"flow time $\tau = \varepsilon t$")
        axes.set_xlim(0, max(float(run.times[-1]), 1e-12))
    handles = [
        grid[0, 1].plot([], [], color=DESCENT, label="gradient descent")[0],
        grid[0, 1].plot([], [], color=FLOW, linestyle="--", label="flow")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def oscillation(run: Comparison, /) -> Figure:
    """|x_t| and effective_lr*lambda_1 over the last periods of a run: measured, and predicted step by step."""
    series = run.oscillation
    if series is None or not len(series.steps):
        raise InputError("the oscillation was not predicted in this comparison; ask for it with resolve=True.")
    figure = Figure(figsize=(PAGE, 2.6))
    left, right = figure.subplots(1, 2)
    scale = run.rate**0.5
    # Even and odd iterates lie on either side of Gamma: one line through both would jump at each iteration.
    even = series.steps % 2 == 0
    for axes, measured, predicted in (
        (left, series.x / scale, series.predicted_x / scale),
        (right, (series.edge - run.edge_value) / scale, (series.predicted_edge - run.edge_value) / scale),
    ):  # fmt: skip
        axes.plot(series.steps[even], measured[even], color=DESCENT, linewidth=2, alpha=0.6, label="gradient descent")
        axes.plot(series.steps[even], predicted[even], color=FLOW, linestyle="--", linewidth=0.9, label="predicted")
        axes.set_xlabel("iteration $t$, even")
        axes.set_xlim(series.steps[0], series.steps[-1])
    left.set(ylabel=r"$|x_t|/\sqrt{\varepsilon}$", title=f"{run.loss}, {run.rule}{ended(run)}")
    right.set(
        ylabel=rf"$(\eta_{{\mathrm{{eff}}}}\,\lambda_1 - {run.edge_value:.3g})/\sqrt{{\varepsilon}}$",
        title=rf"rate $\varepsilon$ = {power(run.rate)}",
    )
    figure.legend(handles=left.lines, loc="outside lower center", ncols=2)
    return figure


def _spectrum(axes: Axes, run: Comparison) -> None:
    series = run.edges
    assert series is not None
    shown = min(SHOWN, series.spectrum.shape[1])
    measured = _averaged(run, run.effective_lr[:, None] * series.spectrum[:, :shown])
    axes.plot(run.times, measured, color=DESCENT, linewidth=0.9)
    axes.plot(run.times, series.flow_effective_lr[:, None] * series.flow_spectrum[:, :shown], color=FLOW,
              linestyle="--", linewidth=0.9)  # fmt: skip
    edge_line(axes, 2)
    named = r"$\eta_{\mathrm{eff}}\,\lambda_i$" if run.groups is None else r"$\lambda_i(SHS)$"
    axes.set(ylabel=named, title=f"{run.loss}, {run.rule}{ended(run)}", ylim=(0, None))


def _averaged(run: Comparison, values: np.ndarray) -> np.ndarray:
    """Running mean over one period at least, of what there is."""
    if len(run.times) < 3:
        return values
    spacing = float(np.median(np.diff(run.times))) / run.rate
    half = math.ceil(math.pi / run.intrinsic_lr / max(spacing, 1e-300) / 2)
    known = np.isfinite(values)
    total = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), np.where(known, values, 0.0)]), axis=0)
    number = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), known]), axis=0)
    at = np.arange(len(values))
    high, low = np.minimum(at + half + 1, len(values)), np.maximum(at - half, 0)
    counted = number[high] - number[low]
    out: np.ndarray = np.where(counted > 0, (total[high] - total[low]) / np.maximum(counted, 1), np.nan)
    return out
