"""The whole derivation for one loss and one rule: L(c w) = L(w)  =>  d zeta/d tau = -growth/(brake + K^2) g.

Every line is a checked step, in the order of the argument: scale invariance, the reduction to the sphere, the edge,
what is supposed of Gamma, the oscillator read off the exact map, its averages, the drift by two routes, what follows
from it, a closed form. A part is derived only where the hypotheses it stands on were not refuted; what is left out
is named together with the hypothesis.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
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
from theory.derivation_remarks import remarks, ties
from theory.edge_jets import edge_jets
from theory.edge_law import EdgeLaw, edge_law
from theory.entering import prove_descent_lemma, prove_edge_multiplier, prove_waiting_time
from theory.errors import InputError, NoClosedForm
from theory.expansion import expand_nonsmooth
from theory.flow import SharpnessFlow, flow_coefficient, prove_closed_form, sharpness_flow
from theory.generic import generic_derivation, law_field, prove_law_drift, prove_law_energy
from theory.geometry import geometry_of, tidy
from theory.horizon import LOOK, Tracking, tracking_in_chart
from theory.invariance import prove_euler, prove_euler_generic, prove_homogeneity
from theory.limits import TimeLimitExceeded, time_limit
from theory.loss import Loss
from theory.proof import Proof, Status, Step, combine
from theory.reduction import Reduction, decays_by_one_minus_rate, reduce_rule
from theory.regression import kernel_chart, prove_regression_angle
from theory.routes import (
    K2,
    drift_coefficient,
    prove_corollaries,
    prove_drift,
    prove_excess_loss,
    prove_nonsmooth_drift,
    prove_oscillator,
    prove_schedule_drift,
    prove_stands_still,
)
from theory.rule import Rule
from theory.smoothness import prove_smoothness
from theory.sphere import prove_equilibrium_norm, prove_quasi_rmsprop, prove_rescaling, prove_sphere_map

__all__ = ["Derivation", "derive"]

# No part of the derivation of a built-in family takes a tenth of it; a loss of a user's own may be harder.
LIMIT = 60.0
# Flow time of a comparison by default.
TIME = 1.0
# What a part may stand on; the words are those of the hypotheses that a loss may declare to fail.
GENERIC = ("scale_invariance",)
ON_GAMMA = (*GENERIC, "smoothness", "minimizers")
CHARTED = (*ON_GAMMA, "chart")
NORMAL = (*CHARTED, "minimal_kernel")
EDGE = (*NORMAL, "simple_sharpness")
AVERAGED = (*EDGE, "oscillator")
DRIFTED = (*AVERAGED, "drift")
# The parts on the generic loss that a derivation on one loss has no counterpart of.
ENERGY = ("the map on rational numbers", "the energy law", "tracking", "first corrections")


@dataclass(frozen=True, eq=False)
class Derivation:
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

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of all proofs."""
        return tuple(step for proof in self.proofs for step in proof.steps)

    @property
    def status(self) -> Status:
        """The worst of all steps, those of hypotheses that the loss declares to fail left out."""
        return combine(proof.status for proof in self.proofs if proof not in self.expected)

    @property
    def seconds(self) -> float:
        """Time the proofs took together."""
        return sum(proof.seconds for proof in self.proofs)

    def counts(self) -> dict[Status, int]:
        """How many steps have each status."""
        found = [step.status for step in self.steps]
        return {status: found.count(status) for status in Status if status in found}

    @cached_property
    def tracking(self) -> Tracking | None:
        """c along the flow from the start of the chart, and the horizon; ``None`` without an energy law there."""
        minima = self.loss.minima
        if self.energy_coefficient is None or self.flow is None or minima is None or self.law is None:
            return None
        field = self.flow.field.subs(self.law.defaults)
        look = max(LOOK, self.time)
        return tracking_in_chart(minima.chart, minima.start or (), field, self.energy_coefficient, look=look)

    def render(self, style: str = "text", /) -> str:
        """The derivation as ``text``, ``markdown`` or a ``latex`` document."""
        from theory.rendering import render

        return render(self, style)

    def __str__(self) -> str:
        return self.render("text")

    def to_json(self) -> dict[str, Any]:
        """The content of ``derive --json``."""
        from theory.derivation_json import derivation_json

        return derivation_json(self)


@dataclass(frozen=True)
class _Part:
    """One part of the argument: what it is called where it is left out, what it stands on, what it settles.

    Its proof has no step where there is nothing to say.
    """

    name: str
    prove: Callable[[], Proof]
    stands_on: tuple[str, ...]
    settles: str = ""


