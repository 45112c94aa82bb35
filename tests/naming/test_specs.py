"""Names of losses and rules, and what is said when a user's own file fails."""

import subprocess
import sys
import textwrap

import pytest

from sharpflow.naming.settings import REMARKS
from sharpflow.naming.specs import resolve_loss, resolve_rule
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

GOOD = """
import sympy as sp
from sharpflow import Loss, Minima, Rule
x, y, z = sp.symbols("x y z", real=True)
r2 = x**2 + y**2 + z**2
mine = Loss(name="mine", variables=(x, y, z), expression=z**2/r2)
other = Loss(name="other", variables=(x, y, z), expression=x**2/r2)
number = 3
raw = z**2/r2
def make():
    return mine
def update(w, gradient, state, p, ops):
    return w - p.learning_rate*gradient(w), {}
rule = Rule(name="plain", update=update)
"""


@pytest.fixture
def write(tmp_path):
    def _write(text, name="losses.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    return _write


@pytest.mark.parametrize("name", families.names())
def test_built_in_families(name):
    assert resolve_loss(name).name == name


@pytest.mark.parametrize("name", rules.names())
def test_built_in_rules(name):
    assert isinstance(resolve_rule(name), Rule)


def test_a_member_by_its_printed_name():
    loss = resolve_loss("ridge(a=5/2)")
    assert loss.name == "ridge(a=5/2)"
    assert resolve_loss(loss.name) == loss


def test_text_file_and_module(write):
    path = write(GOOD)
    assert resolve_loss("z^2/(x^2+y^2+z^2)").dimension == 3
    assert resolve_loss(f"{path}:mine").name == "mine"
    assert resolve_rule(f"{path}:rule").name == "plain"
    assert resolve_loss("sharpflow.theory.families.ridge:family").name == "ridge"


def test_a_file_runs_once_until_it_changes(write):
    path = write(GOOD)
    assert resolve_loss(f"{path}:mine").variables is resolve_loss(f"{path}:mine").variables
    write(GOOD.replace('name="mine"', 'name="changed"'))
    assert resolve_loss(f"{path}:mine").name == "changed"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rigde", "did you mean ridge"),
        ("two_layer", "did you mean two-layer"),
        ("two-layr", "did you mean two-layer"),
        ("rigde(a=3)", "did you mean ridge"),
        ("ridge(b=3)", "no parameter b"),
        ("ridge(a=x)", "name=number"),
        ("generic", "reserved"),
        ("", "empty"),
        ("x^2/(x^2 + y^2", "never closed"),
        ("no_such.py:loss", "there is no file"),
        ("no_such.py", "there is no file"),
        ("no_such_module:loss", "there is no module"),
        ("theory.no_such:loss", "there is no module"),
        ("sharpflow.theory.families.ridge:famly", "did you mean family"),
        ("sharpflow.numerics.networks.two_layer:bach", "did you mean batch? it defines batch, layer, weight."),
        ("a b:c", "names no file and no module"),
        ("sharpflow.theory.families.ridge:build", "is a function"),
    ],
)
def test_what_names_nothing(spec, words):
    with pytest.raises(InputError) as caught:
        resolve_loss(spec)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("number", "line 8: number is an int"),
        ("raw", "wrap it"),
        ("update", "call it"),
        ("rule", "give it to --rule"),
        ("sp", "name an attribute in it"),
        ("mien", "did you mean mine? it defines mine, other"),
        ("number.real.imag.x", "no attribute 'x'"),
    ],
)
def test_attributes_of_the_wrong_kind(write, attribute, words):
    path = write(GOOD)
    with pytest.raises(InputError) as caught:
        resolve_loss(f"{path}:{attribute}")
    assert words in str(caught.value)
    assert path in str(caught.value)


def test_a_function_that_makes_a_loss_is_called(write):
    more = """
def broken():
    raise ValueError("no data")
def nothing():
    pass
"""
    path = write(GOOD + more)
    assert resolve_loss(f"{path}:make") is resolve_loss(f"{path}:mine")
    with pytest.raises(InputError, match=r"broken\(\) fails at .*line \d+ with ValueError: no data"):
        resolve_loss(f"{path}:broken")
    with pytest.raises(InputError, match=r"nothing\(\) is None, not a Loss"):
        resolve_loss(f"{path}:nothing")


def test_a_file_without_an_attribute_names_what_it_offers(write):
    with pytest.raises(InputError, match="it defines mine, other"):
        resolve_loss(write(GOOD))


@pytest.mark.parametrize("before", ["first", "second"])
def test_what_a_file_offers_does_not_depend_on_what_it_made_before(write, before):
    lazy = """
    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(name)
        from sharpflow import resolve_loss
        return globals().setdefault(name, resolve_loss("ridge"))
    __all__ = ["first", "second"]
    """
    path = write(lazy)
    resolve_loss(f"{path}:{before}")
    with pytest.raises(InputError, match="it defines first, second"):
        resolve_loss(f"{path}:third")


