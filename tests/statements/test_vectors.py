"""Vectors and matrices in statements, as text and in LaTeX."""

from __future__ import annotations

import pytest

from sharpflow import prove
from sharpflow.statements.derivation_file import prove_file
from sharpflow.theory.errors import InputError


@pytest.mark.parametrize(
    ("text", "proof"),
    [
        ("grad L(cos(p), sin(p), 0) = (0, 0, 0)", "proved"), ("grad L(w)*w = 0", "proved"),
        ("Hess L(w)*w = -grad L(w)", "proved"), ("Hess L(w)*w = grad L(w)", "refuted"),
        ("grad L(2*w) = grad L(w)/2", "proved"), ("L(3*w) = L(w)", "proved"), ("grad L = 0", "refuted"),
        ("Hess L(1, 0, 0) = ((0, 0, 0), (0, 0, 0), (0, 0, 3))", "proved"), ("T(w)*Hess L(w)*w = 0", "proved"),
        ("Hess L(1, 0, 0) = ((0, 0, 0), (0, 0, 0), (0, 0, 2))", "refuted"), ("abs(grad L(1, 0, 1))^2 = 1/2", "proved"),
        ("dot(w, w) = x^2 + y^2 + z^2", "proved"), ("w = (x, y, -z)", "refuted"),
    ],
)  # fmt: skip
def test_vectors_as_text(text, proof):
    assert prove(text, loss="ridge").proof == proof


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grad L < (1, 2, 3)", "vectors are equal or not"), ("grad L = (1, 2)", "3 components is not compared"),
        ("sin(w) = 0", "nothing else"), ("w/w = 1", "a quotient of vectors"), ("grad L + 1 = 0", "not of one size"),
        ("Hess L(1, 2) = 0", "takes 3 arguments"), ("((1, 2), (3, 4, 5)) = 0", "different lengths"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_named_with_its_place(text, said):
    with pytest.raises(InputError, match=said) as error:
        prove(text, loss="ridge")
    assert "column" in str(error.value)


def test_vectors_in_latex(tmp_path):
    file = tmp_path / "vectors.tex"
    file.write_text(
        "%% sharpflow: loss: ridge\n"
        "\\[ \\nabla L(w)^\\top w = w \\cdot \\nabla L(w) = 0 \\]\n"
        "\\begin{align}\n \\nabla^2 L(w)\\, w &= -\\nabla L(w), \\\\\n \\nabla L(2w) &= \\nabla L(w)\n\\end{align}\n"
        "\\[ \\nabla^2 L(1, 0, 0) = \\begin{pmatrix} 0 & 0 & 0 \\\\ 0 & 0 & 0 \\\\ 0 & 0 & 3 \\end{pmatrix} \\]\n"
        "\\[ \\begin{pmatrix} & 0 \\end{pmatrix} = 0 \\]\n\\[ \\nabla K = 0 \\]\n\\[ \\begin{pmatrix} 1 = 0 \\]\n"
    )
    _, results = prove_file(str(file))
    assert [r.proof for r in results] == [
        "proved",
        "proved",
        "refuted",
        "proved",
        "undecided",
        "undecided",
        "undecided",
    ]
    for result, said in zip(results[4:], ("empty entry", "nabla of this", "never ends"), strict=True):
        assert said in result.message
