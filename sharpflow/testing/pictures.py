"""A picture of a counterexample: the loss along the line on which a check found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sharpflow.figures.style import COLUMN, DESCENT, FLOW, Figure, styled

if TYPE_CHECKING:
    from sharpflow.numerics.objective import Objective
    from sharpflow.testing.result import CheckResult
    from sharpflow.theory.loss import Loss

__all__ = ["picture"]

COUNT = 401


def picture(result: CheckResult, subject: Loss | Objective, /) -> Figure | None:
    """The figure of a failed check; ``None`` where its counterexample is no place."""
    from sharpflow.numerics.objective import as_objective

    objective, at = as_objective(subject), result.trial.counterexample
    if "c" in at and "w" in at:
        return _ray(result, objective, np.asarray(at["w"], dtype=float), float(at["c"]))
    if "eigenvalues" in at:
        return _spectrum(result, np.asarray(at["eigenvalues"], dtype=float))
    if "zeta" in at and "u" in at:
        return _line(result, objective, np.asarray(at["zeta"], dtype=float), np.asarray(at["u"], dtype=float), 1e-3)
    if "w" in at and "L on Gamma" in at:
        start = objective.start / np.linalg.norm(objective.start)
        return _arc(result, objective, start, np.asarray(at["w"], dtype=float))
    if "w" in at and "u" in at:
        return _slopes(result, objective, np.asarray(at["w"], dtype=float), np.asarray(at["u"], dtype=float))
    return None


def _values(objective: Objective, points: np.ndarray) -> np.ndarray:
    found = np.array([float(objective.value(w)) for w in points])
    return np.where(np.isfinite(found), found, np.nan)


def _figure(result: CheckResult) -> tuple[Figure, Any]:
    figure = Figure(figsize=(COLUMN, 2.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{result.subject}: {result.check}")
    return figure, axes


@styled
def _ray(result: CheckResult, objective: Objective, w: np.ndarray, c: float) -> Figure:
    figure, axes = _figure(result)
    reach = max(abs(np.log10(c)), 1.0)
    factors = np.logspace(-reach, reach, 101)
    axes.plot(factors, _values(objective, factors[:, None] * w), color=FLOW, label="$L(c\\,w)$")
    axes.axhline(float(objective.value(w)), color=DESCENT, linestyle="--", label="$L(w)$, what a loss must give")
    axes.set_xscale("log")
    axes.set_xlabel("factor $c$")
    axes.set_ylabel("loss $L$")
    axes.legend()
    return figure


@styled
def _line(result: CheckResult, objective: Objective, point: np.ndarray, along: np.ndarray, reach: float) -> Figure:
    import jax

    figure, axes = _figure(result)
    s = np.linspace(-reach, reach, COUNT)
    second = jax.jit(jax.vmap(jax.grad(jax.grad(lambda t: objective.function(point + t * along)))))(s)
    axes.plot(s, np.asarray(second), color=FLOW)
    axes.set_xlabel("$s$ along $u$")
    axes.set_ylabel("$d^2 L(w + s u)/ds^2$")
    return figure


@styled
def _slopes(result: CheckResult, objective: Objective, point: np.ndarray, along: np.ndarray) -> Figure:
    import jax

    figure, axes = _figure(result)
    s = np.linspace(-0.3, 0.3, COUNT)
    values = _values(objective, point + s[:, None] * along)
    told = jax.jit(jax.vmap(jax.grad(lambda t: objective.function(point + t * along))))(s)
    axes.plot(s, np.asarray(told), color=FLOW, label="by JAX")
    axes.plot(s, np.gradient(values, s, edge_order=2), color=DESCENT, linestyle="--", label="by differences of $L$")
    axes.set_xlabel("$s$ along $u$")
    axes.set_ylabel("$d L(w + s u)/ds$")
    axes.legend()
    return figure


@styled
def _arc(result: CheckResult, objective: Objective, start: np.ndarray, end: np.ndarray) -> Figure:
    figure, axes = _figure(result)
    end = end / np.linalg.norm(end)
    angle = float(np.arccos(np.clip(start @ end, -1, 1)))
    s = np.linspace(0, 1, COUNT)
    points = (np.sin((1 - s) * angle)[:, None] * start + np.sin(s * angle)[:, None] * end) / max(np.sin(angle), 1e-12)
    values = _values(objective, points)
    axes.plot(s * angle, values, color=FLOW)
    axes.plot([0, angle], values[[0, -1]], "o", color=DESCENT)
    axes.annotate("the start, on $\\Gamma$", (0, values[0]), xytext=(4, -12), textcoords="offset points")
    axes.annotate("lower", (angle, values[-1]), xytext=(-8, -3), textcoords="offset points", ha="right")
    axes.margins(y=0.15)
    axes.set_xlabel("angle along the great circle (radians)")
    axes.set_ylabel("loss $L$")
    return figure


@styled
def _spectrum(result: CheckResult, eigenvalues: np.ndarray) -> Figure:
    figure, axes = _figure(result)
    axes.stem(np.arange(1, len(eigenvalues) + 1), eigenvalues, linefmt=FLOW, markerfmt="o", basefmt=" ")
    axes.set_xlabel("number $j$")
    axes.set_ylabel("eigenvalue $\\lambda_j$ of the Hessian")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
