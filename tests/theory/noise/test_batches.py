"""Moments of batches by enumeration, and the operator of second moments."""

import pytest
import sympy as sp

from sharpflow.theory.noise import batches
from sharpflow.theory.proving.proof import Status


def test_the_mean_square_edge_is_proved():
    assert batches.prove_mean_square_edge().status is Status.PROVED


def test_with_for_without_replacement_is_refuted(monkeypatch):
    closed = batches.batch_moments
    monkeypatch.setattr(
        batches, "batch_moments", lambda n, b, replacement=False: closed(n, b, replacement=not replacement)
    )
    assert batches.prove_mean_square_edge().status is Status.REFUTED


@pytest.mark.parametrize("replacement", [False, True])
def test_the_weights_of_a_batch_have_the_mean_one(replacement):
    # sum_j c_j = n in every batch: q + (n - 1) p = n E c_i = n.
    n, b = sp.symbols("n b", positive=True)
    p, q = batches.batch_moments(n, b, replacement=replacement)
    assert sp.simplify(q + (n - 1) * p - n) == 0