@dataclass(frozen=True)
class _Plan:
    """Which parts there are for a loss and a rule."""

    loss: Loss
    rule: Rule

    @cached_property
    def law(self) -> EdgeLaw | None:
        try:
            return edge_law(self.rule)
        except NoClosedForm:
            return None

    @cached_property
    def reduces(self) -> bool:
        """Whether the rule has a form on the sphere with effective_lr as its only state, of a kind with a route here.

        Not a step that depends on the size of the gradient and is smooth on Gamma all the same: the routes of rules
        that are not smooth take it to have a fixed length.
        """
        try:
            reduction = reduce_rule(self.rule)
        except InputError:
            if self.law is None:
                raise
            return False
        return reduction.is_smooth or self.law is None or not self.law.smooth

    @cached_property
    def reduction(self) -> Reduction:
        return reduce_rule(self.rule)

    @property
    def decays_weights(self) -> bool:
        return self.reduces and decays_by_one_minus_rate(self.reduction)

    @cached_property
    def is_reference(self) -> bool:
        """Whether the drift is that of gradient descent with weight decay."""
        if not self.reduces:
            return self.law is not None and self.law.drift is not None and self.law.drift == flow_coefficient(K2)
        smooth = self.reduction.is_smooth
        return smooth and bool(sp.simplify(drift_coefficient(self.reduction) - flow_coefficient(K2)) == 0)

    @property
    def clock(self) -> str:
        rate = self.rule.rate
        return f"({rate})*t" if set(rate) & set("+-/ ") else f"{rate}*t"

    def parts(self) -> Iterator[_Part]:
        loss = self.loss
        yield _Part("scale invariance", lambda: prove_homogeneity(loss), (), "scale_invariance")
        yield _Part("Euler identities of every loss", prove_euler_generic, GENERIC)
        yield _Part("Euler identities of this loss", lambda: prove_euler(loss), GENERIC)
        if not self.reduces:
            yield from self._on_every_loss()
        elif (reduction := self.reduction).is_smooth:
            if self.decays_weights:
                yield _Part("reduction to the sphere", lambda: prove_sphere_map(reduction), GENERIC)
                yield _Part("quasi-RMSprop", lambda: prove_quasi_rmsprop(reduction), GENERIC)
                yield _Part("rescaling symmetry", lambda: prove_rescaling(reduction), GENERIC)
            yield _Part("descent lemma", lambda: prove_descent_lemma(reduction), GENERIC)
            if self.decays_weights:
                yield _Part("waiting time", lambda: prove_waiting_time(reduction), GENERIC)
            yield _Part("edge multiplier", lambda: prove_edge_multiplier(reduction), GENERIC)
        if loss.minima is not None:
            yield from self._on_gamma()
        if self.decays_weights and reduction.is_smooth:
            yield _Part("norm at the edge", lambda: prove_equilibrium_norm(reduction), GENERIC)
        if loss.minima is not None:
            yield _Part("closed form", self._prove_closed_form, DRIFTED)
            if self.reduces and self.law is not None and self.law.coefficient is not None:
                yield from self._on_every_loss(*ENERGY)
            if self.law is not None and self.law.coefficient is not None:
                yield _Part("energy law in the chart", lambda: prove_law_energy(geometry_of(loss), self.law), DRIFTED)
            if self.is_reference:
                yield _Part("angle to the origin of the chart", lambda: _prove_angle(loss), DRIFTED)

    def _on_every_loss(self, *titles: str) -> Iterator[_Part]:
        """What was derived from the jets of a generic loss; all of it, or the parts of these titles."""
        for proof in generic_derivation(self.rule).proofs:
            if not titles or proof.title in titles:
                yield _Part(name := f"on every loss: {proof.title}", partial(replace, proof, title=name), GENERIC)

    def _on_gamma(self) -> Iterator[_Part]:
        loss, rule = self.loss, self.rule
        yield _Part("smoothness", lambda: prove_smoothness(loss), GENERIC, "smoothness")
        yield _Part("critical points", lambda: prove_minimizers(loss), GENERIC, "minimizers")
        yield _Part("chart", lambda: prove_chart(loss), ON_GAMMA, "chart")
        yield _Part("minimal kernel", lambda: prove_minimal_kernel(loss), CHARTED, "minimal_kernel")
        yield _Part("simple top eigenvalue", lambda: prove_simple_sharpness(loss), NORMAL, "simple_sharpness")
        yield _Part("gradient of the sharpness", lambda: prove_log_sharpness_gradient(loss), EDGE)
        if not self.reduces:
            yield _Part("drift", lambda: prove_law_drift(geometry_of(loss), self.law), EDGE, "drift")
            return
        if not self.reduction.is_smooth:
            yield _Part("drift", lambda: prove_nonsmooth_drift(loss, rule), EDGE, "drift")
            return
        yield _Part("oscillator", lambda: prove_oscillator(loss, rule), EDGE, "oscillator")
        yield _Part("energy", prove_energy, GENERIC)
        yield _Part("averages", prove_averages, GENERIC)
        yield _Part("period", prove_period, GENERIC)
        yield _Part("drift by two routes", self._prove_drift, AVERAGED, "drift")
        yield _Part("excess loss", lambda: prove_excess_loss(loss, rule), DRIFTED)
        if self.is_reference:
            yield _Part("sharpness and speed", lambda: prove_corollaries(loss), DRIFTED)

    def _prove_drift(self) -> Proof:
        if "C_b" not in self.reduction.parameters:
            return prove_drift(self.loss, self.rule)
        # It holds the oscillator as well, which has a part of its own.
        before = {step.title for step in prove_oscillator(self.loss, self.rule).steps}
        whole = prove_schedule_drift(self.loss, self.rule)
        return replace(whole, steps=tuple(step for step in whole.steps if step.title not in before))

    def _prove_closed_form(self) -> Proof:
        flow = self.flow()
        closed = prove_closed_form(flow)
        if not flow.stands_still:
            return closed
        still = prove_stands_still(self.loss)
        return replace(still, steps=still.steps + closed.steps)

    def flow(self) -> SharpnessFlow:
        """The flow with the rule's own coefficient: on the paths of the reference flow, at another speed."""
        reference = sharpness_flow(self.loss)
        if self.is_reference or reference.stands_still:
            return reference
        if not self.reduces:
            field = law_field(reference, self.law).applyfunc(tidy)
        elif self.reduction.is_smooth:
            scale = -drift_coefficient(self.reduction).subs(K2, reference.log_gradient_squared)
            field = (scale * reference.log_sharpness_gradient).applyfunc(tidy)
        else:
            field = expand_nonsmooth(geometry_of(self.loss), self.reduction).drift.applyfunc(tidy)
        return replace(reference, field=field, closed_form=None, invariants={})


