"""A rule in a file of its own: every command takes it, and nothing else changes; derivations are kept, and rebuilt."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from sharpflow import cli
from sharpflow.naming.specs import resolve_rule
from sharpflow.terminal.derived import derived
from sharpflow.terminal.rule_table import markdown, rule_rows
from sharpflow.theory import keeping, rules
from sharpflow.theory.cache import cache_folder
from sharpflow.theory.errors import InputError
from sharpflow.theory.fingerprint import fingerprint
from sharpflow.theory.rule import Rule

# Gradient descent whose weights decay twice as fast as `rate` says: growth 8 in place of 4, twice the drift.
FILE = """
from sharpflow import Rule


def update(w, gradient, state, p, ops):
    return (1 - FACTOR * p.learning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}


mine = Rule(name="twice", update=update)
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SHARPFLOW_CACHE", raising=False)
    monkeypatch.setattr(keeping, "cache_folder", cache_folder)
    # Other tests of this process have let limits run out.
    monkeypatch.setattr("sharpflow.terminal.derived.ran_out", lambda: 0)
    (tmp_path / "rule.py").write_text(FILE.replace("FACTOR", "2"))

    def call(*argv):
        status = cli.main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_every_command_takes_it(run):
    status, out, _ = run("derive", "generic", "--rule", "rule.py:mine", "--json", "-")
    found = json.loads(out)
    assert status == 0
    assert found["status"] == "proved"
    assert (found["edge"], found["drift"]["coefficient"]) == ("2", "4/(K2 + 4)")
    assert found["oscillator"]["growth"] == "8"
    assert found["energy_law"]["coefficient"]
    assert all(step["method"] and step["residual"] is not None for step in found["steps"])
    status, out, _ = run("compare", "ridge", "--rule", "rule.py:mine", "--rate", "1e-4", "--json", "-")
    assert status == 0
    assert json.loads(out)["max_distance_on_minima"] < 0.01  # within one intrinsic_lr of its own flow, not of GD's
    status, out, _ = run("derive", "ridge", "--rule", "rule.py:mine", "--json", "-")
    assert status == 0
    assert json.loads(out)["energy_law"]["coefficient"]
    status, out, _ = run("rules", "rule.py:mine", "gd-wd", "--json", "-")
    assert status == 0
    assert [row["rule"] for row in json.loads(out)["rules"]] == ["twice", "gd-wd"]


@pytest.mark.deep
def test_it_is_verified_and_measured(run):
    status, out, _ = run("verify", "ridge", "--rule", "rule.py:mine", "--json", "-")
    claims = {claim["id"]: claim for claim in json.loads(out)["claims"]}
    assert claims["rule-law"]["numeric"] == claims["energy-law"]["numeric"] == "consistent"
    assert status == 0
    status, out, _ = run("rules", "rule.py:mine", "--measure", "--json", "-")
    (row,) = json.loads(out)["rules"]
    assert status == 0
    assert {m["loss"] for m in row["measured"]} == {"ridge", "conic", "surface"}
    assert all(m["agrees"] for m in row["measured"])


def kept():
    """The derivations; the laws that they take are kept beside them."""
    return sorted(cache_folder("derivations").glob("derive-*"))


def test_a_derivation_is_kept_and_read_again(run, monkeypatch):
    call = ("derive", "generic", "--rule", "rule.py:mine")
    first = run(*call)
    assert len(kept()) == 1
    monkeypatch.setattr("sharpflow.terminal.derived._derive", lambda *a: pytest.fail("derived again"))
    assert run(*call) == first
    with pytest.raises(pytest.fail.Exception, match="derived again"):
        run(*call, "--fresh")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("4/(K2", "3/(K2"),
        *(pytest.param(cut, marks=pytest.mark.deep) for cut in (lambda text: text[:-20], lambda text: "")),
    ],
)
def test_a_damaged_file_is_noticed_and_written_anew(run, damage):
    call = ("derive", "generic", "--rule", "rule.py:mine")
    first = run(*call)
    (path,) = kept()
    whole = path.read_text()
    path.write_text(damage(whole))
    status, out, err = run(*call)
    # the times of the steps differ
    assert (status, len(out.splitlines())) == (0, len(first[1].splitlines()))
    assert "damaged" in err
    assert "4/(K2 + 4)" in path.read_text()
    assert run(*call)[2] == ""


