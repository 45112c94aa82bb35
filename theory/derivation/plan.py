"""The parts of a derivation in their order, and what each rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import sympy as sp

from sharpflow.theory.chart.assumptions import (
    prove_chart,
    prove_log_sharpness_gradient,
    prove_minimal_kernel,
    prove_minimizers,
    prove_simple_sharpness,
)
from sharpflow.theory.chart.corollaries import prove_corollaries, prove_stands_still
from sharpflow.theory.chart.expansion import expand_nonsmooth
from sharpflow.theory.chart.flow import SharpnessFlow, flow_coefficient, prove_closed_form, sharpness_flow
from sharpflow.theory.chart.geometry import geometry_of, tidy
from sharpflow.theory.chart.law import law_field, prove_law_drift, prove_law_energy
from sharpflow.theory.chart.regression import kernel_chart, prove_regression_angle
from sharpflow.theory.chart.routes import (
    K2,
    drift_coefficient,
    prove_drift,
    prove_excess_loss,
    prove_nonsmooth_drift,
    prove_oscillator,
    prove_schedule_drift,
)
from sharpflow.theory.chart.smoothness import prove_smoothness
from sharpflow.theory.derivation.generic import generic_derivation
from sharpflow.theory.edge.averaging import prove_averages, prove_energy, prove_period
from sharpflow.theory.edge.edge_law import EdgeLaw, edge_law
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Status
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.entering import prove_descent_lemma, prove_edge_multiplier, prove_waiting_time
from sharpflow.theory.sphere.invariance import prove_euler, prove_euler_generic, prove_homogeneity
from sharpflow.theory.sphere.reduction import Reduction, decays_by_one_minus_rate, reduce_rule
from sharpflow.theory.sphere.statements import (
    prove_equilibrium_norm,
    prove_quasi_rmsprop,
    prove_rescaling,
    prove_sphere_map,
)

__all__ = ["Part", "Plan"]

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


@dataclass(frozen=True)
class Part:
    """One part of the argument: what it is called where it is left out, what it stands on, what it settles.

    Its proof has no step where there is nothing to say.
    """

    name: str
    prove: Callable[[], Proof]
    stands_on: tuple[str, ...]
    settles: str = ""


@dataclass(frozen=True)
class Plan:
    """Which parts there are for a loss and a rule."""

    loss: Loss
    rule: Rule

    @cached_property
    def law(self) -> EdgeLaw | None:
        """The rule's law at the edge of every loss; ``None`` where none is derived."""
        try:
            return edge_law(self.rule)
        except NoClosedForm:
            return None

    @cached_property
    def reduces(self) -> bool:
        """True for a rule on the sphere with effective_lr as its only state, of a kind with a route here.

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
        """The rule on the sphere."""
        return reduce_rule(self.rule)

    @property
    def decays_weights(self) -> bool:
        """True for gradient descent with decay 1 - rate of the weights."""
        return self.reduces and decays_by_one_minus_rate(self.reduction)

    @cached_property
    def is_reference(self) -> bool:
        """True where the drift is that of gradient descent with weight decay."""
        if not self.reduces:
            return self.law is not None and self.law.drift is not None and self.law.drift == flow_coefficient(K2)
        smooth = self.reduction.is_smooth
        return smooth and bool(sp.simplify(drift_coefficient(self.reduction) - flow_coefficient(K2)) == 0)

    @property
    def clock(self) -> str:
        """Flow time in the number t of iterations, as text."""
        rate = self.rule.rate
        return f"({rate})*t" if set(rate) & set("+-/ ") else f"{rate}*t"

    def parts(self) -> Iterator[Part]:
        """The parts of the derivation, in their order."""
        loss = self.loss
        yield Part("scale invariance", lambda: prove_homogeneity(loss), (), "scale_invariance")
        yield Part("Euler identities of every loss", prove_euler_generic, GENERIC)
        yield Part("Euler identities of this loss", lambda: prove_euler(loss), GENERIC)
        if not self.reduces:
            yield from self._on_every_loss()
        elif (reduction := self.reduction).is_smooth:
            if self.decays_weights:
                yield Part("reduction to the sphere", lambda: prove_sphere_map(reduction), GENERIC)
                yield Part("quasi-RMSprop", lambda: prove_quasi_rmsprop(reduction), GENERIC)
                yield Part("rescaling symmetry", lambda: prove_rescaling(reduction), GENERIC)
            yield Part("descent lemma", lambda: prove_descent_lemma(reduction), GENERIC)
            if self.decays_weights:
                yield Part("waiting time", lambda: prove_waiting_time(reduction), GENERIC)
            yield Part("edge multiplier", lambda: prove_edge_multiplier(reduction), GENERIC)
        if loss.minima is not None:
            yield from self._on_gamma()
        if self.decays_weights and reduction.is_smooth:
            yield Part("norm at the edge", lambda: prove_equilibrium_norm(reduction), GENERIC)
        if loss.minima is not None:
            yield Part("closed form", self._prove_closed_form, DRIFTED)
            if self.reduces and self.law is not None and self.law.coefficient is not None:
                yield from self._on_every_loss(*ENERGY)
            if self.law is not None and self.law.coefficient is not None:
                yield Part("energy law in the chart", lambda: prove_law_energy(geometry_of(loss), self.law), DRIFTED)
            if self.is_reference:
                yield Part("angle to the origin of the chart", lambda: _prove_angle(loss), DRIFTED)

    def _on_every_loss(self, *titles: str) -> Iterator[Part]:
        """The parts derived from the jets of a generic loss; all of it, or the parts of these titles."""
        for proof in generic_derivation(self.rule).proofs:
            if not titles or proof.title in titles:
                yield Part(name := f"on every loss: {proof.title}", partial(replace, proof, title=name), GENERIC)

    def _on_gamma(self) -> Iterator[Part]:
        loss, rule = self.loss, self.rule
        yield Part("smoothness", lambda: prove_smoothness(loss), GENERIC, "smoothness")
        yield Part("critical points", lambda: prove_minimizers(loss), GENERIC, "minimizers")
        yield Part("chart", lambda: prove_chart(loss), ON_GAMMA, "chart")
        yield Part("minimal kernel", lambda: prove_minimal_kernel(loss), CHARTED, "minimal_kernel")
        yield Part("simple top eigenvalue", lambda: prove_simple_sharpness(loss), NORMAL, "simple_sharpness")
        yield Part("gradient of the sharpness", lambda: prove_log_sharpness_gradient(loss), EDGE)
        if not self.reduces:
            yield Part("drift", lambda: prove_law_drift(geometry_of(loss), self.law), EDGE, "drift")
            return
        if not self.reduction.is_smooth:
            yield Part("drift", lambda: prove_nonsmooth_drift(loss, rule), EDGE, "drift")
            return
        yield Part("oscillator", lambda: prove_oscillator(loss, rule), EDGE, "oscillator")
        yield Part("energy", prove_energy, GENERIC)
        yield Part("averages", prove_averages, GENERIC)
        yield Part("period", prove_period, GENERIC)
        yield Part("drift by two routes", self._prove_drift, AVERAGED, "drift")
        yield Part("excess loss", lambda: prove_excess_loss(loss, rule), DRIFTED)
        if self.is_reference:
            yield Part("sharpness and speed", lambda: prove_corollaries(loss), DRIFTED)

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
