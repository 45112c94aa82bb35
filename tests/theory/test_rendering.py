"""A derivation as text, Markdown and LaTeX."""

import re
import shutil
import subprocess

import pytest
import sympy as sp

from theory import families
from theory.derivation import derive
from theory.errors import InputError
from theory.loss import Loss, Minima
from theory.notation import latex_text
from theory.rendering import render

NASTY = r"loss_b%&#{}~^\$"


@pytest.fixture(scope="module")
def nasty():
    """A loss whose name and letters LaTeX and Markdown would read as their own."""
    a, b, c = sp.symbols("alpha_1 b% c", real=True)
    q = sp.Symbol("q_x", real=True)
    r2 = a**2 + b**2 + c**2
    minima = Minima(chart=(q,), point=(sp.cos(q), sp.sin(q), 0), start=(0.35,), domain=((-3, 3),))
    return derive(Loss(name=NASTY, variables=(a, b, c), expression=c**2 / (2 * r2) * (2 + a * b / r2), minima=minima))


@pytest.fixture(scope="module")
def crossing():
    return derive(families.get("crossing").default())


def without_comments(latex):
    return re.sub(r"(?<!\\)%.*", "", latex)


def balanced(latex):
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", without_comments(latex)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("which", ["nasty", "crossing"])
def test_latex_is_balanced(which, request):
    written = render(request.getfixturevalue(which), "latex")
    assert balanced(written)
    opened = re.findall(r"\\begin\{(\w+\*?)\}", written)
    assert sorted(opened) == sorted(re.findall(r"\\end\{(\w+\*?)\}", written))
    assert opened.count("document") == 1
    assert len(re.findall(r"\\left\b", written)) == len(re.findall(r"\\right\b", written))


def test_names_are_escaped(nasty):
    written = render(nasty, "latex")
    assert latex_text(NASTY) in written
    assert NASTY not in without_comments(written)


@pytest.mark.parametrize("which", ["nasty", "crossing"])
def test_every_step_is_there_with_its_status(which, request):
    derivation = request.getfixturevalue(which)
    text = " ".join(render(derivation, "text").split())
    for step in derivation.steps:
        assert " ".join(step.title.split()) in text
    for style in ("text", "markdown", "latex"):
        written = render(derivation, style)
        for status, count in derivation.counts().items():
            assert len(re.findall(rf"\b{status.value}\b", written)) >= count
    assert not re.search(r"\b(nan|zoo|oo)\b", text)


def test_a_declared_failure_is_told_from_a_mistake(crossing, nasty):
    assert "declared" in render(crossing, "text")
    assert "refuted" not in render(nasty, "text")


def test_markdown_has_its_mathematics_closed(crossing):
    written = render(crossing, "markdown")
    fences = [line for line in written.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    assert fences[0::2].count("```math") == len(fences) // 2
    prose = "\n".join(part for i, part in enumerate(written.split("```")) if i % 2 == 0)
    assert prose.count("$`") == prose.count("`$")


def test_text_without_unicode_is_ascii(crossing):
    assert render(crossing, "text", unicode=False).isascii()
    assert not render(crossing, "text").isascii()


def test_lines_of_text_fit_a_terminal(crossing):
    titles = [line for line in render(crossing, "text").splitlines() if re.match(r"\s*\d+\. ", line)]
    assert titles
    assert max(map(len, titles)) <= 100


def test_an_unknown_style_is_refused(crossing):
    with pytest.raises(InputError, match="text, markdown, latex"):
        render(crossing, "html")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["nasty", "crossing"])
def test_latex_compiles(which, request, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here to compile the document with")
    (tmp_path / "derivation.tex").write_text(render(request.getfixturevalue(which), "latex"), encoding="utf-8")
    call = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "derivation.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "derivation.pdf").stat().st_size > 10_000
    overfull = [float(v) for v in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert max(overfull, default=0) < 20  # points; nothing sticks out of the page