@pytest.mark.deep
def test_another_map_under_the_same_name_is_derived(run, tmp_path):
    run("derive", "generic", "--rule", "rule.py:mine")
    (tmp_path / "rule.py").write_text(FILE.replace("FACTOR", "3"))
    _, out, _ = run("derive", "generic", "--rule", "rule.py:mine", "--json", "-")
    assert json.loads(out)["drift"]["coefficient"] == "6/(K2 + 4)"
    assert len(kept()) == 2


def test_a_changed_constant_or_helper_is_another_rule(run, tmp_path):
    """A constant, a number at module level, and a helper in a second file that the update calls."""
    (tmp_path / "helper.py").write_text("def decay(p):\n    return p.strength * p.learning_rate * p.weight_decay\n")
    text = FILE.replace("FACTOR * p.learning_rate * p.weight_decay", "decay(p)").replace(
        "from sharpflow import Rule", "from helper import decay\nfrom sharpflow import Rule"
    )
    seen = set()
    for constant, helper in ((2.0, "p.strength"), (3.0, "p.strength"), (3.0, "2 * p.strength")):
        (tmp_path / "helper.py").write_text(f"def decay(p):\n    return {helper} * p.learning_rate * p.weight_decay\n")
        rule = text.replace("update=update", f'update=update, constants={{"strength": {constant}}}')
        # Within one process a file is read again where its own text has changed.
        (tmp_path / "rule.py").write_text(f"{rule}# {helper}\n")
        sys.modules.pop("helper", None)
        status, out, _ = run("derive", "generic", "--rule", "rule.py:mine", "--json", "-")
        found = json.loads(out)
        assert status == 0
        seen.add((found["drift"]["coefficient"], found["constants"]["strength"]))
    assert seen == {("2*strength/(K2 + 4)", 2.0), ("2*strength/(K2 + 4)", 3.0), ("4*strength/(K2 + 4)", 3.0)}
    assert len(kept()) == 3


def test_nothing_is_kept_where_nothing_should_be(monkeypatch):
    monkeypatch.setattr(keeping, "cache_folder", cache_folder)
    monkeypatch.setenv("SHARPFLOW_CACHE", "off")
    assert derived(None, rules.get("normalized-gd"), time=1.0, limit=60.0)["edge"] is None
    assert keeping.entry("derive", "generic").path is None


def test_fingerprints_tell_maps_apart_and_not_objects():
    assert len({fingerprint(rules.get(name)) for name in rules.names()}) == len(rules.names())
    rule = rules.get("heavy-ball")

    def same(w, gradient, state, p, ops):
        return rule.update(w, gradient, state, p, ops)

    copy = Rule(
        name=rule.name, update=same, state=rule.state, constants=rule.constants, title=rule.title, source=rule.source
    )
    assert fingerprint(copy) == fingerprint(rule)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("(1 - p.weight_decay) * w - gradient(w) / p.weight_decay, {}", "its at_rate|grows without bound"),
        (
            "w - p.learning_rate * gradient(w) / (gradient.excess_loss(w) - gradient.excess_loss(w)), {}",
            "divides by something that is 0 on Gamma",
        ),
    ],
)
def test_what_cannot_be_derived_is_said(run, tmp_path, body, words):
    (tmp_path / "rule.py").write_text(FILE.replace("return (1", f"return {body}\n    return (1").replace("FACTOR", "1"))
    status, out, err = run("derive", "generic", "--rule", "rule.py:mine")
    assert (status, out) == (2, "")
    assert any(word in err for word in words.split("|")), err


def test_the_rule_is_named_as_any_other(run):
    assert resolve_rule(f"{os.getcwd()}/rule.py:mine").name == "twice"


@pytest.mark.deep
def test_the_page_of_rules_is_what_is_derived():
    page = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text(encoding="utf-8").splitlines()
    lines = [line for line in markdown(rule_rows([rules.get(name) for name in rules.names()])).splitlines() if line]
    derived = [line for line in lines if line.startswith("|")]
    # Two tables; three rules have no linearised step on Gamma, and no stationary moments under noise.
    assert len(derived) == 2 + len(rules.names()) + 2 + len(rules.names()) - 3
    assert set(derived) <= set(page)
    assert not any("(!) |" in line for line in page)
    assert sum("\u00b1" in line for line in page) == 3 * len(rules.names())


