"""The whole derivation for one loss and one rule: L(c w) = L(w)  =>  d zeta/d tau = -growth/(brake + K^2) g.

Every line is a checked step, in the order of the argument: scale invariance, the reduction to the sphere, the edge,
what is supposed of Gamma, the oscillator read off the exact map, its averages, the drift by two routes, what follows
from it, a closed form. A part is derived only where the hypotheses it stands on were not refuted; what is left out
is named together with the hypothesis.
"""

from __future__ import annotations

import math
import time as clock
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import sympy as sp

from sharpflow.theory import rules
from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.flow import SharpnessFlow
from sharpflow.theory.chart.geometry import geometry_of, tidy
from sharpflow.theory.derivation.generic import GenericDerivation, generic_derivation
from sharpflow.theory.derivation.horizon import LOOK, Tracking, tracking_in_chart
from sharpflow.theory.derivation.plan import Part, Plan
from sharpflow.theory.derivation.remarks import in_the_clock, remarks, ties
from sharpflow.theory.edge.edge_law import EdgeLaw, law_json
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import OF_PARTS, TimeLimitExceeded, time_limit
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Status, Step
from sharpflow.theory.rule import Rule
from sharpflow.theory.writing.document import Document
from sharpflow.theory.writing.sentences import Equation

__all__ = ["Derivation", "derive"]


# Flow time of a comparison by default.
TIME = 1.0


