"""`derive` on the command line: what it writes, what it returns, and what it says of input that is wrong."""

import json

import pytest
import sympy as sp

from sharpflow import cli
from sharpflow.expressions import parse_expression
from theory import families
from theory.flow import sharpness_flow

HEAD = """
import sympy as sp
from sharpflow import Loss, Minima

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
circle = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), {height}), start=(0.35,), domain=((-3, 3),))
own = Loss(name="own", variables=(x, y, z), expression={expression}, minima=circle)
"""
HOUSE = "z**2/(2*r2)*(2 + x*y/r2)"


def file_with(folder, expression=HOUSE, height=0):
    path = folder / "losses.py"
    path.write_text(HEAD.format(expression=expression, height=height))
    return f"{path}:own"


def derive(*arguments):
    return cli.main(["derive", *map(str, arguments)])


@pytest.mark.parametrize("name", ["ridge", "bn-regression", "surface", "two-layer", "rayleigh"])
def test_json_reads_back_as_what_was_derived(name, capsys):
    assert derive(name, "--json", "-") == 0
    content = json.loads(capsys.readouterr().out)
    assert {"loss", "rule", "minima", "sharpness", "log_sharpness_gradient", "flow", "steps", "latex"} <= set(content)
    assert {"chart", "field", "time", "closed_form"} <= set(content["flow"])
    loss = families.get(name).default()
    flow = sharpness_flow(loss)
    letters = {s.name: s for s in (*loss.variables, *flow.chart)}
    letters |= {f"{s.name}_0": sp.Symbol(f"{s.name}_0", real=True) for s in flow.chart}
    letters["tau"] = sp.Symbol("tau", positive=True)

    def back(text):
        return parse_expression(text, names=letters)

    # SymPy multiplies numbers into sums as it builds them, so that forms may differ: 5*(p + 1) comes back as 5*p + 5.
    assert sp.expand(back(content["sharpness"]) - flow.sharpness) == 0
    assert [back(t) for t in content["flow"]["field"]] == list(flow.field)
    assert [back(t) for t in content["log_sharpness_gradient"]] == list(flow.log_sharpness_gradient)
    assert [back(t) for t in content["minima"]["point"]] == list(loss.minima.point)
    closed = content["flow"]["closed_form"]
    assert (closed is None) == (flow.closed_form is None)
    for symbol, form in (flow.closed_form or {}).items():
        assert back(closed[symbol.name]) == form
    for symbol, form in flow.invariants.items():
        assert back(content["flow"]["invariants"][symbol.name]) == form
    assert content["flow"]["chart"] == [s.name for s in flow.chart]
    assert all(step["status"] == "proved" for step in content["steps"])


@pytest.mark.parametrize(("style", "sign"), [("text", "===="), ("markdown", "```math"), ("latex", r"\documentclass")])
def test_every_format_to_the_terminal_and_to_a_file(style, sign, tmp_path, capsys):
    assert derive("rayleigh", "--format", style) == 0
    shown = capsys.readouterr().out
    assert sign in shown
    assert derive("rayleigh", "--format", style, "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    written = (tmp_path / "out").read_text(encoding="utf-8")
    assert sign in written
    assert "proved" in said
    assert sign not in said


@pytest.mark.slow
def test_a_loss_in_a_file_of_ones_own(tmp_path, capsys):
    assert derive(file_with(tmp_path), "--json", "-", "--strict") == 0
    said = capsys.readouterr()
    content = json.loads(said.out)
    p = sp.Symbol("p", real=True)
    # H = 2 + x y on the circle: lambda_1 = 2 + sin(2 p)/2.
    assert sp.simplify(parse_expression(content["sharpness"], names={"p": p}) - 2 - sp.sin(2 * p) / 2) == 0
    assert "own" in said.err


def test_text_without_minimizers(capsys):
    assert derive("z^2/(x^2 + y^2 + z^2)") == 0
    assert "what needs a chart of Gamma" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("expression", "height", "hypothesis"),
    [(f"{HOUSE}*r2", 0, "scale_invariance"), (HOUSE, 1, "minimizers"), ("z**4/r2**2", 0, "minimal_kernel")],
)
def test_a_wrong_loss_is_refuted_by_name(expression, height, hypothesis, tmp_path, capsys):
    assert derive(file_with(tmp_path, expression, height)) == 1
    assert f"the hypothesis {hypothesis} was refuted" in " ".join(capsys.readouterr().out.split())


def test_a_declared_failure_is_no_mistake(capsys):
    assert derive("crossing") == 0
    assert "simple_sharpness fails; it is refuted as declared" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("rule", ["rmsprop", "normalized-gd"])
def test_other_rules(rule, capsys):
    assert derive("ridge", "--rule", rule, "--json", "-") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rule"] == rule
    assert content["flow"]["field"] != [sp.sstr(e) for e in sharpness_flow(families.get("ridge").default()).field]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py:own"], "there is no file"),
        (["{file}:other"], "no attribute 'other'"),
        (["{file}"], "names no attribute"),
        (["ridge", "--rule", "nothing"], "no built-in rule"),
        (["nothing"], "no built-in loss family"),
        (["__import__(x)"], "no function"),
        (["z^2/(x^2 + "], "ends too early"),
        (["ridge", "--format", "html"], "invalid choice"),
        (["ridge", "--output", "{folder}/none/out.txt"], "there is no folder"),
        (["ridge", "--json", "-", "--output", "-"], "needs a file"),
    ],
)
def test_bad_calls(arguments, message, tmp_path, capsys):
    path = file_with(tmp_path).rsplit(":", 1)[0]
    filled = [a.replace("{file}", path).replace("{folder}", str(tmp_path)) for a in arguments]
    assert derive(*filled) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert not said.out


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sp.I*z**2/r2", "complex"),
        ("sp.Symbol('q')*z**2/r2", "uses q, not listed"),
        ("z**2/r2 +", "not valid Python"),
        ("undefined_name", "NameError"),
        ("sp.nan*z", "nan"),
    ],
)
def test_bad_files(expression, message, tmp_path, capsys):
    assert derive(file_with(tmp_path, expression)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert "losses.py" in said
