"""From claims to verdicts: what goes wrong in a proof, in a measurement, in the proving process, and in a loss."""

import json
import sys

import pytest
import sympy as sp

from sharpflow import claims, cli
from sharpflow.claim import Case, Claim, Measurement, Numeric, weigh
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.loss import HYPOTHESES, Loss
from sharpflow.theory.proving.proof import Proof, Status
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.theory.rule import Rule
from sharpflow.verification import pictures
from sharpflow.verification.prover import prove, view
from sharpflow.verification.verification import verify

X = sp.Symbol("x")
CHEAP = ("homogeneity", "minimizers", "minimal-kernel", "simple-sharpness")
FIELDS = {
    "id", "title", "loss", "rule", "proof", "numeric", "measured", "expected", "tolerance", "seconds", "message",
}  # fmt: skip


def case():
    return Case(families.get("ridge").default(), rules.get("gd-wd"))


def claim(proving):
    return Claim(title="a claim", statement="x = x", section="flow", prove=proving)


@pytest.mark.parametrize("name", claims.names())
def test_every_claim_has_the_shape_of_one(name):
    found = claims.get(name)
    assert isinstance(found, Claim)
    assert set(found.hypotheses) <= set(HYPOTHESES)
    assert all(rule in rules.names() for rule in found.rules)
    assert all(loss in families.names() for loss in found.losses)
    assert found.prove is not None or found.why_no_proof
    assert found.measure is not None or found.why_no_measurement
    from sharpflow.theory.writing.notation import formula

    assert formula(found.statement).startswith("<mrow>")


def test_every_hypothesis_has_its_claim():
    settled = {claim.settles: claim.hypotheses for claim in map(claims.get, claims.names()) if claim.settles}
    assert set(settled) == set(HYPOTHESES)
    # Each stands on those before it alone, which are looked at before it.
    assert all(set(settled[name]) <= set(HYPOTHESES[:i]) for i, name in enumerate(HYPOTHESES))


def test_ridge_is_verified_and_its_json_has_every_field(tmp_path, capsys):
    place = tmp_path / "verdicts.json"
    status = cli.main(["verify", "ridge", *(f"--claim={name}" for name in CHEAP), "--json", str(place), "--strict"])
    assert status == 0
    content = json.loads(place.read_text())
    assert {"version", "environment", "claims"} <= set(content)
    assert [row["id"] for row in content["claims"]] == list(CHEAP)
    for row in content["claims"]:
        assert set(row) == FIELDS
        assert (row["proof"], row["numeric"]) == ("proved", "consistent")
        assert abs(row["measured"] - row["expected"]) <= row["tolerance"]
    assert "4 proved" in capsys.readouterr().out.splitlines()[-1]


def test_a_declared_failure_is_named_and_is_not_wrong():
    result = verify([families.get("crossing").default()], claims=["simple-sharpness", "speed-bound"])
    assert [(v.proof, v.numeric) for v in result.verdicts] == [("not_applicable", "not_applicable")] * 2
    assert all("simple_sharpness" in v.message for v in result.verdicts)
    assert not result.wrong


@pytest.mark.deep
def test_an_undeclared_failure_is_refuted_and_what_stands_on_it_is_not_applicable():
    built = families.get("crossing").default()
    loss = Loss(name="mine", variables=built.variables, expression=built.expression, minima=built.minima)
    result = {v.id: v for v in verify([loss], claims=["simple-sharpness", "speed-bound"]).verdicts}
    assert result["simple-sharpness"].proof == "refuted"
    assert result["speed-bound"].proof == "not_applicable"
    assert "simple_sharpness" in result["speed-bound"].message


