"""The figure of a monitored training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sharpflow.figures.style import DESCENT, EDGE, FLOW, PAGE, Figure, styled

__all__ = ["monitored"]

# Layers drawn, the largest shares first.
LAYERS = 6


@styled
def monitored(name: str, records: Sequence[Mapping[str, float]], /) -> Figure:
    """Eigenvalues over the edge, the loss, and the norm of each layer (solid) beside its part of v_1 (dashed)."""
    figure = Figure(figsize=(PAGE, 2.2))
    edge, loss, shares = figure.subplots(1, 3)

    def series(key: str) -> np.ndarray:
        return np.array([record.get(key, np.nan) for record in records])

    steps = series("step")
    for key in sorted({key for record in records for key in record if key.startswith("eigenvalue_")}):
        first = key == "eigenvalue_1"
        edge.plot(steps, series(key) / series("edge"), color=DESCENT, alpha=1.0 if first else 0.4)
    edge.axhline(1, color=EDGE, linewidth=0.5)
    edge.set(ylabel="eigenvalues of $SHS$ over the edge", ylim=(0, None), title=name)
    loss.plot(steps, series("loss"), color=DESCENT)
    if (series("loss") > 0).all():
        loss.set_yscale("log")
    loss.set(ylabel="loss")
    layers = sorted({key for key in records[-1] if key.startswith("share/")}, key=lambda key: -records[-1][key])
    for key in layers[:LAYERS]:
        (line,) = shares.plot(steps, series(key), label=key.removeprefix("share/"))
        shares.plot(
            steps, series(key.replace("share/", "rest/")), color=line.get_color(), linestyle="--", linewidth=0.7
        )
    if layers:
        shares.legend(fontsize="x-small")
        shares.set(ylabel="share of the norm", ylim=(0, 1))
    else:
        shares.plot(steps, series("norm"), color=FLOW)
        shares.set(ylabel="norm of the weights")
    for axes in (edge, loss, shares):
        axes.set(xlabel="step")
    return figure
