"""`sharpflow prove FILE`: displayed equations, heads, places, leaning, the page."""

import json

import pytest

from sharpflow import cli
from sharpflow.statements.derivation_file import prove_file
from sharpflow.statements.displays import read_document
from sharpflow.theory.errors import InputError

RIDGE = r"""---
loss: ridge            # a great circle
symbols: {a: positive}
define:
  r: "\\sqrt{a^2 + 1}"
---
The sharpness on $\Gamma$ is $$ \lambda_1 = 2 + \cos 2p, \tag{1} $$ and its gradient
\[ g = \frac{d}{dp}\log\lambda_1 = -\frac{2\sin 2p}{2 + \cos 2p}. \label{eq:g} \]
\begin{align}
  \frac{d p}{d\tau} &= -\frac{2 g}{4 + K^2} \\
     &= \frac{\sin 2p\,(2+\cos 2p)}{(2+\cos 2p)^2 + \sin^2 2p}, \label{flow}
\end{align}
```math
\langle x^2 \rangle = \frac{2\varepsilon}{4 + K}
```
```python
$$ this = \is{skipped} $$
```
$$ s = \sin p $$
$$ \lambda_1 = 3 - 2 s^2 $$
$$ \implies \lambda_1 \le 3 $$
$$ \foo{x} = 1 $$
$$ r^2 = a^2 + 1, \qquad b^2 + a^2 = 2 \tag{given} $$
$$ b^2 = 2 - a^2 \text{ by \eqref{given}} $$
$$ \frac{d\zeta}{d\tau} = -\frac{2g}{4+K^2} $$
"""
VERDICTS = ["proved", "proved", "proved", "refuted", "none", "proved", "proved", "undecided", "none", "none"]


