"""A derivation written out: every step in every style, and nothing that Markdown or LaTeX would trip over."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from sharpflow.theory import families, rules
from sharpflow.theory.derivation.derivation import derive
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss, Minima
from sharpflow.theory.writing.document import STYLES
from tests.theory.derivations import derived

x, y = sp.symbols("x y", real=True)
p = sp.Symbol("p", real=True)
RIDGE = families.get("ridge").default()
NASTY = r"a_b%&#{} $x$ ~|w|^2 \input{c} `d` *e* <f> [g](h) -1"
WRONG = Minima(chart=(p,), point=(sp.cos(p), 0, sp.sin(p)), start=(0.35,), domain=((-3, 3),))
# What each is there for: all parts of the text; a matrix and a closed form; a declared failure; a flow at rest;
# signs that are marks; a witness; what was given up.
CASES = {
    "ridge": lambda: derived("ridge"),
    "surface": lambda: derived("surface", "normalized-gd"),
    "regression": lambda: derived("bn-regression"),
    "crossing": lambda: derived("crossing", "normalized-gd"),
    "rayleigh": lambda: derived("rayleigh", "normalized-gd"),
    "nasty": lambda: derive(replace(RIDGE, name=NASTY), rules.get("normalized-gd")),
    "wrong": lambda: derive(replace(RIDGE, name="wrong", minima=WRONG), rules.get("normalized-gd")),
    "slow": lambda: derive(replace(RIDGE, name="slow"), rules.get("normalized-gd"), limit=1e-3),
    "bare": lambda: derive(replace(RIDGE, name="bare", minima=None), rules.get("rmsprop")),
}


@cache
def derivation(case):
    return CASES[case]()


@cache
def written(case, style):
    return derivation(case).render(style)


# All parts of the text, signs that are marks, a witness, and what was given up.
PLAIN = ("ridge", "nasty", "wrong", "slow")
every_case = pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in PLAIN else pytest.mark.deep) for case in CASES]
)
every_style = pytest.mark.parametrize("style", STYLES)


def squeezed(text):
    return " ".join(text.split())


def statuses(text, style):
    """The statuses in the order in which they stand, with the step's number."""
    pattern = {
        "text": r"^ *(\d+)\. [^\[]*(?:\[(?!proved|refuted|undecided)[^\[]*)*\[((?:proved|refuted|undecided)[^\]]*)\]",
        "markdown": r"^\*\*(\d+)\\\.\*\* .* \(\*\*(\w[^*]*)\*\*\)$",
        "latex": r"^\\step\{(\d+)\}\{.*\}\{([^{}]*)\}$",
    }[style]
    return [(int(number), squeezed(status)) for number, status in re.findall(pattern, text, re.MULTILINE)]


@every_style
@every_case
def test_every_step_is_there_with_its_status(case, style):
    found = derivation(case)
    expected = [
        step.status.value + (", as the loss declares" if proof in found.expected and step.status == "refuted" else "")
        for proof in found.proofs
        for step in proof.steps
    ]
    assert statuses(written(case, style), style) == list(enumerate(expected, start=1))


@every_case
def test_the_text_says_everything(case):
    text, found = written(case, "text"), derivation(case)
    words = squeezed(text)
    for step in found.steps:
        assert squeezed(step.title) in words
        assert squeezed(step.note) in words
        assert step.method in words
        assert all(f"{name} = {value}" in words for name, value in step.witness.items())
    for proof in found.proofs:
        assert f"\n\n\n{proof.title}\n{'-' * len(proof.title)}\n" in text
    assert all(squeezed(remark) in words for remark in found.remarks)


@every_style
@every_case
def test_no_infinity_and_no_nan(case, style):
    assert not re.search(r"\b(oo|zoo|nan|inf)\b|infty|∞", written(case, style))


@every_case
def test_no_line_of_the_text_is_too_long(case):
    """But for titles: they are lines of their own."""
    titles = {proof.title for proof in derivation(case).proofs}
    lines = written(case, "text").splitlines()[2:]
    assert [line for line in lines if len(line) > 88 and line not in titles and set(line) != {"-"}] == []


@pytest.mark.parametrize("case", ["ridge", pytest.param("regression", marks=pytest.mark.deep)])
def test_text_in_ascii(case):
    """Also where equations are drawn; the same steps."""
    text = derivation(case).render("text", unicode=False)
    assert text.isascii()
    assert not written(case, "text").isascii()
    assert statuses(text, "text") == statuses(written(case, "text"), "text")


def test_no_other_style():
    assert str(derivation("ridge")) == written("ridge", "text")
    with pytest.raises(InputError, match="text, markdown, latex, not 'html'"):
        derivation("ridge").render("html")


# The result


