"""The project's figures: sphere, comparison, oscillator portrait, order of convergence, regression angle.

Each function returns a matplotlib `Figure` of its own; nothing global is touched. Save it as PNG, SVG or PDF.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, NullLocator

from sharpflow.figures.style import COLUMN, DESCENT, EDGE, FLOW, GAMMA, PAGE, Figure, ended, power, styled
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sharpflow.numerics.comparison.order import Order
    from sharpflow.numerics.comparison.result import Comparison
    from sharpflow.numerics.descent.orbit import EdgeOrbit
    from sharpflow.numerics.measurements.regression_checks import AngleSeries
    from sharpflow.theory.loss import Loss

__all__ = ["comparison", "order", "portrait", "regression_angle", "sphere"]

# A run of many records is drawn thinned: no screen shows more points.
SHOWN = 400
# An axis shows this share of its values at least.
FLAT = 0.01


def _needs_records(run: Comparison) -> None:
    if not len(run.times) or not np.isfinite(run.points).all(axis=1).any():
        raise InputError(f"there is nothing to draw: the run is {run.result.value}. {run.result.advice}")


@styled
def comparison(run: Comparison, /) -> Figure:
    """Sharpness, effective_lr*sharpness and the distance to the flow over flow time, of a `Comparison`."""
    _needs_records(run)
    figure = Figure(figsize=(PAGE, 2.3))
    left, middle, right = figure.subplots(1, 3)
    times = run.times
    left.plot(times, run.sharpness, color=DESCENT, label="gradient descent")
    left.plot(times, run.flow_sharpness, color=FLOW, linestyle="--", label="flow")
    left.set(ylabel=r"sharpness $\lambda_1$", title=f"{run.loss}, {run.rule}{ended(run)}")
    left.legend(loc="best")
    plain_axis(left)
    if np.isfinite(run.edge).any():
        middle.plot(times, run.edge, color=DESCENT, linewidth=0.7)
        edge_line(middle, run.edge_value)
        middle.set(ylabel=r"$\eta_{\mathrm{eff}}\,\lambda_1$", title=rf"rate $\varepsilon$ = {power(run.rate)}")
        middle.ticklabel_format(axis="y", useOffset=False)
    else:
        middle.text(0.5, 0.5, "no effective learning rate", ha="center", va="center", transform=middle.transAxes)
        middle.set(title=rf"rate $\varepsilon$ = {power(run.rate)}")
    distances(right, run)
    for axes in (left, middle, right):
        axes.set_xlabel(r"flow time $\tau = \varepsilon t$")
        axes.set_xlim(0, max(float(times[-1]), 1e-12))
    return figure


def edge_line(axes: Axes, edge: float) -> None:
    """The edge, dotted and named."""
    axes.axhline(edge, color=EDGE, linestyle=":", linewidth=1)
    axes.annotate("edge", (1, edge), xycoords=("axes fraction", "data"), xytext=(2, 0),
                  textcoords="offset points", va="center", fontsize=7, annotation_clip=False)  # fmt: skip


def plain_axis(axes: Axes) -> None:
    """Numbers without an offset, over a hundredth of them at least: what hardly changes is drawn flat."""
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    middle, least = (low + high) / 2, FLAT * abs(low + high) / 2
    if high - low < least:
        axes.set_ylim(middle - least / 2, middle + least / 2)


def distances(axes: Axes, run: Comparison) -> None:
    """The distance to the flow in units of intrinsic_lr, raw and on Gamma."""
    unit = run.intrinsic_lr
    axes.plot(run.times, run.distance / unit, color=DESCENT, linewidth=0.8, label="raw")
    if np.isfinite(run.distance_on_minima).any():  # without minima there is nothing to retract to
        axes.plot(run.times, run.distance_on_minima / unit, color="#009E73", label=r"retracted to $\Gamma$")
    axes.set(ylabel=r"distance to the flow / $\eta_{\mathrm{in}}$", title=rf"$\eta_{{\mathrm{{in}}}}$ = {unit:.2g}")
    top = float(np.nanmax(np.concatenate([run.distance, run.distance_on_minima]))) / unit
    axes.set_ylim(0, 1.35 * top if top > 0 else 1)
    axes.legend(loc="upper right", ncols=2, columnspacing=1)


def _projection(run: Comparison) -> np.ndarray:
    """Three orthonormal directions (3, D) that hold the most of the flow and the iterates."""
    dimension = run.points.shape[1]
    if dimension == 3:
        return np.eye(3)
    finite = run.flow_points[np.isfinite(run.flow_points).all(axis=1)]
    cloud = np.concatenate([finite, run.points])
    _, _, directions = np.linalg.svd(cloud, full_matrices=False)
    result: np.ndarray = directions[:3]
    return result


@styled
def sphere(run: Comparison, loss: Loss | None = None, /) -> Figure:
    """The unit sphere with Gamma, the iterates of gradient descent and the flow; in D > 3 a projection, said so.

    Beside it, the displacement from Gamma is magnified: at small rates it is too small to be seen on the sphere.
    """
    _needs_records(run)
    figure = Figure(figsize=(PAGE, 3.2))
    axes: Any = figure.add_subplot(1, 2, 1, projection="3d")
    basis = _projection(run)
    iterates, flow = run.points @ basis.T, run.flow_points @ basis.T
    flow = flow[np.isfinite(flow).all(axis=1)]
    longitude, latitude = np.meshgrid(np.linspace(0, 2 * np.pi, 61), np.linspace(-np.pi / 2, np.pi / 2, 31))
    ball = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    axes.plot_surface(*ball, color="#dfe6ee", alpha=0.35, linewidth=0, antialiased=True, shade=True, rasterized=True)
    # Seen from above the middle of the flow, so that what is drawn lies in front.
    middle = flow[len(flow) // 2]
    elevation = float(np.degrees(np.arcsin(np.clip(middle[2] / np.linalg.norm(middle), -1, 1))))
    azimuth = float(np.degrees(np.arctan2(middle[1], middle[0])))
    elevation, azimuth = float(np.clip(elevation + 20, -70, 70)), azimuth + 25
    axes.view_init(elev=elevation, azim=azimuth)
    up, round_ = np.radians([elevation, azimuth])
    eye = np.array([np.cos(up) * np.cos(round_), np.cos(up) * np.sin(round_), np.sin(up)])

    def draw(points: np.ndarray, colour: str, label: str, **look: Any) -> None:
        """Draw what the ball hides pale, and dotted where it is a line."""
        hidden = points @ eye < 0
        pale = {**look, "alpha": 0.35} | ({} if look.get("linestyle") == "" else {"linestyle": ":"})
        axes.plot(*np.where(hidden[:, None], points, np.nan).T, color=colour, **pale)
        axes.plot(*np.where(hidden[:, None], np.nan, points).T, color=colour, label=label, **look)

    gamma = _gamma(loss)
    for k, curve in enumerate(gamma or ()):
        draw(curve @ basis.T, GAMMA, "_nolegend_" if k else r"minima $\Gamma$", linewidth=0.9)
    thin = slice(None, None, max(1, len(iterates) // SHOWN))
    dots = {"linestyle": "", "marker": ".", "markersize": 3.5, "rasterized": True}
    draw(iterates[thin], DESCENT, "gradient descent", **dots)
    draw(flow, FLOW, "flow", linewidth=0.9)
    axes.plot(*flow[:1].T, "o", color=FLOW, markersize=4, markerfacecolor="white", label="start")
    axes.plot(*flow[-1:].T, "s", color=FLOW, markersize=4, label="end")
    axes.set_box_aspect((1, 1, 1), zoom=1.35)
    axes.set_axis_off()
    names = "" if run.points.shape[1] == 3 else f", projected from {run.points.shape[1]} dimensions"
    axes.set_title(f"{run.loss}, {run.rule}{ended(run)}{names}")
    inset = figure.add_subplot(1, 2, 2)
    delta = math.sqrt(run.rate)
    displacement = np.linalg.norm(run.points - run.minima_points, axis=1) / delta
    inset.plot(run.times, displacement, color=DESCENT, linewidth=0.8)
    inset.set(
        xlabel=r"flow time $\tau = \varepsilon t$", ylabel=r"displacement from $\Gamma$ / $\sqrt{\varepsilon}$",
        title=rf"the oscillation, magnified: $\varepsilon$ = {power(run.rate)}", ylim=(0, None),
        xlim=(0, float(run.times[-1])),
    )  # fmt: skip
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=5, columnspacing=1.2)
    return figure


def _gamma(loss: Loss | None) -> list[np.ndarray] | None:
    """Curves (N, D) of Gamma through the default start, one for each chart coordinate."""
    if loss is None or loss.minima is None:
        return None
    from sharpflow.numerics.minima.chart import embed

    minima = loss.minima
    assert minima.start is not None
    assert minima.domain is not None
    curves = []
    for i, (low, high) in enumerate(minima.domain):
        a, b = max(float(low), minima.start[i] - 3), min(float(high), minima.start[i] + 3)
        chart = np.tile(np.array(minima.start, dtype=float), (81, 1))
        chart[:, i] = np.linspace(a + 1e-6 * (b - a), b - 1e-6 * (b - a), 81)
        curves.append(embed(loss, chart))
    return curves


@styled
def portrait(orbits: Sequence[EdgeOrbit], /, *, title: str = "") -> Figure:
    """Orbits of gradient descent in (X, U), at even steps, over level sets of the conserved energy.

    E = U^2/2 + (b/2) X^2 - a log|X| of the rule's oscillator X' = X U, U' = a - b X^2; for gradient descent with weight
    decay a = 4 and b = 2 (4 + K^2), K at the start.
    """
    if not orbits or not all(orbit.finite for orbit in orbits):
        raise InputError("there is nothing to draw: an orbit is not finite, or there is none.")
    from sharpflow.theory.edge.averaging import A, B, U, X, energy

    if not orbits[0].law.smooth:
        raise InputError("there is no portrait to draw: without a schedule the rule has no slow oscillator.")
    import sympy as sp

    a, b = orbits[0].law.response(float(orbits[0].log_gradient_squared[0]))
    level = sp.lambdify((X, U), energy().subs({A: a, B: b}), "numpy")
    figure = Figure(figsize=(COLUMN, 3.0))
    axes = figure.subplots()
    reach = 1.25 * max(float(np.max(np.abs(o.u))) for o in orbits)
    widest = 1.12 * max(float(np.max(np.abs(o.x))) for o in orbits)
    x, u = np.meshgrid(np.linspace(widest / 400, widest, 300), np.linspace(-reach, reach, 300))
    starts = [float(level(abs(o.x[0]), o.u[0])) for o in orbits]
    axes.contour(x, u, level(x, u), levels=sorted(set(np.round(starts, 9))), colors=GAMMA, linewidths=0.7)
    axes.plot([], [], color=GAMMA, linewidth=0.7, label="level sets of $E$")
    for orbit, colour in zip(orbits, ("#D55E00", "#009E73", "#CC79A7", "#E69F00"), strict=False):
        axes.plot(np.abs(orbit.x), orbit.u, ".", color=colour, markersize=2, label=rf"$|X_0|$ = {abs(orbit.x[0]):.2f}")
    axes.plot(math.sqrt(a / b), 0, "+", color=EDGE, markersize=6, label="rest")
    axes.set(
        xlabel=r"$|X| = |x| / \sqrt{\varepsilon}$",
        ylabel=r"$U = (\eta_{\mathrm{eff}}\lambda_1 - 2)/\sqrt{\varepsilon}$",
        title=title or rf"rate $\varepsilon$ = {power(orbits[0].rate)}", xlim=(0, widest), ylim=(-reach, reach),
    )  # fmt: skip
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, columnspacing=1)
    return figure


@styled
def order(result: Order, /) -> Figure:
    """The largest distance to the flow against intrinsic_lr, log-log, with the fitted power and a line of slope one."""
    figure = Figure(figsize=(COLUMN, 2.9))
    axes = figure.subplots()
    small, raw = np.array(result.intrinsic_lrs), np.array(result.distances)
    near = np.array([c.max_distance_on_minima for c in result.comparisons])
    good = np.isfinite(raw)
    if not good.any():
        raise InputError(f"there is nothing to draw: {result.message}.")
    axes.loglog(small[good], raw[good], "o", color=DESCENT, label="raw")
    drawn = good & (near > 0)
    axes.loglog(small[drawn], near[drawn], "s", color="#009E73", label=r"retracted to $\Gamma$")
    if math.isfinite(result.estimate):
        # With the next term the line is bent; its estimate is the slope at its lower end.
        kind = "bent" if result.bend else "fit"
        label = f"{kind}: {result.estimate:.3f} [{result.interval[0]:.3f}, {result.interval[1]:.3f}]"
        fine = np.geomspace(small.min(), small.max(), 50)
        fitted = result.constant * fine**result.estimate * np.exp(result.bend * fine**2)
        axes.loglog(fine, fitted, color=DESCENT, linewidth=0.9, label=label)
        if drawn.any() and math.isfinite(result.on_minima[0]):
            slope, low, high = result.on_minima
            scale = math.exp(float(np.mean(np.log(near[drawn]) - slope * np.log(small[drawn]))))
            label = f"fit: {slope:.3f} [{low:.3f}, {high:.3f}]"
            axes.loglog(small, scale * small**slope, color="#009E73", linewidth=0.9, label=label)
    guide = 2.2 * float(np.nanmax(raw[good] / small[good])) * small
    axes.loglog(small, guide, color=EDGE, linestyle=":", linewidth=0.9, label="slope 1")
    axes.set(
        xlabel=r"$\eta_{\mathrm{in}}$", ylabel=r"$\max_t\,|\theta_t - \zeta(\varepsilon t)|$",
        title=f"{result.loss}, {result.rule}: {result.verdict}",
    )  # fmt: skip
    axes.grid(True, which="major")
    # Between powers of ten only 2 and 5 have room for a label.
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.xaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(9, 9)))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, columnspacing=1)
    return figure


@styled
def regression_angle(series: Sequence[AngleSeries], /) -> Figure:
    """tan(alpha) of gradient descent on data sets, over tan(alpha_0), against the closed form exp(-tau)."""
    figure = Figure(figsize=(COLUMN, 2.7))
    axes = figure.subplots()
    last = max(float(s.times[-1]) for s in series)
    times = np.linspace(0, last, 200)
    axes.semilogy(times, np.exp(-times), color=FLOW, label=r"closed form $e^{-\tau}$", zorder=1)
    for i, (one, marker) in enumerate(zip(series, "os^D", strict=False)):
        thin = slice(i * 8, None, max(1, len(one.times) // 14))
        label = f"{one.name}, {one.examples} examples, {one.features} features"
        axes.semilogy(one.times[thin], one.tan_alpha[thin] / one.tan_alpha[0], marker, label=label,
                      color=("#D55E00", "#009E73", "#CC79A7", "#E69F00")[i % 4])  # fmt: skip
    axes.set(
        xlabel=r"flow time $\tau = \varepsilon t$", ylabel=r"$\tan\alpha(\tau)\,/\,\tan\alpha_0$",
        title=rf"regression with batch normalization, $\varepsilon$ = {power(series[0].rate)}", xlim=(0, last),
    )  # fmt: skip
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return figure
