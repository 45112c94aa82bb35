"""What misled other people in the messages, each with what it should have said; a line names the kind of each."""

import re

import jax.numpy as jnp
import pytest
from jax.flatten_util import ravel_pytree

from sharpflow import claims, cli
from sharpflow.naming.specs import resolve_loss
from sharpflow.numerics.flows.edge_flow import edge_flow
from sharpflow.numerics.objective import Objective
from sharpflow.testing import Outcome, check_loss
from sharpflow.theory import rules
from sharpflow.theory.derivation.remarks import in_the_clock
from sharpflow.theory.edge.edge_law import edge_law
from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.rule import Rule
from sharpflow.theory.writing.notation import formula


# Kind: names of a text that are read as something else, and nothing says so.
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("E^2/(E^2+N^2+S^2)", "E is read as Euler's number, 2.718...; call a variable e, or E1."),
        ("х^2/(x^2+y^2)", "CYRILLIC SMALL LETTER HA"),  # noqa: RUF001
        ("x^2/(x^2+Υ^2)", "looks like the Latin 'Y'"),  # noqa: RUF001
    ],
)
def test_a_name_that_is_read_otherwise_is_told(text, words, capsys):
    resolve_loss(text)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("text", ["z^2/(x^2+y^2+z^2)", "exp(-x^2/(x^2+y^2))", "α^2/(α^2+β^2)"])  # noqa: RUF001
def test_nothing_is_said_of_names_that_mean_themselves(text, capsys):
    resolve_loss(text)
    assert capsys.readouterr().err == ""


# Kind: input that is taken for something else than it is.
@pytest.mark.parametrize("command", ["check", "compare", "derive"])
def test_text_that_begins_with_a_minus_sign(command, capsys):
    assert cli.main([command, "-z^2/(x^2+y^2+z^2)"]) == 2
    assert "write -- before it" in capsys.readouterr().err


def test_a_notebook_is_no_python_file(tmp_path, capsys):
    (tmp_path / "mine.ipynb").write_text('{"cells": [], "metadata": null}')
    assert cli.main(["derive", f"{tmp_path / 'mine.ipynb'}:loss"]) == 2
    assert "is a notebook, not a Python file" in capsys.readouterr().err


# Kind: messages as long as the input.
@pytest.mark.parametrize(
    "words", [["{}"], ["{}:loss"], ["ridge", "--rule", "{}"], ["ridge", "--time={}"], ["ridge", "{}"]]
)
def test_a_message_repeats_little_of_its_input(words, capsys):
    assert cli.main(["derive", *(word.format("x" * 5000) for word in words)]) == 2
    said = capsys.readouterr().err
    assert "x" * 100 in said
    assert "x" * 201 not in said


# Kind: weights as networks hold them, in place of a flat vector.
def test_a_mixture_of_types_names_the_cast():
    flat, unravel = ravel_pytree({"w": jnp.ones(3, jnp.float32), "b": jnp.ones(2, jnp.bfloat16)})
    with pytest.raises(InputError, match=r"unravel\(w.astype\(flat.dtype\)\)"):
        Objective(lambda w: unravel(w)["w"][0] ** 2 / (w @ w), flat)
    Objective(lambda w: unravel(w.astype(flat.dtype))["w"][0] ** 2 / (w @ w), flat)


# Kind: advice that names one cause for all.
def test_an_epsilon_is_told_by_its_size():
    tiny = Objective(lambda w: w[0] ** 2 / (w @ w + 1e-10), (0.9, 0.4, 0.2), name="epsilon")
    result = check_loss(tiny, checks=["homogeneity"])["homogeneity"]
    assert result.outcome is Outcome.FAILED
    assert re.search(r"\|w\| = 1, L changes by [1-4]\.\d+e-10", result.trial.message.replace("1.00", "1"))
    assert "epsilon*|w|^2" in result.advice
    large = Objective(lambda w: w[0] ** 2, (0.9, 0.4, 0.2), name="square")
    assert "Divide by |w|" in check_loss(large, checks=["homogeneity"])["homogeneity"].advice


def test_a_flow_of_a_loss_that_is_not_invariant_says_that(capsys):
    with pytest.raises(InputError, match="not scale-invariant"):
        edge_flow(Objective(lambda w: jnp.sum((w - 1.0) ** 4), (0.9, 0.4, 0.2)), time=1.0)


# Kind: sentences that are fragments.
def test_a_rule_without_an_edge_says_so():
    still = Rule("still", lambda w, gradient, state, p, ops: ((1 - p.learning_rate * p.weight_decay) * w, {}))
    with pytest.raises(NoClosedForm, match="at no value of effective_lr"):
        _ = edge_law(still).edge


def test_where_nothing_is_kept_nothing_is_said_to_be(monkeypatch, capsys):
    monkeypatch.setenv("SHARPFLOW_CACHE", "off")
    assert cli.main(["compare", "ridge", "--rate", "1e-2", "--time", "0.2"]) == 0
    assert "nothing is kept on disk" in capsys.readouterr().out


def test_a_clock_that_moves_is_told():
    assert (
        in_the_clock("learning_rate*weight_decay", edge_law(rules.get("gd-wd"))) == "tau = learning_rate*weight_decay t"
    )
    said = in_the_clock("learning_rate*weight_decay", edge_law(rules.get("gd-scheduled")))
    assert "over the iterations, learning_rate and weight_decay as they are then" in said


# Kind: words in the place of signs.
def test_every_sign_of_a_statement_is_a_sign():
    functions = {"arccos", "cos", "det", "dim", "exp", "ker", "log", "max", "min", "sin", "tan"}
    for name in claims.names():
        statement = claims.get(name).statement
        printed = set(re.findall(r"<m[io]>([a-z]+)</m[io]>", formula(statement)))
        assert printed & set(re.findall(r"\\([a-z]{2,})", statement)) <= functions, name
