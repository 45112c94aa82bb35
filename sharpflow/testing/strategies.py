"""Hypothesis strategies: points, rates, rules, members of every family, and new scale-invariant losses.

    @given(loss=strategies.new_losses())
    @given(loss=...)        def test(loss: Loss)       registered where sharpflow is installed

Everything shrinks: points towards an axis, rates towards 1e-3, losses towards z^2/(4 r^2).
"""

from __future__ import annotations

import sympy as sp
from hypothesis import strategies as st

from sharpflow.theory import families
from sharpflow.theory import rules as library
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.rule import Rule

__all__ = ["losses", "members", "new_losses", "rates", "rules", "unit_vectors", "weights"]

# Coordinates are whole numbers before they are normalised: counterexamples that a person can read.
LARGEST = 20
X = sp.symbols("x y z", real=True)
P = sp.symbols("p q", real=True)
# Charts of the circle and of the 2-sphere without its poles.
CHARTS: dict[int, tuple[tuple[sp.Expr, ...], tuple[float, ...], tuple[tuple[float, float], ...]]] = {
    1: ((sp.cos(P[0]), sp.sin(P[0])), (0.35,), ((-3, 3),)),
    2: (
        (sp.cos(P[0]) * sp.cos(P[1]), sp.sin(P[0]) * sp.cos(P[1]), sp.sin(P[1])),
        (0.35, 0.2),
        ((-3, 3), (-1, 1)),
    ),
}


def weights(dimension: int, /) -> st.SearchStrategy[tuple[float, ...]]:
    """Nonzero vectors with ``dimension`` whole coordinates."""
    whole = st.tuples(*[st.integers(-LARGEST, LARGEST)] * dimension)
    return whole.filter(any).map(lambda v: tuple(float(x) for x in v))


def unit_vectors(dimension: int, /) -> st.SearchStrategy[tuple[float, ...]]:
    """Points of the unit sphere in ``dimension`` dimensions."""

    def unit(v: tuple[float, ...]) -> tuple[float, ...]:
        length = sum(x * x for x in v) ** 0.5
        return tuple(x / length for x in v)

    return weights(dimension).map(unit)


def rates(largest: float = 1e-3, smallest: float = 1e-6) -> st.SearchStrategy[float]:
    """Rates from ``largest`` down, ten to a decade."""
    import math

    return st.integers(0, round(10 * math.log10(largest / smallest))).map(lambda k: largest * 10 ** (-k / 10))


def rules() -> st.SearchStrategy[Rule]:
    """The built-in update rules; gradient descent with weight decay is the simplest."""
    names = sorted(library.names(), key=lambda name: (name != "gd-wd", name))
    return st.sampled_from(names).map(library.get)


def members(name: str, /) -> st.SearchStrategy[Loss]:
    """Losses of a built-in family at random parameters from its ranges, its default the simplest."""
    family = families.get(name)
    draws = {}
    for key, parameter in family.parameters.items():
        default = round((parameter.default - parameter.low) * parameter.denominator)
        order = sorted(range(parameter.count), key=lambda index, d=default: (abs(index - d), index))  # type: ignore[misc]
        draws[key] = st.sampled_from(order).map(parameter.value)
    return st.fixed_dictionaries(draws).map(lambda values: family.member(**values))


def losses() -> st.SearchStrategy[Loss]:
    """A new loss, or a member of any family whose hypotheses all hold."""
    right = [name for name in families.names() if not families.get(name).default().expects_to_fail]
    return st.one_of(new_losses(), *(members(name) for name in right))


def _numbers(largest: int) -> st.SearchStrategy[sp.Rational]:
    """k/2 with |k| <= largest, 0 the simplest."""
    return st.integers(-largest, largest).map(lambda k: sp.Rational(k, 2))


@st.composite
def new_losses(draw: st.DrawFn, dimension: int | None = None) -> Loss:
    """L = sum_j u_j^2 h_j (1 + d u_1)/2: a scale-invariant loss that nobody has seen, with Gamma known.

    b are the first coordinates, z_j the others, rho = |b|, r = |w|. u_j = (z_j - c_j b^a/rho^2)/r vanishes on Gamma
    (the graph of c_j b^a/rho^2, b^a a monomial of degree three), h_j = a_j + sum of monomials of degree two over r^2 is
    positive, and |d u_1| < 1. With two normal directions Gamma is a great sphere (c = 0) and h_1 > h_2 + 1/2, so
    that lambda_1 is simple. Smooth but at rho = 0, far from Gamma.

    Args:
        draw: from Hypothesis.
        dimension: D, 3 or 4; default either.
    """
    d = draw(st.sampled_from((3, 4))) if dimension is None else dimension
    m = 1 if d == 3 else draw(st.sampled_from((1, 2)))
    names = ("x", "y", "z", "v")[:d]
    w = sp.symbols(" ".join(names), real=True)
    base, normal = w[: m + 1], w[m + 1 :]
    r2 = sum(c**2 for c in w)
    rho2 = sum(c**2 for c in base)
    point, start, domain = CHARTS[m]
    products = [a * b for k, a in enumerate(base) for b in base[k:]][1:]
    heights: list[sp.Expr] = []
    forms: list[sp.Expr] = []
    ends: list[sp.Expr] = []
    floor = sp.Rational(0)
    for _ in normal:
        chosen = draw(st.lists(st.sampled_from(products), max_size=2, unique=True))
        terms = [(draw(_numbers(2)), monomial) for monomial in chosen]
        spread = sum((abs(c) for c, _ in terms), sp.Rational(0))
        # From below: every h_j is at least 1/2 above the largest value of the one before.
        low = floor + spread + sp.Rational(1 + draw(st.integers(0, 4)), 2)
        heights.insert(0, low + sum(c * monomial / r2 for c, monomial in terms))
        floor = low + spread
    for coordinate in normal:
        c = draw(_numbers(2)) if len(normal) == 1 else sp.Rational(0)
        monomial = sp.Mul(*draw(st.lists(st.sampled_from(base), min_size=3, max_size=3)))
        forms.append((coordinate - c * monomial / rho2) / sp.sqrt(r2))
        ends.append(c * monomial.subs(dict(zip(base, point, strict=True)), simultaneous=True))
    skew = draw(_numbers(1)) / 2
    expression = sum(h * u**2 for h, u in zip(heights, forms, strict=True)) * (1 + skew * forms[0]) / 2
    minima = Minima(chart=P[:m], point=(*point, *ends), start=start, domain=domain)
    return Loss(name="new", variables=w, expression=sp.sympify(expression), minima=minima, note="drawn at random")