def _file(tmp_path, text, name="a.md"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_every_equation_of_a_file_is_told_with_its_line(tmp_path):
    read, results = prove_file(_file(tmp_path, RIDGE))
    by_line = {(r.line, r.text[:12]): r.proof for r in results}
    assert [r.proof for r in results][:8] == VERDICTS[:8]
    assert [r.line for r in results][:8] == [7, 8, 10, 14, 19, 20, 21, 22]
    assert results[0].number == "1"
    assert "K for K^2" in results[3].message
    assert "line 22, column 4" in results[7].message
    assert "from line 20" in results[6].method
    assert by_line[25, "\\frac{d\\zeta"] == "proved"
    assert results[-1].proof == "proved"
    assert read.document.head["symbols"] == {"a": "positive"}


def test_latex_comments_and_environments(tmp_path):
    text = (
        "%% sharpflow: rule: gd-wd\n\\documentclass{article}\n% $$ not = read $$\n\\begin{equation*}\n"
        "\\langle X^2\\rangle = \\frac{2}{4+K^2} % a comment\n\\end{equation*}\n"
        "\\begin{gather}\nX' = X U \\\\\n\\frac{dU}{dT} = 4 - 2(4+K^2) X^2 \\\\ \\dot E = 0\n\\end{gather}\n"
        "\\[ E = \\tfrac12 U^2 + (4+K^2) X^2 - 4\\log|X| \\]\n"
        "\\begin{equation} \\begin{split} |w|^2 &= \\frac{\\eta \\lambda_1}{2} \\\\ &> 0 \\end{split} \\end{equation}\n"
    )
    _, results = prove_file(_file(tmp_path, text, "a.tex"))
    assert [(r.line, r.proof) for r in results] == [(n, "proved") for n in (5, 8, 9, 9, 11, 12)]


def test_what_follows_from_a_refuted_line_is_not_proved(tmp_path):
    text = "---\nsymbols: {x: real, y: real}\n---\n$$ x + y = x - y \\label{bad} $$\n$$ \\implies y = 0 $$\n"
    _, (bad, then) = prove_file(_file(tmp_path, text))
    assert bad.proof == "refuted"
    assert then.proof == "undecided"
    assert "which is refuted" in then.message


def test_what_is_given_in_the_head_holds_everywhere(tmp_path):
    text = "---\nsymbols: {x: real, y: real}\ngiven: [x^2 + y^2 = 1]\n---\n"
    text += "$$ x^4 - y^4 = x^2 - y^2 $$\n$$ x^2 + y^2 = 2 $$\n"
    _, results = prove_file(_file(tmp_path, text))
    assert [r.proof for r in results] == ["proved", "refuted"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\nlos: ridge\n---\n$$1=1$$", "line 2: no key 'los'; did you mean loss?"),
        ("---\nrule: gd-wd\nloss: rigde\n---\n$$1=1$$", "line 3, loss: "),
        ("---\nloss: ridge\nrule: gdwd\n---\n$$1=1$$", "line 3, rule: "),
        ("---\nsymbols: {a: huge}\n---\n$$1=1$$", "a is 'huge'"),
        ("---\nloss: !!python/x\n---\n$$1=1$$", "of YAML only"),
        ("---\nsymbols: a\n---\n$$1=1$$", "symbols is a mapping"),
        ("no equation", "no displayed equation"),
        ('---\ndefine: {r: "\\\\input{x}"}\n---\n$$1=1$$', "\\input is refused"),
    ],
)
def test_a_wrong_head_is_told_with_its_line(tmp_path, text, said, capsys):
    assert cli.main(["prove", _file(tmp_path, text)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("equation", "said"),
    [
        (r"\input{/etc/passwd} = 1", r"\input is refused"),
        (r"\write18{ls} = 1", r"\write is refused"),
        (r"\def\x{1} \x = 1", r"\def is refused"),
        (r"x = \int y", r"\int has no meaning"),
        (r"x^2^3 = 1", "second exponent"),
        (r"x = \frac{1}", "ends too early|no argument"),
        (r"\dot x = 1", "depends on none"),
        (r"9^{9^{9^9}} = 1", "too large"),
        (r"\frac{dx}{dt} = 1", "nothing says how"),
        (r"x + = 1", "ends too early"),
        (r"{{x = 1", "never closed"),
        (r"\langle y^3 \rangle = 1", "average has no meaning"),
        (r"\implies x = 1", "no equation before"),
        (r"\mathrm{sharpnes} = 1", "did you mean sharpness"),
        (r"x = 1 \text{ by \eqref{no}}", "called 'no'"),
        (r"\lambda_1' = 0", "a prime at lambda_1"),
        (r"e^{i\pi} = -1", "imaginary unit"),
        (r"f(x) = x^2", "a product or a function"),
        (r"K(0) = 0", "the value there"),
        (r"\lambda_1 = 3 \text{ for small } p", "condition 'for small p'"),
        (r"p = 0 \text{ or } \lambda_1 = 3", "'or' between formulas"),
        (r"\lambda_1 = 3 \text{ for some } p < 0", "'for some' between formulas"),
        (r"\lambda_1 = 3 \text{ if p is zero}", "condition 'if p is zero'"),
        (r"\text{If } p = 0, \quad \lambda_1 = 3", "in front of what it supposes"),
    ],
)
def test_what_is_not_understood_is_named_and_the_other_lines_go_on(tmp_path, equation, said):
    path = _file(tmp_path, f"---\nloss: ridge\n---\n$$ {equation} $$\n\n$$ \\lambda_1 = 2 + \\cos 2p $$")
    _, results = prove_file(path)
    assert [r.proof for r in results] == ["undecided", "proved"]
    assert any(part in results[0].message for part in said.split("|")), results[0].message
    assert "line 4, column" in results[0].message


def test_a_line_that_is_not_understood_makes_the_exit_status_2_after_the_others(tmp_path, capsys):
    assert cli.main(["prove", _file(tmp_path, "$$ \\foo = 3 $$\n\n$$ 2 + 2 = 4 $$\n", "a.tex")]) == 2
    assert "2 statements: 1 proved, 1 undecided; 1 not understood." in capsys.readouterr().out


def test_results_stand_by_place_and_numbers_are_those_of_latex(tmp_path, capsys):
    text = (
        "%% sharpflow: symbols: {x: real, y: real}\n$$ (x+1)^2 = x^2+1 $$\n$$ x+x=2x \\tag{1} $$\n"
        "\\begin{equation} x + y = 1 \\tag{A} \\label{a} \\end{equation}\n"
        "\\begin{align} 2x &= x + x \\\\ &= 3x - x \\label{two} \\\\ x &= x \\nonumber \\end{align}\n"
        "\\begin{equation*} y = 1 - x \\text{ by (A)} \\end{equation*}\n"
        "\\[ y = 2 - x \\text{ by } \\eqref{a} \\]\n"
        "$$ y + 1 = 3 - x \\implies y = 2 - x $$\n"
        "\\begin{subequations}\\begin{gather} x = x \\\\ y = y \\text{ by (2)} \\end{gather}\\end{subequations}\n"
        "$$ x = x \\text{ by (1)} $$\n"
    )
    path = _file(tmp_path, text, "a.tex")
    _, results = prove_file(path)
    assert [(r.line, r.number, r.proof) for r in results] == [
        (2, "", "refuted"), (3, "1", "proved"), (4, "A", "refuted"), (5, "2", "proved"), (5, "", "proved"),
        (6, "", "undecided"), (7, "", "refuted"), (8, "", "proved"), (9, "3a", "proved"), (9, "3b", "proved"),
        (10, "", "undecided"),
    ]  # fmt: skip
    assert "(A), which is refuted" in results[5].message
    assert "several equations before are called '1'" in results[-1].message
    assert cli.main(["prove", path, "--json", "-"]) == 1
    assert len(json.loads(capsys.readouterr().out)["statements"]) == len(results)


def test_what_leans_on_a_line_that_is_not_proved_is_undecided_however_far(tmp_path, capsys):
    text = (
        "---\nsymbols: {x: real, y: real}\n---\n$$ x + y = x - y \\label{5} $$\n"
        "$$ y = 0 \\text{ by (5)} \\label{6} $$\n"
        "$$ 2y = 0 \\text{ by (6)} $$\n$$ \\foo = 1 \\label{7} $$\n$$ x = y \\text{ by (7)} $$\n"
    )
    path = _file(tmp_path, text)
    _, results = prove_file(path)
    assert [r.proof for r in results] == ["refuted", *["undecided"] * 4]
    assert "which is undecided" in results[2].message
    assert "not understood" in results[4].message
    assert cli.main(["prove", path]) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("$$ 1 = 1 $$\n$$ 2 = 2\n", 2),
        ("\\begin{equation} 1 = 2\n\n\\begin{equation} 1 = 1 \\end{equation}", 1),
        ("a\n```math\n1 = 1\n", 2),
        ("\\[ 1 = 1 \n$$ 2 = 2 $$", 1),
    ],
)
def test_what_is_not_closed_is_told_with_its_line(tmp_path, text, line, capsys):
    assert cli.main(["prove", _file(tmp_path, text)]) == 2
    said = capsys.readouterr().err
    assert f"line {line}: this" in said
    assert "is not closed" in said


