"""L is C^4 next to Gamma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sharpflow.testing.check import Check, Outcome, Subject, Trial
from sharpflow.testing.trying import judge, with_proof

if TYPE_CHECKING:
    import numpy as np

    from sharpflow.numerics.inspection.loss import Finding
    from sharpflow.theory.loss import Loss

STEP = 1e-5
# An argument this much smaller than beside the place of a kink vanishes there.
NEAR = 1e-3
# With more weights than this and no residuals, taking some hundred points to Gamma takes a D x D matrix for each.
DENSE = 64


def run(subject: Subject) -> Trial:
    """Values on chords of the whole sphere; derivatives to fourth order on short lines across Gamma, and along it."""
    from sharpflow.numerics.inspection.jumps import JUMP, value_jump
    from sharpflow.numerics.inspection.kinks import KINK

    jump = value_jump(subject.objective, seed=subject.seed)
    if jump.value > JUMP:
        return judge(
            jump, JUMP, "jump of L itself, over its size, on chords of the whole sphere cut until nothing else is left"
        )
    finding, where = _finding(subject)
    trial = judge(
        finding, KINK,
        f"largest jump of the first four derivatives {where}, over their size, on intervals cut 46 875 times; "
        "tolerance: a kink's jump is of order one and stays, what has a limit changes by 1e-5",
    )  # fmt: skip
    if trial.outcome is Outcome.PASSED and subject.loss is not None and subject.loss.minima is not None:
        return with_proof(trial, "smoothness", subject)
    return trial


def _finding(subject: Subject) -> tuple[Finding, str]:
    import numpy as np

    from sharpflow.numerics.inspection.kinks import KINK, chart_jump, jump_across, jump_along
    from sharpflow.numerics.inspection.loss import Finding

    objective, sample = subject.objective, subject.minima
    chart: dict[str, Any] = {}
    if sample.chart is not None and subject.loss is not None:
        along, chart = chart_jump(subject.loss, seed=subject.seed)
        where = f"across Gamma, within {STEP:g}, and along it"
        across = jump_across(objective, sample.points, step=STEP, seed=subject.seed)
    elif len(sample.points):
        rank = sample.rank if objective.residuals is not None or objective.dimension <= DENSE else None
        along = jump_along(objective, sample.points, rank=rank, seed=subject.seed)
        where = f"across Gamma, within {STEP:g}, and {'along it' if rank else 'from one point of it to others'}"
        across = jump_across(objective, sample.points, step=STEP, seed=subject.seed)
    else:
        begin = objective.start / np.linalg.norm(objective.start)
        points = np.concatenate([begin[None], sample.ended])
        along = jump_along(objective, points, rank=None, seed=subject.seed)
        where = "at the start, where gradient flow ends, and on the way (no Gamma was found)"
        across = jump_across(objective, points, step=STEP, seed=subject.seed)
    worst = max(across, along, key=lambda jump: jump.value)
    witness = ({} if worst is across or not chart else chart) | {
        "w": worst.point, "u": worst.direction, f"D^{worst.order} L(w)[u, ...], on one side": worst.sides[0],
        "on the other": worst.sides[1],
    }  # fmt: skip
    if subject.loss is not None and (switched := _switches(subject.loss, worst.point)):
        witness["in the formula"] = f"{switched} there, under a modulus, a sign, a maximum or a root"
    return Finding(worst.value, witness, f"derivative {worst.order} along u" if worst.value > KINK else ""), where


def _switches(loss: Loss, point: np.ndarray) -> str:
    """Which arguments of |f|, sign f, a maximum or a root vanish at the point (D,), as "x = 0"."""
    from sympy import Abs, sstr

    from sharpflow.theory.chart.smoothness import switches

    found = []
    for f in dict.fromkeys(f.args[0] if isinstance(f, Abs) else f for f in switches(loss.expression)):
        at, beside = (
            abs(complex(f.subs(dict(zip(loss.variables, w, strict=True)), simultaneous=True)))
            for w in (point, point + 0.3)
        )
        # The place of a kink is known to a fifty-thousandth of an interval.
        if at < NEAR * max(beside, NEAR):
            found.append(f"{sstr(f)} = 0")
    return ", ".join(found)


check = Check(
    meaning="no kink of L, nor of its first three derivatives, on Gamma",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    run=run,
    advice=(
        "Take Abs, Max, relu and fractional powers of what vanishes somewhere on Gamma out of the loss, or give "
        "Minima a domain without that place; no flow of one eigenvalue crosses it (normalized rules and sqrt of the "
        "loss are described otherwise)."
    ),
    advice_without_chart=(
        "Take abs, max, relu and fractional powers of what vanishes next to the minima out of the function; no flow "
        "of one eigenvalue crosses a kink (normalized rules and sqrt of the loss are described otherwise)."
    ),
    supposes=("homogeneity", "finite"),
    hypothesis="smoothness",
    order=20,
)
