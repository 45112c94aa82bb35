"""Figures of training runs: what falls at the edge of stability, and what the flow says of it.

Each function returns a matplotlib `Figure` of its own, as those of `sharpflow.figures.plots` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sharpflow.figures.style import DESCENT, EDGE, FLOW, GAMMA, PAGE, Figure, styled
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from sharpflow.numerics.training.prediction import Prediction
    from sharpflow.numerics.training.run import TrainingRun

__all__ = ["against_sharpness", "collapse", "training", "variants"]

TEST = "#009E73"
# Okabe and Ito's, in an order in which neighbours differ most; further lines are told apart by their dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX*<>"


def _clock(run: TrainingRun) -> str:
    return r"flow time $\tau = \varepsilon t$" if run.recipe.rate > 0 else "iteration"


def _test_label(run: TrainingRun) -> tuple[str, float]:
    """The name of `TrainingRun.test_error`, and the factor it is shown with."""
    return ("test loss", 1.0) if np.isnan(run.columns["test_error"]).all() else ("test error (%)", 100.0)


def _diverged(run: TrainingRun) -> str:
    """The number of seeds that diverged, as a figure says it; nothing where none did."""
    count = int(np.sum(run.failed_at >= 0))
    return f"{count} of {len(run.names)} seeds diverged" if count else ""


def _mean(values: np.ndarray, *, log: bool = False) -> np.ndarray:
    """(N,) over those seeds of (N, S) that are finite at the end: none leaves the mean midway; over all if none is."""
    kept = np.isfinite(values[-1])
    chosen = values[:, kept] if kept.any() else values
    with np.errstate(all="ignore"):
        mean: np.ndarray = np.exp(np.mean(np.log(chosen), axis=1)) if log else np.mean(chosen, axis=1)
    return mean


def _each(axes: Axes, times: np.ndarray, values: np.ndarray, colour: str, label: str, *, log: bool = False) -> None:
    """Every seed thin, their mean (geometric on a logarithmic axis) in full."""
    if values.shape[1] > 1:
        axes.plot(times, values, color=colour, linewidth=0.5, alpha=0.35)
    axes.plot(times, _mean(values, log=log), color=colour, label=label)


def _few_ticks(axis: Axis) -> None:
    """Of a logarithmic axis, in full numbers: at 1, 2, 5 where it spans little, else at powers of ten."""
    low, high = axis.get_view_interval()
    narrow = high < 30 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _entry(axes: Axes, run: TrainingRun, seed: int | None = None) -> None:
    """A dotted line where the seeds entered the edge, in the mean; or where this seed did."""
    entered = [run.times[k] for k in (run.entry if seed is None else run.entry[seed : seed + 1]) if k >= 0]
    if entered:
        axes.axvline(float(np.mean(entered)), color=GAMMA, linewidth=0.6, linestyle=":")


@styled
def training(run: TrainingRun, prediction: Prediction | None = None, /) -> Figure:
    """Sharpness, edge, loss, errors, test error against sharpness, and the norm; with a flow the number of edges.

    Test error is drawn against sharpness from edge entry on, a seed that did not enter from the start. With a flow the
    other eigenvalues of its seed are drawn, too. At the edge is within 5 % of it
    (`sharpflow.numerics.training.prediction`).
    """
    if not np.isfinite(run.sharpness).any():
        raise InputError("there is nothing to draw: no record of the run is finite.")
    figure = Figure(figsize=(PAGE, 4.2))
    grid = figure.subplots(2, 3)
    times, flow = run.times, prediction if prediction is not None and len(prediction.times) else None
    several = flow is not None and run.sharpness.shape[1] > 1
    _each(grid[0, 0], times, run.sharpness, DESCENT, "mean" if several else "gradient descent", log=True)
    if flow is not None:
        seed = run.sharpness[:, flow.seed]
        if run.sharpness.shape[1] > 1:
            grid[0, 0].plot(times, seed, color=EDGE, linewidth=0.8, label=f"seed {flow.seed}")
        grid[0, 0].plot(flow.times, flow.sharpness, color=FLOW, linestyle="--", label="flow")
        for values, colour, style in ((flow.gd_spectrum, EDGE, "-"), (flow.spectrum, FLOW, "--")):
            others = np.where(values[:, 1:] > 0, values[:, 1:], np.nan)
            grid[0, 0].plot(flow.times, others, color=colour, linestyle=style, linewidth=0.4, alpha=0.5)
    title = "\n".join(filter(None, (run.names[0], _diverged(run))))
    grid[0, 0].set(yscale="log", ylabel=r"sharpness $\lambda_1$", title=title)
    if not run.scale_invariant:
        grid[0, 0].set_ylabel(r"$\lambda_1$ of the Hessian at $w$")
    if flow is not None:
        grid[0, 0].legend(loc="lower left", handlelength=1.2)
    which = 0 if flow is None else flow.seed
    values = run.columns["effective_lr"][:, which, None] * run.columns["spectrum"][:, which]
    grid[0, 1].plot(times, values, color=DESCENT, linewidth=0.7)
    grid[0, 1].axhline(2, color=EDGE, linewidth=1, zorder=1)
    top = float(np.clip(1.05 * np.max(values, initial=0, where=np.isfinite(values)), 0.1, 4))
    lr = r"\eta_{\mathrm{eff}}" if run.scale_invariant else r"\eta"
    grid[0, 1].set(ylabel=rf"${lr}\,\lambda_i$, seed {which}", ylim=(0, top))
    _each(grid[0, 2], times, run.columns["train_loss"], DESCENT, "training", log=True)
    _each(grid[0, 2], times, run.columns["test_loss"], TEST, "test", log=True)
    grid[0, 2].set(yscale="log", ylabel="loss")
    grid[0, 2].legend(loc="best")
    label, scale = _test_label(run)
    if scale > 1:
        _each(grid[1, 0], times, 100 * run.columns["train_error"], DESCENT, "training")
    _each(grid[1, 0], times, scale * run.test_error, TEST, "test")
    if flow is not None:
        shown = flow.test_error if scale > 1 else flow.test_loss
        grid[1, 0].plot(flow.times, scale * shown, color=FLOW, linestyle="--", label=f"test, flow, seed {flow.seed}")
    # The first records are guesses, and would leave no room for the rest.
    later = scale * run.test_error[len(times) // 10 :]
    highest = 1.3 * float(np.nanmax(later)) if np.isfinite(later).any() and np.nanmax(later) > 0 else None
    grid[1, 0].set(ylabel="error (%)" if scale > 1 else label, ylim=(0, highest))
    grid[1, 0].legend(loc="best")
    _paths(grid[1, 1], run, COLOURS[2])
    grid[1, 1].set(ylabel=label)
    last = grid[1, 2]
    if flow is None:
        _each(last, times, run.columns["norm_squared"], DESCENT, r"$|w|^2$")
        if run.scale_invariant:
            _each(last, times, run.recipe.learning_rate * run.sharpness / 2, FLOW, r"$\eta\lambda_1/2$, the edge")
        last.set(ylabel=r"$|w|^2$", yscale="log")
    else:
        last.step(flow.times, flow.gd_edges, color=DESCENT, where="mid", label="gradient descent")
        last.step(flow.times, flow.edges, color=FLOW, linestyle="--", where="mid", label="flow")
        last.set(ylabel="eigenvalues at the edge", ylim=(0, None))
        last.yaxis.get_major_locator().set_params(integer=True)
    last.legend(loc="best")
    for axis in (grid[0, 0].yaxis, grid[1, 1].xaxis, *([last.yaxis] if flow is None else [])):
        _few_ticks(axis)
    for axes in (*grid[0], grid[1, 0], last):
        axes.set_xlabel(_clock(run))
        if times[-1] > 0:
            axes.set_xlim(0, float(times[-1]))
        _entry(axes, run, which if axes is grid[0, 1] or (axes is last and flow is not None) else None)
    return figure


def _paths(axes: Axes, run: TrainingRun, colour: str, marker: str = "o") -> None:
    """Test error against sharpness, from edge entry on, a marker at the end of each seed."""
    _, scale = _test_label(run)
    for s, begin in enumerate(run.entry):
        first = max(int(begin), 0)
        axes.plot(run.sharpness[first:, s], scale * run.test_error[first:, s], color=colour, linewidth=0.6, alpha=0.5)
        axes.plot(run.sharpness[-1:, s], scale * run.test_error[-1:, s], marker, color=colour)
    axes.set(xscale="log", xlabel=r"sharpness $\lambda_1$")


@styled
def variants(runs: Mapping[str, TrainingRun], /) -> Figure:
    """Sharpness, effective_lr*sharpness and test error of several runs, one colour each, means over seeds."""
    figure = Figure(figsize=(PAGE, 2.6))
    grid = figure.subplots(1, 3)
    for index, (name, run) in enumerate(runs.items()):
        colour, style = COLOURS[index % len(COLOURS)], "-" if index < len(COLOURS) else "--"
        share = run.columns["step"] / max(int(run.columns["step"][-1]), 1)
        _, scale = _test_label(run)
        label = f"{name} ({said})" if (said := _diverged(run)) else name
        if not run.scale_invariant:
            label += r" ($\lambda_1$ at $w$, $\eta$)"
        drawn = (_mean(run.sharpness, log=True), _mean(run.edge), scale * _mean(run.test_error))
        for axes, values in zip(grid, drawn, strict=True):
            # The first is what the others are compared with, and shows beneath them.
            first = {"linewidth": 2.4, "alpha": 0.5} if index == 0 else {"linewidth": 0.9}
            axes.plot(share, values, color=colour, linestyle=style, label=label, **first)
    grid[0].set(yscale="log", ylabel=r"sharpness $\lambda_1$")
    grid[1].axhline(2, color=EDGE, linewidth=0.8, zorder=1)
    grid[1].set(ylabel=r"$\eta_{\mathrm{eff}}\,\lambda_1$", ylim=(0, 4))
    label, scale = _test_label(next(iter(runs.values())))
    # The first records are guesses, and would leave no room for the rest.
    means = (r.test_error[len(r.times) // 10 :].mean(axis=1) for r in runs.values())
    later = [scale * float(np.max(m[np.isfinite(m)])) for m in means if np.isfinite(m).any()]
    grid[2].set(ylabel=label, ylim=(0, 1.2 * max(later) if later and max(later) > 0 else None))
    for axes in grid:
        axes.set_xlabel("part of the run")
        axes.set_xlim(0, 1)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


@styled
def collapse(runs: Mapping[str, TrainingRun], prediction: Prediction | None = None, /) -> Figure:
    """Sharpness and test error of seed 0 at several rates over the flow time since edge entry, with the flow."""
    figure = Figure(figsize=(PAGE, 2.6))
    left, middle, right = figure.subplots(1, 3)
    recorded = 0
    for colour, (name, run) in zip(COLOURS, runs.items(), strict=False):
        begin = int(run.entry[0])
        if begin < 0:
            continue
        since = run.times[begin:] - run.times[begin]
        _, scale = _test_label(run)
        left.plot(since, run.sharpness[begin:, 0], color=colour, label=name)
        values = run.columns["effective_lr"][begin:, 0, None] * run.columns["spectrum"][begin:, 0]
        middle.step(since, np.sum(values > 1.9, axis=1), color=colour, where="mid")
        recorded = values.shape[1]
        right.plot(since, scale * run.test_error[begin:, 0], color=colour)
    if prediction is not None and len(prediction.times):
        since = prediction.times - prediction.times[0]
        _, scale = _test_label(next(iter(runs.values())))
        left.plot(since, prediction.sharpness, color=EDGE, linestyle="--", label="flow")
        middle.step(since, prediction.edges, color=EDGE, linestyle="--", where="mid")
        shown = prediction.test_error if scale > 1 else prediction.test_loss
        right.plot(since, scale * shown, color=EDGE, linestyle="--")
    left.set(yscale="log", ylabel=r"sharpness $\lambda_1$")
    if recorded:
        middle.axhline(recorded, color=GAMMA, linestyle=":", linewidth=0.8)
        middle.annotate(
            "as many as are recorded", (0.5, recorded), xycoords=("axes fraction", "data"), va="bottom", ha="center"
        )
    middle.set(ylabel="eigenvalues at the edge", ylim=(0, 1.15 * recorded if recorded else None))
    middle.yaxis.get_major_locator().set_params(integer=True)
    right.set(ylabel=_test_label(next(iter(runs.values())))[0], ylim=(0, None))
    for axes in (left, middle, right):
        axes.set_xlabel("flow time since edge entry")
    _few_ticks(left.yaxis)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@styled
def against_sharpness(groups: Mapping[str, TrainingRun], /) -> Figure:
    """Test error against sharpness, paths from edge entry on (left) and their ends (right), one colour a group."""
    figure = Figure(figsize=(PAGE, 2.8))
    left, right = figure.subplots(1, 2, sharey=True)
    for index, (name, run) in enumerate(groups.items()):
        _, scale = _test_label(run)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        _paths(left, run, colour, marker)
        right.plot(run.sharpness[-1], scale * run.test_error[-1], marker, color=colour, label=name)
    _few_ticks(left.xaxis)
    left.set(title="from edge entry to the end", ylabel=_test_label(next(iter(groups.values())))[0])
    right.set(title="at the end", xlabel=r"sharpness $\lambda_1$")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