def test_environments_of_one_formula_and_those_that_are_not_read(tmp_path):
    text = (
        "\\begin{multline} 1 + 1 \\\\ + 1 = 3 \\end{multline}\n\\begin{flalign} 1 &= 1 & \\end{flalign}\n"
        "\\begin{dmath} 1 + 1 = 2 \\end{dmath}\n\\begin{numcases}{x} 1 \\end{numcases}\n"
        "$$\\begin{align} 1 &= 1 \\end{align}$$\n"
    )
    _, results = prove_file(_file(tmp_path, text, "a.tex"))
    assert [r.proof for r in results] == ["proved", "proved", "proved", "undecided", "proved"]
    assert "is not read" in results[3].message


MEANT = r"""---
loss: ridge
---
$$ \lambda_1(p) = 2 + \cos 2p \text{ for all } p $$
$$ K(p)^2 = K^2(p(\tau)), \qquad \forall p \in \mathbb{R} $$
$$ \dot p(\tau) = -\frac{2g(p)}{4+K(p)^2} $$
$$ \tau = \varepsilon t $$
$$ T = \sqrt{\varepsilon}\, t $$
$$ \kappa = \lambda_1^2 = (2+\cos 2p)^2 $$
$$ \sin^{-1} x = \arcsin x $$
$$ \lambda_1 > 2, \quad \text{ for } \cos 2p > 0 $$
$$ X'(T) = X U $$
$$ \eta_\text{in} = \sqrt{2\varepsilon} $$
$$ \lambda_1 = 2 + a \text{ where $a = \cos 2p$} $$
$$ \text{sharpness} = 2 + \cos 2p, \text{ where $p$ is the angle} $$
"""


def test_what_papers_write_is_read_as_they_mean_it(tmp_path):
    _, results = prove_file(_file(tmp_path, MEANT))
    assert [r.proof for r in results] == [*["proved"] * 3, "none", *["proved"] * 8]
    wrong = MEANT.replace(r"\lambda_1 > 2", r"\lambda_1 > 3").replace("= (2+", "= (3+")
    assert [r.line for r in prove_file(_file(tmp_path, wrong))[1] if r.proof == "refuted"] == [9, 11]


def test_a_name_with_a_meaning_is_not_defined_again(tmp_path):
    text = "---\nloss: ridge\n---\n$$ T = 5 $$\n$$ \\lambda_{\\max} = 99 $$\n$$ \\lambda_2 = 12 $$\n"
    _, results = prove_file(_file(tmp_path, text))
    assert [r.proof for r in results] == ["refuted", "refuted", "undecided"]


def test_a_loss_beside_the_file_is_found(tmp_path):
    (tmp_path / "loss.py").write_text(
        "from sharpflow.naming.specs import resolve_loss\n\nmine = resolve_loss('ridge')\n"
    )
    text = "---\nloss: loss.py:mine\n---\n$$ \\lambda_1 = 2 + \\cos 2p $$\n"
    _, results = prove_file(_file(tmp_path, text))
    assert [r.proof for r in results] == ["proved"]


def test_the_page_shows_the_equations_with_marks_and_curves(tmp_path, capsys):
    text = "---\nsymbols: {x: real}\n---\n\n\n\n$$ (x+1)^2 = x^2 + 1 $$ and $$ x^2 \\ge 0 $$\n"
    path = _file(tmp_path, text)
    assert cli.main(["prove", path, "--out", str(tmp_path / "out"), "--json", "-"]) == 1
    rows = json.loads(capsys.readouterr().out)["statements"]
    assert rows[0]["line"] == 7
    assert rows[0]["file"] == path
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<article") == len(rows)
    assert "data:image/png" in page
    assert "<math" in page
    assert "&#10007; refuted" in page


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_document(str(path))
