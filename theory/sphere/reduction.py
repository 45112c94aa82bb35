"""From an update of w to a map of (theta, effective_lr) on the sphere: exact, and in every dimension.

theta+ = (theta - step G)/|theta - step G|, G = grad L(theta), and effective_lr+ = schedule(effective_lr, |G|^2).

Both are derived from the rule's own update, run on the vectors of `sharpflow.theory.sphere.vectors`. For a smooth rule
step is effective_lr; for normalized GD it is eta/|G|, and there is no schedule.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from functools import cache
from types import SimpleNamespace

import sympy as sp

from sharpflow.theory import keeping
from sharpflow.theory.errors import InputError
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.rule import Rule
from sharpflow.theory.sphere.vectors import SpanVector, gradient_of, operations
from sharpflow.theory.writing.nodes import NotWritten, from_nodes, to_nodes

__all__ = [
    "Reduction",
    "decays_by_one_minus_rate",
    "exact",
    "growth_at_rest",
    "is_decayed_descent",
    "norm_squared_at",
    "reduce_rule",
]


def exact(value: object) -> sp.Expr:
    """A SymPy expression with every float in it read as the short rational it stands for (0.5 as 1/2)."""
    return sp.nsimplify(sp.sympify(value), rational=True)


@dataclass(frozen=True)
class Reduction:
    """The rule on the sphere.

    Attributes:
        rule: where it comes from.
        parameters: a positive symbol for each parameter of the rule.
        effective_lr, gradient_squared, norm_squared: the symbols e, |G(theta)|^2 and |w|^2.
        step: what multiplies G(theta); equal to ``effective_lr`` for a smooth rule.
        schedule: e+ in terms of e, |G|^2 and the parameters; ``None`` where the rule has no effective_lr.
        effective_lr_of_norm: e in terms of |w|^2 (rules on weights; else ``None``).
        norm_squared_of_effective_lr: its inverse.
        next_norm_squared: |w+|^2 in terms of |w|^2 and |G|^2 (rules on weights; else ``None``).
        scale: the factor A in w+ = A (theta - step G), in terms of |w|^2; its positivity keeps the direction.
    """

    rule: Rule
    parameters: dict[str, sp.Symbol]
    effective_lr: sp.Symbol
    gradient_squared: sp.Symbol
    norm_squared: sp.Symbol
    step: sp.Expr
    schedule: sp.Expr | None
    effective_lr_of_norm: sp.Expr | None
    norm_squared_of_effective_lr: sp.Expr | None
    next_norm_squared: sp.Expr | None
    scale: sp.Expr

    @property
    def is_smooth(self) -> bool:
        """True where the step is effective_lr times the gradient, hence as smooth as the loss."""
        return self.schedule is not None

    def at_rate(self, rate: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
        """Substitution that puts the rule's parameters at a symbolic rate (constants stay symbols)."""
        values = self.rule.at_rate(rate)
        return {self.parameters[name]: exact(value) for name, value in values.items()}


@cache
def _symbols() -> tuple[sp.Symbol, sp.Symbol, sp.Symbol]:
    return (
        sp.Symbol("effective_lr", positive=True),
        sp.Symbol("gradient_squared", positive=True),
        sp.Symbol("norm_squared", positive=True),
    )


def reduce_rule(rule: Rule, /) -> Reduction:
    """Derive the sphere form of a rule without momentum-like state.

    Raises:
        InputError: the update takes the gradient off the ray of w, carries state other than ``effective_lr``, or its
            result has no component along w.
    """
    entry = keeping.entry(f"reduction-{rule.name}", exact_fingerprint(rule))
    kept = entry.read()
    if kept is not None:
        return Reduction(rule=rule, **from_nodes(kept))
    reduction = _derived(rule)
    with contextlib.suppress(NotWritten):
        entry.write(to_nodes({f.name: getattr(reduction, f.name) for f in fields(reduction) if f.name != "rule"}))
    return reduction


