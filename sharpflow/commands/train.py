"""Train a normalised network on real data and see sharpness and test error fall at the edge."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.arguments import add_plot, number, numbers, whole
from sharpflow.terminal.output import Output, add_json
from sharpflow.terminal.progress import TrainingLine
from sharpflow.terminal.stopping import stopping
from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpflow.numerics.training.experiment import Choices, Experiment
    from sharpflow.numerics.training.prediction import Prediction
    from sharpflow.numerics.training.recipe import Recipe
    from sharpflow.numerics.training.run import TrainingRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network, its training, and the place where it is kept."""
    from sharpflow.numerics import experiments, networks

    parser.add_argument("name", nargs="?", metavar="NAME", help=", ".join(experiments.names()))
    problem = parser.add_argument_group("the problem; defaults are the experiment's")
    problem.add_argument("--data", metavar="PLACE", help="of CIFAR-10: a folder, a tar or an npz file")
    problem.add_argument("--examples", type=whole, metavar="N", help="how many to train on")
    problem.add_argument("--test-examples", type=whole, metavar="M", help="how many to test with")
    problem.add_argument("--network", metavar="NAME", help=", ".join(networks.names()))
    problem.add_argument(
        "--norm", metavar="NORM", help="batch, layer, group or weight normalization; none is an ablation"
    )
    problem.add_argument("--head", metavar="NORM", help="of the outputs: batch, layer or weight")
    problem.add_argument("--activation", metavar="NAME", help="gelu, tanh or relu")
    problem.add_argument(
        "--size", action="append", default=[], type=size, metavar="NAME=N[,N...]",
        help="a size of the network, as widths=64,64, blocks=2, stages=64/128,128 or pooling=max (repeat for more); "
        "`sharpflow list networks` names them",
    )  # fmt: skip
    problem.add_argument("--loss", metavar="NAME", help="squared or cross-entropy (label-smoothed)")
    problem.add_argument(
        "--wrong-labels", default="0", type=number, metavar="SHARE",
        help="of the training examples, drawn by the seed",
    )  # fmt: skip
    recipe = parser.add_argument_group("gradient descent")
    recipe.add_argument("--learning-rate", type=number, metavar="ETA", help="default: the experiment's, 0.05 for most")
    recipe.add_argument(
        "--weight-decay", type=number, metavar="LAMBDA", help="default: the experiment's, 2e-3 for most"
    )
    span = recipe.add_mutually_exclusive_group()
    span.add_argument(
        "--time", type=number, metavar="TAU", help="flow time, rate times iterations; default: the experiment's"
    )
    span.add_argument("--steps", type=whole, metavar="N", help="iterations, in place of --time (even)")
    recipe.add_argument(
        "--seeds", default="1", type=whole, metavar="S", help="how many, of data and weights; default: %(default)s"
    )
    recipe.add_argument("--records", default="60", type=whole, metavar="N", help="in a run; default: %(default)s")
    recipe.add_argument(
        "--record-times", type=numbers, metavar="T,...",
        help="when to record, in place of that: flow times, iterations without weight decay; the start and the end are "
        "recorded besides",
    )  # fmt: skip
    recipe.add_argument(
        "--count", default="4", type=whole, metavar="K", help="eigenvalues recorded; default: %(default)s"
    )
    recipe.add_argument("--dtype", default="float32", metavar="TYPE", help="float32 or float64; default: %(default)s")
    recipe.add_argument(
        "--pieces", default="1", type=whole, metavar="P",
        help="sum gradients over P pieces of the examples, in the memory of one (batch norm then works in each piece, "
        "and test examples have the statistics of the first)",
    )  # fmt: skip
    recipe.add_argument("--batch", type=whole, metavar="B", help="examples in a step, drawn anew; default: all of them")
    recipe.add_argument(
        "--momentum", default="0", type=number, metavar="BETA", help="of heavy ball, from 0 to 1; default: %(default)s"
    )
    recipe.add_argument(
        "--label-noise", default="0", type=number, metavar="S",
        help="standard deviation of noise on the targets, drawn anew in each step (squared loss); default: %(default)s",
    )  # fmt: skip
    recipe.add_argument(
        "--schedule", default="constant", metavar="NAME", help="of the learning rate: constant, cosine, step or wsd"
    )
    keep = parser.add_argument_group("results")
    keep.add_argument("--out", metavar="DIR", help="keep records and states here as the run goes")
    keep.add_argument("--resume", action="store_true",
        help="go on with what is in DIR, bit for bit; other versions or another machine are told",
    )  # fmt: skip
    keep.add_argument("--status", metavar="DIR", help="show what is in DIR, and run nothing")
    keep.add_argument(
        "--predict", action="store_true",
        help="for seed 0, the flow from where it entered the edge (seconds for 100 residuals, minutes for 1000)",
    )  # fmt: skip
    add_plot(keep, "--plot", "sharpness, edge, loss and errors over time, with the flow where it was predicted")
    add_json(keep)


