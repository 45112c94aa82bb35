"""The figures of a sweep: where tracking fails, and the distance against intrinsic_lr of every start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from sharpflow.figures.style import DESCENT, EDGE, PAGE, Figure, styled
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from sharpflow.numerics.sweeps.sweep import Sweep

__all__ = ["failure_map"]

# One sign and one colour for each way to end; Okabe and Ito's colours.
SIGNS = {
    "gap_closed": ("x", "#000000"), "left_chart": ("+", "#E69F00"), "diverged": ("v", "#CC79A7"),
    "off_edge": ("^", "#D55E00"), "left_minima": ("s", "#56B4E9"), "not_at_minima": ("D", "#009E73"),
    "max_steps": ("1", "#0072B2"), "stepsize_underflow": ("2", "#0072B2"),
}  # fmt: skip
ON_MINIMA = "#009E73"
ROWS = 2.1


@styled
def failure_map(result: Sweep, /) -> Figure:
    """For each loss and rule: which start ends how at which rate, and the distance of those that track.

    The left panel has the first chart coordinate against the rate; its colour is the largest distance in units of
    intrinsic_lr, its signs are failures. The right panel has that distance against intrinsic_lr, a thin line a start.
    """
    rows = result.rows
    pairs = sorted(set(zip(rows["loss"].tolist(), rows["rule"].tolist(), strict=True)))
    if not pairs:
        raise InputError("there is nothing to draw: no block of the sweep is finished.")
    figure = Figure(figsize=(PAGE, ROWS * len(pairs) + 0.4))
    panels = figure.subplots(len(pairs), 2, squeeze=False, width_ratios=(1.25, 1))
    ratios = rows["max_distance"] / rows["intrinsic_lr"]
    good = rows["result"] == "successful"
    top = float(np.max(ratios[good])) if good.any() else 1.0
    shades = None
    for (loss, rule), (left, right) in zip(pairs, panels, strict=True):
        own = (rows["loss"] == loss) & (rows["rule"] == rule)
        fine = own & good
        # Cells of one rate lie on one line; a little jitter by the number of the start keeps them apart.
        height = rows["rate"] * 10.0 ** (0.12 * ((rows["start_index"] * 0.618) % 1 - 0.5))
        first = rows["start"][:, 0]
        if fine.any():
            look = {"s": 3, "cmap": "viridis", "vmin": 0, "vmax": top, "linewidths": 0, "rasterized": True}
            shades = left.scatter(first[fine], height[fine], c=ratios[fine], **look)
        for kind, (sign, colour) in SIGNS.items():
            bad = own & (rows["result"] == kind)
            if bad.any():
                left.scatter(first[bad], height[bad], marker=sign, s=7, c=colour, linewidths=0.5, rasterized=True)
        left.set(yscale="log", ylabel=r"rate $\varepsilon$", title=f"{loss}, {rule}")
        for start in np.unique(rows["start_index"][own])[:200]:
            line = own & (rows["start_index"] == start) & good
            order = np.argsort(rows["intrinsic_lr"][line])
            small = rows["intrinsic_lr"][line][order]
            for name, colour in (("max_distance", DESCENT), ("end_distance_on_minima", ON_MINIMA)):
                right.plot(small, rows[name][line][order], color=colour, alpha=0.25, linewidth=0.5)
        small = np.unique(rows["intrinsic_lr"][own])
        right.plot(small, small, ":", color=EDGE, linewidth=0.9)
        right.set(xscale="log", yscale="log", ylabel="distance to the flow")
        right.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        right.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(10, 10)))
        right.xaxis.set_minor_formatter(NullFormatter())
        if not fine.any():
            right.text(0.5, 0.5, "no cell tracks", transform=right.transAxes, ha="center")
    panels[-1][0].set_xlabel("first coordinate of the start in the chart")
    panels[-1][1].set_xlabel(r"$\eta_{\mathrm{in}}$")
    if shades is not None:
        bar = figure.colorbar(shades, ax=[p[0] for p in panels], location="top", shrink=0.6, aspect=40, pad=0.02)
        bar.set_label(r"largest distance / $\eta_{\mathrm{in}}$")
    _legend(figure, set(rows["result"].tolist()))
    return figure


def _legend(figure: Figure, kinds: set[str]) -> None:
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], color=DESCENT, label="raw, largest"),
        Line2D([], [], color=ON_MINIMA, label=r"on $\Gamma$, at the end"),
        Line2D([], [], color=EDGE, linestyle=":", label=r"$\eta_{\mathrm{in}}$"),
    ]  # fmt: skip
    for kind, (sign, colour) in SIGNS.items():
        if kind in kinds:
            entries.append(
                Line2D([], [], color=colour, marker=sign, linestyle="", markersize=4, label=kind.replace("_", " "))
            )
    figure.legend(handles=entries, loc="outside lower center", ncols=min(len(entries), 6))
