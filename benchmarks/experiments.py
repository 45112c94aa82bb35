"""The page docs/experiments.md: what normalization, weight decay and the edge do to networks on real data.

    python -m benchmarks.experiments --write docs/experiments.md --out runs     # all of it, half an hour on two cores
    python -m benchmarks.experiments --part digits                              # or flow, completion, ablation, ...

With --out each run is kept there and gone on with; figures are written beside the page.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SEEDS = 5


@dataclass
class Place:
    """Where runs are kept and figures go."""

    out: Path | None
    figures: Path

    def run(self, name, seeds, choices=None, label="", **changes):
        """A run of an experiment with a changed recipe, kept in a folder of its own."""
        from numerics import experiments
        from numerics.experiment import Choices
        from numerics.training import Recipe
        from numerics.training_run import train_network

        experiment = experiments.get(name)
        recipe = Recipe(
            changes.pop("learning_rate", experiment.learning_rate),
            changes.pop("weight_decay", experiment.weight_decay),
            **{"time": experiment.time, **changes},
        )
        tasks = experiment.tasks(seeds, choices or Choices())
        folder = None if self.out is None else self.out / (f"{name}-{seeds}-{label}" if label else f"{name}-{seeds}")
        resume = folder is not None and (folder / "manifest.json").exists()
        return tasks, train_network(tasks, recipe, out=None if folder is None else str(folder), resume=resume)

    def save(self, figure, name):
        """A figure beside the page, at the size of a screen."""
        figure.savefig(self.figures / f"experiments-{name}.png", dpi=110)
        return f"\n![{name}](experiments-{name}.png)"


def row(*cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def rule(count):
    return "| --- " * count + "|"


def digits(place):
    """The headline."""
    from numerics.training_run import spread
    from sharpflow.training_plots import training

    yield row(
        "experiment",
        "seeds",
        "sharpness falls by",
        "test error falls by, points",
        "test error at the end, %",
        "largest training error",
        "edge in the last quarter",
        "seconds, with compiling",
    )
    yield rule(8)
    from numerics.ablation import at_the_end

    pictures = []
    for name in ("digits", "mnist1d", "breast-cancer"):
        begun = time.perf_counter()
        _, run = place.run(name, SEEDS)
        taken = time.perf_counter() - begun
        change = run.change()
        yield row(
            name,
            SEEDS,
            spread(change.sharpness_ratio),
            spread(change.test_error_fall, scale=100),
            spread(run.test_error[-1], scale=100),
            f"{100 * np.nanmax(change.worst_train_error):.2g} %",
            spread(at_the_end(run, run.edge)),
            f"{taken:.0f}",
        )
        if name == "digits":
            pictures.append(place.save(training(run), "digits"))
    yield from pictures


def flow(place):
    """Gradient descent at three rates and the flow, from edge entry on."""
    from numerics.experiment import Choices
    from numerics.training_prediction import predict
    from numerics.training_run import spread
    from sharpflow.training_plots import collapse

    # A Gram matrix of 400 residuals: with 1000 the flow takes minutes.
    small = Choices(examples=40)
    runs, tasks = {}, ()
    for factor in (4.0, 1.0, 0.25):
        tasks, run = place.run("digits", 1, small, label=f"rate-{factor:g}-of-40", weight_decay=2e-3 * factor, count=8)
        runs[f"rate {run.recipe.rate:g}"] = run
    middle = runs["rate 0.0001"]
    begun = time.perf_counter()
    found = predict(tasks[0], middle, 0)
    taken = time.perf_counter() - begun
    yield row(
        "rate",
        "edge reached, predicted",
        "measured",
        "largest factor between the sharpnesses",
        "sharpness at the end",
        "flow there",
        "eigenvalues at the edge, largest number",
        "flow",
    )
    yield rule(8)
    origin = found.times - found.times[0]
    for name, run in runs.items():
        begin = int(run.entry[0])
        since = run.times[begin:] - run.times[begin]
        common = since <= origin[-1]
        there = np.exp(np.interp(since[common], origin, np.log(found.sharpness)))
        factor = np.exp(np.max(np.abs(np.log(run.sharpness[begin:, 0][common] / there))))
        values = run.columns["effective_lr"][begin:, 0, None] * run.columns["spectrum"][begin:, 0]
        predicted, measured = run.waiting()
        yield row(
            name.split()[1],
            spread(predicted),
            spread(measured),
            f"{factor:.3f}",
            f"{run.sharpness[begin:, 0][common][-1]:.4g}",
            f"{there[-1]:.4g}",
            int(np.sum(values > 1.9, axis=1).max()),
            int(found.edges.max()),
        )
    ended = f"{found.result.value}, at flow time {origin[-1]:.3g} after the entry"
    yield f"\nThe flow ended as: {ended}; it took {taken:.0f} s."
    yield "Both columns on the right are of the 8 eigenvalues that gradient descent recorded."
    yield place.save(collapse(runs, found), "flow")


def completion(place):
    """Matrix completion: test error along the flow and along gradient descent."""
    from numerics.training_prediction import predict
    from numerics.training_run import spread
    from sharpflow.training_plots import training

    tasks, run = place.run("matrix-completion", SEEDS)
    found = predict(tasks[0], run, 0)
    change = run.change()
    begin = int(run.entry[0])
    yield row(
        "seeds",
        "test loss at edge entry",
        "at the end",
        "sharpness falls by",
        "seed 0: test loss at the end",
        "on the flow",
        "seed 0: sharpness at the end",
        "on the flow",
        "waiting, measured",
        "predicted",
    )
    yield rule(10)
    predicted, measured = run.waiting()
    entered = np.array([run.test_error[k, s] for s, k in enumerate(run.entry)])
    yield row(
        SEEDS,
        spread(entered),
        spread(run.test_error[-1]),
        spread(change.sharpness_ratio),
        f"{run.test_error[-1, 0]:.3f}",
        f"{found.test_loss[-1]:.3f}",
        f"{run.sharpness[-1, 0]:.4g}",
        f"{found.sharpness[-1]:.4g}",
        spread(measured),
        spread(predicted),
    )
    assert begin >= 0
    yield place.save(training(run, found), "completion")


def _variants(place):
    from numerics import experiments
    from numerics.ablation import run_variants
    from numerics.experiment import Choices
    from numerics.training import Recipe

    experiment = experiments.get("digits")
    base = Recipe(experiment.learning_rate, experiment.weight_decay, time=experiment.time)
    out = None if place.out is None else str(place.out / f"variants-{SEEDS}")
    return run_variants(experiment, base, Choices(), SEEDS, out=out)


def ablation(place):
    """The table of variants, what the theory said of each beforehand, and whether it came out."""
    from numerics.ablation import VARIANTS
    from numerics.training_run import spread
    from sharpflow.training_plots import training, variants

    found = _variants(place)
    yield row(
        "variant", "change", "said beforehand", "came out?", "measured", "test error at edge entry, %", "at the end, %"
    )
    yield rule(7)
    for variant in VARIANTS:
        run, outcome = found[variant.name]
        entered = np.array([run.test_error[k, s] if k >= 0 else np.nan for s, k in enumerate(run.entry)])
        came = "yes" if outcome.came_out else "**no**"
        yield row(
            variant.name,
            variant.change,
            variant.predicted,
            came,
            outcome.measured,
            spread(entered, scale=100),
            spread(run.test_error[-1], scale=100),
        )
    yield place.save(variants({name: run for name, (run, _) in found.items()}), "variants")
    for name in ("no weight decay", "no normalization", "rate / 4", "wrong labels"):
        yield f"\n{name}:" + place.save(training(found[name][0]), name.replace(" / ", "-over-").replace(" ", "-"))


def generalization(place):
    """Rank correlations of sharpness and test error, and the late times."""
    from numerics.generalization import rank_correlation
    from numerics.training_run import spread
    from sharpflow.training_plots import against_sharpness, training

    found = {n: r for n, (r, _) in _variants(place).items() if n not in ("no normalization", "wrong labels")}
    at_edge = {n: r for n, r in found.items() if n != "no weight decay"}
    yield row("pairs", "runs", "Spearman's rho of sharpness and test error [95 %]")
    yield rule(3)

    def said(x, y, groups):
        c = rank_correlation(x, y, groups)
        return c.count, f"{c.rho:.2f} [{c.low:.2f}, {c.high:.2f}]"

    for title, chosen in (
        ("ends of all runs, without weight decay too", found),
        ("ends of the runs at the edge", at_edge),
    ):
        ends = [(run.sharpness[-1, s], run.test_error[-1, s], s) for run in chosen.values() for s in range(SEEDS)]
        yield row(title, *said(*zip(*ends, strict=True)))
    for name, run in at_edge.items():
        pairs = [
            (run.sharpness[k, s], run.test_error[k, s], s)
            for s in range(SEEDS)
            for k in range(max(run.entry[s], 0), len(run.times))
        ]
        yield row(f"records along {name}, from edge entry on", *said(*zip(*pairs, strict=True)))
    yield place.save(against_sharpness(at_edge), "generalization")
    _, late = place.run("digits", SEEDS, label="late", time=9.0, records=90)
    best = 100 * np.min(late.test_error, axis=0)
    when = late.times[np.argmin(late.test_error, axis=0)]
    yield (
        f"\nThree times as long (flow time 9): the least test error, {spread(best)} %, is there at flow time "
        f"{spread(when)}; at the end it is {spread(late.test_error[-1], scale=100)} %, with sharpness "
        f"{spread(late.sharpness[-1])}."
    )
    yield place.save(training(late), "late")


def paper(place):
    """Networks of paper size on images of CIFAR's shape: seconds a step and memory, by examples in a piece."""
    from unittest import mock

    from numerics import layers

    yield row(
        "network", "weights", "examples", "pieces", "seconds a step", "examples a second", "memory of a step, MB"
    )  # fmt: skip
    yield rule(7)
    ratio = {}
    for name in ("resnet20", "vgg11"):
        for n, pieces in ((64, 1), (256, 4), (256, 16)):
            trainer, program, memory = step_program(name, n, pieces)
            taken = seconds(program)
            ratio.setdefault(name, taken)
            yield row(name, trainer.dimension, n, pieces, f"{taken:.2f}", f"{n / taken:.0f}", f"{memory:.0f}")
        # Compiled for a full batch, not run: every piece takes as long as the pieces of 16 above.
        trainer, _, memory = step_program(name, 50_000, 3125)
        whole = 3125 * taken / pieces
        yield row(name, trainer.dimension, 50_000, 3125, f"({whole:.0f})", f"({n / taken:.0f})", f"{memory:.0f}")
    with mock.patch.object(layers, "convolve", library_convolution):
        _, program, memory = step_program("resnet20", 64, 1)
        taken = seconds(program)
    yield ""
    yield (
        f"With `jax.lax.conv_general_dilated` in the loop, as a user would write it, the step of the first row takes "
        f"{taken:.1f} s, {taken / ratio['resnet20']:.1f} times as long, and {memory:.0f} MB (`numerics/convolution.py` "
        "says why)."
    )


