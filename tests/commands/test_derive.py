"""`derive` on the command line: exit statuses, the JSON read back, where the text goes, and what mistakes are told."""

from __future__ import annotations

import json

import pytest
import sympy as sp

from sharpflow import cli
from sharpflow.naming.expressions import parse_expression
from sharpflow.theory.derivation import derivation as derivation_module
from sharpflow.theory.derivation.derivation import derive

# The contract of DESIGN.md, and what is there besides.
FIELDS = {"loss", "rule", "minima", "sharpness", "log_sharpness_gradient", "flow", "steps", "latex"}
MORE = {"variables", "expression", "status", "remarks", "seconds"}
MORE |= {"edge", "oscillator", "orbit", "drift", "energy_law", "tracks", "tracking"}  # of the rule, on every loss
FLOW = {"chart", "field", "time", "closed_form"}
MORE_FLOW = {"time_symbol", "point", "log_gradient_squared", "invariants", "conserved"}
STEP = {"title", "statement", "status", "seconds"}
MORE_STEP = {"part", "latex", "expected", "method", "residual", "witness", "note", "second"}

FILE = """
import sympy as sp
from sharpflow import Loss, Minima, Objective, Rule

x, y, z = sp.symbols("x y z", real=True)
p = sp.Symbol("p", real=True)
r2 = x**2 + y**2 + z**2
ridge = z**2/(2*r2)*(2 + (x**2 - y**2)/r2)


def loss(name, expression=ridge, point=(sp.cos(p), sp.sin(p), 0), **more):
    minima = Minima(chart=(p,), point=point, start=(0.35,), domain=((-3, 3),))
    return Loss(name=name, variables=(x, y, z), expression=expression, minima=minima, **more)


own = loss("own")
grows = loss("grows", z**2)
grows_as_told = loss("told", z**2, expects_to_fail={"scale_invariance"})
elsewhere = loss("elsewhere", point=(sp.cos(p), 0, sp.sin(p)))
net = Objective(lambda w: w[2]**2/(w @ w), start=(1.0, 0.4, 0.0), name="net")


def ascent(w, gradient, state, p, ops):
    return (1 - p.learning_rate*p.weight_decay)*w + p.learning_rate*gradient(w), {}


def heavy_ball(w, gradient, state, p, ops):
    momentum = state.momentum/2 + gradient(w)
    return (1 - p.learning_rate*p.weight_decay)*w - p.learning_rate*momentum, {"momentum": momentum}


up = Rule(name="up", update=ascent)
ball = Rule(name="ball", update=heavy_ball, state=("momentum",))
broken = Rule(name="broken", update=lambda w, gradient, state, p, ops: w - p.step*gradient(w))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`derive` in a folder with the file; what it returns, prints, and says."""
    (tmp_path / "own.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        status = cli.main(["derive", *argv])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


def squeezed(text):
    return " ".join(text.split())


def read(text, symbols):
    """By the safe parser, in which every other name is an error."""
    return parse_expression(text, names={symbol.name: symbol for symbol in symbols})


def equal(left, right):
    return left == right or sp.expand(left - right) == 0


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("rayleigh", "normalized-gd"),
        pytest.param("rayleigh", "rmsprop", marks=pytest.mark.deep),
        pytest.param("ridge", "rmsprop", marks=pytest.mark.deep),
        pytest.param("bn-regression", "gd-wd", marks=pytest.mark.deep),
        *(pytest.param(name, "normalized-gd", marks=pytest.mark.deep) for name in ("two-layer", "surface")),
    ],
)
def test_json_is_what_was_derived(run, monkeypatch, name, rule):
    made = []
    monkeypatch.setattr(
        derivation_module, "derive", lambda *call, **more: made.append(derive(*call, **more)) or made[0]
    )
    status, out, err = run(name, "--rule", rule, "--json", "-")
    result, (derivation,) = json.loads(out), made
    loss, flow = derivation.loss, derivation.flow
    assert status == 0
    assert err.startswith(f"From {rule} on {name} ")
    assert set(result) == FIELDS | MORE
    assert set(result["flow"]) == FLOW | MORE_FLOW
    assert all(set(step) == STEP | MORE_STEP for step in result["steps"])
    assert (result["loss"], result["rule"], result["flow"]["time"]) == (name, rule, derivation.clock)
    assert [step["statement"] for step in result["steps"]] == [step.statement for step in derivation.steps]
    assert [step["status"] for step in result["steps"]] == [step.status.value for step in derivation.steps]
    assert result["latex"].startswith(r"\documentclass")
    assert equal(read(result["expression"], loss.variables), loss.expression)
    chart = set(flow.chart)
    pairs = [
        (result["sharpness"], flow.sharpness, set()),
        *zip(result["log_sharpness_gradient"], flow.log_sharpness_gradient, [set()] * 2, strict=False),
        *zip(result["flow"]["field"], flow.field, [flow.field.free_symbols - chart] * 2, strict=False),
        *zip(result["minima"]["point"], loss.minima.point, [set()] * 4, strict=False),
        (result["flow"]["log_gradient_squared"], flow.log_gradient_squared, set()),
    ]
    assert len(pairs) == 2 + 2 * len(chart) + loss.dimension
    for text, expression, more in pairs:
        assert {symbol.name for symbol in more} <= {"C_b"}
        assert equal(read(text, chart | more), expression), text
    assert (result["flow"]["closed_form"] is None) == (flow.closed_form is None)
    for symbol, expression in (flow.closed_form or {}).items():
        names = {sp.Symbol("tau", positive=True)} | {sp.Symbol(f"{s}_0", real=True) for s in chart}
        assert read(result["flow"]["closed_form"][symbol.name], names) == expression


