"""A training run in words and numbers, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numerics.training_prediction import Prediction
    from numerics.training_run import TrainingRun

# On the sphere: an oscillation at the edge is some intrinsic_lr, 0.1 at the largest rates of the experiments.
DESCENDING = 0.1

__all__ = ["prediction_lines", "run_lines"]


def run_lines(run: TrainingRun, /) -> list[str]:
    """A table of the seeds, then means with intervals."""
    from numerics.training_run import spread

    recipe, clock = run.recipe, "time" if run.recipe.rate > 0 else "iteration"
    classes = not np.isnan(run.columns["test_error"]).all()
    what = "test error" if classes else "test loss"
    scale = 100.0 if classes else 1.0
    lines = [
        f"{run.names[0]}: learning rate {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}, rate "
        f"{recipe.rate:g}, intrinsic_lr {recipe.intrinsic_lr:.3g}, {recipe.steps} iterations, {recipe.dtype}",
        f"  seed  edge at {clock:<9} sharpness               effective_lr*sharpness  {what} {'%' if classes else ' '}",
    ]
    end = run.columns["step"].size - 1
    for s, begin in enumerate(run.entry):
        first = max(int(begin), 0)
        entered = "never" if begin < 0 else f"{run.times[begin]:.4g}"
        tests = f"{scale * run.test_error[first, s]:.3g} -> {scale * run.test_error[end, s]:.3g}"
        lines.append(
            f"  {s:<5} {entered:<17} {run.sharpness[first, s]:.4g} -> {run.sharpness[end, s]:<12.4g} "
            f"{run.edge[end, s]:<23.3f} {tests}"
        )
    change = run.change()
    if np.isfinite(change.sharpness_ratio).any():
        predicted, measured = run.waiting()
        worst = change.worst_train_error
        lines += [
            "  From edge entry to the end, mean over seeds [95 % interval]:",
            f"    sharpness falls by a factor of  {spread(change.sharpness_ratio)}",
            f"    {what} falls by            {spread(change.test_error_fall, scale=scale)}"
            + (" points" if classes else ""),
        ]
        if np.isfinite(worst).any():
            lines.append(f"    largest training error of a record: {100 * np.nanmax(worst):.3g} %")
        if np.isfinite(predicted).any():
            lines.append(f"    edge reached at time {spread(measured)}, predicted from the waiting {spread(predicted)}")
    elif not run.failures():
        lines.append("  No seed entered the edge of stability.")
    lines += [f"  {sentence}" for sentence in (*run.failures(), *run.notes)]
    residual = np.max(run.columns["spectrum_residual"], initial=0, where=np.isfinite(run.columns["spectrum_residual"]))
    if residual > 1e-2:
        lines.append(f"  Eigenvalues did not converge everywhere: largest residual {residual:.1e} of lambda_1.")
    if run.seconds > 0:
        lines.append(f"  {run.seconds:.1f} s, and {run.compile_seconds:.1f} s of compiling.")
    return lines


def prediction_lines(prediction: Prediction, /) -> list[str]:
    """What the flow said, beside what gradient descent did."""
    from numerics.results import RESULTS

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
