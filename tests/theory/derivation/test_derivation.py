"""The whole derivation: what it contains, in which order, and what it says where a hypothesis fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.chart.flow import sharpness_flow
from sharpflow.theory.chart.routes import prove_drift
from sharpflow.theory.derivation.derivation import derive
from sharpflow.theory.edge.edge_law import K2, LAMBDA
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.proving.proof import Status, combine
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.theory.writing.notation import step_latex
from tests.theory.derivations import derived

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
RIDGE = families.get("ridge").default()
FORGET = sp.Symbol("C_b", positive=True)
# What all derivations share is seen on the ridge; those of the two-layer loss take minutes.
EVERY = [
    "ridge",
    *(pytest.param(name, marks=pytest.mark.deep) for name in ("crossing", "rayleigh")),
    pytest.param("two-layer", marks=pytest.mark.longest),
]


def ridge(name, **changes):
    return replace(RIDGE, name=name, **changes)


def not_proved(derivation):
    return {step.title: step for step in derivation.steps if step.status is not Status.PROVED}


HEAD = ("{} is scale-invariant", "scale invariance of a generic loss, any dimension", "Euler identities of {}")
DECAY = ("gd-wd on the sphere", "the schedule is scalar RMSprop, up to higher order", "rescaling symmetry")
EDGE = ("descent below the edge", "waiting time", "the multiplier that leaves the unit circle")
GAMMA = (
    "smoothness of {} near Gamma", "Gamma of {} is critical", "the chart of Gamma of {}", "minimal kernel of {}",
    "simple top eigenvalue of {}", "logarithmic gradient of the sharpness of {}",
)  # fmt: skip
ORBIT = ("the energy of the oscillation", "averages over an orbit", "the period of the oscillation")


LATE = tuple(
    f"on every loss: {title}"
    for title in ("the map on rational numbers", "the energy law", "tracking", "first corrections")
)


def parts(name, rule):
    """The order of the argument, in titles."""
    drift = f"drift of {rule} along Gamma of {{}}"
    if rule == "normalized-gd":
        titles = (*HEAD, *GAMMA, drift)
    else:
        oscillator, excess = f"the oscillator of {rule} at the edge of {{}}", f"mean excess loss of {rule} on {{}}"
        decay, edge = (DECAY, EDGE) if rule == "gd-wd" else ((), (EDGE[0], EDGE[2]))
        titles = (*HEAD, *decay, *edge, *GAMMA, oscillator, *ORBIT, drift, excess)
        if rule == "gd-wd":
            titles = (*titles, "sharpness and speed along the flow of {}", "the norm at the edge")
    if name == "rayleigh":
        titles = (*titles, "the flow of {} stands still")
    elif rule == "gd-wd":
        titles = (*titles, "closed form of the flow of {}")
    if rule != "normalized-gd":
        titles = (*titles, *LATE, "energy law in the chart")
    return [title.format(name) for title in titles]


@pytest.mark.parametrize("rule", ["gd-wd", pytest.param("rmsprop", marks=pytest.mark.deep), "normalized-gd"])
@pytest.mark.parametrize("name", EVERY)
def test_parts_and_verdicts(name, rule):
    derivation = derived(name, rule)
    assert [proof.title for proof in derivation.proofs] == parts(name, rule)
    assert derivation.status is Status.PROVED
    assert [*not_proved(derivation)] == (["gap to lambda_2"] if name == "crossing" else [])
    assert all(step.title and step.statement and step_latex(step) and step.method for step in derivation.steps)
    assert derivation.seconds == pytest.approx(sum(step.seconds for step in derivation.steps))


# Heavy-ball momentum is tried below, on a rule without symbols: it takes a fraction of the time.
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ridge", "sqrt-loss"),
        *(
            pytest.param(name, rule, marks=pytest.mark.deep)
            for name in ("ridge", "rayleigh")
            for rule in ("gd-l2", "gd-scheduled", "rmsprop-after", "sam", "sqrt-loss")
            if (name, rule) != ("ridge", "sqrt-loss")
        ),
    ],
)
def test_rules_without_a_route_of_their_own(name, rule):
    """Each has a drift on this loss, from its law on every loss where it has no form on the sphere."""
    derivation = derived(name, rule)
    assert derivation.status is Status.PROVED
    assert all(step.title and step.statement and step_latex(step) and step.method for step in derivation.steps)
    law, flow, reference = derivation.law, derivation.flow, sharpness_flow(derivation.loss)
    strength = law.drift.subs({K2: flow.log_gradient_squared, LAMBDA: flow.sharpness})
    known = -strength * reference.log_sharpness_gradient
    assert prove_equal(rule, flow.field, known).status is Status.PROVED
    assert (derivation.energy_coefficient is None) == (not law.smooth)


def test_no_flow_where_nothing_keeps_the_oscillation_up():
    derivation = derived("ridge", "constant-lr")
    assert derivation.flow is None
    assert derivation.law.closes is False


@pytest.mark.deep
@pytest.mark.parametrize("name", EVERY)
def test_the_field_of_every_rule(name):
    flow = sharpness_flow(families.get(name).default())
    g, k2, domain = (
        flow.log_sharpness_gradient,
        flow.log_gradient_squared,
        dict(zip(flow.chart, flow.domain, strict=True)),
    )
    for rule, known in (
        ("gd-wd", -2 / (4 + k2) * g),
        ("rmsprop", -FORGET / 2 / (2 * FORGET + k2) * g),
        ("normalized-gd", -g / 4),
    ):
        field = derived(name, rule).flow.field
        assert prove_equal(rule, field, known, domain=domain).status is Status.PROVED


@pytest.mark.deep
@pytest.mark.parametrize("name", EVERY)
def test_the_flow_of_another_rule(name):
    reference, other = derived(name).flow, derived(name, "rmsprop").flow
    assert reference is sharpness_flow(families.get(name).default())
    assert (other.sharpness, other.chart, other.point) == (reference.sharpness, reference.chart, reference.point)
    if name != "rayleigh":  # a closed form of the reference would be one of another clock
        assert other.closed_form is None
        assert other.invariants == {}


@pytest.mark.deep
def test_the_default_rule_is_the_reference():
    derivation = derive(ridge("bare", minima=None))
    assert derivation.rule is rules.get("gd-wd")
    assert derivation.clock == "learning_rate*weight_decay*t"
    assert derived("ridge", "rmsprop").clock == derived("ridge", "normalized-gd").clock == "learning_rate**2*t"


@pytest.mark.deep
def test_the_surface_keeps_what_it_conserves():
    """Every rule moves along the same curves, so that what is constant on them stays so."""
    derivation = derived("surface", "normalized-gd")
    assert derivation.flow.conserved == sharpness_flow(derivation.loss).conserved
    assert [step.title for step in derivation.proofs[-1].steps] == ["a conserved quantity of the flow"]


@pytest.mark.deep
def test_regression_ends_in_its_angle():
    assert derived("bn-regression").proofs[-1].title == "angle to the minimum-norm interpolant of bn-regression"


# Remarks


@pytest.mark.parametrize(
    ("name", "rule", "remarks"),
    [
        ("ridge", "gd-wd", ["there is a quadrature", "asked for, 1: it tracks"]),
        ("ridge", "normalized-gd", ["Edge: none, nonsmooth", "No closed form"]),
        pytest.param("rayleigh", "normalized-gd", ["Edge: none, nonsmooth", "stands still"], marks=pytest.mark.deep),
        pytest.param(
            "crossing",
            "gd-wd",
            ["derived where the gap is open", "there is a quadrature", "it tracks"],
            marks=pytest.mark.deep,
        ),
    ],
)
def test_remarks(name, rule, remarks):
    found = derived(name, rule).remarks
    assert len(found) == len(remarks)
    assert all(words in remark for words, remark in zip(remarks, found, strict=True))


# Hypotheses that fail


WRONG = Minima(chart=(p,), point=(sp.cos(p), 0, sp.sin(p)), start=(0.35,), domain=((-3, 3),))
FAILING = {
    "scale_invariance": (ridge("planted", expression=z**2), "degree-0 homogeneity", 1, "Euler identities"),
    "minimizers": (ridge("planted", minima=WRONG), "the gradient vanishes on Gamma", 2, "chart"),
    "minimal_kernel": (
        ridge("planted", expression=-RIDGE.expression), "e_1 of the 1 normal eigenvalue is positive", 1,
        "simple top eigenvalue",
    ),
    "simple_sharpness": (families.get("rayleigh").member(a=1), "gap to lambda_2", 1, "gradient of the sharpness"),
}  # fmt: skip


@pytest.mark.parametrize("hypothesis", FAILING)
def test_a_hypothesis_that_fails(hypothesis):
    loss, title, count, first = FAILING[hypothesis]
    derivation = derive(loss)
    assert derivation.status is Status.REFUTED
    assert derivation.flow is None
    wrong = not_proved(derivation)
    assert (len(wrong), derivation.expected) == (count, ())
    assert wrong[title].witness
    remark = derivation.remarks[0]
    assert remark.startswith(f"Not derived, since the hypothesis {hypothesis} was refuted: {first}")
    # Nothing that stands on it is there, and everything that does not is.
    assert "closed form" in remark
    assert len(derivation.proofs) == {"scale_invariance": 1, "minimizers": 19, "minimal_kernel": 21}.get(hypothesis, 22)


@pytest.mark.parametrize("hypothesis", FAILING)
def test_a_hypothesis_that_is_declared_to_fail(hypothesis):
    loss, title, _, _ = FAILING[hypothesis]
    derivation = derive(replace(loss, expects_to_fail=frozenset({hypothesis})), rules.get("normalized-gd"))
    assert derivation.status is not Status.REFUTED
    assert [title in (step.title for step in proof.steps) for proof in derivation.expected] == [True]
    assert derivation.flow is None
    assert "refuted as declared" in derivation.remarks[0]
    assert "gap is open" not in "".join(derivation.remarks)


@pytest.mark.deep
def test_crossing_declared_and_not():
    """What is declared leaves the flow and the status; what is not ends the derivation, and the reader is told."""
    declared = derived("crossing")
    (expected,) = declared.expected
    assert expected.title == "simple top eigenvalue of crossing"
    assert combine(proof.status for proof in declared.proofs) is Status.REFUTED
    undeclared = derive(replace(declared.loss, name="undeclared", expects_to_fail=frozenset()))
    assert (undeclared.status, undeclared.flow, undeclared.expected) == (Status.REFUTED, None, ())
    assert "expects_to_fail={'simple_sharpness'}" in undeclared.remarks[-1]


def test_no_minima():
    derivation = derive(ridge("bare", minima=None))
    assert [proof.title for proof in derivation.proofs] == [
        title.format("bare") for title in (*HEAD, *DECAY, *EDGE, "the norm at the edge")
    ]
    assert derivation.status is Status.PROVED
    assert derivation.flow is None
    assert len(derivation.remarks) == 1
    assert "minima=None" in derivation.remarks[0]
    payload = derivation.to_json()
    assert [payload[key] for key in ("minima", "sharpness", "log_sharpness_gradient", "flow")] == [None] * 4


def test_out_of_time():
    """A part that is given up is undecided, and what stands on it is named with it."""
    derivation = derive(ridge("slow"), limit=1e-3)
    assert derivation.status is Status.UNDECIDED
    assert derivation.flow is None
    (step, *_) = not_proved(derivation).values()
    assert "did not end in time" in step.note
    assert any("was left undecided" in remark for remark in derivation.remarks)


# Rules


def test_gradient_ascent_is_refuted():
    def ascent(w, gradient, state, p, ops):
        return (1 - p.learning_rate * p.weight_decay) * w + p.learning_rate * gradient(w), {}

    derivation = derive(ridge("up"), Rule(name="ascent", update=ascent))
    assert derivation.status is Status.REFUTED
    assert "effective learning rate: what multiplies G on the sphere" in not_proved(derivation)


@pytest.mark.deep
def test_a_rule_with_momentum_is_derived_on_every_loss():
    def update(w, gradient, state, p, ops):
        momentum = state.momentum / 2 + gradient(w)
        return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * momentum, {"momentum": momentum}

    derivation = derive(RIDGE, Rule(name="ball", update=update, state=("momentum",)))
    assert derivation.status is Status.PROVED
    assert any(proof.title == "on every loss: the drift" for proof in derivation.proofs)
    assert prove_equal("its flow", derivation.flow.field, sharpness_flow(RIDGE).field).status is Status.PROVED


# Names of the user's own


@pytest.mark.parametrize("name", ["K2", pytest.param("tau", marks=pytest.mark.deep)])
def test_the_name_of_the_chart_does_not_matter(name):
    symbol = sp.Symbol(name, real=True)
    minima = Minima(chart=(symbol,), point=(sp.cos(symbol), sp.sin(symbol), 0), start=(0.35,), domain=((-3, 3),))
    derivation = derive(ridge(f"chart {name}", minima=minima), rules.get("normalized-gd"))
    assert derivation.status is Status.PROVED
    assert sp.simplify(derivation.flow.field[0].subs(symbol, p) - derived("ridge", "normalized-gd").flow.field[0]) == 0


@pytest.mark.parametrize(
    "name", ["X", *(pytest.param(n, marks=pytest.mark.deep) for n in ("xi", "U", "delta", "lambda_1", "K2"))]
)
def test_a_coordinate_may_bear_a_name_of_the_theory(name):
    """`xi` and `X` met the expansion's own variables once, and a true drift was refuted."""
    q = sp.Symbol(name, real=True)
    chart = Minima(chart=(q,), point=(sp.cos(q), sp.sin(q), 0), start=(0.35,), domain=((-3, 3),))
    ridge = families.get("ridge").default()
    loss = Loss(name="named", variables=ridge.variables, expression=ridge.expression, minima=chart)
    assert prove_drift(loss, rules.get("gd-wd")).status is Status.PROVED