def _derived(rule: Rule) -> Reduction:
    e, g2, n2 = _symbols()
    parameters = rule.parameter_symbols()
    p = SimpleNamespace(**parameters)
    other = set(rule.state) - {"effective_lr"}
    if other:
        raise InputError(
            f"rule {rule.name!r} carries the state {', '.join(sorted(other))}; the reduction to "
            "(theta, effective_lr) covers rules whose only state is effective_lr."
        )
    length = sp.sqrt(n2) if rule.space == "weights" else sp.Integer(1)
    w = SpanVector(length, sp.Integer(0), g2)
    state = SimpleNamespace(**{name: e for name in rule.state})
    w_next, state_next = rule.step(w, gradient_of(g2), state, p, operations)
    if not isinstance(w_next, SpanVector):
        raise InputError(f"rule {rule.name!r}: update did not return a vector but {w_next!r}.")
    along, against = exact(w_next.along), exact(w_next.against)
    if sp.simplify(along) == 0:
        raise InputError(f"rule {rule.name!r}: the new w has no component along the old one, so it has no sphere form.")
    step = sp.simplify(-against / along)
    shared = {"rule": rule, "parameters": parameters, "effective_lr": e, "gradient_squared": g2, "norm_squared": n2}
    if rule.space == "sphere":
        if "effective_lr" in rule.state and sp.simplify(step - e) != 0:
            raise InputError(
                f"rule {rule.name!r}: its state effective_lr is not what multiplies the gradient (that is {step})."
            )
        schedule = sp.simplify(exact(state_next.effective_lr)) if "effective_lr" in rule.state else None
        return Reduction(
            **shared, step=e if schedule is not None else step, schedule=schedule, effective_lr_of_norm=None,
            norm_squared_of_effective_lr=None, next_norm_squared=None, scale=along,
        )  # fmt: skip
    next_norm_squared = sp.expand(w_next.dot(w_next))
    if step.has(g2):
        return Reduction(
            **shared, step=step, schedule=None, effective_lr_of_norm=None, norm_squared_of_effective_lr=None,
            next_norm_squared=next_norm_squared, scale=along,
        )  # fmt: skip
    if not step.has(n2):
        raise InputError(f"rule {rule.name!r}: effective_lr = {step} does not depend on the norm of w.")
    inverse = norm_squared_at(step, n2, e)
    if inverse is None:
        raise InputError(f"rule {rule.name!r}: effective_lr = {step} does not determine the norm of w.")
    schedule = sp.factor(sp.simplify(step.subs(n2, next_norm_squared).subs(n2, inverse)))
    return Reduction(
        **shared, step=e, schedule=schedule, effective_lr_of_norm=step, norm_squared_of_effective_lr=inverse,
        next_norm_squared=next_norm_squared, scale=along,
    )  # fmt: skip


def norm_squared_at(step: sp.Expr, norm_squared: sp.Symbol, effective_lr: sp.Symbol, /) -> sp.Expr | None:
    """|w|^2 where the step, an expression in it, is effective_lr; ``None`` where that does not determine it.

    Of several roots the one counts that is positive at an effective_lr of 1, where every other number is small (1/100):
    rates and weight decay are, and momentum may be.
    """
    roots = sp.solve(step - effective_lr, norm_squared)
    if len(roots) > 1:
        small = {s: sp.Rational(1, 100) for root in roots for s in root.free_symbols} | {effective_lr: sp.Integer(1)}
        roots = [root for root in roots if root.subs(small).is_positive]
    return roots[0] if len(roots) == 1 else None


def decays_by_one_minus_rate(reduction: Reduction, /) -> bool:
    """True where w+ = (1 - learning_rate weight_decay) w at G = 0 and effective_lr goes as 1/|w|^2, as for GD+WD."""
    names = ("learning_rate", "weight_decay")
    if reduction.next_norm_squared is None or not set(names) <= set(reduction.parameters):
        return False
    eta, decay = (reduction.parameters[name] for name in names)
    at_rest = reduction.next_norm_squared.subs(reduction.gradient_squared, 0)
    if sp.expand(at_rest - (1 - eta * decay) ** 2 * reduction.norm_squared) != 0:
        return False
    inverse = reduction.norm_squared_of_effective_lr
    return inverse is not None and not sp.simplify(inverse * reduction.effective_lr).has(reduction.effective_lr)


def is_decayed_descent(reduction: Reduction, /) -> bool:
    """True for effective_lr+ = effective_lr/((1 - eps)^2 (1 + effective_lr^2 |G|^2)), eps = learning_rate weight_decay.

    So it is for gradient descent with weight decay, decoupled or not, and then (eta, lambda, w) and
    (c^2 eta, lambda/c^2, c w) are one run.
    """
    names = ("learning_rate", "weight_decay")
    if reduction.rule.space != "weights" or reduction.schedule is None or not set(names) <= set(reduction.parameters):
        return False
    eta, decay = (reduction.parameters[name] for name in names)
    e, g2 = reduction.effective_lr, reduction.gradient_squared
    return bool(sp.simplify(reduction.schedule - e / ((1 - eta * decay) ** 2 * (1 + e**2 * g2))) == 0)


def growth_at_rest(reduction: Reduction, rate: float, /) -> float | None:
    """effective_lr+/effective_lr where G = 0, at the default constants; ``None`` where that is no number.

    The edge is reached from effective_lr lambda_1 = 1/2 after log 4/log(growth) steps; never, where it is 1 or less.
    """
    if reduction.schedule is None:
        return None
    ratio = sp.simplify(reduction.schedule.subs(reduction.gradient_squared, 0) / reduction.effective_lr)
    defaults = {**reduction.rule.constants, **reduction.rule.at_rate(rate)}
    ratio = ratio.subs({symbol: defaults[name] for name, symbol in reduction.parameters.items() if name in defaults})
    return float(ratio) if ratio.is_number else None
