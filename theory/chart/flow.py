"""The sharpness-reduction flow in the chart: dp^i/d tau = -2 g^i/(4 + K^2), tau = rate t.

Here g = grad_Gamma log lambda_1 and K = |g|. This is route (a), by geometry; `sharpflow.theory.chart.routes` reads the
same field off the expanded map of the concrete loss (route b). Where the field separates, p_i' = f(p_i), it is solved
by quadrature: I(p) = int dp/f(p) advances by exactly tau, and where I can be inverted, p(tau) is written down. Either
is proved by substitution into the flow.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from types import MappingProxyType

import sympy as sp
from sympy.integrals.rationaltools import ratint

from sharpflow.theory import keeping
from sharpflow.theory.chart.geometry import Geometry, geometry_of, tidy
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.limits import TimeLimitExceeded, ran_out, time_limit
from sharpflow.theory.loss import Loss
from sharpflow.theory.proving.proof import Proof, Step
from sharpflow.theory.proving.zero import normal_form, prove_equal
from sharpflow.theory.writing.nodes import NotWritten, from_nodes, to_nodes

__all__ = ["TAU", "SharpnessFlow", "flow_coefficient", "invert", "prove_closed_form", "quadratures", "sharpness_flow"]

TAU = sp.Symbol("tau", positive=True)
QUADRATURE_SECONDS = 4.0
INVERSION_SECONDS = 1.0
# No roots by radicals beyond this degree: SymPy would search in vain until its time is over.
SOLVABLE = 4


@dataclass(frozen=True, eq=False)
class SharpnessFlow:
    """dp/d tau = field(p) with everything a reader or an integrator needs beside it.

    Attributes:
        loss: where it comes from.
        chart: the m coordinates p.
        field: m x 1, d p/d tau.
        point: zeta(p), D expressions, a unit vector.
        sharpness: lambda_1(p).
        gap: the smallest lambda_1 - lambda_j; ``None`` where there is one normal direction only.
        log_sharpness_gradient: m x 1, g^i.
        log_gradient_squared: K^2.
        domain: interval of each coordinate.
        closed_form: p_i(tau) by coordinate, with the initial values as symbols ``p_0``; ``None`` where none was found.
        invariants: I_i(p) with d I_i/d tau = 1 along the flow, by coordinate.
        conserved: a quantity that does not change along the flow, where one was found.
    """

    loss: Loss
    chart: tuple[sp.Symbol, ...]
    field: sp.Matrix
    point: tuple[sp.Expr, ...]
    sharpness: sp.Expr
    gap: sp.Expr | None
    log_sharpness_gradient: sp.Matrix
    log_gradient_squared: sp.Expr
    domain: tuple[tuple[sp.Expr, sp.Expr], ...]
    closed_form: Mapping[sp.Symbol, sp.Expr] | None = None
    invariants: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    conserved: sp.Expr | None = None

    def __post_init__(self) -> None:
        for name in ("field", "log_sharpness_gradient"):
            object.__setattr__(self, name, sp.ImmutableMatrix(getattr(self, name)))
        for name in ("closed_form", "invariants"):
            held = getattr(self, name)
            object.__setattr__(self, name, None if held is None else MappingProxyType(dict(held)))

    @property
    def stands_still(self) -> bool:
        """True where the field vanishes identically: lambda_1 is constant on Gamma."""
        return all(entry == 0 for entry in self.field)


def flow_coefficient(log_gradient_squared: sp.Expr) -> sp.Expr:
    """2/(4 + K^2), what multiplies -g for gradient descent with weight decay."""
    return 2 / (4 + log_gradient_squared)


def initial(symbol: sp.Symbol) -> sp.Symbol:
    """The symbol for the value at tau = 0."""
    return sp.Symbol(f"{symbol.name}_0", real=True)


@lru_cache(maxsize=64)
def sharpness_flow(loss: Loss, /) -> SharpnessFlow:
    """The flow of gradient descent with weight decay, by geometry; made once for each loss.

    Raises:
        InputError: the loss has no minima, or their chart is degenerate.
        NoClosedForm: lambda_1 has no closed form in the chart.
    """
    entry = keeping.entry(f"flow-{loss.name}", exact_fingerprint(loss))
    kept = entry.read()
    if kept is not None:
        return SharpnessFlow(loss=loss, **from_nodes(kept))
    flow = _derived(loss)
    # What was not found after a limit ran out might be found on a machine that is less busy.
    if not ran_out():
        with contextlib.suppress(NotWritten):
            entry.write(to_nodes({f.name: getattr(flow, f.name) for f in fields(flow) if f.name != "loss"}))
    return flow


def _derived(loss: Loss) -> SharpnessFlow:
    geometry = geometry_of(loss)
    k2 = geometry.log_sharpness_gradient_squared
    velocity = (-flow_coefficient(k2) * geometry.log_sharpness_gradient).applyfunc(tidy)
    gaps = geometry.gaps
    invariants, closed = quadratures(geometry, velocity)
    assert geometry.minima.domain is not None
    return SharpnessFlow(
        loss=loss,
        chart=geometry.chart,
        field=velocity,
        point=tuple(geometry.point),
        sharpness=geometry.sharpness,
        gap=None if not gaps else gaps[0] if len(gaps) == 1 else sp.Min(*gaps),
        log_sharpness_gradient=geometry.log_sharpness_gradient,
        log_gradient_squared=k2,
        domain=geometry.minima.domain,
        closed_form=closed,
        invariants=invariants,
        conserved=_conserved(velocity, geometry.chart),
    )


def quadratures(
    geometry: Geometry, velocity: sp.Matrix
) -> tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr] | None]:
    """Quadrature of every coordinate that goes its own way, and its inversion."""
    invariants: dict[sp.Symbol, sp.Expr] = {}
    closed: dict[sp.Symbol, sp.Expr] = {}
    for symbol, f in zip(geometry.chart, velocity, strict=True):
        if f == 0:
            closed[symbol] = initial(symbol)
            continue
        ratio = normal_form(f / symbol)
        if ratio.is_number:
            closed[symbol] = initial(symbol) * sp.exp(ratio * TAU)
            invariants[symbol] = sp.log(sp.Abs(symbol)) / ratio
            continue
        if f.is_number:
            closed[symbol], invariants[symbol] = initial(symbol) + f * TAU, symbol / f
            continue
        if f.free_symbols != {symbol}:
            continue
        quadrature = _quadrature(f, symbol)
        if quadrature is None:
            continue
        invariants[symbol] = quadrature
        solution = invert(quadrature, symbol, geometry.start[symbol])
        if solution is not None:
            closed[symbol] = solution
    return invariants, closed if len(closed) == len(geometry.chart) else None


def _quadrature(f: sp.Expr, symbol: sp.Symbol) -> sp.Expr | None:
    """I with I' = 1/f, as a rational function of tan p where f is trigonometric, of e^p where it is exponential."""
    z = sp.Dummy("z", real=True)
    try:
        with time_limit(QUADRATURE_SECONDS):
            if f.has(sp.sin, sp.cos):
                cosine = sp.Dummy("c", positive=True)
                numerator, denominator = sp.fraction(normal_form(1 / f))
                mixed = (numerator / denominator).subs({sp.sin(symbol): z * cosine, sp.cos(symbol): cosine})
                # f has the period pi of Gamma's point up to sign: only even powers of the cosine are left.
                integrand = sp.cancel(sp.cancel(mixed).subs(cosine, sp.sqrt(1 / (1 + z**2)))) / (1 + z**2)
                back = sp.tan(symbol)
            elif f.has(sp.exp):
                integrand, back = sp.cancel(normal_form(1 / f).subs(symbol, sp.log(z))) / z, sp.exp(symbol)
            else:
                integrand, back = (1 / f).subs(symbol, z), symbol
            integrand = sp.cancel(sp.together(integrand))
            if not integrand.is_rational_function(z) or integrand.has(symbol):
                return None
            result = ratint(integrand, z)
    except (TimeLimitExceeded, NotImplementedError, sp.PolynomialError, ValueError):
        return None
    if result.has(sp.RootSum, sp.Integral, sp.I):
        return None
    # |.| in the logarithms: an antiderivative on either side of a rest point.
    return result.replace(sp.log, lambda x: sp.log(sp.Abs(x))).subs(z, back)


