"""The whole derivation for one loss and one rule, step by checked step, from the update rule to the flow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from theory import rules
from theory.assumptions import (
    prove_chart,
    prove_log_sharpness_gradient,
    prove_minimal_kernel,
    prove_minimizers,
    prove_simple_sharpness,
)
from theory.averaging import prove_averages, prove_energy, prove_period
from theory.entering import prove_descent_lemma, prove_edge_multiplier, prove_waiting_time
from theory.errors import InputError, NoClosedForm
from theory.flow import SharpnessFlow, prove_closed_form, sharpness_flow
from theory.invariance import prove_euler, prove_euler_generic, prove_homogeneity
from theory.limits import TimeLimitExceeded, time_limit
from theory.loss import Loss
from theory.proof import Proof, Status, Step, combine
from theory.reduction import Reduction, reduce_rule
from theory.routes import (
    K2,
    drift_coefficient,
    prove_corollaries,
    prove_drift,
    prove_excess_loss,
    prove_nonsmooth_drift,
    prove_oscillator,
)
from theory.rule import Rule
from theory.sphere import prove_equilibrium_norm, prove_quasi_rmsprop, prove_rescaling, prove_sphere_map

__all__ = ["Derivation", "derive"]

# Ten times what the slowest part of a built-in loss takes.
SECONDS = 60.0


@dataclass(frozen=True, eq=False)
class Derivation:
    """What was derived.

    Attributes:
        loss, rule: of what.
        proofs: in the order of the argument.
        flow: by geometry, of gradient descent with weight decay; ``None`` where it could not be derived.
        field: the rule's own flow in the chart, m x 1; ``None`` with it.
        remarks: what was left out and why.
    """

    loss: Loss
    rule: Rule
    proofs: tuple[Proof, ...]
    flow: SharpnessFlow | None
    field: sp.Matrix | None
    remarks: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return tuple(step for proof in self.proofs for step in proof.steps)

    @property
    def status(self) -> Status:
        """The worst verdict; a step that the loss declares to fail does not count."""
        return combine(step.status for step in self.steps if step.status is not Status.NOT_APPLICABLE)

    def render(self, style: str = "text", /) -> str:
        """The derivation as ``text``, ``markdown`` or a ``latex`` document."""
        from theory.rendering import render

        return render(self, style)

    def __str__(self) -> str:
        return self.render("text")

    def to_json(self) -> dict[str, Any]:
        """The content of ``derive --json``; expressions as strings that the safe parser reads back."""
        flow = self.flow
        minima = None
        if self.loss.minima is not None:
            minima = {
                "chart": [s.name for s in self.loss.minima.chart],
                "point": [sp.sstr(e) for e in self.loss.minima.point],
            }
        shown = None
        if flow is not None and self.field is not None:
            plain = flow.closed_form if self.rule.name == "gd-wd" else None
            shown = {
                "chart": [s.name for s in flow.chart],
                "field": [sp.sstr(e) for e in self.field],
                "time": f"tau = {self.rule.rate} * t",
                "closed_form": None if plain is None else {s.name: sp.sstr(e) for s, e in plain.items()},
                "invariants": {s.name: sp.sstr(e) for s, e in flow.invariants.items()},
                "conserved": None if flow.conserved is None else sp.sstr(flow.conserved),
            }
        return {
            "loss": self.loss.name,
            "rule": self.rule.name,
            "minima": minima,
            "sharpness": None if flow is None else sp.sstr(flow.sharpness),
            "log_sharpness_gradient": None if flow is None else [sp.sstr(e) for e in flow.log_sharpness_gradient],
            "flow": shown,
            "steps": [
                {
                    "title": step.title,
                    "statement": step.statement,
                    "status": step.status.value,
                    "seconds": step.seconds,
                    "method": step.method,
                    "residual": None if step.residual is None else sp.sstr(step.residual),
                    "witness": dict(step.witness),
                    "note": step.note,
                }
                for step in self.steps
            ],
            "remarks": list(self.remarks),
            "latex": self.render("latex"),
        }


class _Builder:
    """Collects proofs; a part that cannot be made becomes an undecided step that says why."""

    def __init__(self) -> None:
        self.proofs: list[Proof] = []
        self.remarks: list[str] = []

    def add(self, title: str, make: Callable[..., Proof], *arguments: Any) -> Status:
        begin = time.perf_counter()
        try:
            with time_limit(SECONDS):
                proof = make(*arguments)
        except TimeLimitExceeded:
            proof = _undecided(title, f"given up after {SECONDS:g} s", time.perf_counter() - begin)
        except (NoClosedForm, InputError) as reason:
            proof = _undecided(title, str(reason), time.perf_counter() - begin)
        self.proofs.append(proof)
        return proof.status


def _undecided(title: str, reason: str, seconds: float) -> Proof:
    step = Step(title, title, "not derived", status=Status.UNDECIDED, method=reason, seconds=seconds, note=reason)
    return Proof(title, (step,))


def derive(loss: Loss, rule: Rule | None = None, /) -> Derivation:
    """Derive the flow of a rule on a loss, from scale invariance and the update rule on.

    Each part stands on those before it: where one is refuted, what needs it is left out, and a remark names it.
    """
    used = rules.get("gd-wd") if rule is None else rule
    built = _Builder()

    def finish(flow: SharpnessFlow | None = None, field: sp.Matrix | None = None) -> Derivation:
        return Derivation(loss, used, tuple(built.proofs), flow, field, tuple(built.remarks))

    if built.add("scale invariance", prove_homogeneity, loss) is Status.REFUTED:
        built.remarks.append(
            "The loss is not scale-invariant: nothing else is derived. Divide by the right power of |w|."
        )
        return finish()
    built.add("Euler identities, generic loss", prove_euler_generic)
    built.add("Euler identities", prove_euler, loss)
    try:
        reduction: Reduction | None = reduce_rule(used)
    except InputError as reason:
        built.proofs.append(_undecided("reduction to the sphere", str(reason), 0.0))
        reduction = None
    is_gd = reduction is not None and _is_weight_decay(reduction)
    if is_gd:
        built.add("reduction to the sphere", prove_sphere_map, reduction)
        built.add("quasi-RMSprop", prove_quasi_rmsprop, reduction)
        built.add("rescaling symmetry", prove_rescaling, reduction)
    if reduction is not None and reduction.is_smooth:
        built.add("descent lemma", prove_descent_lemma, reduction)
        if is_gd:
            built.add("waiting time", prove_waiting_time, reduction)
        built.add("edge multiplier", prove_edge_multiplier, reduction)
    if loss.minima is None:
        built.remarks.append("The loss has minima=None: what needs a chart of its minimizers is not derived.")
        return finish()
    for title, make in (
        ("minimizers", prove_minimizers),
        ("chart", prove_chart),
        ("minimal kernel", prove_minimal_kernel),
    ):
        if built.add(title, make, loss) is Status.REFUTED:
            built.remarks.append(
                f"The assumption on Gamma called {title} is refuted: the flow, which stands on it, is not derived."
            )
            return finish()
    gap = built.add("simple sharpness", prove_simple_sharpness, loss)
    if gap is Status.REFUTED:
        if "simple_sharpness" in loss.expects_to_fail:
            built.proofs[-1] = _as_declared(built.proofs[-1])
            built.remarks.append(
                "lambda_1 is not simple everywhere, as the family declares: what follows holds where the gap is open."
            )
        else:
            built.remarks.append(
                "lambda_1 is not simple on the whole chart: the flow, which stands on it, is not derived."
            )
            return finish()
    if reduction is None:
        return finish()
    return _flow_part(built, loss, used, reduction, is_gd, finish)


def _flow_part(
    built: _Builder, loss: Loss, rule: Rule, reduction: Reduction, is_gd: bool, finish: Callable[..., Derivation]
) -> Derivation:
    built.add("logarithmic gradient of the sharpness", prove_log_sharpness_gradient, loss)
    try:
        flow = sharpness_flow(loss)
    except (NoClosedForm, InputError) as reason:
        built.proofs.append(_undecided("flow", str(reason), 0.0))
        return finish()
    if not reduction.is_smooth:
        built.remarks.append("Edge: none, nonsmooth. No multiplier crosses -1 and there is no smooth oscillator.")
        built.add("drift", prove_nonsmooth_drift, loss, rule)
        return finish(flow, -flow.log_sharpness_gradient / 4)
    built.add("oscillator", prove_oscillator, loss, rule)
    built.add("energy", prove_energy)
    built.add("averages", prove_averages)
    built.add("period", prove_period)
    built.add("drift", prove_drift, loss, rule)
    built.add("mean excess loss", prove_excess_loss, loss, rule)
    if not is_gd:
        coefficient = drift_coefficient(reduction).subs(K2, flow.log_gradient_squared)
        return finish(flow, -coefficient * flow.log_sharpness_gradient)
    built.add("norm at the edge", prove_equilibrium_norm, reduction)
    built.add("corollaries", prove_corollaries, loss)
    if flow.invariants or flow.conserved is not None or flow.closed_form is not None:
        built.add("closed form", prove_closed_form, flow)
    else:
        built.remarks.append("No closed form of the flow, no quadrature and no conserved quantity was found.")
    if flow.stands_still:
        built.remarks.append("lambda_1 is constant on Gamma: the flow stands still.")
    return finish(flow, flow.field)


def _is_weight_decay(reduction: Reduction) -> bool:
    return (
        reduction.rule.space == "weights"
        and reduction.is_smooth
        and {"learning_rate", "weight_decay"} <= set(reduction.parameters)
    )


def _as_declared(proof: Proof) -> Proof:
    """Refuted steps of a hypothesis that the loss declares to fail, marked so."""
    steps = []
    for step in proof.steps:
        if step.status is Status.REFUTED:
            fields = {**step.__dict__, "status": Status.NOT_APPLICABLE}
            fields["note"] = "Fails, as the family declares. " + step.note
            step = Step(**fields)
        steps.append(step)
    return Proof(proof.title, tuple(steps))