@pytest.mark.parametrize(
    ("style", "begin"),
    [
        ("markdown", "# From "),
        pytest.param("text", "From ", marks=pytest.mark.deep),
        pytest.param("latex", r"\documentclass", marks=pytest.mark.deep),
    ],
)
def test_formats(run, tmp_path, style, begin):
    call = ("rayleigh", "--rule", "normalized-gd", "--format", style)
    status, out, err = run(*call)
    assert (status, err) == (0, "")
    assert out.startswith(begin)
    status, out, err = run(*call, "--output", "written", "--json", "result.json")
    assert (status, err) == (0, "")
    assert out.startswith("written: 31 steps, 31 proved.\nEdge: none, nonsmooth.")
    assert (tmp_path / "written").read_text().startswith(begin)
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "proved"


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["own.py:own", "--rule", "normalized-gd"], 0, "From normalized-gd on own to the flow"),
        (["z^2/(x^2 + y^2 + z^2)", "--rule", "rmsprop"], 0, "minima=None: what needs a chart of Gamma"),
        pytest.param(
            ["crossing", "--rule", "normalized-gd", "--strict"],
            0,
            "refuted, as the loss declares",
            marks=pytest.mark.deep,
        ),
        (["own.py:grows_as_told"], 0, "it is refuted as declared"),
        (["own.py:grows"], 1, "the hypothesis scale_invariance was refuted"),
        (["x^2 + y^2"], 1, "the hypothesis scale_invariance was refuted"),
        pytest.param(
            ["own.py:elsewhere", "--rule", "rmsprop"],
            1,
            "the hypothesis minimizers was refuted",
            marks=pytest.mark.deep,
        ),
        pytest.param(
            ["own.py:own", "--rule", "own.py:ball"], 0, "on every loss: the energy law", marks=pytest.mark.deep
        ),
        (["own.py:own", "--rule", "own.py:up"], 1, "what multiplies G on the sphere [refuted]"),
    ],
)
def test_exit_statuses(run, argv, status, words):
    found, out, err = run(*argv)
    assert (found, err) == (status, "")
    assert words in squeezed(out)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "SPEC"),
        (["nowhere.py:own"], "there is no file 'nowhere.py'"),
        (["own.py:owl"], "no attribute 'owl'; did you mean own?"),
        (["own.py"], "names no attribute"),
        (["own.py:up"], "a Rule, not a Loss or an Objective: give it to --rule"),
        (["own.py:net"], "'net' is an Objective, a function"),
        (["rigde"], "did you mean ridge?"),
        (["ridge", "--rule", "rmsprob"], "did you mean rmsprop?"),
        (["ridge", "--rule", "own.py:broken"], "rule 'broken': its update fails"),
        (["ridge", "--rule", "own.py:own"], "not a Rule"),
        (["ridge", "--format", "html"], "html"),
        (["ridge", "--output", "-"], "--output needs a file"),
        (["ridge", "--output", "no/such/file"], "there is no folder"),
        (["ridge", "--output", "a", "--json", "a"], "both write to 'a'"),
    ],
)
def test_wrong_calls(run, tmp_path, argv, words):
    status, out, err = run(*argv)
    assert (status, out) == (2, "")
    assert err.startswith("sharpflow: error: ")
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]  # nothing is left behind