@dataclass(frozen=True, eq=False)
class Derivation(Document):
    """Proofs in the order of the argument, and the flow they end in.

    Attributes:
        loss, rule: what it is about.
        proofs: one for each part that was derived.
        flow: dp/d tau in the chart with the rule's own coefficient; ``None`` where it was not reached.
        clock: flow time tau, in the parameters of the rule and the iteration number t.
        expected: those of the proofs that the loss declares to fail, and that do.
        remarks: sentences for the reader: what is not derived, and why.
        law: of the rule at the edge, on every loss; ``None`` where it was not derived.
        energy_coefficient: c of dE/d tau = c <U^2> in the chart, at the rule's default constants; ``None`` where there
            is none, or it was not derived.
        time: flow time for which tracking is asked.
    """

    loss: Loss
    rule: Rule
    proofs: tuple[Proof, ...]
    flow: SharpnessFlow | None
    clock: str
    expected: tuple[Proof, ...] = ()
    remarks: tuple[str, ...] = ()
    law: EdgeLaw | None = None
    energy_coefficient: sp.Expr | None = None
    time: float = TIME

    @cached_property
    def tracking(self) -> Tracking | None:
        """c along the flow from the start of the chart, and the horizon; ``None`` without an energy law there."""
        minima = self.loss.minima
        if self.energy_coefficient is None or self.flow is None or minima is None or self.law is None:
            return None
        field = self.flow.field.subs(self.law.defaults)
        look = max(LOOK, self.time)
        return tracking_in_chart(minima.chart, minima.start or (), field, self.energy_coefficient, look=look)

    @property
    def title(self) -> str:
        """The heading of the whole."""
        return f"From {self.rule.name} on {self.loss.name} to the flow along its minimizers"

    def setting(self) -> Iterator[tuple[str, Equation]]:
        """The loss and its minimizers."""
        loss = self.loss
        yield "The loss:", (sp.Function("L")(*loss.variables), "=", loss.expression)
        if loss.minima is not None:
            point = sp.Matrix(loss.minima.point).T
            chart = ", ".join(symbol.name for symbol in loss.minima.chart)
            yield f"Gamma, the directions of its minimizers, in the chart {chart}:", (sp.Symbol("P"), "=", point)

    def results(self) -> Iterator[tuple[str, Equation]]:
        """Sharpness, the flow, its solution, c of the energy law; nothing where no flow was reached."""
        flow = self.flow
        if flow is None:
            return
        tau = sp.Symbol("tau", positive=True)
        yield "Sharpness on Gamma:", (sp.Symbol("lambda_1"), "=", flow.sharpness)
        if not flow.stands_still:
            yield "Squared length of its logarithmic gradient:", (sp.Symbol("K2"), "=", flow.log_gradient_squared)
        rate = self.rule.rate.replace("**", "^").replace("*", " ")
        words = f"The flow, in the time {in_the_clock(rate, self.law)}:"
        for symbol, f in zip(flow.chart, flow.field, strict=True):
            yield words, (sp.Derivative(sp.Function(symbol.name)(tau), tau), "=", f)
            words = ""
        for symbol, solution in (flow.closed_form or {}).items():
            yield "Its solution:", (sp.Function(symbol.name)(tau), "=", solution)
        if flow.closed_form is None:
            for symbol, invariant in flow.invariants.items():
                yield "This quantity advances as tau does:", (sp.Function("I")(symbol), "=", invariant)
        if flow.conserved is not None:
            yield "This quantity is conserved:", (sp.Function("C")(*flow.chart), "=", flow.conserved)
        if self.energy_coefficient is not None:
            words = "Energy of the oscillation, dE/d tau = c <U^2> at the default constants:"
            yield words, (sp.Symbol("c"), "=", self.energy_coefficient)

    def to_json(self) -> dict[str, Any]:
        """The content of ``derive --json``; expressions as text that the safe parser reads back."""
        loss, flow = self.loss, self.flow
        return {
            "loss": loss.name,
            "variables": _texts(loss.variables),
            "expression": sp.sstr(loss.expression),
            "rule": self.rule.name,
            "status": self.status.value,
            "minima": _minima(loss),
            "sharpness": None if flow is None else sp.sstr(flow.sharpness),
            "log_sharpness_gradient": None if flow is None else _texts(flow.log_sharpness_gradient),
            "flow": None if flow is None else {
                "chart": _texts(flow.chart),
                "field": _texts(flow.field),
                "time": self.clock,
                "time_symbol": "tau",
                "point": _texts(flow.point),
                "log_gradient_squared": sp.sstr(flow.log_gradient_squared),
                "closed_form": None if flow.closed_form is None else _by_name(flow.closed_form),
                "invariants": _by_name(flow.invariants),
                "conserved": None if flow.conserved is None else sp.sstr(flow.conserved),
            },
            **law_json(self.law),
            "energy_law": None if self.energy_coefficient is None else {
                "coefficient": sp.sstr(self.energy_coefficient), **self._at_start(),
            },
            "tracking": self._tracks(),
            "remarks": list(self.remarks),
            "steps": self.steps_json(),
            "seconds": self.seconds,
            "latex": self.render("latex"),
        }  # fmt: skip

    def _at_start(self) -> dict[str, float | None]:
        """c at the start of the chart, and the horizon of tracking from there (null: it does not end)."""
        found = self.tracking
        if found is None:
            return {"at_start": None, "horizon": None}
        return {"at_start": found.coefficient, "horizon": found.horizon if math.isfinite(found.horizon) else None}

    def _tracks(self) -> dict[str, float | bool | None] | None:
        """The time asked for, and true where the horizon exceeds it; null without an energy law in the chart."""
        found = self.tracking
        if found is None:
            return None
        return {"time": self.time, "tracks": found.tracks(self.time)} | self._at_start()