@pytest.mark.deep
def test_a_run_that_leaves_the_edge_says_what_foretold_it(run):
    status, out, _ = run("compare", "ridge", "--rule", "heavy-ball", "--rate", "1e-4")
    assert status == 1
    assert "the energy law foretells it: c = 63.3" in out


MORE = """
from sharpflow import Rule


def by_norm(w, gradient, state, p, ops):
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * ops.norm(w) * gradient(w), {}


def clipped(w, gradient, state, p, ops):
    g = gradient(w)
    return (1 - p.learning_rate * p.weight_decay) * w - p.learning_rate * g / (1 + p.k * ops.dot(g, g)), {}


def misspelt(w, gradient, state, p, ops):
    return (1 - p.lerning_rate * p.weight_decay) * w - p.learning_rate * gradient(w), {}


norm = Rule(name="norm", update=by_norm)
clip = Rule(name="clip", update=clipped, constants={"k": 0.3})
typo = Rule(name="typo", update=misspelt)
clock = Rule(name="clock", update=by_norm, at_rate=lambda r: {"learning_rate": 1, "weight_decay": r**1.5})
"""


@pytest.mark.deep
def test_a_learning_rate_that_grows_with_the_norm_is_not_accused(run, tmp_path):
    """effective_lr is learning_rate/|w| here: identities of gradient descent, where it is over |w|^2, say nothing."""
    (tmp_path / "more.py").write_text(MORE)
    status, out, _ = run("derive", "ridge", "--rule", "more.py:norm", "--json", "-")
    assert status == 0
    assert not [step for step in json.loads(out)["steps"] if step["status"] == "refuted"]
    status, out, _ = run("derive", "generic", "--rule", "more.py:norm", "--json", "-")
    found = json.loads(out)
    assert status == 0
    assert found["drift"]["coefficient"] == "1/(K2 + 2)"
    # |w| is read off effective_lr on Gamma, so that the rule runs on rational numbers, too.
    assert not [step["title"] for step in found["steps"] if step["status"] != "proved"]


@pytest.mark.longest
def test_soft_clipping_has_the_law_that_its_iterates_obey(run, tmp_path):
    """1 + k |g|^2 is smooth on Gamma; the clipping enters the energy law through lambda_1 = 2 |w|^2 at the edge."""
    (tmp_path / "more.py").write_text(MORE)
    status, out, _ = run("rules", "more.py:clip", "--measure", "--json", "-")
    (row,) = json.loads(out)["rules"]
    assert status == 0
    assert (row["edge"], row["drift"]["coefficient"]) == ("2", "2/(K2 + 4)")
    assert "lambda_1" in row["energy_law"]["coefficient"]
    assert all(m["agrees"] for m in row["measured"])


@pytest.mark.parametrize("command", ["verify", "derive", "compare", "order", "sweep", "rules"])
def test_a_mistake_in_a_rule_is_told_before_anything_runs(run, tmp_path, command):
    (tmp_path / "more.py").write_text(MORE)
    named = ("--rule", "more.py:typo") if command != "rules" else ("more.py:typo",)
    more = ("--starts", "2", "--rates", "1e-3", "--out", "sweep") if command == "sweep" else ()
    status, _, err = run(command, *(["ridge"] if command != "rules" else []), *named, *more)
    assert status == 2
    assert "line 15 of more.py" in err
    assert "p has learning_rate, weight_decay" in err
    status, _, err = run("derive", "generic", "--rule", "more.py:clock")
    assert status == 2
    assert "it must be 0.25" in err
    with pytest.raises(InputError, match="initial must be a function"):
        Rule(name="r", update=lambda w, gradient, state, p, ops: (w, {}), initial={"a": 1.0})


@pytest.mark.deep
def test_a_rule_without_closed_orbits_is_verified_by_what_it_does(run):
    """No claim of an oscillation is refuted of it: they do not apply, and its one passage of the edge is measured."""
    status, out, _ = run("verify", "ridge", "--rule", "constant-lr", "--json", "-")
    claims = {claim["id"]: claim for claim in json.loads(out)["claims"]}
    assert status == 0
    assert (claims["rule-law"]["proof"], claims["rule-law"]["numeric"]) == ("proved", "consistent")
    for name in ("mean-square-oscillation", "energy-law", "period", "tracking"):
        assert claims[name]["numeric"] == "not_applicable"
        assert "closed orbits" in claims[name]["message"]
