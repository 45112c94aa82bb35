"""max |theta_t - zeta(eps t)| = O(eta_in)."""

from __future__ import annotations

from sharpflow.claim import Case, Claim, Measurement, Numeric, weigh
from sharpflow.claims._shared import beyond_horizon, unless_several
from sharpflow.theory.loss import HYPOTHESES, Loss

# Flow time of the runs that the power is fitted to. A network takes microseconds a step, and there are 1.9 million
# of them at time 1; half of that moves it far enough for a wrong flow to be seen at every rate.
TIME, TIME_OF_OBJECTIVES = 1.0, 0.5


def measure(case: Case) -> Measurement:
    """The fitted power of intrinsic_lr over two decades of the rate, and the distance at rate 1e-5."""
    from sharpflow.numerics.comparison.order import order

    if (beyond := beyond_horizon(case)) is not None:
        return beyond
    run = case.comparison
    if not run.result.ok:
        return Measurement(Numeric.INCONCLUSIVE, None, 1.0, 0.1, run.message or run.result.advice)
    near = run.max_distance / run.intrinsic_lr
    time = TIME if isinstance(case.subject, Loss) else TIME_OF_OBJECTIVES
    fit = order(case.subject, rule=case.rule, time=time, amplitude=1.2)
    if fit.verdict == "inconclusive":
        return Measurement(Numeric.INCONCLUSIVE, None, 1.0, 0.1, fit.message)
    if fit.verdict == "inconsistent":
        return unless_several(Measurement(Numeric.INCONSISTENT, fit.estimate, 1.0, 0.1, fit.message), case)
    if not near <= 5:
        weighed = weigh(
            near, 0.0, 5.0,
            f"largest distance in units of intrinsic_lr at rate {run.rate:g}, which should be of order one; the power "
            f"fitted is {fit.estimate:.3g}",
        )  # fmt: skip
        return unless_several(weighed, case)
    return weigh(
        fit.estimate, 1.0, 0.1,
        f"{fit.message}, rates 1e-6 to 1e-4, time {time:g}. At rate {run.rate:g} and time {run.time:g} the largest "
        f"distance is {near:.2f} intrinsic_lr (at most 5 asked for). "
        "Tolerance: half-integer powers, the nearest alternatives, lie well outside",
    )  # fmt: skip


claim = Claim(
    title="gradient descent tracks the flow to order one in intrinsic_lr",
    statement=r"\max_{0 \le t \le T/\varepsilon} |\theta_t - \zeta(\varepsilon t)| = O(\eta_{\mathrm{in}})",
    section="flow",
    measure=measure,
    any_rule=True,
    why_no_proof="an asymptotic bound with a remainder over 1/eps steps: its order is fitted, not proved here",
    hypotheses=HYPOTHESES,
)