def loss_file(tmp_path, expression, point="(sp.cos(p), sp.sin(p), 0)"):
    path = tmp_path / "mine.py"
    path.write_text(
        "import sympy as sp\nfrom sharpflow import Loss, Minima\n"
        "x, y, z = sp.symbols('x y z', real=True)\np = sp.Symbol('p', real=True)\nr2 = x**2 + y**2 + z**2\n"
        f"loss = Loss(name='mine', variables=(x, y, z), expression={expression},\n"
        f"            minima=Minima(chart=(p,), point={point}, start=(0.35,), domain=((-3, 3),)))\n"
    )
    return f"{path}:loss"


@pytest.mark.parametrize(
    ("expression", "point", "broken"),
    [
        ("z**2/2", "(sp.cos(p), sp.sin(p), 0)", "homogeneity"),
        pytest.param(
            "z**2/(2*r2)*(1 + (x**2 + y**2 + z**2)/1000000)",
            "(sp.cos(p), sp.sin(p), 0)",
            "homogeneity",
            marks=pytest.mark.deep,
        ),
        ("z**2/(2*r2)", "(sp.cos(p), sp.sin(p), 1)", "minimizers"),
        pytest.param("-z**2/(2*r2)", "(sp.cos(p), sp.sin(p), 0)", "minimizers", marks=pytest.mark.deep),
        pytest.param("z**4/(2*r2**2)", "(sp.cos(p), sp.sin(p), 0)", "minimal-kernel", marks=pytest.mark.deep),
    ],
    ids=["not scale-invariant", "almost scale-invariant", "wrong Gamma", "maxima", "flat"],
)
def test_wrong_losses_are_refuted_with_a_witness(tmp_path, capsys, expression, point, broken):
    spec = loss_file(tmp_path, expression, point)
    status = cli.main(["verify", spec, *(f"--claim={name}" for name in CHEAP), "--json", "-"])
    content = json.loads(capsys.readouterr().out)
    verdicts = {row["id"]: row for row in content["claims"]}
    assert status == 1
    assert verdicts[broken]["proof"] == "refuted" or verdicts[broken]["numeric"] == "inconsistent"
    assert verdicts[broken]["message"]
    assert "Traceback" not in str(content)


