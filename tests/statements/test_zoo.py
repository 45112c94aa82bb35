"""The zoo: every wrong form is refuted with a witness, no right one is, and at most one in ten is left undecided."""

import pytest

from tests.statements.zoo import DERIVATIONS, STATEMENTS, check

# Those that derive nothing from a loss take no time: all of them run in the plain suite.
QUICK = [
    e for e in (*STATEMENTS, *DERIVATIONS) if e.loss is None and "loss:" not in e.text and e.rule in (None, "gd-wd")
]


def _held(entry):
    right, said = check(entry, entry.text)
    assert "refuted" not in right, said
    for text in entry.wrong():
        verdicts, said = check(entry, text)
        assert "refuted" in verdicts, (text, said)
    return right


@pytest.mark.parametrize("entry", QUICK, ids=lambda e: e.title)
def test_quick_ones(entry):
    _held(entry)


@pytest.mark.deep
def test_all_of_them():
    left = [e.title for e in (*STATEMENTS, *DERIVATIONS) if "undecided" in _held(e)]
    assert len(left) <= (len(STATEMENTS) + len(DERIVATIONS)) // 10, left


def test_there_are_enough():
    assert len(STATEMENTS) >= 40
    assert len(DERIVATIONS) >= 12