def invert(quadrature: sp.Expr, symbol: sp.Symbol, start: sp.Expr) -> sp.Expr | None:
    """p(tau) from I(p) = I(p_0) + tau, the branch that passes through the start; ``None`` where SymPy finds none."""
    plain = quadrature.replace(sp.Abs, lambda x: x)
    before = initial(symbol)
    try:
        with time_limit(INVERSION_SECONDS):
            factor, logarithm = sp.logcombine(plain, force=True).as_coeff_Mul()
            if not isinstance(logarithm, sp.log):
                return None
            inner = logarithm.args[0]
            if _degree(inner, symbol) > SOLVABLE:
                return None
            equation = inner - inner.subs(symbol, before) * sp.exp(TAU / factor)
            candidates = sp.solve(equation, symbol)
    except (TimeLimitExceeded, NotImplementedError, sp.PolynomialError, ValueError):
        return None
    for candidate in candidates:
        at_start = candidate.subs(TAU, 0).subs(before, start)
        if at_start.is_number and abs(sp.N(at_start - start, 20)) < sp.Float("1e-15"):
            return candidate
    return None


def _degree(inner: sp.Expr, symbol: sp.Symbol) -> int:
    """Of inner = constant, a product of powers of polynomials in z, z^2, ..., as an equation in one of these.

    z is the tangent or the exponential of ``symbol``, or itself; 0 where ``inner`` is no such product.
    """
    z = sp.Dummy("z", positive=True)
    factors = sp.powdenest(inner.subs({sp.tan(symbol): z, sp.exp(symbol): z, symbol: z}), force=True).as_powers_dict()
    if not all(base.is_polynomial(z) and power.is_Rational for base, power in factors.items()):
        return 0
    whole = math.lcm(*(int(power.q) for power in factors.values()))
    sides = [0, 0]
    for base, power in factors.items():
        sides[1 if power > 0 else 0] += int(sp.degree(base, z) * abs(power) * whole)
    steps = math.gcd(*(n for base in factors for (n,) in sp.Poly(base, z).monoms()))
    return max(sides) // max(steps, 1)


