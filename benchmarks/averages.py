"""The central flow and the oscillation itself against gradient descent: parts of `benchmarks.edge_flow`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.tables import row, rule

# Factor of the logits, smoothing of the labels, rates.
CROSS_ENTROPY = (
    (1.0, 0.0, (1e-3, 1e-4, 1e-5)),
    (2.0, 0.1, (1e-3, 1e-4, 1e-5)),
    (2.0, 0.0, (1e-5,)),
    (3.0, 0.0, (1e-5,)),
)


def cross_entropy(smoothing, scale):
    """A network of 72 weights with batch norm in both layers, on 24 points of 3 classes; and a point some way down."""
    from sharpflow.numerics.data.examples import Examples
    from sharpflow.numerics.descent.descent import descend
    from sharpflow.numerics.objective import Objective
    from sharpflow.numerics.spectrum.dense import eigenvalues
    from sharpflow.numerics.training.experiment import task
    from sharpflow.theory import rules

    x, labels = np.random.default_rng(0).standard_normal((24, 6)), np.arange(24) % 3
    built = task("two-layer", Examples(x, labels), loss="cross-entropy", hidden=8, norm="batch")
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3

    def function(w):
        logs = jax.nn.log_softmax(scale * built.model.apply(w, jnp.asarray(x)), axis=-1)
        return -jnp.mean(jnp.sum(jnp.asarray(targets) * logs, axis=-1))

    objective = Objective(function, built.start, name=f"cross-entropy({smoothing:g}, {scale:g})")
    # By gradient flow: at the very start one step of gradient descent is no small step.
    theta = objective.start / np.linalg.norm(objective.start)
    small = 0.04 / eigenvalues(objective, theta)[0]
    run = descend(
        objective, rules.get("gd-wd"), start=theta, effective_lr=small, rate=1e-12, every=6000, records=1
    )  # fmt: skip
    return objective, run.points[-1]


def seeded_descent(objective, theta, rate, effective_lr):
    """Gradient descent over flow time 1 from theta, oscillating along v_1 and by a tenth of that along all others."""
    from sharpflow.numerics.descent.descent import descend
    from sharpflow.theory import rules

    top = np.linalg.eigh(np.asarray(objective.hessian(theta)))[1][:, -1]
    noise = np.random.default_rng(1).standard_normal(len(theta)) / len(theta) ** 0.5
    return descend(
        objective, rules.get("gd-wd"), start=theta + rate**0.5 * (0.5 * top + 0.05 * noise), rate=rate,
        every=int(2e-3 / rate), records=500, effective_lr=effective_lr, means=True,
    )  # fmt: skip


def central(_=None):
    """Cross-entropy: the largest distance to the central flow, and to gradient flow with the same weight decay."""
    from sharpflow.numerics.flows.central_flow import central_flow

    yield row(
        "cross-entropy", "rate", "central flow", "Sigma = 0", "path", "log effective_lr off by, at most",
        "mean loss of the second half: descent, flow",
    )  # fmt: skip
    yield rule(7)
    for scale, smoothing, rates in CROSS_ENTROPY:
        objective, theta = cross_entropy(smoothing, scale)
        for rate in rates:
            flow, control = (
                central_flow(objective, theta, rate=rate, time=1.0, oscillating=oscillating)
                for oscillating in (True, False)
            )
            run = seeded_descent(objective, theta, rate, flow.effective_lr[0])
            times = run.steps * rate
            near, far = (np.linalg.norm(run.points - f.at(times).points, axis=1) for f in (flow, control))
            lr = np.abs(np.log(run.effective_lr / flow.at(times).effective_lr))
            late = np.interp(times, flow.times, flow.mean_loss)[250:].mean()
            yield row(
                f"logits times {scale:g}" + (f", smoothed by {smoothing:g}" if smoothing else ""), f"{rate:g}",
                f"{np.nanmax(near):.2g}", f"{np.nanmax(far):.2g}", f"{np.linalg.norm(run.points[-1] - theta):.2g}",
                f"{np.nanmax(lr):.2g}", f"{run.means['loss'][250:].mean():.4f}, {late:.4f}",
            )  # fmt: skip


def resolved_errors(objective, zeta, rate, amplitude, *, periods=4.0, every=None, corrected=True, rule=None):
    """Largest errors of theta_t and of log effective_lr in units of sqrt(rate), and the two runs.

    ``rule`` is the one that the prediction takes gradient descent for.
    """
    from sharpflow.numerics.descent.descent import descend
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.predictions.resolved import resolved_flow
    from sharpflow.theory import rules

    gd = rules.get("gd-wd")
    every = every or 2 * max(1, int(periods * law_of(gd).period(rate)) // 800)
    steps = every * np.arange(401)
    found = resolved_flow(
        objective, zeta, rate=rate, time=steps[-1] * rate, amplitude=amplitude, steps=steps, corrected=corrected,
        rule=gd if rule is None else rule,
    )  # fmt: skip
    run = descend(
        objective, gd, start=found.points[0], effective_lr=found.effective_lr[0], rate=rate, every=every, records=400
    )
    point = np.linalg.norm(found.points - run.points, axis=1).max()
    return point / rate**0.5, np.abs(np.log(found.effective_lr / run.effective_lr)).max() / rate**0.5, found, run


def resolved(_=None):
    """The largest |theta_t - predicted|/sqrt(rate), with the next order of the two-step map and without it."""
    from sharpflow.numerics.comparison.order import fit_power
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.numerics.objective import objective_of
    from sharpflow.theory import families, rules

    rates = (1e-4, 1e-5, 1e-6, 1e-7)
    period = law_of(rules.get("gd-wd")).period
    yield row("loss, amplitude, length", *(f"rate {rate:g}" for rate in rates), "power of the rate, in theta")
    yield rule(len(rates) + 2)
    for name, amplitude, length in (("conic", 3.0, "four small periods"), ("ridge", 1.5, "flow time 1")):
        objective = objective_of(families.get(name).default())
        for corrected in (True, False):
            errors = [
                resolved_errors(
                    objective, objective.start, rate, amplitude, corrected=corrected,
                    periods=4.0 if name == "conic" else 1 / rate / period(rate),
                )[0]
                for rate in rates
            ]  # fmt: skip
            power = fit_power(rates, errors).slope + 0.5
            about = f"{name}, {amplitude:g}, {length}" + ("" if corrected else ", without the next order")
            yield row(about, *(f"{error:.1e}" for error in errors), f"{power:.2f}")
