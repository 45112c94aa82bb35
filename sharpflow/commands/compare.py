"""Compare gradient descent at the edge with the flow."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.arguments import add_plot, add_run, add_seed, add_weights, number, whole
from sharpflow.terminal.output import Output, add_json
from sharpflow.terminal.progress import progress_line
from sharpflow.terminal.tables import aligned
from sharpflow.terminal.tables import number as shown
from sharpflow.theory.cache import cache_folder
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpflow.numerics.comparison.noisy import NoisyComparison
    from sharpflow.numerics.comparison.result import Comparison
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

RATE = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and the places to write to."""
    add_run(parser)
    parser.add_argument(
        "--rate", type=number, metavar="EPS",
        help="the small parameter (learning rate times weight decay for gd-wd); default: 1e-4, or the product of "
        "--learning-rate and --weight-decay",
    )  # fmt: skip
    add_weights(parser)
    parser.add_argument(
        "--perturbation", type=number, metavar="LENGTH",
        help="of a random step added to the start, which seeds the directions that are below the edge yet; default: a "
        "hundredth of intrinsic_lr for an Objective, none for a Loss",
    )  # fmt: skip
    parser.add_argument(
        "--label-noise", type=number, metavar="NU",
        help="noise of this variance over the rate on the residuals of an Objective, and the noise flow beside it; in "
        "units of 1/effective_lr: nu effective_lr of 0.1 or 1 is much, on "
        "sharpflow.numerics.networks.two_layer:batch NU of 140 or 1400",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", default="4", type=whole, metavar="N", help="runs with label noise; default: %(default)s"
    )
    parser.add_argument(
        "--effective-lr", type=number, metavar="E", help="at the start, with label noise; default: half of the edge's"
    )
    add_seed(parser, "the direction of that step, and the first of the runs with label noise")
    parser.add_argument(
        "--records", default="400", type=whole, metavar="N",
        help="of gradient descent that are taken back to the minima and compared, 20 to 400: fewer take less time "
        "where there are hundreds of weights; default: %(default)s",
    )  # fmt: skip
    add_json(parser)
    parser.add_argument("--csv", metavar="FILE", help="write the series (time, distance, sharpness, edge) as CSV")
    parser.add_argument("--save", metavar="FILE", help="write the trajectory of gradient descent as npz")
    parser.add_argument("--save-flow", metavar="FILE", help="write the trajectory of the flow as npz")
    add_plot(parser, "--plot", "sharpness, edge and distance over time")
    add_plot(parser, "--sphere", "the sphere with Gamma, the iterates and the flow")
    add_plot(parser, "--resolve", "the oscillation of the last periods, as predicted step by step and as measured")
    add_plot(parser, "--portrait", "the oscillation (X, U) at the start, with level sets of its energy")


def run(arguments: argparse.Namespace) -> int:
    """0 where both ran to the end, 1 where one did not."""
    figures = {name: getattr(arguments, name) for name in ("plot", "sphere", "portrait", "resolve")}
    output = Output(arguments.json, csv=arguments.csv, save=arguments.save, save_flow=arguments.save_flow, **figures)

    from sharpflow.naming.specs import resolve_loss, resolve_rule

    loss, rule = resolve_loss(arguments.spec, needs_minima=True), resolve_rule(arguments.rule)
    if arguments.label_noise is not None:
        return _noisy(arguments, loss, rule, output)

    from sharpflow.numerics.comparison.compare import compare

    with progress_line(arguments.spec) as progress:
        result = compare(
            loss, rule=rule, rate=_rate(arguments), learning_rate=_of_leaves(arguments.learning_rate),
            weight_decay=_of_leaves(arguments.weight_decay), no_decay=arguments.no_decay, time=arguments.time,
            start=arguments.start, amplitude=arguments.amplitude, perturbation=arguments.perturbation,
            seed=arguments.seed, resolve=arguments.resolve is not None, records=arguments.records, progress=progress,
        )  # fmt: skip
    output.say(*_lines(result), *_kink(result, loss))
    output.write_json(result.to_json())
    output.write("csv", result.to_csv)
    output.write("save", lambda place: result.gd_trajectory().save(place))
    output.write("save_flow", lambda place: result.flow_trajectory().save(place))
    for name in figures:
        output.draw(name, partial(_figure, name, result, loss, rule))
    return 0 if result.result.ok else 1