@overload
def derive(loss: Loss, rule: Rule | None = None, /, *, limit: float = ..., time: float = ...) -> Derivation: ...
@overload
def derive(loss: None, rule: Rule | None = None, /, *, limit: float = ..., time: float = ...) -> GenericDerivation: ...
def derive(  # type: ignore[misc]
    loss: Any, rule: Rule | None = None, /, *, limit: float = OF_PARTS, time: float = TIME
) -> Derivation:
    """The derivation of the flow of ``rule`` (default: gradient descent with weight decay) on ``loss``.

    Args:
        loss: with ``minima=None`` only what needs no chart is derived; ``None``: on every loss at once.
        rule: one whose only state is effective_lr.
        limit: processor seconds for each part, after which it is left undecided.
        time: flow time for which tracking is asked; compared with the horizon.

    Raises:
        InputError: ``time`` is not positive, the rule has no form on the sphere, or the chart leaves no direction
            normal to Gamma.
    """
    if not time > 0:
        raise InputError(f"time = {time:g} must be positive; it is the flow time for which tracking is asked.")
    rule = rules.get("gd-wd") if rule is None else rule
    if loss is None:
        return generic_derivation(rule)  # type: ignore[return-value]  # as the overload says
    plan = Plan(loss, rule)
    if loss.minima is not None and len(loss.minima.chart) > loss.dimension - 2:
        raise InputError(
            f"loss {loss.name!r}: a chart of {len(loss.minima.chart)} coordinates leaves no direction of the sphere in "
            f"R^{loss.dimension} normal to Gamma; it may have at most {loss.dimension - 2}."
        )
    proofs, expected = list[Proof](), list[Proof]()
    failed: dict[str, str] = {}
    declared: list[str] = []
    omitted: dict[str, list[str]] = {}
    for part in plan.parts():
        missing = next((name for name in part.stands_on if name in failed), None)
        if missing is not None:
            omitted.setdefault(missing, []).append(part.name)
            continue
        proof, broke_off = _attempt(part, limit)
        if not proof.steps:
            continue
        proofs.append(proof)
        if part.settles and broke_off:
            failed[part.settles] = "was left undecided"
        elif part.settles and proof.status is Status.REFUTED:
            if part.settles in loss.expects_to_fail:
                declared.append(part.settles)
                expected.append(proof)
            # Where eigenvalues only meet here and there, everything holds in between.
            if part.settles != "simple_sharpness" or part.settles not in declared or ties(loss):
                failed[part.settles] = "was refuted"
    flow = _flow(plan, limit) if loss.minima is not None and not failed else None
    said = tuple(remarks(loss, plan.law, failed, declared, omitted, flow))
    energy = _energy(plan, limit) if flow is not None else None
    found = Derivation(loss, plan.rule, tuple(proofs), flow, plan.clock, tuple(expected), said, plan.law, energy, time)
    return replace(found, remarks=(*said, *(() if found.tracking is None else (found.tracking.sentence(time),))))


def _energy(plan: Plan, limit: float) -> sp.Expr | None:
    """c in the chart; ``None`` where it has no closed form, or none in time."""
    if plan.law is None or plan.law.coefficient is None:
        return None
    try:
        with time_limit(limit):
            return tidy(plan.law.coefficient_on(edge_jets(geometry_of(plan.loss))))
    except (NoClosedForm, InputError, TimeLimitExceeded):
        return None


def _attempt(part: Part, limit: float) -> tuple[Proof, bool]:
    """The proof of a part, and whether it broke off: then with an undecided step that says why."""
    begin = clock.perf_counter()
    try:
        with time_limit(limit):
            return part.prove(), False
    except NoClosedForm as reason:
        sides, relation, note = ("closed form", "not found"), "=", str(reason)
    except TimeLimitExceeded:
        sides, relation, note = (
            ("processor time", f"{limit:g} s"),
            ">",
            "Given up: the computer algebra did not end in time.",
        )
    except InputError as reason:
        sides, relation, note = ("this part", "not derived"), "=", str(reason)
    seconds = clock.perf_counter() - begin
    step = Step(part.name, *sides, relation=relation, status=Status.UNDECIDED, note=note, seconds=seconds)
    return Proof(part.name, (step,)), True


def _flow(plan: Plan, limit: float) -> SharpnessFlow | None:
    try:
        with time_limit(limit):
            return plan.flow()
    except (NoClosedForm, InputError, TimeLimitExceeded):
        return None  # the parts above have said why


def _minima(loss: Loss) -> dict[str, Any] | None:
    minima = loss.minima
    if minima is None:
        return None
    return {
        "chart": _texts(minima.chart),
        "point": _texts(minima.point),
        "start": list(minima.start or ()),
        # The ends of an interval; null where it has none.
        "domain": [[sp.sstr(end) if end.is_finite else None for end in pair] for pair in minima.domain or ()],
    }


def _texts(expressions: Any) -> list[str]:
    return [sp.sstr(expression) for expression in expressions]


def _by_name(expressions: Mapping[sp.Symbol, sp.Expr]) -> dict[str, str]:
    return {symbol.name: sp.sstr(expression) for symbol, expression in expressions.items()}
