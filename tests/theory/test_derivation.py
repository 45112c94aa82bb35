"""The whole derivation: what is in it, in which order, and what is said where a hypothesis fails."""

import json

import pytest
import sympy as sp

from theory import families, rules
from theory.derivation import derive
from theory.loss import Loss, Minima
from theory.proof import Status

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
R2 = x**2 + y**2 + z**2
CIRCLE = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0), start=(0.35,), domain=((-3, 3),))
HOUSE = z**2 / (2 * R2) * (2 + x * y / R2)


@pytest.fixture(scope="module")
def ridge():
    return derive(families.get("ridge").default())


def parts(derivation):
    return [proof.title for proof in derivation.proofs]


def test_ridge_is_proved_from_the_loss_to_the_flow(ridge):
    assert ridge.status is Status.PROVED
    assert ridge.counts() == {Status.PROVED: len(ridge.steps)}
    assert sp.simplify(ridge.flow.sharpness - 2 - sp.cos(2 * ridge.flow.chart[0])) == 0
    assert ridge.clock == "learning_rate*weight_decay*t"
    # The argument has an order: invariance, the map, the assumptions, the oscillator, the drift, its closed form.
    words = ("scale-invariant", "smoothness", "critical", "simple top", "oscillator", "drift", "closed form")
    places = [min(i for i, title in enumerate(parts(ridge)) if word in title) for word in words]
    assert places == sorted(places)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in families.names() if name not in ("ridge", "crossing")])
def test_every_family_is_proved(name):
    derivation = derive(families.get(name).default())
    assert derivation.status is Status.PROVED
    assert derivation.flow is not None


def test_rayleigh_says_that_it_stands_still():
    derivation = derive(families.get("rayleigh").default())
    assert any("stands still" in remark for remark in derivation.remarks)
    assert derivation.flow.stands_still


def test_a_declared_failure_is_refuted_and_expected():
    derivation = derive(families.get("crossing").default())
    assert derivation.status is Status.PROVED
    assert Status.REFUTED in derivation.counts()
    (expected,) = derivation.expected
    assert "simple top eigenvalue" in expected.title
    assert derivation.flow is not None  # the gap is open at the start
    assert any("declares that the hypothesis simple_sharpness fails" in remark for remark in derivation.remarks)


def test_the_same_failure_undeclared_ends_the_derivation():
    crossing = families.get("crossing").default()
    bare = Loss(name="undeclared", variables=crossing.variables, expression=crossing.expression, minima=crossing.minima)
    derivation = derive(bare)
    assert derivation.status is Status.REFUTED
    assert derivation.flow is None
    assert any("simple_sharpness was refuted" in remark for remark in derivation.remarks)


def test_rmsprop_keeps_its_constant_as_a_letter():
    derivation = derive(families.get("ridge").default(), rules.get("rmsprop"))
    flow = derivation.flow
    (c,) = flow.field.free_symbols - set(flow.chart)
    assert derivation.status is Status.PROVED
    assert c.name == "C_b"
    g, k2 = flow.log_sharpness_gradient[0], flow.log_gradient_squared
    assert sp.simplify(flow.field[0] + c / 2 * g / (2 * c + k2)) == 0
    # Gradient descent with weight decay is C_b = 2 in the clock eta_in^2 t, which is twice rate t.
    descent = derive(flow.loss).flow
    assert sp.simplify(2 * flow.field[0].subs(c, 2) - descent.field[0]) == 0


def test_normalized_gradient_descent_has_no_oscillator():
    derivation = derive(families.get("ridge").default(), rules.get("normalized-gd"))
    flow = derivation.flow
    assert derivation.status is Status.PROVED
    assert sp.simplify(flow.field[0] + flow.log_sharpness_gradient[0] / 4) == 0
    assert any("nonsmooth" in remark for remark in derivation.remarks)
    assert not any("oscillator" in title for title in parts(derivation))


@pytest.mark.parametrize(
    ("expression", "minima", "hypothesis"),
    [
        (HOUSE * R2, CIRCLE, "scale_invariance"),
        (HOUSE + sp.Abs(z) ** 3 / R2 ** sp.Rational(3, 2), CIRCLE, "smoothness"),
        (HOUSE, Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 1), start=(0.35,)), "minimizers"),
        (z**4 / R2**2, CIRCLE, "minimal_kernel"),
    ],
)
def test_what_fails_is_named_with_a_witness(expression, minima, hypothesis):
    derivation = derive(Loss(name="bad", variables=(x, y, z), expression=expression, minima=minima))
    assert derivation.status is Status.REFUTED
    assert derivation.flow is None
    wrong = [step for step in derivation.steps if step.status is Status.REFUTED]
    assert all(step.witness for step in wrong)
    assert any(f"the hypothesis {hypothesis} was refuted" in remark for remark in derivation.remarks)
    assert not any("drift" in title for title in parts(derivation))


def test_without_minima_only_the_generic_part():
    derivation = derive(Loss(name="bare", variables=(x, y, z), expression=HOUSE))
    assert derivation.status is Status.PROVED
    assert derivation.flow is None
    assert "minima=None" in derivation.remarks[0]
    assert not any("drift" in title for title in parts(derivation))


def test_json_is_plain(ridge):
    content = json.loads(json.dumps(ridge.to_json()))
    assert content["rule"] == "gd-wd"
    assert content["flow"]["chart"] == ["p"]
    assert content["flow"]["closed_form"] is None
    assert len(content["steps"]) == len(ridge.steps)
    assert {"title", "statement", "status", "seconds"} <= set(content["steps"][0])
    assert all(step["seconds"] >= 0 and step["statement"] for step in content["steps"])


def test_a_time_limit_leaves_the_part_undecided():
    loss = Loss(name="slow", variables=(x, y, z), expression=HOUSE, minima=CIRCLE)
    derivation = derive(loss, limit=1e-3)
    undecided = [step for step in derivation.steps if step.status is Status.UNDECIDED]
    assert undecided
    assert any("did not end in time" in step.note for step in undecided)
    assert derivation.status is not Status.PROVED