def test_a_loss_in_a_file_goes_through(tmp_path, capsys):
    spec = loss_file(tmp_path, "z**2/(2*r2)*(2 + (x**2 - y**2)/r2)")
    assert cli.main(["verify", spec, *(f"--claim={name}" for name in CHEAP)]) == 0
    assert "4 proved" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing"),
        (["missing.py:loss"], "missing.py"),
        (["ridge", "--claim", "nothing"], "no claim"),
        (["ridge", "--rule", "nothing"], "nothing"),
        (["ridge", "--out", "/dev/null/x"], "--out"),
        (["ridge", "--seed", "x"], "--seed"),
    ],
)
def test_wrong_calls(arguments, message, capsys):
    assert cli.main(["verify", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_proofs_that_fail_to_come_about_are_undecided_and_a_mistake_of_the_program_is_an_error():
    def slow(case):
        while True:
            sp.expand((X + 1) ** 50)

    def broken(case):
        raise ZeroDivisionError("somewhere")

    def open_(case):
        raise NoClosedForm("no closed form here")

    def wrong_input(case):
        raise InputError("not this one")

    for proving, status, text in (
        (slow, "undecided", "given up after"), (broken, "error", "ZeroDivisionError"),
        (open_, "undecided", "no closed form"), (wrong_input, "undecided", "not this"),
    ):  # fmt: skip
        found = prove(claim(proving), case(), limit=0.5)
        assert found.status == status
        assert text in found.message


def test_a_refuted_step_reports_its_witness():
    found = prove(claim(lambda case: Proof("p", (prove_equal("four is three", 4 * X, 3 * X),))), case())
    assert found.status == "refuted"
    assert "x = " in found.message
    assert found.steps[0].witness
    assert found.steps[0].mathml.startswith("<mrow>")


def test_a_proving_process_that_dies_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (verdict,) = verify([families.get("ridge").default()], claims=["minimizers"]).verdicts
    assert verdict.proof == "error"
    assert verdict.error
    assert "process ended early" in verdict.message
    assert verdict.numeric == "consistent"


@pytest.mark.deep
def test_a_rule_made_at_run_time_is_proved_here():
    built = rules.get("gd-wd")
    rule = Rule(name="gd-wd", update=lambda w, gradient, state, p, ops: built.update(w, gradient, state, p, ops))
    from dataclasses import replace

    other = replace(rule, name="mine")
    result = verify([families.get("ridge").default()], rule=other, claims=["averages", "oscillator"])
    assert {v.rule for v in result.verdicts} == {"mine"}
    assert {v.proof for v in result.verdicts} == {"proved"}


def test_a_measurement_that_raises_is_an_error(monkeypatch):
    def measure(case):
        raise ValueError("no number")

    planted = Claim(title="t", statement="x", section="flow", measure=measure, why_no_proof="measured only")
    monkeypatch.setattr(claims, "names", lambda: ("planted",))
    monkeypatch.setattr(claims, "get", lambda name: planted)
    (verdict,) = verify([families.get("ridge").default()]).verdicts
    assert verdict.numeric == "error"
    assert "no number" in verdict.message
    assert verdict.error


def test_an_interrupted_run_keeps_what_it_had(monkeypatch):
    def stop(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    result = verify([families.get("ridge").default()], claims=CHEAP, progress=stop)
    assert result.interrupted
    assert len(result.verdicts) == 2


def test_weigh():
    assert weigh(1.0, 1.05, 0.1, "").status is Numeric.CONSISTENT
    assert weigh(1.0, 1.2, 0.1, "").status is Numeric.INCONSISTENT
    assert weigh(float("nan"), 1.0, 9.0, "").status is Numeric.INCONCLUSIVE
    assert weigh(-5.0, 0.0, 0.1, "", upper=True).status is Numeric.CONSISTENT
    assert weigh(0.2, 0.0, 0.1, "", upper=True).status is Numeric.INCONSISTENT
    assert isinstance(weigh(1.0, 1.0, 0.0, ""), Measurement)


def test_a_long_statement_is_cut():
    big = sum(sp.Symbol(f"a{i}") for i in range(900))
    shown = view(prove_equal("long", big, big))
    assert len(shown.statement) < 2000
    assert "characters" in shown.mathml
    assert shown.status == Status.PROVED.value


def test_a_loss_without_minima_claims_what_needs_none():
    x, y = sp.symbols("x y", real=True)
    loss = Loss(name="quotient", variables=(x, y), expression=x * y / (x**2 + y**2))
    result = verify([loss], claims=["homogeneity", "minimizers"])
    assert [v.id for v in result.verdicts if v.loss == "quotient"] == ["homogeneity"]


# The README's first command, which .ci/run runs before the tests.
@pytest.mark.longest
def test_the_main_job_leaves_nothing_wrong_and_nothing_open():
    result = verify()
    assert not result.wrong
    assert not result.open
    assert {v.loss for v in result.verdicts} == {"generic", *families.names()}
    assert {v.id for v in result.verdicts} == set(claims.names())
    # What is not applicable is so by a hypothesis that a family declares, and by nothing else.
    assert {v.loss for v in result.verdicts if v.proof == "not_applicable"} == {"crossing"}


def test_a_picture_that_fails_takes_nothing_with_it(monkeypatch, tmp_path, capsys):
    """Kind: a figure between what was measured and its being kept."""

    def fails(result):
        raise RuntimeError("no canvas")

    monkeypatch.setattr(pictures, "pictures_for", fails)
    out = ["--claim", "homogeneity", "--out", str(tmp_path), "--json", str(tmp_path / "v.json")]
    assert cli.main(["verify", "ridge", *out]) == 70
    said = capsys.readouterr()
    assert "1 verdicts in" in said.out
    assert "no canvas" in said.err
    assert json.loads((tmp_path / "v.json").read_text())["claims"][0]["proof"] == "proved"
    assert "homogeneity" in (tmp_path / "index.html").read_text()
