"""docs/proving.md says what is so: its example, its table."""

import re
from pathlib import Path

import pytest

from sharpflow.statements.derivation_file import prove_file
from tests.statements.zoo import DERIVATIONS, STATEMENTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.deep
def test_the_example_has_the_two_slips_that_are_shown_and_is_clean_without_them(tmp_path):
    page = (DOCS / "proving.md").read_text(encoding="utf-8")
    _, results = prove_file(str(DOCS / "appendix.tex"))
    wrong = [r for r in results if r.proof != "proved"]
    assert [(r.line, r.proof) for r in wrong] == [(16, "refuted"), (27, "refuted")]
    assert [r.number for r in wrong] == ["", "6"]
    assert all(f"appendix.tex:{r.line}{' (6)' * bool(r.number)}: {r.text}" in page for r in wrong)
    assert all(r.message.partition("they differ ")[2] in page for r in wrong)
    clean = tmp_path / "clean.tex"
    text = (DOCS / "appendix.tex").read_text(encoding="utf-8").replace("{4 + K}", "{4 + K^2}")
    clean.write_text(text.replace(r"{\pi}{\varepsilon}", r"{\pi}{\eta_{\mathrm{in}}}"), encoding="utf-8")
    assert {r.proof for r in prove_file(str(clean))[1]} == {"proved"}


def test_the_table_is_that_of_the_zoo():
    page = (DOCS / "proving.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?)(?: \(\d+ equations\))? \| (\w+) \| 3 of 3 refuted \| [\d.]+ \|$", page, re.MULTILINE)
    assert [title for title, _ in rows] == [e.title for e in (*STATEMENTS, *DERIVATIONS)]
    assert "refuted" not in {verdict for _, verdict in rows}
