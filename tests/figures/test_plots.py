"""The figures: what is drawn is what was measured, nothing that is not finite, and every format can be written."""

import io
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from sharpflow.figures import edges, plots
from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.comparison.order import order
from sharpflow.numerics.descent.orbit import edge_orbit
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError

GD = rules.get("gd-wd")


@pytest.fixture(scope="module")
def ridge():
    return families.get("ridge").default()


@pytest.fixture(scope="module")
def run(ridge):
    return compare(ridge, rate=1e-3, time=1.0)


def drawn(figure):
    """All lines of a figure, by label."""
    return {line.get_label(): line for axes in figure.axes for line in axes.lines}


def test_comparison_draws_the_series(run):
    figure = plots.comparison(run)
    sharp, edge, distance = figure.axes
    np.testing.assert_array_equal(sharp.lines[0].get_ydata(), run.sharpness)
    np.testing.assert_array_equal(sharp.lines[1].get_ydata(), run.flow_sharpness)
    np.testing.assert_array_equal(edge.lines[0].get_ydata(), run.edge)
    assert set(edge.lines[1].get_ydata()) == {2}
    np.testing.assert_allclose(distance.lines[0].get_ydata() * run.intrinsic_lr, run.distance)
    for axes in figure.axes:
        assert "tau" in axes.get_xlabel()
        assert axes.get_ylabel()


def test_what_hardly_changes_is_drawn_flat_and_without_an_offset():
    figure = plots.Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [1.70101, 1.70102])
    plots.plain_axis(axes)
    low, high = axes.get_ylim()
    assert high - low >= 0.01 * 1.7
    figure.draw_without_rendering()
    assert axes.yaxis.get_offset_text().get_text() == ""


def test_sphere_shows_minima_iterates_and_flow(run, ridge):
    figure = plots.sphere(run, ridge)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert {"gradient descent", "flow", "start", "end"} <= set(lines)
    assert any("Gamma" in str(label) for label in lines)
    x, y, z = lines["flow"].get_data_3d()
    np.testing.assert_allclose(x**2 + y**2 + z**2, 1, atol=1e-12)


@pytest.mark.deep
def test_sphere_says_that_it_projects():
    surface = families.get("surface").default()
    figure = plots.sphere(compare(surface, rate=1e-3, time=0.5), surface)
    assert "projected from 4 dimensions" in figure.axes[0].get_title()


@pytest.mark.parametrize("rule", ["gd-wd", pytest.param("rmsprop", marks=pytest.mark.deep)])
def test_portrait_lies_on_its_level_set(ridge, rule):
    orbit = edge_orbit(ridge, rules.get(rule), rate=1e-6, amplitude=2.0, periods=3.0)
    figure = plots.portrait([orbit])
    axes = figure.axes[0]
    (points,) = (line for line in axes.lines if str(line.get_label()).startswith("$|X_0|"))
    np.testing.assert_array_equal(points.get_ydata(), orbit.u)
    (contours,) = axes.collections
    vertices = np.concatenate([path.vertices for path in contours.get_paths()])
    # Every point of the orbit is near the level set of its start: the energy is conserved to leading order.
    scale = np.array([np.ptp(vertices[:, 0]), np.ptp(vertices[:, 1])])
    for x, u in zip(np.abs(orbit.x[::20]), orbit.u[::20], strict=True):
        assert np.min(np.linalg.norm((vertices - [x, u]) / scale, axis=1)) < 0.02


def test_no_portrait_without_a_slow_oscillator(ridge):
    orbit = edge_orbit(ridge, rules.get("normalized-gd"), rate=1e-6, amplitude=1.0)
    with pytest.raises(InputError, match="no slow oscillator"):
        plots.portrait([orbit])


def test_order_draws_every_run(ridge):
    result = order(ridge, rates=(1e-5, 1e-4, 1e-3), time=0.3)
    figure = plots.order(result)
    line = drawn(figure)["raw"]
    np.testing.assert_array_equal(line.get_xdata(), result.intrinsic_lrs)
    np.testing.assert_array_equal(line.get_ydata(), result.distances)
    assert f"{result.estimate:.3f}" in "".join(str(label) for label in drawn(figure))