def _prove_angle(loss: Loss) -> Proof:
    """tan(alpha) obeys a closed form where K = 2 tan(alpha), as in regression with batch normalization; else no step.

    K = 2 tan(alpha) is what makes a loss one of that kind, so that it is asked and not claimed.
    """
    try:
        kernel_chart(geometry_of(loss))
    except InputError:
        return Proof("")
    proof = prove_regression_angle(loss)
    return proof if proof.steps[0].status is Status.PROVED else Proof("")


def derive(loss: Loss, rule: Rule | None = None, /, *, limit: float = LIMIT, time: float = TIME) -> Derivation:
    """The derivation of the flow of ``rule`` (default: gradient descent with weight decay) on ``loss``.

    Args:
        loss: with ``minima=None`` only what needs no chart is derived.
        rule: one whose only state is effective_lr.
        limit: seconds for each part, after which it is left undecided.
        time: flow time for which tracking is asked; compared with the horizon.

    Raises:
        InputError: ``time`` is not positive, the rule has no form on the sphere, or the chart leaves no direction
            normal to Gamma.
    """
    if not time > 0:
        raise InputError(f"time = {time:g} must be positive; it is the flow time for which tracking is asked.")
    plan = _Plan(loss, rules.get("gd-wd") if rule is None else rule)
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


def _energy(plan: _Plan, limit: float) -> sp.Expr | None:
    """c in the chart; ``None`` where it has no closed form, or none in time."""
    if plan.law is None or plan.law.coefficient is None:
        return None
    try:
        with time_limit(limit):
            return tidy(plan.law.coefficient_on(edge_jets(geometry_of(plan.loss))))
    except (NoClosedForm, InputError, TimeLimitExceeded):
        return None


def _attempt(part: _Part, limit: float) -> tuple[Proof, bool]:
    """The proof of a part, and whether it broke off: then with an undecided step that says why."""
    begin = clock.perf_counter()
    try:
        with time_limit(limit):
            return part.prove(), False
    except NoClosedForm as reason:
        sides, relation, note = ("closed form", "not found"), "=", str(reason)
    except TimeLimitExceeded:
        sides, relation, note = ("time", f"{limit:g} s"), ">", "Given up: the computer algebra did not end in time."
    except InputError as reason:
        sides, relation, note = ("this part", "not derived"), "=", str(reason)
    seconds = clock.perf_counter() - begin
    step = Step(part.name, *sides, relation=relation, status=Status.UNDECIDED, note=note, seconds=seconds)
    return Proof(part.name, (step,)), True


def _flow(plan: _Plan, limit: float) -> SharpnessFlow | None:
    try:
        with time_limit(limit):
            return plan.flow()
    except (NoClosedForm, InputError, TimeLimitExceeded):
        return None  # the parts above have said why