def test_no_flow_where_the_drift_is_refuted():
    """Without weight decay effective_lr never grows: there is no edge to drift at."""
    rule = Rule(
        name="no-decay", update=lambda w, gradient, state, p, ops: (w - p.learning_rate * gradient(w), {}),
        rate="learning_rate", at_rate=lambda rate: {"learning_rate": rate},
    )  # fmt: skip
    derivation = derive(families.get("ridge").default(), rule)
    assert derivation.status is Status.REFUTED
    assert derivation.flow is None
    assert any("the drift was refuted" in remark for remark in derivation.remarks)


@pytest.mark.deep
def test_a_rough_loss_is_named():
    x, y, z, q = *sp.symbols("x y z", real=True), sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + z**2
    chart = Minima(chart=(q,), point=(sp.cos(q), sp.sin(q), 0), start=(0.35,), domain=((-3, 3),))
    rough = z**2 / (2 * r2) * (2 + x * y / r2) + sp.Abs(z) ** 3 / r2 ** sp.Rational(3, 2)
    derivation = derive(Loss(name="rough", variables=(x, y, z), expression=rough, minima=chart))
    assert derivation.status is Status.REFUTED
    assert derivation.flow is None
    assert any("the hypothesis smoothness was refuted" in remark for remark in derivation.remarks)