def _noisy(arguments: argparse.Namespace, loss: Loss | Objective, rule: Rule, output: Output) -> int:
    """Runs with label noise beside the noise flow."""
    from sharpflow.numerics.comparison.noisy import compare_noisy

    names = ("csv", "save", "save_flow", "sphere", "portrait", "resolve")
    if given := [name for name in names if getattr(arguments, name) is not None]:
        raise InputError(f"--{given[0].replace('_', '-')} has no meaning with --label-noise; --plot and --json have.")
    found = compare_noisy(
        loss, rule=rule, label_noise=arguments.label_noise, rate=_rate(arguments), time=arguments.time,
        start=arguments.start, effective_lr=arguments.effective_lr, seeds=arguments.seeds, seed=arguments.seed,
    )  # fmt: skip
    went = f"{found.times[-1] + found.times[0]:.3g}" if found.steps else "0"
    scales = (
        f"label noise {found.noise:g} rate (nu e = {found.noise * found.effective_lr:.3g} at the start), rate "
        f"{found.rate:g}, time {found.time:g}, {len(found.distance)} seeds"
    )
    lines = [f"{found.loss}, {found.rule}: {scales}"]
    if not found.result.ok:
        measured = f"What follows is up to time {went}." if found.steps else "Nothing was measured."
        lines.append(f"{found.result.value}: {found.message} {measured}")
    output.say(*lines, *(aligned(_of_noise(found), indent="  ") if found.steps else ()))
    output.write_json(found.to_json())
    if arguments.plot:
        from sharpflow.figures.noise import noisy

        output.draw("plot", partial(noisy, found))
    return 0 if found.result.ok else 1


def _of_noise(found: NoisyComparison) -> list[tuple[str, str, str]]:
    """The table of runs with label noise, up to where the flow went."""
    from sharpflow.numerics.comparison.noisy import interval

    path, last = found.path, found.lr_ratio[:, -1]
    load = path.effective_lr[-1] * path.sharpness[-1]
    far = found.max_distance
    return [
        ("largest distance of block means", str(far), f"{far.mean / found.intrinsic_lr:.3g} intrinsic_lr"),
        ("largest error of effective_lr", str(found.lr_error), "relative, of block means"),
        ("effective_lr over that of the flow", str(interval(last)), "in the last block"),
        ("sharpness of gradient descent", shown(found.sharpness[-1]), "next to the mean of the last block"),
        ("sharpness of the flow", shown(path.sharpness[-1]), "at the end"),
        ("effective_lr * sharpness", shown(found.edge[-1]), f"{shown(load)} of the flow"),
        ("seconds, gradient descent", shown(found.seconds["gd"]), f"{found.steps} iterations of one seed"),
        ("seconds, flow", shown(found.seconds["flow"]), f"{len(path) - 1} steps"),
    ]  # fmt: skip


def _of_leaves(given: list[tuple[str, float]] | None) -> float | dict[str, float] | None:
    """The numbers of leaves: one for all, or by patterns, that for all others last."""
    if not given:
        return None
    values = dict(sorted(given, key=lambda pair: not pair[0]))
    return values[""] if list(values) == [""] else values


def _rate(arguments: argparse.Namespace) -> float:
    """The rate that was given, or that learning rate and weight decay make."""
    both = _of_leaves(arguments.learning_rate), _of_leaves(arguments.weight_decay)
    if not all(isinstance(value, float) for value in both):
        return arguments.rate if arguments.rate is not None else RATE
    product = both[0] * both[1]  # type: ignore[operator]  # both are numbers
    if arguments.rate is not None and abs(product - arguments.rate) > 1e-9 * arguments.rate:
        raise InputError(
            f"--rate {arguments.rate:g} is not --learning-rate times --weight-decay, {product:g}: leave one of them "
            "out."
        )
    return product


def _figure(name: str, result: Comparison, subject: Loss | Objective, rule: Rule) -> Figure:
    from sharpflow.figures import plots
    from sharpflow.theory.loss import Loss

    if result.groups is not None and name in ("sphere", "portrait"):
        raise InputError(f"--{name}: weights that are not all scale-invariant lie on no one sphere; --plot draws them.")
    if name == "plot" and result.edges is not None:
        from sharpflow.figures.edges import edges

        return edges(result)
    if name == "plot":
        return plots.comparison(result)
    if name == "resolve":
        from sharpflow.figures.edges import oscillation

        return oscillation(result)
    if name == "sphere":
        return plots.sphere(result, subject if isinstance(subject, Loss) else None)

    from sharpflow.numerics.descent.orbit import edge_orbit
    from sharpflow.verification.pictures import AMPLITUDES

    orbits = [
        edge_orbit(subject, rule, rate=result.rate, amplitude=a, periods=3.0, zeta=result.flow_points[0])
        for a in AMPLITUDES
    ]
    return plots.portrait(orbits)


def _kink(result: Comparison, subject: Loss | Objective) -> list[str]:
    """Where the integrator came to a stop at a kink of the loss: what jumps there."""
    import numpy as np

    from sharpflow.numerics.results import RESULTS

    alive = np.flatnonzero(np.isfinite(result.flow_points).all(axis=1))
    stuck = result.result in (RESULTS.MAX_STEPS, RESULTS.STEPSIZE_UNDERFLOW)
    if not stuck or not len(alive) or result.groups is not None:
        return []
    from sharpflow.numerics.inspection.kinks import KINK, jump_beside
    from sharpflow.numerics.objective import as_objective

    found = jump_beside(as_objective(subject), result.flow_points[alive[-1]])
    if found.value <= KINK:
        return []
    place = ", ".join(f"{v:.4g}" for v in found.point[:8])
    return [
        f"A kink of the loss is near the end of the flow: derivative {found.order} jumps at ({place}). No flow of one "
        "eigenvalue crosses it; `sharpflow check` shows it (smoothness)."
    ]


