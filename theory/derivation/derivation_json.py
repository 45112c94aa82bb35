"""A derivation as the content of ``derive --json``; expressions as text that the safe parser reads back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sympy as sp

from sharpflow.theory.edge.edge_law import EdgeLaw
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Step

if TYPE_CHECKING:
    from sharpflow.theory.derivation.derivation import Derivation

__all__ = ["derivation_json", "law_json", "step_json"]


def derivation_json(derivation: Derivation, /) -> dict[str, Any]:
    """The fields of DESIGN's contract, and what is there besides."""
    loss, flow = derivation.loss, derivation.flow
    return {
        "loss": loss.name,
        "variables": _texts(loss.variables),
        "expression": sp.sstr(loss.expression),
        "rule": derivation.rule.name,
        "status": derivation.status.value,
        "minima": _minima(loss),
        "sharpness": None if flow is None else sp.sstr(flow.sharpness),
        "log_sharpness_gradient": None if flow is None else _texts(flow.log_sharpness_gradient),
        "flow": None if flow is None else {
            "chart": _texts(flow.chart),
            "field": _texts(flow.field),
            "time": derivation.clock,
            "time_symbol": "tau",
            "point": _texts(flow.point),
            "log_gradient_squared": sp.sstr(flow.log_gradient_squared),
            "closed_form": None if flow.closed_form is None else _by_name(flow.closed_form),
            "invariants": _by_name(flow.invariants),
            "conserved": None if flow.conserved is None else sp.sstr(flow.conserved),
        },
        **law_json(derivation.law),
        "energy_law": None if derivation.energy_coefficient is None else {
            "coefficient": sp.sstr(derivation.energy_coefficient), **_at_start(derivation),
        },
        "tracking": _tracking(derivation),
        "remarks": list(derivation.remarks),
        "steps": [
            step_json(proof, step, proof in derivation.expected) for proof in derivation.proofs for step in proof.steps
        ],
        "seconds": derivation.seconds,
        "latex": derivation.render("latex"),
    }  # fmt: skip


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


def step_json(proof: Proof, step: Step, expected: bool) -> dict[str, Any]:
    """One step, with the part it belongs to."""
    return {
        "part": proof.title, "title": step.title, "statement": step.statement, "latex": step.latex,
        "status": step.status.value, "expected": expected, "method": step.method,
        "residual": None if step.residual is None else sp.sstr(step.residual), "witness": dict(step.witness),
        "note": step.note, "second": step.second, "seconds": step.seconds,
    }  # fmt: skip


def _texts(expressions: Any) -> list[str]:
    return [sp.sstr(expression) for expression in expressions]


def _by_name(expressions: Mapping[sp.Symbol, sp.Expr]) -> dict[str, str]:
    return {symbol.name: sp.sstr(expression) for symbol, expression in expressions.items()}


def law_json(law: EdgeLaw | None, /) -> dict[str, Any]:
    """What a rule does at the edge on every loss; null where that was not derived."""
    if law is None:
        return {"edge": None, "oscillator": None, "orbit": None, "drift": None, "tracks": None}
    energy, orbit = law.energy, law.orbit
    return {
        "edge": _text(law.edge),
        "oscillator": None if energy is None else {
            "alpha": _text(energy.alpha), "growth": _text(energy.growth), "brake": _text(law.brake),
            "closed": law.closes, "mean_square": _text(law.mean_square), "period": _text(law.period),
            "potential": _text(law.potential(sp.Symbol("y", real=True))),
            "period_at_any_amplitude": _text(law.period_integral),
        },
        "orbit": None if orbit is None else {
            "modulus": _text(orbit.modulus), "fixed": _text(orbit.fixed), "multiplier": _text(orbit.multiplier),
            "mean_square": _text(law.mean_square),
        },
        "drift": {"coefficient": _text(law.drift), "time": f"({law.rule.rate})*t", "direction": "-g",
                  "pace": _text(law.pace)},
        "tracks": law.tracking,
    }  # fmt: skip


def _at_start(derivation: Derivation) -> dict[str, float | None]:
    """c at the start of the chart, and the horizon of tracking from there (null: it does not end)."""
    found = derivation.tracking
    if found is None:
        return {"at_start": None, "horizon": None}
    return {"at_start": found.coefficient, "horizon": found.horizon if math.isfinite(found.horizon) else None}


def _tracking(derivation: Derivation) -> dict[str, float | bool | None] | None:
    """Whether the horizon exceeds the time asked for; null without an energy law in the chart."""
    found = derivation.tracking
    if found is None:
        return None
    return {"time": derivation.time, "tracks": found.tracks(derivation.time)} | _at_start(derivation)


def _text(expression: Any) -> str | None:
    return None if expression is None else sp.sstr(expression)
