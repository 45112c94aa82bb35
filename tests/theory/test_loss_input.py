"""What a user may get wrong in a loss, its chart and a family: each is refused at once, in words that help."""

from __future__ import annotations

import pytest
import sympy as sp

from sharpflow.theory import families
from sharpflow.theory.errors import InputError
from sharpflow.theory.family import Parameter
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.proof import Status
from sharpflow.theory.sphere.invariance import prove_euler, prove_homogeneity, require_homogeneous

x, y, z, k = sp.symbols("x y z k", real=True)
p, q = sp.symbols("p q", real=True)
R2 = x**2 + y**2 + z**2
CODE = "__import__('os').getcwd()"
DEFAULT = object()


def loss(**changes):
    return Loss(**({"name": "user", "variables": (x, y, z), "expression": z**2 / R2} | changes))


def minima(**changes):
    return Minima(**({"chart": (p,), "point": (sp.cos(p), sp.sin(p), 0)} | changes))


BAD_LOSSES = [
    ({"name": ""}, "non-empty"),
    ({"name": 3}, "string"),
    ({"variables": "xyz"}, "must be a tuple"),
    ({"variables": x}, "forget a comma"),
    ({"variables": ("x", "y", "z")}, "SymPy symbol"),
    ({"variables": (x,), "expression": sp.Integer(1)}, "at least two"),
    ({"variables": (x, x, y)}, "x is listed twice"),
    ({"variables": (x, y, sp.Symbol("z", imaginary=True))}, "not real"),
    ({"expression": z**2 / R2 + k}, "uses k, not listed"),
    ({"expression": "z**2"}, "never evaluated"),
    ({"expression": CODE}, "never evaluated"),
    ({"expression": None}, "not a SymPy expression"),
    ({"expression": [x]}, "not a SymPy expression"),
    ({"expression": x > y}, "not a scalar"),
    ({"expression": sp.Eq(x, y)}, "not a scalar"),
    ({"expression": sp.Matrix([x])}, "not a scalar"),
    ({"expression": sp.I * x / y}, "complex"),
    ({"expression": sp.nan}, "contains nan"),
    ({"expression": float("nan")}, "contains nan"),
    ({"expression": -sp.oo}, "contains -oo"),
    ({"expression": sp.zoo}, "contains zoo"),
    ({"expression": sp.Function("f")(x / y)}, r"f\(\.\.\.\), a function without a definition"),
    ({"minima": 3}, "Minima or None"),
    ({"minima": minima(point=(1, p))}, "2 entries for 3"),
    ({"minima": Minima(chart=(p, q), point=(1, p, q))}, "fills the unit sphere"),
    ({"minima": Minima(chart=(x,), point=(1, x, 0))}, "x is both"),
    ({"expects_to_fail": "simple_sharpness"}, "set of names"),
    ({"expects_to_fail": {"simple-sharpness"}}, "no hypothesis; there are scale_invariance"),
]
BAD_MINIMA = [
    ({"chart": ()}, "at least one"),
    ({"chart": p}, "forget a comma"),
    ({"chart": "p"}, "must be a tuple"),
    ({"chart": (p, p)}, "p is listed twice"),
    ({"chart": (p + 1,)}, "SymPy symbol"),
    ({"chart": (sp.Symbol("p", imaginary=True),)}, "not real"),
    ({"point": 5}, "must be a tuple"),
    ({"point": None}, "must be a tuple"),
    ({"point": "abc"}, "must be a tuple"),
    ({"point": ("cos(p)", "sin(p)", "0")}, "never evaluated"),
    ({"point": (0, 0, 0)}, "zero vector"),
    ({"point": (q, p, 1)}, "uses q"),
    ({"point": (sp.I, p, 1)}, "complex"),
    ({"point": (sp.nan, p, 1)}, "contains nan"),
    ({"point": (sp.oo, p, 1)}, "contains oo"),
    ({"domain": 3}, "must be a tuple"),
    ({"domain": (-3, 3)}, "2 intervals for 1"),
    ({"domain": (3,)}, "must be a tuple"),
    ({"domain": ((1, 2, 3),)}, r"write \(low, high\)"),
    ({"domain": ((1, 1),)}, "empty"),
    ({"domain": ((2, 1),)}, "empty"),
    ({"domain": ((0, sp.nan),)}, "not a real number"),
    ({"domain": ((0, sp.I),)}, "not a real number"),
    ({"domain": ((0, q),)}, "not a real number"),
    ({"domain": (("0", "1"),)}, "not a number"),
    ({"domain": ((0, CODE),)}, "not a number"),
    ({"start": 0.3}, "sequence of numbers"),
    ({"start": "0.3"}, "sequence of numbers"),
    ({"start": (q,)}, "sequence of numbers"),
    ({"start": (1j,)}, "sequence of numbers"),
    ({"start": (0.3, 0.4)}, "2 numbers"),
    ({"start": ()}, "0 numbers"),
    ({"start": (float("nan"),)}, "off the chart"),
    ({"start": (float("inf"),)}, "off the chart"),
    ({"start": (3,), "domain": ((-3, 3),)}, "off the chart"),
]
BAD_CALLS = [
    (lambda: families.get("valley"), "no built-in family is called 'valley'"),
    (lambda: families.get("ridge").member(b=1), "no parameter b; it has a"),
    (lambda: families.get("ridge").member(a="abc"), "rational number"),
    (lambda: families.get("ridge").member(a=CODE), "rational number"),
    (lambda: families.get("ridge").member(a=float("nan")), "rational number"),
    (lambda: families.get("ridge").member(a=sp.sqrt(2)), "rational number"),
    (lambda: families.get("ridge").member(a="1/0"), "rational number"),
    (lambda: Parameter(default=3, low=0, high=1), "outside the range"),
    (lambda: Parameter(default=CODE, low=0, high=1), "rational number"),
    (lambda: minima().start_at((0.1, 0.2)), "2 numbers"),
    (lambda: minima(domain=((-1, 1),)).start_at((2,)), "off the chart"),
]
BAD = [
    *[pytest.param(lambda c=c: loss(**c), m, id=f"loss {c}") for c, m in BAD_LOSSES],
    *[pytest.param(lambda c=c: minima(**c), m, id=f"minima {c}") for c, m in BAD_MINIMA],
    *[pytest.param(call, m, id=m) for call, m in BAD_CALLS],
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


NOT_INVARIANT = [
    z**2,
    z**2 / (x**2 + y**2) ** 2,
    z**2 / R2 + x,
    sp.log(R2),
    sp.sqrt(R2) * sp.exp(z / sp.sqrt(R2)),
    z**2 / (R2 + 1),
    sp.sin(x),
]


@pytest.mark.parametrize("expression", NOT_INVARIANT, ids=str)
def test_what_is_not_scale_invariant_is_refuted_with_a_witness(expression):
    user = loss(expression=expression)
    step = prove_homogeneity(user).steps[0]
    assert step.status is Status.REFUTED
    point = {s: sp.Rational(step.witness[s.name]) for s in expression.free_symbols}
    factor = sp.Rational(step.witness["c"])
    difference = expression.subs({s: factor * v for s, v in point.items()}) - expression.subs(point)
    assert float(difference) == pytest.approx(float(step.witness["residual"]), rel=1e-6)
    with pytest.raises(InputError, match=r"not scale-invariant: at c = .*Divide by"):
        require_homogeneous(user)
    assert prove_euler(user).status is Status.REFUTED


# Found: to SymPy two symbols of one name and different assumptions differ, and the loss was constant in one of them.
def test_a_symbol_is_known_by_its_name():
    positive, plain = sp.Symbol("x", positive=True), sp.Symbol("p")
    user = loss(
        expression=positive * z / R2,
        minima=Minima(chart=(plain,), point=(sp.cos(p), sp.sin(sp.Symbol("p", positive=True)), 0)),
    )
    assert user.expression == x * z / R2
    assert user.minima.chart == (p,)
    assert user.minima.point == (sp.cos(p), sp.sin(p), 0)


# Found: the last bit of a float refuted the scale invariance of 0.3 z^2/|w|^2.
def test_floats_are_the_decimals_that_were_written():
    user = loss(expression=0.3 * z**2 / R2, minima=minima(point=(0.1, p, 0), domain=((-0.1, 0.3),)))
    assert user.expression == sp.Rational(3, 10) * z**2 / R2
    assert user.minima.point[0] == sp.Rational(1, 10)
    assert user.minima.domain == ((sp.Rational(-1, 10), sp.Rational(3, 10)),)
    assert prove_homogeneity(user).status is Status.PROVED


@pytest.mark.parametrize(
    "domain", [DEFAULT, None, (None,), ((1, sp.oo),), ((-sp.oo, -2),), ((5, 6),), ((-1, 1),), ((0, sp.pi),)],
    ids=lambda domain: "default" if domain is DEFAULT else str(domain),
)  # fmt: skip
def test_the_default_start_lies_on_the_chart(domain):
    chart = minima() if domain is DEFAULT else minima(domain=domain)
    assert chart.contains(chart.start)
    assert chart.start_at(chart.start) == chart.start


def test_two_equal_losses_are_equal():
    assert loss() == loss()
    assert hash(loss()) == hash(loss())
    assert loss() != loss(name="other")
