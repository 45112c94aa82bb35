"""Noise: the figures and the numbers of docs/noise.md.

    uv run python -m benchmarks.noise [central heavy-ball batches training]

writes docs/noise-central-path.png, docs/noise-heavy-ball.png and docs/noise-batches.png, and prints the tables; ten
minutes on two cores.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.tables import row, rule
from sharpflow.figures.style import DESCENT, EDGE, FLOW, GAMMA, PAGE, Figure, power, styled

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOISES = (10.0, 1.0, 0.1, 1e-2, 1e-3)


def two_layer_start():
    """The two-layer network, a point of Gamma, and effective_lr at half of the edge."""
    from sharpflow import relax
    from sharpflow.numerics.networks.two_layer import batch
    from sharpflow.numerics.spectrum.dense import top_eigenvalues

    point = relax(batch).point
    return batch, point, 1 / float(top_eigenvalues(batch, point[None], rank=1, block=1)[0, 0])


def central():
    """Flows for nu from 10/e to 1e-3/e, and the edge flow; noisy runs beside two of them."""
    from sharpflow import edge_flow, noise_flow
    from sharpflow.numerics.comparison.noisy import compare_noisy

    network, point, e = two_layer_start()
    noise_flow(network, point, noise=1 / e, effective_lr=e, time=0.1)
    paths = {nu: noise_flow(network, point, noise=nu / e, effective_lr=e, time=2.0) for nu in NOISES}
    limit = edge_flow(network, point, effective_lr=e, time=2.0)
    print(row("nu e_0", "steps", "ms", "travelled", "lambda_1 at the end", "e lambda_1", "distance to the edge flow"))
    print(rule(7))
    for nu, path in paths.items():
        print(row(
            f"{nu:g}", len(path) - 1, f"{1e3 * path.seconds:.0f}", f"{np.linalg.norm(path.end - point):.3f}",
            f"{path.sharpness[-1]:.1f}", f"{path.effective_lr[-1] * path.sharpness[-1]:.4f}",
            f"{np.linalg.norm(path.end - limit.end):.3f}",
        ))  # fmt: skip
    print()
    print(row("nu e_0", "rate", "distance of block means", "effective_lr off by", "noisy run, s", "flow, s", "ratio"))
    print(rule(7))
    runs = {}
    for nu in (1.0, 0.1):
        for rate in (1e-3, 1e-4, 1e-5):
            found = runs[nu, rate] = compare_noisy(
                network, label_noise=nu / e, rate=rate, time=2.0, start=point, effective_lr=e
            )
            flow = min(found.path.seconds, paths[nu].seconds)
            print(row(
                f"{nu:g}", f"{rate:g}", found.max_distance, found.lr_error, f"{found.seconds['gd']:.2f}", f"{flow:.3f}",
                f"{found.seconds['gd'] / flow:.0f}",
            ), flush=True)  # fmt: skip
    _central(paths, limit, runs).savefig(DOCS / "noise-central-path.png", dpi=160)


@styled
def _central(paths, limit, runs):
    figure = Figure(figsize=(PAGE, 2.5))
    sharpness, load, apart = figure.subplots(1, 3)
    for k, (nu, path) in enumerate(paths.items()):
        shade = (0.75 - 0.6 * k / len(paths),) * 3 if nu not in (1.0, 0.1) else FLOW
        name = rf"$\nu e_0$ = {nu:g}"
        sharpness.semilogy(path.times, path.sharpness, color=shade, label=name)
        load.plot(path.times, path.effective_lr * path.sharpness, color=shade)
        load.annotate(f"{nu:g}", (2.02, path.effective_lr[-1] * path.sharpness[-1]), fontsize=6, va="center")
    sharpness.semilogy(limit.times, limit.sharpness, color=EDGE, linestyle=":", label="edge flow")
    load.plot(limit.times, limit.effective_lr * limit.sharpness, color=EDGE, linestyle=":")
    for nu in (1.0, 0.1):
        run = runs[nu, 1e-4]
        sharpness.plot(run.times[::5], run.sharpness[::5], ".", color=DESCENT, markersize=3)
        load.plot(run.times[::5], run.edge[::5], ".", color=DESCENT, markersize=3)
    load.annotate("0 (edge flow)", (1.3, 2.03), fontsize=6)
    sharpness.set(xlabel=r"flow time $\tau$", ylabel=r"$\lambda_1$", xlim=(0, 2))
    load.set(xlabel=r"flow time $\tau$", ylabel=r"$\eta_{\rm eff}\lambda_1$", xlim=(0, 2.3), ylim=(0, 2.2))
    sharpness.legend(fontsize=6)
    for nu, mark in ((1.0, "o"), (0.1, "s")):
        rates = np.array([rate for n, rate in runs if n == nu])
        values = [runs[nu, rate].max_distance for rate in rates]
        apart.errorbar(
            rates, [v.mean for v in values], [v.half for v in values], fmt=mark, color=DESCENT, markersize=3,
            label=rf"$\nu e_0$ = {nu:g}",
        )  # fmt: skip
    line = np.array([1e-5, 1e-3])
    apart.loglog(line, 2 * np.sqrt(line), color=GAMMA, linewidth=0.7, label=r"$2\sqrt{\varepsilon}$")
    apart.set(xlabel=r"rate $\varepsilon$", ylabel="distance of block means", xscale="log", yscale="log")
    apart.legend(fontsize=6)
    return figure


def heavy_ball():
    """Heavy ball from the edge with noise over 24 decades, at three rates and two beta."""
    from sharpflow.numerics.noise.phase import displacement, phase
    from sharpflow.theory import rules

    noise = np.concatenate([[0.0], 10.0 ** np.arange(-24, 0.5)])
    print(row("beta", "rate", "nu", "largest amplitude", "moved", "noise flow", "tracks within 5 %"))
    print(rule(7))
    found = {}
    for beta in (0.5, 0.9):
        own = replace(rules.get("heavy-ball"), constants={"beta": beta})
        flow = np.array([displacement(own, nu, 1.0) for nu in noise])
        for rate in (1e-3, 3e-4, 1e-4):
            run = phase(
                own,
                rate=rate,
                noise=noise,
                edge=2 * (1 + beta),
                mean_square=2 * (1 - beta) / (5 * (1 + beta)),
                seeds=32,
            )
            off = np.abs(run.moved / flow[:, None] - 1)
            found[beta, rate] = noise, run, np.mean(off < 0.05, axis=1)
            for k in (0, 1, 9, 17, 21, 25):
                print(row(
                    beta, f"{rate:g}", f"{noise[k]:.0e}", f"{np.median(run.amplitude[k]):.2f}",
                    f"{run.moved[k].mean():.4f} ± {run.moved[k].std(ddof=1) / 32**0.5:.4f}", f"{flow[k]:.4f}",
                    f"{found[beta, rate][2][k]:.2f}",
                ), flush=True)  # fmt: skip
    _phases(found).savefig(DOCS / "noise-heavy-ball.png", dpi=160)


@styled
def _phases(found):
    figure = Figure(figsize=(PAGE, 2.6))
    panels = figure.subplots(1, 3)
    for axes, beta in zip(panels[:2], (0.5, 0.9), strict=True):
        rates = [rate for b, rate in found if b == beta]
        grid = np.stack([found[beta, rate][2] for rate in rates])
        noise = found[beta, rates[0]][0]
        columns = np.concatenate([[-26.0], np.log10(noise[1:])])
        picture = axes.pcolormesh(
            columns, np.arange(len(rates)), grid, cmap="Greys_r", vmin=0, vmax=1, shading="nearest"
        )
        axes.set(
            xlabel=r"$\log_{10}\nu$ (left: none)", yticks=range(len(rates)), yticklabels=[f"{r:g}" for r in rates],
            title=rf"$\beta$ = {beta:g}", ylabel=r"rate $\varepsilon$",
        )  # fmt: skip
    figure.colorbar(picture, ax=panels[1]).ax.set_title("within 5 %", fontsize=6)
    axes = panels[2]
    for beta, style in ((0.5, "-"), (0.9, "--")):
        noise, run, _ = found[beta, 1e-4]
        there = (noise > 0) & (noise < 1e-4)
        axes.plot(
            np.log10(noise[there]), np.median(run.amplitude[there], axis=1) ** 2, style, color=DESCENT,
            label=rf"$\beta$ = {beta:g}",
        )  # fmt: skip
    axes.set(xlabel=r"$\log_{10}\nu$", ylabel="largest amplitude, squared", ylim=(0, None))
    axes.legend()
    return figure


def batches():
    """Batches of one of four examples: where effective_lr settles, how large bursts are, how far runs lie apart."""
    from sharpflow.numerics.noise.batch_edges import hill, lyapunov_edge, mean_square_edge, run_batches, settling

    print(
        row("n", "b", "rate", "e over the mean-square edge", "Lyapunov", "whole batch", "largest |x|", "tail exponent")
    )
    print(rule(8))
    kept = {}
    for examples, size in ((4, 1), (8, 2), (16, 2)):
        for rate in (1e-2, 1e-3, 1e-4):
            run = run_batches(rate=rate, size=size, examples=examples, dimension=examples + 4, seeds=32, seed=3)
            edge = mean_square_edge(run.jacobian, size=size)
            if rate == 1e-2:
                other = lyapunov_edge(run.jacobian, size=size)[0] / edge
            ratio = run.effective_lr / edge
            kept[examples, size, rate] = run
            tails = [hill(part) for part in np.array_split(run.sizes, 8)]
            print(row(
                examples, size, f"{rate:g}", f"{ratio.mean():.4f} ± {2 * ratio.std(ddof=1) / 32**0.5:.4f}",
                f"{other:.3f}",
                f"{2 / np.linalg.norm(run.jacobian, 2) ** 2 / edge:.2f}", f"{np.median(run.sizes.max(axis=1)):.3f}",
                f"{np.mean(tails):.1f} ± {2 * np.std(tails, ddof=1) / 8**0.5:.1f}",
            ), flush=True)  # fmt: skip
    for examples, size, draws in ((4, 1, 8), (8, 2, 12)):
        shares = [settling((1e-4,), size=size, examples=examples, seed=seed)[0][0] for seed in range(draws)]
        print(
            f"\n{size} of {examples}, rate 1e-4: {min(shares):.2f} to {max(shares):.2f} of the way to the Lyapunov edge"
        )
    print()
    print(row("rate", "e over the mean-square edge of the network", "spread of 16 ends", "moved"))
    print(rule(4))
    for rate in (1e-3, 1e-4):
        ratio, spread, moved = network_batches(rate)
        print(row(f"{rate:g}", ratio, f"{spread:.4f}", f"{moved:.3f}"), flush=True)
    _bursts(kept).savefig(DOCS / "noise-batches.png", dpi=160)


def network_batches(rate):
    """Four examples, 108 weights, batches of one: effective_lr over the mean-square edge at the same point; ends."""
    import jax
    import jax.numpy as jnp

    from sharpflow import relax
    from sharpflow.numerics.comparison.noisy import interval
    from sharpflow.numerics.descent.descent import parameters_of, prepare
    from sharpflow.numerics.descent.noise import Batches
    from sharpflow.numerics.networks.two_layer import two_layer
    from sharpflow.numerics.noise.batch_edges import mean_square_edge
    from sharpflow.numerics.residuals import zeros_nearby
    from sharpflow.theory import rules

    network, gd, seeds = two_layer(examples=4), rules.get("gd-wd"), 16
    point = relax(network).point
    jacobian = jax.jit(jax.jacrev(network.residuals))
    edge = lambda z: mean_square_edge(np.asarray(jacobian(z)), size=1)  # noqa: E731
    descent = prepare(network, gd, records=200, means=True, source=Batches(1))
    parameters = parameters_of(gd, rate, None)
    position, state = descent.begin(point, 0.8 * edge(point), parameters)
    # Along every direction a little: on Gamma itself the batches see nothing.
    aside = np.random.default_rng(0).standard_normal((seeds, len(point))) * 1e-4
    positions = position + jnp.asarray(aside)
    positions = positions / jnp.linalg.norm(positions, axis=1, keepdims=True)
    states = jax.tree.map(lambda s: jnp.stack([s] * seeds), state)
    run = descent.run_seeds(positions, states, parameters, round(2 / rate / 200), seeds=list(range(seeds)))
    ratios = [
        np.mean([
            lr[k] / edge(zeros_nearby(network, points[k + 1 : k + 2])[0]) for k in range(100, 200, 20)
        ])
        for lr, points in zip(run.means["effective_lr"], run.points, strict=True)
    ]  # fmt: skip
    ends = zeros_nearby(network, run.points[:, -1])
    centre = ends.mean(axis=0)
    return interval(ratios), np.linalg.norm(ends - centre, axis=1).mean(), np.linalg.norm(centre - point)


@styled
def _bursts(kept):
    figure = Figure(figsize=(PAGE, 2.4))
    time, tail, load = figure.subplots(1, 3)
    for rate, shade in ((1e-2, GAMMA), (1e-3, FLOW), (1e-4, DESCENT)):
        run = kept[4, 1, rate]
        sizes = run.sizes[0]
        time.semilogy(
            np.linspace(2, 4, len(sizes)), np.maximum(sizes, 1e-9), color=shade, linewidth=0.6, label=power(rate)
        )
        ordered = np.sort(run.sizes.ravel())[::-1]
        chosen = np.unique(np.geomspace(1, len(ordered), 200).astype(int)) - 1
        tail.loglog(ordered[chosen], (chosen + 1) / len(ordered), color=shade)
    time.set(xlabel=r"flow time $\tau$", ylabel=r"$|x|$ of one run", ylim=(1e-9, 1))
    time.legend(fontsize=6)
    tail.set(xlabel=r"$s$", ylabel=r"share of steps with $|x| > s$", xlim=(1e-6, 1))
    from sharpflow.numerics.noise.batch_edges import mean_square_edge

    for (examples, size), mark in (((4, 1), "o"), ((8, 2), "s"), ((16, 2), "^")):
        rates = (1e-2, 1e-3, 1e-4)
        ratio = [
            kept[examples, size, r].effective_lr / mean_square_edge(kept[examples, size, r].jacobian, size=size)
            for r in rates
        ]
        load.errorbar(
            rates, [v.mean() for v in ratio], [2 * v.std(ddof=1) / len(v) ** 0.5 for v in ratio], fmt=mark,
            markersize=3, label=f"{size} of {examples}",
        )  # fmt: skip
    load.axhline(1, color=EDGE, linewidth=0.5)
    load.set(xscale="log", xlabel=r"rate $\varepsilon$", ylabel="effective_lr / mean-square edge", ylim=(0.95, None))
    load.legend(fontsize=6)
    return figure


def training():
    """Digits, five seeds, time 3 at rate 5e-4: full batch against batches, momentum, label noise and a schedule."""
    from sharpflow.numerics import experiments
    from sharpflow.numerics.comparison.noisy import interval
    from sharpflow.numerics.training.experiment import Choices
    from sharpflow.numerics.training.recipe import Recipe
    from sharpflow.numerics.training.run import train_network

    tasks = experiments.get("digits").tasks(5, Choices())
    print(row("run", "sharpness at the end", "effective_lr lambda_1", "test error, %"))
    print(rule(4))
    for more in (
        {},
        {"batch": 25},
        {"momentum": 0.9},
        {"batch": 25, "momentum": 0.9},
        {"label_noise": 0.3},
        {"schedule": "cosine"},
    ):
        run = train_network(tasks, Recipe(0.05, 0.01, time=3.0, records=24, **more))
        name = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in more.items()) or "full batch"
        ends = (run.sharpness[-1], run.edge[-1], 100 * run.test_error[-1])
        print(row(name, *(interval(end) for end in ends)), flush=True)
    print()
    print(row("rate", "norm^4 over its formula", "squared angle over 2 rate", "noise over eps lambda_1^2/2"))
    print(rule(4))
    tasks = experiments.get("digits").tasks(5, Choices(loss="cross-entropy"))  # smoothed by 0.1
    for decay in (0.01, 0.1, 1.0):
        times = tuple(np.linspace(0.25, 6, 24))
        run = train_network(tasks, Recipe(0.05, decay, time=6.0, record_times=times, batch=25, count=1))
        rate, half = 0.05 * decay, slice(13, None)
        squared, norm = run.columns["mean_gradient_squared"][half], run.columns["norm_squared"][half]
        fourth = norm**2 * decay * (2 - rate) / (0.05 * squared)
        angle = run.columns["effective_lr"][half] ** 2 * squared / (2 * rate)
        noise = squared / (rate * run.sharpness[half] ** 2 / 2)
        print(row(f"{rate:g}", *(interval(np.nanmean(v, axis=0)) for v in (fourth, angle, noise))), flush=True)


PARTS = {"central": central, "heavy-ball": heavy_ball, "batches": batches, "training": training}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        print(f"\n{name}\n")
        PARTS[name]()
