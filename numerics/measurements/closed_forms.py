"""A closed form, a quadrature or a conserved quantity of the flow, tried on the flow integrated by SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from sharpflow.numerics.flows.chart_flow import integrate
from sharpflow.numerics.measurements.chart_checks import symbolic_values

if TYPE_CHECKING:
    from sharpflow.theory.chart.flow import SharpnessFlow

__all__ = ["closed_form_residual"]

RECORDS = 9


def closed_form_residual(flow: SharpnessFlow, /, *, time: float) -> float | None:
    """The largest residual over flow times 0..time from the default start; ``None`` where nothing was found.

    |p(tau) - closed form|, |I(p(tau)) - I(p_0) - tau| and |C(p(tau)) - C(p_0)|, whichever there are.
    """
    solution = integrate(flow, time=time)
    times = np.linspace(0, solution.time, RECORDS)
    chart = solution.at(times).chart
    residuals: list[float] = []
    if flow.closed_form is not None:
        start = {sp.Symbol(f"{s.name}_0", real=True): float(v) for s, v in zip(flow.chart, chart[0], strict=True)}
        for i, symbol in enumerate(flow.chart):
            f = sp.lambdify(sp.Symbol("tau", positive=True), flow.closed_form[symbol].subs(start), "numpy")
            residuals.append(float(np.max(np.abs(f(times) * np.ones_like(times) - chart[:, i]))))
    for invariant in flow.invariants.values():
        values = symbolic_values(invariant, flow.loss, chart)
        residuals.append(float(np.max(np.abs(values - values[0] - times))))
    if flow.conserved is not None:
        values = symbolic_values(flow.conserved, flow.loss, chart)
        residuals.append(float(np.max(np.abs(values - values[0]))))
    return max(residuals) if residuals else None
