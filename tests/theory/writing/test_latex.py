"""The LaTeX of a derivation compiles, and nothing runs off the page."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from sharpflow.theory import families, rules
from sharpflow.theory.derivation.derivation import derive
from sharpflow.theory.derivation.generic import generic_derivation

ON_EVERY_LOSS = ("gd-wd", "gd-scheduled", "constant-lr", "sam", "heavy-ball")
ON_ONE = (pytest.param("ridge", "rmsprop", marks=pytest.mark.longest), ("conic", "heavy-ball"))


@pytest.fixture(scope="module")
def pdflatex():
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex here to compile a derivation with")
    return program


def compiled(program, folder, text):
    """What TeX complains of."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    log = (folder / "page.log").read_text(encoding="latin-1")
    # Boxes that stick out by less than a point are seen by nobody.
    wide = [found for found in re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", log) if float(found) > 1]
    errors = re.findall(r"^! .*", log, re.M)
    assert (folder / "page.pdf").exists() is (done.returncode == 0)
    return errors, wide


@pytest.mark.latex
@pytest.mark.parametrize(
    "rule", [pytest.param(r, marks=[pytest.mark.deep] * (r == "heavy-ball")) for r in ON_EVERY_LOSS]
)
def test_a_derivation_on_every_loss_compiles(pdflatex, tmp_path, rule):
    assert compiled(pdflatex, tmp_path, generic_derivation(rules.get(rule)).render("latex")) == ([], [])


@pytest.mark.latex
@pytest.mark.parametrize(("loss", "rule"), ON_ONE)
def test_a_derivation_on_one_loss_compiles(pdflatex, tmp_path, loss, rule):
    assert compiled(pdflatex, tmp_path, derive(families.get(loss).default(), rules.get(rule)).render("latex")) == (
        [],
        [],
    )


@pytest.mark.latex
def test_what_does_not_compile_is_seen(pdflatex, tmp_path):
    text = generic_derivation(rules.get("sam")).render("latex")
    assert compiled(pdflatex, tmp_path, text.replace(r"\begin{document}", r"\begin{document} \nosuchcommand"))[0]
    assert compiled(pdflatex, tmp_path, text.replace(r"\section{", r"\rule{2\linewidth}{1pt}\section{", 1))[1]