def library_convolution(x, kernel, /, *, stride=1):
    """What `numerics.convolution.convolve` is in place of."""
    import jax

    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def step_program(name, n, pieces):
    """The trainer of a network on ``n`` images, one compiled step of gradient descent, and the memory of that in MB."""
    from numerics.examples import Examples
    from numerics.network_task import task
    from numerics.training import Recipe, Trainer

    images = np.random.default_rng(0).standard_normal((n, 32, 32, 3)).astype(np.float32)
    one = task(name, Examples(images, np.arange(n) % 10, classes=10, name="noise"), norm="batch")
    trainer = Trainer([one], Recipe(0.05, 2e-3, steps=4, records=1, count=1, pieces=pieces))
    w = np.asarray(one.start, np.float32)[None]
    parameters = {k: np.float32(v) for k, v in (("learning_rate", 0.05), ("weight_decay", 2e-3))}
    executable, arrays = trainer._advance.prepare(w, trainer.data, parameters, np.int64(1))
    used = executable.memory_analysis()
    memory = (used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes) / 1e6
    return trainer, lambda: executable(*arrays), memory


def seconds(program):
    """The least of three times, after one to warm up."""
    import jax

    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        jax.block_until_ready(program())
        taken.append(time.perf_counter() - begun)
    return min(taken[1:])


PARTS = {
    "digits": digits,
    "flow": flow,
    "completion": completion,
    "ablation": ablation,
    "generalization": generalization,
    "paper": paper,
}


def main():
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--write", metavar="FILE", help="replace the tables of this page")
    parser.add_argument("--out", metavar="DIR", help="keep the runs here, and go on with those that are there")
    parser.add_argument("--figures", metavar="DIR", help="where figures go; default: beside the page")
    arguments = parser.parse_args()
    page = None if arguments.write is None else Path(arguments.write)
    figures = Path(arguments.figures) if arguments.figures else page.parent if page else Path()
    place = Place(None if arguments.out is None else Path(arguments.out), figures)
    for name in arguments.part or PARTS:
        lines = []
        for line in PARTS[name](place):
            print(line, flush=True)
            lines.append(line)
        if page is not None:
            text, begin, end = page.read_text(encoding="utf-8"), f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            before, rest = text.split(begin)
            page.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