@pytest.mark.parametrize(
    ("attribute", "words"), [("mine", "not a Rule"), ("update", "write it as Rule"), ("x", "Symbol")]
)
def test_what_is_no_rule(write, attribute, words):
    with pytest.raises(InputError, match=words):
        resolve_rule(f"{write(GOOD)}:{attribute}")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\ny = 1/0\n", 2, "ZeroDivisionError"),
        ("def f():\n    raise ValueError('bad\\nthing')\n\nf()\n", 2, "bad thing"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("x = 1\ny = = 2\n", 2, "not valid Python"),
        ("\n\nx = 'unclosed\n", 3, "not valid Python"),
        ("import sys\nsys.exit(0)\n", 2, "ends the program"),
        ("import pytest\npytest.importorskip('no_such')\n", 2, "Skipped"),
        ("raise GeneratorExit\n", 1, "GeneratorExit"),
        ("raise SystemExit\n", 1, "ends the program"),
        ("import no_such_package_at_all\n", 1, "Install no_such_package_at_all"),
        ("from . import sibling\n", 1, "package.module:attribute"),
        (
            "from sharpflow import Loss\nimport sympy as sp\nx = sp.Symbol('x')\nloss = Loss('l', (x,), x)\n",
            4,
            "two variables",
        ),
        ("def f(n):\n    return f(n + 1)\nf(0)\n", 2, "RecursionError"),
        ("from sharpflow import NoSuchName\n", 1, "NoSuchName"),
    ],
)
def test_a_failing_file_is_named_with_its_line(write, text, line, words):
    path = write(text)
    with pytest.raises(InputError) as caught:
        resolve_loss(f"{path}:loss")
    assert f"{path}, line {line}" in str(caught.value)
    assert words in str(caught.value)


def test_a_failing_module_is_named_with_its_line(write, monkeypatch, tmp_path):
    path = write("x = 1\nx.nothing\n", "failing_module_of_a_user.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        resolve_loss("failing_module_of_a_user:loss")
    assert f"{path}, line 2: AttributeError" in str(caught.value)


def test_a_syntax_error_in_a_file_it_imports_names_that_file(write):
    helper = write("x = = 1\n", "helper_with_a_typo.py")
    with pytest.raises(InputError) as caught:
        resolve_loss(write("import helper_with_a_typo\n") + ":loss")
    assert f"{helper}, line 1" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x = 1\x00"])
def test_a_file_that_is_no_text(tmp_path, content):
    path = tmp_path / "binary.py"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"binary\.py"):
        resolve_loss(f"{path}:loss")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        resolve_loss(f"{tmp_path / 'folder.py'}:loss")


def test_printing_goes_to_standard_error(write, capsys):
    resolve_loss(write("print('hello')\n" + GOOD) + ":mine")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err
    assert "losses.py, line 1: writes to standard output while it is read" in captured.err


def test_no_files_are_left_beside_the_users(write, tmp_path):
    resolve_loss(write(GOOD) + ":mine")
    assert [p.name for p in tmp_path.iterdir()] == ["losses.py"]


def test_settings_of_jax_are_put_back(write):
    import jax

    resolve_loss(write("import jax\njax.config.update('jax_enable_x64', False)\n" + GOOD) + ":mine")
    assert jax.config.jax_enable_x64
    said = REMARKS[-1]
    assert "losses.py, line 2: changes settings of JAX (jax_enable_x64)" in said
    resolve_loss(write("import jax\njax.config.update('jax_enable_x64', True)\n" + GOOD) + ":mine")
    assert REMARKS[-1] is said  # nothing was changed


def test_settings_that_a_file_beside_it_changes_are_told_with_its_line(write, tmp_path):
    # In a process of its own, where that file is the first to load JAX, by way of another.
    (tmp_path / "precise.py").write_text("import jax\njax.config.update('jax_enable_x64', False)\n")
    (tmp_path / "helper.py").write_text("from precise import jax\n")
    path = write("import math, helper\n" + GOOD)
    program = f"""
from sharpflow import resolve_loss
resolve_loss({path + ":mine"!r})
import jax
assert jax.config.jax_enable_x64
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "precise.py, line 2: changes settings of JAX (jax_enable_x64)" in done.stderr


def test_an_objective_is_found_and_keeps_double_precision(write):
    # In a process of its own, where the user's file is the first to load JAX.
    path = write(
        """
        import jax, jax.numpy as jnp
        from sharpflow import Objective
        net = Objective(lambda w: w[0]**2/jnp.dot(w, w), start=(1.0, 2.0), name="net")
        jax.config.update("jax_enable_x64", False)
        """
    )
    program = f"""
import sys
from sharpflow import resolve_loss
assert "jax" not in sys.modules
net = resolve_loss({path + ":net"!r})
import jax
assert jax.config.jax_enable_x64
print(net.name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "net\n"


def test_names_must_be_text():
    with pytest.raises(InputError, match="named by text"):
        resolve_loss(families.get("ridge").default())
    assert isinstance(resolve_loss("x/y"), Loss)


def test_a_file_that_hangs_is_told_with_its_line(write, monkeypatch):
    monkeypatch.setattr("sharpflow.naming.user_code.SECONDS", 0.5)
    with pytest.raises(InputError, match=r"line 3: still running after 0.5 s"):
        resolve_loss(write("import time\nwhile True:\n    time.sleep(0.01)\n") + ":mine")
