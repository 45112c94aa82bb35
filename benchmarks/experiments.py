"""The page docs/experiments.md: what normalization, weight decay and the edge do to networks on real data.

    python -m benchmarks.experiments --write docs/experiments.md --out runs     # all of it, an hour on two cores
    python -m benchmarks.experiments --part digits                              # or flow, completion, ablation, ...

With --out each run is kept there and gone on with; figures are written beside the page.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.paper_size import paper, paper_gpu
from benchmarks.tables import row, rule
from sharpflow.provenance import provenance

SEEDS = 5
COMMAND = ["python", "-m", "benchmarks.experiments", *sys.argv[1:]]


@dataclass
class Place:
    """Where runs are kept and figures go."""

    out: Path | None
    figures: Path
    found: dict | None = None

    def run(self, name, seeds, choices=None, label="", **changes):
        """A run of an experiment with a changed recipe, kept in a folder of its own."""
        from sharpflow.numerics import experiments
        from sharpflow.numerics.training.experiment import Choices
        from sharpflow.numerics.training.recipe import Recipe
        from sharpflow.numerics.training.run import train_network

        experiment = experiments.get(name)
        recipe = Recipe(
            changes.pop("learning_rate", experiment.learning_rate),
            changes.pop("weight_decay", experiment.weight_decay),
            **{"time": experiment.time, **changes},
        )
        tasks = experiment.tasks(seeds, choices or Choices())
        folder = None if self.out is None else self.out / (f"{name}-{seeds}-{label}" if label else f"{name}-{seeds}")
        resume = folder is not None and (folder / "manifest.json").exists()
        begun = time.perf_counter()
        run = train_network(
            tasks,
            recipe,
            out=None if folder is None else str(folder),
            resume=resume,
            about={**provenance(COMMAND), "experiment": name},
        )
        if folder is not None and not resume:
            (folder / "seconds.txt").write_text(f"{time.perf_counter() - begun:.1f}\n", encoding="utf-8")
        return tasks, run

    def seconds(self, name, seeds, begun):
        """How long the run of an experiment took; where it was kept, when it was made."""
        kept = None if self.out is None else self.out / f"{name}-{seeds}" / "seconds.txt"
        return float(kept.read_text(encoding="utf-8")) if kept and kept.exists() else time.perf_counter() - begun

    def variants(self):
        """Every variant of digits, run once."""
        from benchmarks.variants import run_variants
        from sharpflow.numerics import experiments
        from sharpflow.numerics.training.experiment import Choices
        from sharpflow.numerics.training.recipe import Recipe

        if self.found is None:
            experiment = experiments.get("digits")
            base = Recipe(experiment.learning_rate, experiment.weight_decay, time=experiment.time)
            out = None if self.out is None else str(self.out / f"variants-{SEEDS}")
            self.found = run_variants(experiment, base, Choices(), SEEDS, out=out, about=provenance(COMMAND))
        return self.found

    def save(self, figure, name):
        """A figure beside the page, at the size of a screen."""
        figure.savefig(self.figures / f"experiments-{name}.png", dpi=110)
        return f"\n![{name}](experiments-{name}.png)"


def waits(run):
    """Predicted and measured flow times of edge entry, of the seeds that have both."""
    predicted, measured = run.waiting()
    both = np.isfinite(predicted) & np.isfinite(measured)
    return predicted[both], measured[both]


def digits(place):
    """The headline."""
    from benchmarks.variants import at_the_end, held
    from sharpflow.figures.training import training
    from sharpflow.numerics.training.statistics import spread

    yield row(
        "experiment",
        "seeds",
        "loss at edge entry",
        "sharpness falls by",
        "test error falls by, points",
        "since its least before, points",
        "test error at the end, %",
        "largest training error",
        "edge, last quarter",
        "largest record",
        "held?",
        "seconds, with compiling",
    )
    yield rule(12)
    pictures = []
    for name in ("digits", "mnist1d", "breast-cancer"):
        begun = time.perf_counter()
        _, run = place.run(name, SEEDS)
        change = run.change()
        entered = np.array([run.columns["train_loss"][k, s] for s, k in enumerate(run.entry)])
        before = np.array([np.min(run.test_error[: k + 1, s]) for s, k in enumerate(run.entry)])
        yield row(
            name,
            SEEDS,
            f"{np.min(entered):.0e} to {np.max(entered):.0e}",
            spread(change.sharpness_ratio),
            spread(change.test_error_fall, scale=100),
            spread(before - run.test_error[-1], scale=100),
            spread(run.test_error[-1], scale=100),
            f"{100 * np.nanmax(change.worst_train_error):.2g} %",
            spread(at_the_end(run, run.edge)),
            f"{max(np.max(run.edge[k:, s]) for s, k in enumerate(run.entry)):.2f}",
            "yes" if held(run) else "**no**",
            f"{place.seconds(name, SEEDS, begun):.0f}",
        )
        if name == "digits":
            pictures.append(place.save(training(run), "digits"))
    yield from pictures


def flow(place):
    """Gradient descent at three rates and the flow, from edge entry on."""
    from sharpflow.figures.training import collapse
    from sharpflow.numerics.flows.complementarity import MAX_EDGES
    from sharpflow.numerics.training.prediction import NEAR_EDGE, predict
    from sharpflow.numerics.training.statistics import spread

    count = MAX_EDGES  # as many as the flow carries
    runs, tasks = {}, ()
    for factor in (4.0, 1.0, 0.25):
        tasks, run = place.run("digits", 1, label=f"rate-{factor:g}-16", weight_decay=2e-3 * factor, count=count)
        runs[f"rate {run.recipe.rate:g}"] = run
    begun = time.perf_counter()
    found = predict(tasks[0], runs["rate 0.0001"], 0)
    taken = time.perf_counter() - begun
    yield row(
        "rate",
        "edge reached, predicted",
        "measured",
        "largest factor between the sharpnesses",
        "between any of the eigenvalues",
        "sharpness at the end",
        "flow there",
        "eigenvalues at the edge at the end",
        "flow",
        "largest difference of the numbers",
    )
    yield rule(10)
    origin = found.times - found.times[0]

    def on_flow(values, times):
        return np.exp([np.interp(times, origin, np.log(column)) for column in values.T]).T

    for name, run in runs.items():
        begin = int(run.entry[0])
        since = run.times[begin:] - run.times[begin]
        common = since <= origin[-1]
        gd = run.columns["spectrum"][begin:, 0][common]
        lr = run.columns["effective_lr"][begin:, 0][common]
        known = min(found.spectrum.shape[1], gd.shape[1])
        there = on_flow(found.spectrum, since[common])
        factors = np.exp(np.abs(np.log(gd[:, :known] / there[:, :known])))
        edges = np.sum(lr[:, None] * gd[:, :known] > 2 * (1 - NEAR_EDGE), axis=1)
        flow_edges = np.interp(since[common], origin, found.edges)
        predicted, measured = waits(run)
        yield row(
            name.split()[1],
            spread(predicted),
            spread(measured),
            f"{np.max(factors[:, 0]):.3f}",
            f"{np.max(factors):.3f}",
            f"{gd[-1, 0]:.4g}",
            f"{there[-1, 0]:.4g}",
            int(edges[-1]),
            round(flow_edges[-1]),
            round(float(np.max(np.abs(edges - flow_edges)))),
        )
    why = f" ({found.message})" if found.message else ""
    ended = f"{found.result.value}{why}, at flow time {origin[-1]:.3g} after the entry"
    yield f"\nThe flow ended as: {ended}; it took {taken:.0f} s."
    yield f"{known} eigenvalues are compared; gradient descent records {count}."
    yield place.save(collapse(runs, found), "flow")


def completion(place):
    """Matrix completion: test error along the flow and along gradient descent."""
    from sharpflow.figures.training import training
    from sharpflow.numerics.training.prediction import predict
    from sharpflow.numerics.training.statistics import spread

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
    predicted, measured = waits(run)
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


def ablation(place):
    """The table of variants, what the theory said of each beforehand, and whether it came out."""
    from benchmarks.variants import VARIANTS
    from sharpflow.figures.training import training, variants
    from sharpflow.numerics.training.statistics import spread

    found = place.variants()
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
    from scipy.stats import spearmanr

    from benchmarks.rank_correlation import rank_correlation, within
    from sharpflow.figures.training import against_sharpness, training
    from sharpflow.numerics.training.statistics import spread

    found = {n: r for n, (r, _) in place.variants().items() if n not in ("no normalization", "wrong labels")}
    at_edge = {n: r for n, r in found.items() if n != "no weight decay"}
    yield row(
        "along runs, from edge entry on", "records of a run", "rho, mean over seeds", "between ends of its seeds: rho"
    )
    yield rule(4)
    ends = {n: (run.sharpness[-1], run.test_error[-1]) for n, run in at_edge.items()}
    inside = within(*(np.array(side) for side in zip(*ends.values(), strict=True)))
    for (name, run), rho in zip(at_edge.items(), inside.rhos, strict=True):
        along = [spearmanr(run.sharpness[k:, s], run.test_error[k:, s]).statistic for s, k in enumerate(run.entry)]
        counts = [len(run.times) - k for k in run.entry]
        yield row(name, f"{min(counts)} to {max(counts)}", spread(np.array(along)), f"{rho:.2f}")
    yield ""
    yield row("ends of runs", "runs", "rho", "how sure")
    yield rule(4)
    for title, chosen in (
        ("all, without weight decay too", found),
        ("at the edge", at_edge),
    ):
        pairs = [(run.sharpness[-1, s], run.test_error[-1, s], s) for run in chosen.values() for s in range(SEEDS)]
        c = rank_correlation(*zip(*pairs, strict=True))
        yield row(title, c.count, f"{c.rho:.2f}", f"bootstrap over seeds, 95 %: {c.low:.2f} to {c.high:.2f}")
    yield row(
        "at the edge, seeds within a variant, mean", len(at_edge) * SEEDS, f"{inside.mean:.2f}",
        f"p = {inside.p:.2g}, all {inside.orders} orders of the seeds, the same in every variant",
    )  # fmt: skip
    means = np.array([[np.mean(np.log(x)), np.mean(y)] for x, y in ends.values()]).T
    levels = within(means[:1], means[1:])
    yield row(
        "at the edge, means of the variants", len(at_edge), f"{levels.mean:.2f}",
        f"p = {levels.p:.2g}, all {levels.orders} orders of the variants",
    )  # fmt: skip
    yield place.save(against_sharpness(at_edge), "generalization")
    _, late = place.run("digits", SEEDS, label="late", time=9.0, records=90)
    three = int(np.argmin(np.abs(late.times - 3)))
    rise = late.test_error[-1] - late.test_error[three]
    largest = [float(np.max(late.edge[k:, s])) for s, k in enumerate(late.entry)]
    yield (
        f"\nThree times as long: from flow time 3 to 9 the test error changes by {spread(rise, scale=100)} points, "
        f"paired by seed, to {spread(late.test_error[-1], scale=100)} %, while sharpness goes from "
        f"{spread(late.sharpness[three])} to {spread(late.sharpness[-1])}. The largest effective_lr*lambda_1 of a "
        f"record is {min(largest):.2f} to {max(largest):.2f} among the seeds."
    )
    yield place.save(training(late), "late")


PARTS = {
    "digits": digits,
    "flow": flow,
    "completion": completion,
    "ablation": ablation,
    "generalization": generalization,
    "paper": paper,
    "paper-gpu": paper_gpu,
}
# What a machine like any other has no device for, and is measured where it is asked for.
ASKED = {"paper-gpu"}


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
    for name in arguments.part or [one for one in PARTS if one not in ASKED]:
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
