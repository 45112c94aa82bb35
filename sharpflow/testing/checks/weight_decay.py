"""The weights decay at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharpflow.testing.check import Check, Outcome, RuleSubject, Trial
from sharpflow.testing.trying import failed, held

if TYPE_CHECKING:
    from sharpflow.theory.rule import Rule

FACTOR = 3.0


def exchanges(rule: Rule) -> list[dict[str, float]]:
    """Factors of two parameters at a time that leave the rate as it is: learning_rate times 3, weight_decay over 3."""
    import sympy as sp

    from sharpflow.naming.expressions import parse_expression

    values = {**rule.constants, **rule.at_rate(1e-5)}
    names = {name: sp.Symbol(name) for name in values}
    expression = parse_expression(rule.rate, names=names)
    at = {symbol: sp.nsimplify(values[name]) for name, symbol in names.items()}
    powers = {
        name: float((symbol * expression.diff(symbol) / expression).subs(at))
        for name, symbol in names.items()
        if name not in rule.constants and expression.has(symbol)
    }
    found = [name for name, power in powers.items() if power != 0]
    return [
        {first: FACTOR, second: FACTOR ** (-powers[first] / powers[second])}
        for i, first in enumerate(found)
        for second in found[i + 1 :]
    ]


def run(subject: RuleSubject) -> Trial:
    """|w| from step to step where the gradient vanishes: at two rates, and at one rate with other parameters."""
    from sharpflow.numerics.inspection.rule import decay_at_rest

    rule = subject.given
    if rule.space == "sphere":
        return Trial(Outcome.NOT_APPLICABLE, "a rule on the sphere has no |w|; see the check closed_orbit")
    # Far below the rates of a run: a schedule moves the decay by its slope times the flow time, 0.004 here.
    coarse, fine = (decay_at_rest(rule, rate=rate) for rate in (1e-5, 1e-6))
    numbers = {"at rate 1e-5": coarse, "at rate 1e-6": fine}
    if not fine > 1e-6:
        return failed(f"|w+| = (1 - k rate) |w| at rest with k = {fine:.3g}: the weights do not decay", **numbers)
    # k = 1 + O(rate): over a decade of the rate it changes by a hundredth at most.
    if abs(coarse / fine - 1) > 0.1:
        return failed("|w+| = (1 - k rate) |w| at rest with a k that depends on the rate", **numbers)
    for times in exchanges(rule):
        other = decay_at_rest(rule, rate=1e-5, times=times)
        if not abs(other / coarse - 1) <= 0.1:
            shown = " and ".join(f"{name} times {factor:.3g}" for name, factor in times.items())
            said = (
                f"|w+| = (1 - k rate) |w| at rest with another k at the same rate: {coarse:.3g}, and with {shown} "
                f"{other:.3g}"
            )
            return failed(said, **{f"{name} times": factor for name, factor in times.items()})
    return held(f"|w+| = (1 - k rate) |w| at rest with k = {fine:.4g}")


check = Check(
    meaning="at rest |w| shrinks by a factor 1 - k rate, k > 0",
    source="Lyu, Li, Arora 2022, arXiv:2206.07085",
    advice=(
        "Without decay in proportion to rate nothing brings gradient descent to the edge: look for a forgotten "
        "factor (1 - learning_rate*weight_decay), its sign, and the scaling in at_rate."
    ),
    run=run,
    about="rule",
    supposes=("interpreters",),
    order=4,
)
