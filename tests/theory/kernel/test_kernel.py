"""Lemmas for Coq: how expressions are written, what the kernel accepts, and that it rejects planted errors."""

import re

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.kernel import coqc as compiler
from sharpflow.theory.kernel.coqc import REALS, Verdict, check, coqc
from sharpflow.theory.kernel.derivations import export_derivation
from sharpflow.theory.kernel.export import line_of
from sharpflow.theory.kernel.file import whole
from sharpflow.theory.kernel.terms import NotExported, Terms
from sharpflow.theory.proving.positivity import prove_positive
from sharpflow.theory.proving.zero import prove_equal

needs_coqc = pytest.mark.skipif(coqc() is None, reason="no coqc: apt-get install coq libcoq-coquelicot")

x, y, p = sp.symbols("x y p", real=True)
a = sp.Symbol("a", positive=True)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (x**2 / (2 * y) - 1, "x ^ 2 / (2 * y) - 1"),
        (sp.Rational(-3, 4) * x, "- 3 * x / 4"),
        (sp.sqrt(x + 1) ** 3, "(sqrt (x + 1)) ^ 3"),
        (sp.exp(-p) * sp.cos(2 * p) ** 2, "exp (- p) * (cos (2 * p)) ^ 2"),
        (sp.log(a) * sp.pi, "PI * ln a"),
        (sp.Symbol("<U^2>") + sp.Symbol("at"), "U_2 + at_"),
    ],
)
def test_terms(expression, text):
    assert Terms()(expression) == text


@pytest.mark.parametrize("expression", [x**a, sp.Float("0.5") * x, sp.erf(x), x ** sp.Rational(1, 3)])
def test_what_is_not_written_says_why(expression):
    with pytest.raises(NotExported):
        Terms()(expression)


STEPS = [
    prove_equal("angles", sp.cos(4 * p) / (2 + sp.sin(2 * p)), (1 - 8 * sp.sin(p) ** 2 + 8 * sp.sin(p) ** 4)
                / (2 + 2 * sp.sin(p) * sp.cos(p))),
    prove_equal("a root", 1 / (sp.sqrt(x**2 + 1) - x), sp.sqrt(x**2 + 1) + x),
    prove_equal("exponentials", (sp.exp(2 * p) - sp.exp(-2 * p)) / (sp.exp(p) + sp.exp(-p)), 2 * sp.sinh(p)),
    prove_equal("an inner denominator", 1 / (1 + 1 / (x**2 + a)), (x**2 + a) / (x**2 + a + 1)),
    prove_equal("entries", sp.Matrix([x, (x + y) ** 2]), sp.Matrix([x, x**2 + 2 * x * y + y**2])),
    prove_positive("a circle", 3 - 2 * sp.sin(p) ** 2 + sp.cos(2 * p) / 2, domain={}),
    prove_positive("a quadratic form", x**2 + x * y + y**2 + 1, domain={}),
]  # fmt: skip


@needs_coqc
def test_a_lemma_of_every_kind_is_accepted():
    lines = [line_of(step, f"lemma_{i}") for i, step in enumerate(STEPS)]
    assert [line.reason for line in lines] == [""] * len(STEPS)
    verdict = check(whole("lemmas", [line.lemma.text for line in lines], [line.lemma.name for line in lines]))
    assert not verdict.rejected
    assert verdict.accepted
    assert set(verdict.assumptions) <= REALS


@needs_coqc
@pytest.mark.parametrize(
    "words",
    [
        "Axiom easy : 0 = 1.", "Lemma easy : 0 = 1.\nProof. Admitted.", "Variable easy : R.",
        "From Coq Require Import Program.\nProgram Definition easy : 0 = 1 := _.\nAdmit Obligations.",
        "Unset Guard Checking.\nFixpoint easy (n : nat) : 0 = 1 := easy n.",
    ],
)  # fmt: skip
def test_nothing_is_supposed(words, monkeypatch):
    text = whole("supposed", [words], ["easy"])
    found = check(text)
    assert found.refused
    assert not found.accepted
    # Nor where the search for words finds nothing: what it rests on is printed at the end.
    monkeypatch.setattr(compiler, "FORBIDDEN", re.compile("(?!)"))
    assert check(text).strange


def test_what_was_printed_is_read_to_the_end():
    said = "Axioms:\nlocal : 0 = 1\nbad is assumed to be guarded.\nClassical_Prop.classic\n  : forall P, P\n"
    assert compiler._assumptions(said) == ("local", "bad is assumed to be guarded.", "Classical_Prop.classic")
    assert compiler._assumptions("Closed under the global context\n") == ()
    assert Verdict(complete=True, assumptions=compiler._assumptions("")).refused


@needs_coqc
def test_what_the_kernel_did_not_come_to_is_not_called_accepted(monkeypatch):
    lemmas = [f"Lemma wrong_{i} : {i} = {i + 1}.\nProof.\nlra.\nQed.\n" for i in range(2)]
    lemmas += ["Lemma slow : True.\nProof.\ndo 1000000000 idtac.\nexact I.\nQed.\n",
               "Lemma rests : True.\nProof.\nexact slow.\nQed.\n"]  # fmt: skip
    text = whole("planted", lemmas, ["wrong_0", "wrong_1", "slow", "rests"]).replace("Timeout 100", "Timeout 2")
    found = check(text)
    assert (set(found.rejected), found.late) == ({"wrong_0", "wrong_1"}, ("slow", "rests"))
    assert found.complete
    monkeypatch.setattr(compiler, "REJECTIONS", 0)
    found = check(text)
    assert (set(found.rejected), found.complete, found.accepted) == ({"wrong_0"}, False, False)
    monkeypatch.setattr(compiler, "SECONDS", 0.01)
    assert check(text) == Verdict(seconds=pytest.approx(0, abs=10))
    assert "unchecked" in " ".join(check(text).sentences())


@needs_coqc
@pytest.mark.parametrize("rule", ["constant-lr", pytest.param("gd-wd", marks=pytest.mark.deep)])
def test_the_generic_derivation_is_accepted(rule):
    found = export_derivation(None, rules.get(rule))
    verdict = check(found.text)
    assert verdict.accepted, verdict.rejected
    assert found.counts()["exported"] >= 0.8 * len(found.lines)


@needs_coqc
@pytest.mark.deep  # half a minute
def test_ridge_is_accepted_in_full_and_four_for_three_is_not():
    found = export_derivation(families.get("ridge").default(), rules.get("gd-wd"))
    verdict = check(found.text)
    assert verdict.accepted, verdict.rejected
    assert {"the_flow", "field_of_the_flow", "L_x_x_is_a_derivative", "eigenvector_of_the_edge"} <= set(found.names)
    lemmas = [line.lemma for line in found.lines if line.lemma is not None and line.step.relation == "="]
    planted = [(lemma, wrong) for lemma in lemmas for wrong in _mistaken(lemma.text)]
    # Every place but the first ones of long formulas, spread over the derivation.
    assert len(planted) > 10
    for lemma, wrong in planted[:: len(planted) // 10][:10]:
        assert check(whole("planted", [wrong], ["circle", lemma.name])).rejected.keys() == {lemma.name}, wrong


def _mistaken(text):
    """The lemma with one 4 of its statement read as 3, where it has one."""
    head, proof = text.split("Proof.", 1)
    statement = head.index(":\n")
    place = re.search(r"(?<![\w^] )\b4\b(?! \* p)", head[statement:])
    if place is not None:
        start = statement + place.start()
        yield head[:start] + "3" + head[start + 1 :] + "Proof." + proof
