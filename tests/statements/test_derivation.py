"""Derivations in Python, in pytest, and claims of a user's own."""

import subprocess
import sys

import pytest

from sharpflow import Derivation
from sharpflow.theory.errors import InputError

OWN = """
from sharpflow.claim import Claim, weigh
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal

def prove(case):
    return Proof("mine", (prove_equal("trace", case.geometry.hessian.trace(), FACTOR * case.geometry.sharpness),))

def measure(case):
    return weigh(1.0, 1.0, 1e-9, "nothing")

mine = Claim(title="my trace", statement="tr H = lambda_1", section="flow", prove=prove, measure=measure,
             losses=("ridge",))
"""


def test_each_step_is_checked_as_it_is_added():
    d = Derivation(symbols={"x": "real", "y": "real"})
    assert d.given("x + y = 2").proof == "none"
    assert d.given("x - y = 0").proof == "none"
    assert d.then("x = 1").proof == "proved"
    assert d.then("y = 1").proof == "proved"
    assert [step.proof for step in d.qed()] == ["none", "none", "proved", "proved"]
    assert d.then("x*y = 2").proof == "refuted"
    with pytest.raises(InputError, match=r"step 5, 'x\*y = 2', is refuted"):
        d.qed()
    assert "refuted" in str(d)


def test_what_is_not_proved_is_not_leant_on():
    d = Derivation(symbols={"x": "positive"})
    assert d.then("cosh(x) <= exp(x^2/2)").proof == "undecided"
    assert d.then("2*cosh(x) <= 2*exp(x^2/2)").proof == "undecided"
    with pytest.raises(InputError, match="nothing was claimed"):
        Derivation().qed()
    with pytest.raises(InputError, match="has no =>"):
        d.given("x = 1 => x = 2")


@pytest.mark.deep
def test_pytest_runs_a_derivation_as_one_test_for_each_equation(tmp_path):
    (tmp_path / "a.md").write_text(
        "---\nsymbols: {x: real}\n---\n$$ (x+1)^2 = x^2 + 2x + 1 \\label{a} $$\n$$ x^2 = x $$\n$$ \\sum x = 1 $$\n"
    )
    call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "--pyargs", "sharpflow.testing.suite"]
    done = subprocess.run(
        [*call, "--sharpflow-derivation", "a.md", "-v", "-rs"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "a.md:5" in done.stdout
    assert "x = 0.3" in done.stdout


@pytest.mark.deep
@pytest.mark.parametrize(("factor", "status"), [("1", 0), ("2", 1)])
def test_a_claim_of_ones_own_is_verified_beside_the_others(tmp_path, factor, status, capsys):
    from sharpflow import cli

    file = tmp_path / "own.py"
    file.write_text(OWN.replace("FACTOR", factor))
    assert cli.main(["verify", "ridge", "--claims", f"{file}:mine", "--claim", "homogeneity"]) == status
    assert "mine" in capsys.readouterr().out
    taken = tmp_path / "taken.py"
    taken.write_text(OWN.replace("FACTOR", factor).replace("mine = ", "period = "))
    assert cli.main(["verify", "ridge", "--claims", f"{taken}:period"]) == 2
    assert "built-in claim" in capsys.readouterr().err


@pytest.mark.deep
def test_a_claim_of_ones_own_is_a_test_for_each_loss(tmp_path):
    from sharpflow.testing.parametrize import ClaimCall
    from sharpflow.theory import families

    space = {}
    exec(OWN.replace("FACTOR", "2"), space)
    with pytest.raises(pytest.fail.Exception, match="my trace: refuted"):
        ClaimCall(space["mine"], families.get("ridge").default())()
    with pytest.raises(pytest.skip.Exception):
        ClaimCall(space["mine"], families.get("conic").default())()
