"""A training run in words and numbers, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sharpflow.terminal.tables import aligned

if TYPE_CHECKING:
    from sharpflow.numerics.training.prediction import Prediction
    from sharpflow.numerics.training.run import TrainingRun

# On the sphere: an oscillation at the edge is some intrinsic_lr, 0.1 at the largest rates of the experiments.
DESCENDING = 0.1

__all__ = ["prediction_lines", "run_lines"]


def run_lines(run: TrainingRun, /) -> list[str]:
    """A table of the seeds, then means with intervals."""
    from sharpflow.numerics.training.recipe import EIGENPAIRS
    from sharpflow.numerics.training.statistics import spread

    recipe, clock = run.recipe, "time" if run.recipe.rate > 0 else "iteration"
    classes = not np.isnan(run.columns["test_error"]).all()
    tested = not np.isnan(run.columns["test_loss"]).all()
    what = ("test error" if classes else "test loss") if tested else ""
    scale = 100.0 if classes else 1.0
    lines = [
        f"{run.names[0]}: learning rate {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}, rate "
        f"{recipe.rate:g}, intrinsic_lr {recipe.intrinsic_lr:.3g}, {recipe.steps} iterations, {recipe.dtype}"
        + "".join(f", {name.replace('_', ' ')} {value}" for name, value in recipe.variations.items()),
    ]
    rows = [("seed", f"edge at {clock}", "sharpness", "effective_lr*sharpness", what + " %" * classes)]
    end = run.columns["step"].size - 1
    for s, begin in enumerate(run.entry):
        first = max(int(begin), 0)
        entered = "never" if begin < 0 else f"{run.times[begin]:.4g}"
        tests = f"{scale * run.test_error[first, s]:.3g} -> {scale * run.test_error[end, s]:.3g}" if tested else ""
        sharpness = f"{run.sharpness[first, s]:.4g} -> {run.sharpness[end, s]:.4g}"
        rows.append((str(s), entered, sharpness, f"{run.edge[end, s]:.3f}", tests))
    lines += aligned(rows, indent="  ")
    change = run.change()
    if np.isfinite(change.sharpness_ratio).any():
        predicted, measured = run.waiting()
        worst = change.worst_train_error
        lines += [
            "  From edge entry to the end, mean over seeds "
            + ("(and each of the two):" if len(run.names) == 2 else "[95 % interval]:"),
            f"    sharpness falls by a factor of  {spread(change.sharpness_ratio)}",
        ]
        if tested:
            fall = spread(change.test_error_fall, scale=scale)
            lines.append(f"    {what} falls by            {fall}" + (" points" if classes else ""))
        if np.isfinite(worst).any():
            lines.append(f"    largest training error of a record: {100 * np.nanmax(worst):.3g} %")
        # Both means are over the seeds that have both.
        if (both := np.isfinite(predicted) & np.isfinite(measured)).any():
            lines.append(
                f"    edge reached at time {spread(measured[both])}, predicted from the waiting "
                f"{spread(predicted[both])}" + _of(both, "the others passed it before they were at rest, or never")
            )
    elif not run.failures():
        expected = run.waiting()[0]
        soon = f" The waiting time says flow time {spread(expected)}." if np.isfinite(expected).any() else ""
        lines.append(f"  No seed entered the edge of stability.{soon}")
    lines += [f"  {sentence}" for sentence in (*run.failures(), *run.notes)]
    residual, tolerance = run.columns["spectrum_residual"], EIGENPAIRS[recipe.dtype]
    with np.errstate(invalid="ignore"):
        missed = residual > tolerance
    if missed.any():
        lines.append(
            f"  Eigenvalues did not converge at {missed.sum()} of {missed.size} spectra: largest residual "
            f"{residual[missed].max():.1e} of lambda_1, where {tolerance:g} is asked for."
        )
    if run.seconds > 0:
        lines.append(f"  {run.seconds:.1f} s, and {run.compile_seconds:.1f} s of compiling.")
    return lines


def _of(chosen: np.ndarray, why: str) -> str:
    """Of how many seeds something is said, where it is not of all."""
    return "" if chosen.all() else f" ({chosen.sum()} of {len(chosen)} seeds; {why})"


def prediction_lines(prediction: Prediction, /) -> list[str]:
    """Lines that compare the flow with gradient descent."""
    from sharpflow.numerics.results import RESULTS

    why = prediction.message or prediction.result.advice
    if not len(prediction.times) or prediction.result in (RESULTS.LEFT_MINIMA, RESULTS.DIVERGED):
        # Points off Gamma are not the flow's: nothing they say is worth a number.
        return [f"  No flow beside seed {prediction.seed}: {why}"]
    lines = [
        f"  The flow beside seed {prediction.seed}, from time {prediction.times[0]:.3g} to {prediction.times[-1]:.3g}:",
        f"    sharpness at the end  {prediction.sharpness[-1]:.4g}, "
        f"gradient descent {prediction.gd_sharpness[-1]:.4g}, largest factor {prediction.worst_ratio:.3g}",
        f"    eigenvalues at the edge at the end  {prediction.edges[-1]}, gradient descent {prediction.gd_edges[-1]} "
        f"(of the {prediction.spectrum.shape[1]} recorded), largest factor between eigenvalues "
        f"{prediction.worst_spectrum_ratio(prediction.spectrum.shape[1]):.3g}",
    ]
    if prediction.moved > DESCENDING:
        lines.append(
            f"    the weights at edge entry were {prediction.moved:.2g} from the minima: the run was still "
            "descending, and the flow may begin elsewhere than where it comes to rest"
        )
    if not prediction.result.ok:
        lines.append(f"    it ended early: {prediction.result.value}: {why}")
    return lines
