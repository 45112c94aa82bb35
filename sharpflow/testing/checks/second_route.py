"""The flow in the chart and on the implicit manifold."""

from __future__ import annotations

from sharpflow.testing.check import AT_THE_EDGE, Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge


def run(subject: Subject) -> Trial:
    """The derived field against automatic differentiation, both integrated to time 1."""
    import numpy as np

    from sharpflow.numerics.flows.chart_flow import derived_flow, integrate
    from sharpflow.numerics.flows.manifold_flow import manifold_flow
    from sharpflow.numerics.inspection.loss import Finding

    loss = subject.loss
    own = None if loss is None or loss.minima is None else derived_flow(loss)
    if own is None:
        return Trial(Outcome.NOT_APPLICABLE, "no flow was derived in a chart: there is one route only")
    from sharpflow.numerics.descent.law import law_of
    from sharpflow.theory import rules

    law = law_of(rules.get("gd-wd"))
    times = np.linspace(0.0, 1.0, 21)
    first = integrate(own, time=1.0, coefficient=law.coefficient, drift=law.drift).at(times)
    objective, rank = subject.objective, subject.minima.rank
    second = manifold_flow(objective, objective.start, time=1.0, drift=law.drift, rank=rank).at(times)
    apart = np.linalg.norm(first.points - second.points, axis=1)
    both = np.isfinite(apart)
    if not both.any():
        return Trial(Outcome.INCONCLUSIVE, "neither flow gave a point")
    k = int(np.nanargmax(apart))
    witness = {"time": times[k], "by the chart": first.points[k], "by the manifold": second.points[k]}
    return judge(
        Finding(float(apart[k]), witness), 1e-6,
        "largest distance between the flow derived in the chart and the one by automatic differentiation on the "
        "implicit manifold, to time 1; tolerance: the integrators' 1e-8 and 1e-9, with room",
    )  # fmt: skip


check = Check(
    meaning="the flow derived in the chart is the one by automatic differentiation",
    source="two independent routes to one vector field",
    run=run,
    advice="The chart does not cover what the loss says, or is singular at the start: check Minima.point.",
    supposes=AT_THE_EDGE,
    needs_minima=True,
    order=44,
)
