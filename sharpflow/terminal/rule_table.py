"""The table rule x {edge, drift, mean square, period, energy coefficient, tracks?}, derived, and measured beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp

from sharpflow.terminal import tables
from sharpflow.theory.edge.edge_law import EdgeLaw, edge_law, law_json
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.noise.moments import NoiseLaw, noise_law

if TYPE_CHECKING:
    from sharpflow.numerics.measurements.rule_check import RuleCheck
    from sharpflow.theory.rule import Rule

__all__ = ["RuleRow", "markdown", "rule_rows"]


HEADING = (
    "# Update rules at the edge of stability",
    "",
    "`sharpflow rules --measure --output docs/rules.md` writes this page. Everything in the first table is derived",
    "from the rule's own update on the generic loss (`sharpflow derive generic --rule NAME` shows the steps;",
    "derivation.md explains them). The edge is effective_lr*lambda_1; the drift is d zeta/d tau = -drift g, with tau",
    "= rate t in the rule's own clock; `K2` is |g|^2, `B` = K^2 dK/ds along g/|g|, `Q` = c_4 - 3 c_3^2 - 3 sum",
    "c_21^2/m of the jets of the loss, and dE/d tau = c <U^2>. A rule tracks its drift up to the horizon, the flow",
    "time in which the integral of c reaches log(E_max/E_0): an oscillation of 1.2 times its equilibrium grows to 10",
    "times (log(E_max/E_0)/c where c stays the same; never where c <= 0). x is the displacement from Gamma along the",
    "top eigenvector v_1, X = x/sqrt(rate), U = (effective_lr*lambda_1 - edge)/sqrt(rate), E the conserved energy of",
    "the leading oscillator of X and U, measured from its minimum, the equilibrium; c_3, c_4, c_21 are derivatives of",
    "the loss over lambda_1 along v_1 (and another normal direction, of eigenvalue m lambda_1). Other names are the",
    "rule's own constants: beta of momentum, C_b of RMSprop, slope and wd_slope of the schedules, learning_rate of",
    "sharpness-aware minimisation.",
    "",
)

COLUMNS = ("rule", "edge", "drift, times -g", "<x^2>/rate", "period, small orbits", "energy coefficient c", "tracks?")

NOISE = (
    "Under label noise of variance nu*rate on the residuals (docs/noise.md), e = effective_lr and h an eigenvalue of",
    "the Hessian on Gamma: stationary <x^2>/(nu rate) along its eigenvector, from the Lyapunov equation of the",
    "step; d log e/d tau = growth - nu sum of shrink over h; d zeta/d tau = -nu sum of push times grad log h. The",
    "equilibrium of effective_lr is where growth = nu sum of shrink; a barrier is named where all is a gradient flow.",
)
NOISE_COLUMNS = ("rule", "<x^2>/(nu rate)", "growth", "shrink", "push", "barrier of the drift")

PASSAGE = (
    "A rule whose effective_lr nothing drives passes the edge once: it comes from U = 1 above, U ends at -1 (sharpened",
    "from elsewhere it would oscillate, as `sharpflow derive generic` shows), and zeta moves by 2 sqrt(rate)/(edge K).",
)


@dataclass(frozen=True)
class RuleRow:
    """One rule.

    Attributes:
        rule, law: ``None`` for the law where it was not derived.
        reason: why not.
        checks: what was measured, one for each loss.
        horizons: name of the loss -> (c at its start, flow time of the horizon).
    """

    rule: Rule
    law: EdgeLaw | None
    reason: str = ""
    checks: tuple[RuleCheck, ...] = ()
    horizons: tuple[tuple[str, float, float], ...] = ()

    @property
    def wrong(self) -> bool:
        """True where a number was measured that does not agree."""
        return any(ratio.agrees is False for check in self.checks for ratio in check.ratios)

    @property
    def noise(self) -> NoiseLaw | None:
        """The law under label noise; ``None`` for a rule that has no linearised step on Gamma."""
        try:
            return noise_law(self.rule)
        except (NoClosedForm, InputError):
            return None

    def to_json(self) -> dict[str, Any]:
        """The row, expressions as text."""
        law, noise = self.law, self.noise
        coefficient = law.coefficient if law is not None else None
        return {
            "rule": self.rule.name, "title": self.rule.title, "source": self.rule.source, "reason": self.reason,
            **law_json(law), "energy_law": None if coefficient is None else {"coefficient": sp.sstr(coefficient)},
            "noise": None if noise is None else {
                "variance": sp.sstr(noise.variance), "growth": sp.sstr(noise.growth), "shrink": sp.sstr(noise.shrink),
                "push": sp.sstr(noise.push), "barrier": None if noise.barrier is None else sp.sstr(noise.barrier),
            },
            "measured": [
                {"loss": check.loss, "quantity": r.name, "ratios": list(r.at), "ratio": r.value,
                 "tolerance": r.tolerance, "predicted": r.predicted, "agrees": r.agrees}
                for check in self.checks for r in check.ratios
            ],
            "horizons": [{"loss": name, "coefficient": c, "horizon": h} for name, c, h in self.horizons],
        }  # fmt: skip


def rule_rows(
    rules: Sequence[Rule], /, *, families: Sequence[str] = (), say: Callable[..., None] = lambda *lines: None
) -> list[RuleRow]:
    """A row for each rule, measured on the default member of each of ``families``."""
    rows = []
    for rule in rules:
        try:
            law = edge_law(rule)
        except (NoClosedForm, InputError) as reason:
            rows.append(RuleRow(rule, None, str(reason)))
            continue
        if not families or (law.drift is None and not law.rests):
            rows.append(RuleRow(rule, law))
            continue
        from sharpflow.numerics.measurements.rule_check import check_rule_on
        from sharpflow.numerics.predictions.horizon import tracking_horizon
        from sharpflow.theory import families as library

        say(f"measuring {rule.name} ...")
        losses = [library.get(name).default() for name in families]
        checks = tuple(check_rule_on(loss, rule) for loss in losses)
        horizons = []
        if law.coefficient is not None:
            for name, loss in zip(families, losses, strict=True):
                found = tracking_horizon(loss, rule)
                horizons.append((name, found.coefficient, found.time))
        rows.append(RuleRow(rule, law, "", checks, tuple(horizons)))
    return rows


def markdown(rows: Sequence[RuleRow], /) -> str:
    """The tables as Markdown, with a heading and what the symbols mean."""
    lines = [*HEADING, *tables.markdown(COLUMNS, [_law_cells(row) for row in rows])]
    noisy = [(row.rule.name, noise) for row in rows if (noise := row.noise) is not None]
    if noisy:
        lines += ["", *NOISE, "", *tables.markdown(NOISE_COLUMNS, [_noise_cells(*pair) for pair in noisy])]
    lines += ["", "Where the rightmost column of the first table needs reasons:", ""]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row.law.tracking if row.law else row.reason, []).append(row.rule.name)
    lines += [f"- {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    far = [row for row in rows if row.horizons]
    if far:
        losses = [name for name, _, _ in far[0].horizons]
        lines += ["", "c at the start, and the horizon along the flow (to time 4; beyond, c as at its end):", ""]
        cells = [(row.rule.name, *(_horizon(c, h) for _, c, h in row.horizons)) for row in far]
        lines += tables.markdown(("rule", *losses), cells)
    for measured in ([row for row in rows if row.checks and not _passes(row)], [r for r in rows if _passes(r)]):
        if not measured:
            continue
        if _passes(measured[0]):
            lines += ["", *PASSAGE]
        lines += ["", "Measured over derived, extrapolated to rate 0 from three rates down to 1e-7; (!) disagrees:", ""]
        names = list(dict.fromkeys(r.name for row in measured for check in row.checks for r in check.ratios))
        cells = []
        for row in measured:
            for check in row.checks:
                by_name = {r.name: r for r in check.ratios}
                cells.append((row.rule.name, check.loss, *(_ratio(by_name.get(name)) for name in names)))
        lines += tables.markdown(("rule", "loss", *names), cells)
    return "\n".join(lines)


def _passes(row: RuleRow) -> bool:
    """True where the rule passes the edge once, and that was measured."""
    return bool(row.checks) and row.law is not None and row.law.rests


def _law_cells(row: RuleRow) -> tuple[str, ...]:
    law = row.law
    if law is None:
        return (row.rule.name, "not derived", *[""] * 5)
    edge = _code(law.edge) if law.smooth else "none, nonsmooth"
    drift = _code(law.drift) if law.drift is not None else "none: no closed orbit"
    marginal = law.orbit is not None and abs(law.orbit.multiplier) == 1
    square = "that of the start" if marginal else _code(law.mean_square)
    return (row.rule.name, edge, drift, square, _code(law.period), _code(law.coefficient), _tracks(row))


def _noise_cells(name: str, law: NoiseLaw) -> tuple[str, ...]:
    barrier = _code(law.barrier) if law.is_gradient else "none: no gradient flow"
    return (name, *(_code(e) for e in (law.variance, law.growth, law.shrink, law.push)), barrier)


def _tracks(row: RuleRow) -> str:
    law = row.law
    if law is None or law.closes is False or (law.smooth and law.largest_multiplier >= 1):
        return "no"
    if law.orbit is not None:
        return "marginally" if abs(law.orbit.multiplier) == 1 else "where its orbit attracts"
    return "up to the horizon"


def _code(expression: Any) -> str:
    return "none" if expression is None else f"`{sp.sstr(expression)}`"


def _horizon(coefficient: float, time: float) -> str:
    return f"{coefficient:.3g}, {'no end' if time == float('inf') else f'{time:.2g}'}"


def _ratio(ratio: Any) -> str:
    if ratio is None or ratio.agrees is None:
        return ""
    mark = "" if ratio.agrees else " (!)"
    return f"{ratio.value:.4f} ± {ratio.tolerance:.4f}{mark}"