@pytest.mark.deep
def test_a_run_without_effective_lr_and_one_that_stopped(ridge):
    crossing = families.get("crossing").default()
    stopped = compare(crossing, rate=1e-3, time=8.0)
    assert not stopped.result.ok
    figure = plots.comparison(stopped)
    assert stopped.result.value.replace("_", " ") in figure.axes[0].get_title()
    plain = compare(ridge, rule=rules.get("normalized-gd"), rate=1e-4, time=0.2)
    assert "no effective learning rate" in [text.get_text() for text in plots.comparison(plain).axes[1].texts]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_formats(run, kind):
    buffer = io.BytesIO()
    plots.comparison(run).savefig(buffer, format=kind)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert buffer.getvalue().startswith(start)


def test_style_does_not_leak(run):
    before = dict(mpl.rcParams)
    plots.comparison(run)
    assert dict(mpl.rcParams) == before


def test_legends_do_not_cover_the_data(run):
    figure = plots.comparison(run)
    figure.savefig(io.BytesIO(), format="png")
    axes = figure.axes[2]
    box = axes.get_legend().get_window_extent()
    points = np.concatenate([axes.transData.transform(np.column_stack(line.get_data())) for line in axes.lines])
    inside = (points[:, 0] > box.x0) & (points[:, 0] < box.x1) & (points[:, 1] > box.y0) & (points[:, 1] < box.y1)
    assert not inside.any()


def test_nothing_to_draw_is_said():
    with pytest.raises(InputError, match="nothing to draw"):
        plots.portrait([])


@pytest.mark.parametrize("surrounding", ["an absent backend", "a backend that is none", "LaTeX without a LaTeX"])
def test_figures_do_not_depend_on_the_settings_of_matplotlib(surrounding, tmp_path):
    """Kind: settings of the user's that decide about a figure, or end its drawing."""
    settings = {"an absent backend": "module://absent", "a backend that is none": "absent"}.get(surrounding)
    environment = {**os.environ, **({"MPLBACKEND": settings} if settings else {}), "PATH": ""}
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.facecolor: red\nsavefig.dpi: 10\n")
    program = """
import io, sys
from sharpflow.figures.style import Figure, styled

@styled
def draw():
    figure = Figure(figsize=(1, 1))
    figure.subplots().set(title=r"rate $\\varepsilon$")
    return figure

buffer = io.BytesIO()
draw().savefig(buffer, format="png")
sys.stdout.write(str(hash(buffer.getvalue())))
"""
    environment |= {"PYTHONHASHSEED": "0"}
    plain = {name: value for name, value in environment.items() if name != "MPLBACKEND"}
    done = [
        subprocess.run([sys.executable, "-c", program], env=e, cwd=where, capture_output=True, text=True, check=False)
        for e, where in ((environment, tmp_path), (plain, tmp_path.parent))
    ]
    assert done[0].stdout, done[0].stderr
    assert done[0].stdout == done[1].stdout


def test_the_sphere_hides_what_lies_behind_it(run, ridge):
    axes = plots.sphere(run, ridge).axes[0]
    up, round_ = np.radians([axes.elev, axes.azim])
    eye = np.array([np.cos(up) * np.cos(round_), np.cos(up) * np.sin(round_), np.sin(up)])
    shown = {True: 0, False: 0}
    for line in axes.lines:
        depth = np.column_stack(line.get_data_3d()) @ eye
        depth = depth[np.isfinite(depth)]
        if line.get_linestyle() != "None" and len(depth) > 1:
            hidden = line.get_linestyle() == ":"
            assert ((depth < 0) == hidden).all()
            shown[hidden] += len(depth)
    assert shown[True] > 10
    assert shown[False] > 10


def test_the_oscillation_fills_its_panel_and_is_one_smooth_curve(ridge):
    resolved = compare(ridge, rate=1e-3, time=0.5, amplitude=1.02, resolve=True)
    left, right = edges.oscillation(resolved).axes
    for axes in (left, right):
        low, high = axes.get_ylim()
        for line in axes.lines:
            values = line.get_ydata()
            assert (values.max() - values.min()) > 0.5 * (high - low)
            # Up and down once in a period, and not at each iteration.
            turns = np.sum(np.diff(np.sign(np.diff(values))) != 0)
            assert turns < len(values) / 5