def _conserved(velocity: sp.Matrix, chart: tuple[sp.Symbol, ...]) -> sp.Expr | None:
    """A quantity that the flow in a chart of two coordinates conserves, where it is a linear flow up to its clock.

    dp/d tau = s(p) A p with a constant A: for left eigenvectors l_1, l_2 of A, d log|l_i p| = mu_i s d tau, hence
    log|l_1 p|/mu_1 - log|l_2 p|/mu_2 does not change.
    """
    if len(chart) != 2 or any(entry == 0 for entry in velocity):
        return None
    try:
        with time_limit(QUADRATURE_SECONDS):
            quotient = sp.cancel(velocity[0] / velocity[1])
            if not quotient.is_rational_function(*chart):
                return None
            linear = [sp.Poly(part, *chart) for part in sp.fraction(quotient)]
            if any(not part.is_homogeneous or part.total_degree() != 1 for part in linear):
                return None
            matrix = sp.Matrix([[part.coeff_monomial(s) for s in chart] for part in linear])
            pairs = [(mu, vector) for mu, _, vectors in matrix.T.eigenvects() for vector in vectors]
            if len(pairs) != 2 or any(not mu.is_real or mu == 0 for mu, _ in pairs):
                return None
            logs = [sp.log(sp.Abs(vector.dot(sp.Matrix(chart)))) / mu for mu, vector in pairs]
    except (TimeLimitExceeded, sp.PolynomialError):
        return None
    return logs[0] - logs[1]


def prove_closed_form(flow: SharpnessFlow, /) -> Proof:
    """A closed form, or a part of one, put back into the flow: derivatives along it, and values at tau = 0."""
    steps: list[Step] = []
    domain = dict(zip(flow.chart, flow.domain, strict=True))
    # Two analytic functions that agree for small tau agree as long as both go on.
    starting = {initial(symbol): ends for symbol, ends in domain.items()} | {TAU: (sp.Integer(0), sp.Rational(1, 10))}
    for symbol, f in zip(flow.chart, flow.field, strict=True):
        if symbol in flow.invariants:
            invariant = flow.invariants[symbol].replace(sp.Abs, lambda x: x)
            steps.append(
                prove_equal(
                    f"quadrature of {symbol}: I({symbol}) advances with the flow time",
                    sp.diff(invariant, symbol) * f,
                    sp.Integer(1),
                    domain=domain,
                    show=(sp.Derivative(sp.Function("I")(symbol), TAU), sp.Integer(1)),
                    note=f"I = {sp.sstr(flow.invariants[symbol])}, differentiated along the flow; "
                    "d log|x| = dx/x on either side of 0.",
                )
            )
    if flow.conserved is not None:
        along = sum(
            (
                sp.diff(flow.conserved.replace(sp.Abs, lambda x: x), s) * f
                for s, f in zip(flow.chart, flow.field, strict=True)
            ),
            sp.Integer(0),
        )
        steps.append(
            prove_equal(
                "a conserved quantity of the flow",
                along,
                sp.Integer(0),
                domain=domain,
                show=(sp.Derivative(sp.Function("C")(*flow.chart), TAU), sp.Integer(0)),
                note=f"C = {sp.sstr(flow.conserved)}, differentiated along the flow.",
            )
        )
    if flow.closed_form is not None:
        at = dict(flow.closed_form)
        for symbol, f in zip(flow.chart, flow.field, strict=True):
            substituted = f.subs(at, simultaneous=True)
            steps.append(
                prove_equal(
                    f"closed form of {symbol}, put into the flow",
                    sp.diff(at[symbol], TAU),
                    substituted,
                    domain=starting,
                    show=(sp.Function(symbol.name)(TAU), at[symbol]),
                    note="Its derivative in tau equals the field at it.",
                )
            )
            steps.append(
                prove_equal(
                    f"closed form of {symbol} at tau = 0",
                    *_at_start(at[symbol], symbol, domain[symbol]),
                    domain=starting,
                    note="It sets off where it should.",
                )
            )
    return Proof(f"closed form of the flow of {flow.loss.name}", tuple(steps))


def _at_start(form: sp.Expr, symbol: sp.Symbol, ends: tuple[sp.Expr, sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
    """A closed form at tau = 0 and what it should be; the domain says which branch of a root or an arc it is."""
    before, (low, high) = initial(symbol), ends
    if low >= 0 or high <= 0:
        size = sp.Symbol(before.name, positive=True)
        signed = size if low >= 0 else -size
        return form.subs(before, signed).subs(TAU, 0), signed
    value = form.subs(TAU, 0)
    if low >= -sp.pi / 2 and high <= sp.pi / 2:
        value = value.subs(sp.atan(sp.tan(before)), before)
    return value, before
