"""The column kernel of `verify`: it says what Coq said of each step, and no more."""

import pytest
import sympy as sp

from sharpflow.theory.kernel import coqc as compiler
from sharpflow.theory.kernel.coqc import Verdict
from sharpflow.theory.proving.proof import Proof
from sharpflow.theory.proving.zero import prove_equal
from sharpflow.verification.kernel import judged, settled
from sharpflow.verification.prover import view

x = sp.Symbol("x", real=True)


@pytest.mark.parametrize(
    ("verdict", "word", "kept"),
    [
        (Verdict(complete=True), "accepted", True),
        (Verdict(), "not exported: the kernel gave up", False),
        (Verdict({"other": "no"}), "not exported: the kernel gave up", False),
        (Verdict(late=("step_1_entries",), complete=True), "not exported: the kernel was not done", False),
        (Verdict({"step_1_entries": "no"}), "rejected: no", True),
        (Verdict(complete=True, assumptions=("easy",)), "rejected: it assumes easy", True),
    ],
)
def test_the_column_says_what_the_kernel_said_and_no_more(verdict, word, kept, monkeypatch):
    monkeypatch.setattr(compiler, "check", lambda text: verdict)
    step = prove_equal("entries", x * (x + 1), x**2 + x)
    (seen,) = judged(Proof("one", (step,)), [view(step)])
    assert seen.kernel.startswith(word)
    assert settled([seen]) is kept