def _onset(result: Comparison) -> list[tuple[str, float | None, str]]:
    """The delay until the oscillation sets in, where there is one."""
    onset = result.onset
    if onset is None or onset.predicted == 0:
        return []
    predicted = "never" if onset.predicted != onset.predicted else f"{onset.predicted:.4g}"
    apart = (("max distance before the onset", onset.distance_before), ("max distance after it", onset.distance_after))
    edge = "" if predicted == "never" else f"at the onset; predicted {onset.predicted_edge:.4g}"
    return [
        *((name, value, "" if value != value else f"{value / result.intrinsic_lr:.3g} intrinsic_lr")
          for name, value in apart),
        ("onset of the oscillation", onset.measured, f"flow time; predicted {predicted}"),
        ("largest effective_lr*sharpness", onset.largest_edge, edge),
    ]  # fmt: skip


def _apart(result: Comparison) -> str:
    """A run may be successful, to its end, and gradient descent be elsewhere than the flow."""
    return ": gradient descent did not follow this flow" if result.agreement == "apart" else ""


def _named(leaves: list[str]) -> str:
    return ", ".join(leaves[:3]) + (f" and {len(leaves) - 3} more" if len(leaves) > 3 else "")


def _whose(groups: Sequence[Mapping[str, Any]], /) -> str:
    """The matrix whose largest eigenvalue sharpness is, where weights are not all on one sphere."""
    first = next((g for g in groups if g["kind"] == "invariant"), None)
    lr = (
        "the learning rate of the weights that decay" if first is None
        else f"{first['learning_rate']:g}/|w|^2 of w = {_named(first['leaves'])}"
    )  # fmt: skip
    return (
        "S H S, H the Hessian in all weights and S^2 their learning rates, has the edge 2; sharpness is its largest "
        f"eigenvalue over effective_lr, {lr}."
    )


def _lines(result: Comparison) -> list[str]:
    gd, flow = result.gd, result.flow
    far = result.max_distance
    kept = "the first time; kept on disk" if cache_folder("xla") is not None else "each time: nothing is kept on disk"
    # Of weights that are not all scale-invariant means are over records, along which sharpness may fall by percents.
    mixed = result.groups is not None
    over = "its last records" if mixed else "the last period"
    ends = f", {shown(result.sharpness[-1])} at the end" if mixed and len(result.sharpness) else ""
    rows: list[tuple[str, float | None, str]] = [
        ("max distance", far, "" if far != far else f"{far / result.intrinsic_lr:.3g} intrinsic_lr{_apart(result)}"),
        *((f"  {group['kind']}", group["max_distance"], _named(group["leaves"])) for group in result.groups or ()),
        ("max distance on the minima", result.max_distance_on_minima, ""),
        *_onset(result),
        ("sharpness of gradient descent", gd.sharpness, f"mean over {over}{ends}"),
        ("sharpness of the flow", flow.sharpness, "at the end"),
        ("effective_lr * sharpness", gd.mean_edge, f"mean over {over}; the edge is {result.edge_value:.4g}"),
        ("mean square oscillation", gd.mean_square_oscillation, f"over {over}"),
        ("period", gd.period, "iterations" if gd.period is not None else "no whole one in what was looked at"),
        ("eigenvalues at the edge", float(flow.edge_count), "at the end of the flow"),
        ("seconds, gradient descent", result.seconds["gd"], f"{gd.steps} iterations"),
        ("seconds, flow", result.seconds["flow"], ""),
        ("seconds, compiling", result.seconds["compile"], kept),
    ]
    scales = f"rate {result.rate:g}, intrinsic_lr {result.intrinsic_lr:.4g}, time {result.time:g}"
    lines = [f"{result.loss}, {result.rule}: {scales}"]
    known = [(name, None if value != value else value, remark) for name, value, remark in rows]
    # Figures beside a flow that never left its start would look like a comparison.
    if result.result.ok or int((result.flow_points == result.flow_points).all(axis=1).sum()) > 1:
        lines += aligned([(name, shown(value) or "none", remark) for name, value, remark in known], indent="  ")
        lines += [] if result.groups is None else [_whose(result.groups)]
    if not result.result.ok:
        lines.append(f"{result.result.value}: {result.message or result.result.advice}")
        if result.message:
            lines.append(result.result.advice)
    elif result.message:
        lines.append(result.message)
    return lines
