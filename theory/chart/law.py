"""The law of a rule's edge on one loss: its drift field in the chart and the law of its energy."""

from __future__ import annotations

import sympy as sp

from sharpflow.theory.chart.edge_jets import edge_jets
from sharpflow.theory.chart.flow import SharpnessFlow
from sharpflow.theory.chart.geometry import Geometry, tidy
from sharpflow.theory.edge.edge_law import K2, LAMBDA, EdgeLaw
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal

__all__ = ["law_field", "prove_law_drift", "prove_law_energy"]


def law_field(flow: SharpnessFlow, law: EdgeLaw | None, /) -> sp.Matrix:
    """-D g in the chart of a loss: the reference flow's g, the rule's own D."""
    assert law is not None
    assert law.drift is not None
    strength = law.drift.subs({K2: flow.log_gradient_squared, LAMBDA: flow.sharpness})
    return -strength * flow.log_sharpness_gradient


def prove_law_drift(geometry: Geometry, law: EdgeLaw | None, /) -> Proof:
    """d log lambda_1/d tau = -D K^2 in the chart of a loss.

    Raises:
        NoClosedForm: the rule has no drift.
    """
    if law is None or law.drift is None:
        raise NoClosedForm("the rule has no closed orbit at the edge, so that there is no drift.")
    k2, sharpness = geometry.log_sharpness_gradient_squared, geometry.sharpness
    strength = law.drift.subs({K2: k2, LAMBDA: sharpness})
    field = -strength * geometry.log_sharpness_gradient
    along = sum(
        (v * sp.diff(sharpness, p) / sharpness for v, p in zip(field, geometry.chart, strict=True)), sp.Integer(0)
    )
    step = prove_equal(
        "the sharpness along the drift", along, -strength * k2, domain=geometry.domain,
        show=(sp.Symbol("d log lambda_1/dtau"), -law.drift * K2),
        note=f"d zeta/d tau = -D g with D = {law.drift}, from the part on every loss; D and K^2 are this loss's.",
    )  # fmt: skip
    return Proof("drift", (step,))


def prove_law_energy(geometry: Geometry, law: EdgeLaw | None, /) -> Proof:
    """c in the chart of a loss, from its jets there, at the rule's default constants.

    Raises:
        NoClosedForm: the rule has no energy law, or the jets no closed form.
    """
    if law is None or law.coefficient is None:
        raise NoClosedForm("the rule has no energy law.")
    jets = edge_jets(geometry)
    whole = law.coefficient_on(jets)
    shown = sp.Symbol("c"), tidy(whole)
    parts = {"K^2": jets.log_gradient_squared, "B": jets.bend, "c_3^2": jets.cubic_squared, "c_4": jets.quartic}
    parts["sum c_21^2/m"] = jets.mixed
    step = prove_equal(
        "the energy coefficient in the chart (default constants)", whole, shown[1], domain=geometry.domain, show=shown,
        note="What is checked here is that it was simplified rightly; the jets themselves are found a second time by "
        "automatic differentiation, and c is measured (`sharpflow verify`, claim energy-law). With "
        + ", ".join(f"{k} = {sp.sstr(v)}" for k, v in parts.items())
        + ".",
    )  # fmt: skip
    return Proof("energy law in the chart", (step,))