@pytest.mark.parametrize(
    ("case", "style", "words"),
    [
        ("ridge", "text", "This quantity advances as tau does:"),
        ("ridge", "text", "The flow, in the time tau = learning_rate weight_decay t:"),
        ("ridge", "markdown", r"\lambda_{1} = \cos{\left(2 p \right)} + 2"),
        ("ridge", "latex", r"\lambda_{1} = \cos{\left(2 p \right)} + 2"),
        pytest.param("regression", "text", "Its solution:", marks=pytest.mark.deep),
        pytest.param("regression", "latex", r"p_{0} e^{- \tau}", marks=pytest.mark.deep),
        pytest.param("surface", "text", "This quantity is conserved:", marks=pytest.mark.deep),
        pytest.param("surface", "text", "The flow, in the time tau = learning_rate^2 t:", marks=pytest.mark.deep),
        pytest.param("rayleigh", "markdown", r"\frac{d}{d \tau} p{\left(\tau \right)} = 0", marks=pytest.mark.deep),
        pytest.param("crossing", "text", "refuted, as the loss declares", marks=pytest.mark.deep),
        ("wrong", "text", "Witness: p = "),
        ("slow", "text", "did not end in time"),
    ],
)
def test_results(case, style, words):
    assert words in squeezed(written(case, style))


@pytest.mark.parametrize("case", ["wrong", "slow", pytest.param("bare", marks=pytest.mark.deep)])
def test_no_result_without_a_flow(case):
    text = written(case, "text").partition("\nResult\n------\n")[2]
    assert text
    assert "=" not in text.replace("minima=None", "")


# LaTeX


def without_escapes(text):
    r"""LaTeX without comments and without \\, \{, \% and the like."""
    return re.sub(r"\\[^A-Za-z]", " ", re.sub(r"(?<!\\)%.*", "", text))


@every_case
def test_latex_is_balanced(case):
    body = without_escapes(written(case, "latex"))
    depth = 0
    for mark in re.findall(r"[{}]", body):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([\w*]+)\}", body.partition(r"\begin{document}")[2]):
        if kind == "begin":
            opened.append(name)
        elif opened:
            assert opened.pop() == name
        else:
            assert name == "document"
    assert opened == []
    assert body.count("$") % 2 == 0
    assert body.count(r"\left") - body.count(r"\leftarrow") == body.count(r"\right") - body.count(r"\rightarrow")


def test_special_signs_are_escaped():
    """Outside mathematics every sign of the name is text; in it only what the theory means by it."""
    document = written("nasty", "latex").partition(r"\begin{document}")[2]
    words = re.sub(r"\$[^$]*\$", " ", without_escapes(document))
    outside = re.sub(r"\\begin\{gather\*\}.*?\\end\{gather\*\}", " ", words, flags=re.DOTALL)
    assert not set("_^#&~%<>|") & set(outside)
    assert r"\input" not in outside
    assert r"\textbackslash{}input\{c\}" in document
    assert r"\%\&\#\{\}" in document


@pytest.mark.parametrize("sign", list("_%&#{}$~^\\<>|`*"))
def test_every_special_sign_alone(sign):
    """In a derivation of one step: the loss is not scale-invariant."""
    loss = Loss(name=f"net {sign} one", variables=(x, y), expression=x**2 + y)
    latex = without_escapes(derive(loss).render("latex"))
    assert latex.count("{") == latex.count("}")
    assert latex.count("$") % 2 == 0
    words = re.sub(r"\$[^$]*\$", " ", latex.partition(r"\begin{document}")[2].partition(r"\begin{gather*}")[0])
    assert not re.search(r"[_%&#~^<>|]", words)


@pytest.mark.deep
def test_it_compiles(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex here to compile the documents with")
    for case in ("nasty", "crossing", "wrong"):
        (tmp_path / f"{case}.tex").write_text(written(case, "latex"), encoding="utf-8")
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{case}.tex"],
            cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, [line for line in done.stdout.splitlines() if line.startswith(("!", "l."))]
        assert (tmp_path / f"{case}.pdf").stat().st_size > 10_000


# Markdown


@every_case
def test_markdown_is_balanced(case):
    outside, inside = [], []
    fenced = None
    for line in written(case, "markdown").splitlines():
        if line.startswith("```"):
            assert line == ("```math" if fenced is None else "```")
            fenced = [] if fenced is None else None
        elif fenced is None:
            outside.append(line)
        else:
            inside.append(line)
            assert line.strip()
    assert fenced is None
    for line in outside:
        words = re.sub(r"\\.", "", line)
        assert words.count("$") % 2 == 0
        # A symbol is a dollar, a backtick, mathematics, a backtick, a dollar; no other is left.
        assert not set("$`") & set(re.sub(r"\$`[^`$]*`\$", "", words)), line
    mathematics = re.sub(r"\\[^A-Za-z]", " ", "\n".join(inside))
    assert mathematics.count("{") == mathematics.count("}")
    assert mathematics.count(r"\begin") == mathematics.count(r"\end")
    assert "$" not in mathematics


def test_marks_of_markdown_are_escaped():
    heading = written("nasty", "markdown").splitlines()[0]
    words = re.sub(r"\$`[^`]*`\$|\\.", "", heading.removeprefix("# "))
    assert not set("_*[]<>`#|\\") & set(words)