def run(arguments: argparse.Namespace) -> int:
    """0 when every seed ran to its end, 1 when the run was stopped or a seed diverged."""
    output = Output(arguments.json, plot=arguments.plot)
    if arguments.status is not None:
        if arguments.predict:
            raise InputError(
                "--status reads what is in a directory and knows no network: for the flow beside that run repeat its "
                "command with --resume --predict."
            )
        from sharpflow.numerics.training.run import read_training

        return _finish(read_training(arguments.status), None, output, kept=True)
    if arguments.name is None:
        from sharpflow.numerics import experiments

        if arguments.resume and arguments.out is not None:
            from sharpflow.numerics.training.store import TrainingFiles

            began = TrainingFiles.open(arguments.out).command
            raise InputError(f"--resume goes on with the same call: repeat the command, with --resume. It was: {began}")
        raise InputError(f"what is to be trained? There are {', '.join(experiments.names())}.")
    if arguments.resume and arguments.out is None:
        raise InputError("--resume needs --out DIR, the directory of the run to go on with.")
    seeds, choices, recipe, experiment = _read(arguments)
    tasks = experiment.tasks(seeds, choices)
    if arguments.predict and recipe.variations:
        raise InputError(f"--predict is of full-batch gradient descent: leave {', '.join(recipe.variations)} out.")
    if arguments.predict:
        from sharpflow.numerics.training.prediction import check_predictable

        check_predictable(tasks[0], recipe.pieces)

    from sharpflow.numerics.ledger import Stopped
    from sharpflow.numerics.training.run import train_network
    from sharpflow.provenance import provenance

    about = {**provenance(), "experiment": experiment.name}
    try:
        with stopping("record") as stop:
            progress = TrainingLine(recipe)
            try:
                result = train_network(
                    tasks, recipe, out=arguments.out, resume=arguments.resume, about=about, report=progress,
                    stop=stop.asked,
                )  # fmt: skip
            finally:
                progress.close()
    except Stopped as error:
        print(f"sharpflow: {error}", file=sys.stderr)
        return 1
    prediction = None
    if arguments.predict and not stop.asked():
        from sharpflow.numerics.training.prediction import predict

        prediction = predict(tasks[0], result, 0)
    return _finish(result, prediction, output, kept=arguments.out is not None)


def _read(arguments: argparse.Namespace) -> tuple[int, Choices, Recipe, Experiment]:
    """Everything that can be wrong in the call, before anything heavy is done."""
    from sharpflow.numerics import experiments
    from sharpflow.numerics.training.experiment import Choices
    from sharpflow.numerics.training.recipe import Recipe

    experiment = experiments.get(arguments.name)
    choices = Choices(
        place=arguments.data, examples=arguments.examples, test_examples=arguments.test_examples,
        network=arguments.network, norm=arguments.norm, head=arguments.head, activation=arguments.activation,
        sizes=dict(arguments.size), loss=arguments.loss, wrong_labels=arguments.wrong_labels,
    )  # fmt: skip

    def chosen(name: str) -> Any:
        own = getattr(arguments, name)
        return getattr(experiment, name) if own is None else own

    recipe = Recipe(
        learning_rate=chosen("learning_rate"), weight_decay=chosen("weight_decay"),
        time=None if arguments.steps is not None else chosen("time"), steps=arguments.steps,
        records=arguments.records, count=arguments.count, dtype=arguments.dtype, pieces=arguments.pieces,
        record_times=arguments.record_times, batch=arguments.batch, momentum=arguments.momentum,
        label_noise=arguments.label_noise, schedule=arguments.schedule,
    )  # fmt: skip
    return arguments.seeds, choices, recipe, experiment


def size(text: str, /) -> tuple[str, Any]:
    """``NAME=N``, ``NAME=N,N,...``, lists of them between slashes, or ``NAME=WORD``, as a name and a size.

    >>> size("widths=64,64"), size("blocks=2")
    (('widths', (64, 64)), ('blocks', 2))
    >>> size("stages=64/128,128"), size("pooling=max")
    (('stages', ((64,), (128, 128))), ('pooling', 'max'))
    """
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N or NAME=N,N,..., as in widths=64,64")
    if value.isidentifier():
        return name, value  # whether the size is a word the network knows
    lists = []
    for part in value.split("/"):
        several = tuple(int(v) for v in numbers(part) if v == int(v) and v > 0)
        if len(several) != len(part.split(",")):
            raise argparse.ArgumentTypeError(f"{text!r} has something that is no positive whole number")
        lists.append(several)
    if len(lists) > 1 or name == "stages":
        return name, tuple(lists)
    # Widths and channels are lists even where there is one of them.
    return name, lists[0] if len(lists[0]) > 1 or name in ("widths", "channels") else lists[0][0]


def _finish(result: TrainingRun, prediction: Prediction | None, output: Output, *, kept: bool) -> int:
    from sharpflow.terminal.training_text import prediction_lines, run_lines

    output.say(*run_lines(result), *(prediction_lines(prediction) if prediction else []))
    content = result.to_json()
    if prediction is not None:
        content["prediction"] = {
            "seed": prediction.seed, "times": prediction.times, "sharpness": prediction.sharpness,
            "edge_count": prediction.edges, "gd_sharpness": prediction.gd_sharpness,
            "gd_edge_count": prediction.gd_edges, "spectrum": prediction.spectrum,
            "gd_spectrum": prediction.gd_spectrum, "test_error": prediction.test_error,
            "test_loss": prediction.test_loss, "worst_ratio": prediction.worst_ratio,
            "moved": prediction.moved, "result": prediction.result.value, "message": prediction.message,
        }  # fmt: skip
    output.write_json(content)
    if not result.ended:
        more = "go on with --resume" if kept else "with --out DIR it could go on from here"
        output.say(f"The run is at iteration {result.state.step} of {result.recipe.steps}; {more}.")
    output.draw("plot", lambda: _figure(result, prediction))
    return 0 if result.complete and not result.failures() else 1


def _figure(result: TrainingRun, prediction: Prediction | None) -> Figure:
    from sharpflow.figures.training import training

    return training(result, prediction)
