"""The rules of the house: which wing imports which, what a new file must define, and that one file is enough."""

import ast
import graphlib
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sharpflow
from sharpflow import cli, numerics, theory
from sharpflow.theory import families, rules
from sharpflow.theory.family import Family
from sharpflow.theory.lazy import homes
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

ROOT = Path(__file__).resolve().parent.parent
WINGS = ("theory", "numerics", "sharpflow")
# theory/ and numerics/ are linked in sharpflow/, where rglob does not follow them.
MODULES = sorted(path for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
# What each wing may import besides the standard library and itself.
ALLOWED = {
    "theory": {"sympy", "mpmath", "platformdirs"},
    "numerics": {
        "theory",
        "sympy",
        "mpmath",
        "numpy",
        "scipy",
        "sklearn",
        "jax",
        "diffrax",
        "optimistix",
        "lineax",
        "equinox",
        "flax",
    },
}
# The folders of each wing, from the lowest up: a module imports from those before its own, and from its own. "" is what
# stands beside the folders; "cli" and what else of sharpflow/ is named there stands above them.
ORDER = {
    "theory": (
        "", "rules", "families", "proving", "writing", "sphere", "edge", "noise", "chart", "derivation", "kernel",
        "statements",
    ),
    "numerics": (
        "", "adapters", "weights", "spectrum", "minima", "descent", "flows", "predictions", "comparison", "sweeps",
        "noise", "data", "models", "networks", "training", "experiments", "measurements", "inspection",
    ),
    "sharpflow": (
        "", "terminal", "naming", "figures", "statements", "claims", "verification", "testing", "testing.mutants",
        "commands", "cli",
    ),
}  # fmt: skip
# Of sharpflow/ itself, above all folders; and the folder of the checks, which belongs to the package that runs them.
ABOVE = {"sharpflow.cli": "cli", "sharpflow.__main__": "cli", "sharpflow": "cli"}
PLUG_INS = {
    "theory/families", "theory/rules", "numerics/networks", "numerics/experiments", "sharpflow/claims",
    "sharpflow/commands", "sharpflow/testing/checks",
}  # fmt: skip
HEAVY = {
    "sympy",
    "numpy",
    "scipy",
    "jax",
    "diffrax",
    "matplotlib",
    "sklearn",
    "sharpflow.theory.loss",
    "hypothesis",
    "IPython",
}


def shown(path):
    return str(path.relative_to(ROOT))


def imports(path, top_level_only=False):
    """Names of the modules a file imports, anywhere in it or at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_imports_go_one_way(path):
    wing = path.relative_to(ROOT).parts[0]
    names = [name.split(".") for name in imports(path)]
    # Of this package, the wing that a module is in.
    parts = {n[1] if n[0] == "sharpflow" and len(n) > 1 and n[1] in WINGS else n[0] for n in names}
    used = parts - set(sys.stdlib_module_names) - {wing}
    if wing in ALLOWED:
        assert used <= ALLOWED[wing]
    else:
        assert not used & {"tests", "benchmarks"}


def dotted(path):
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("sharpflow", *parts) if parts[0] != "sharpflow" else parts).removesuffix(".__init__")


NAMES = {dotted(path): path for path in MODULES}


def imported(path):
    """The modules of this package that a file imports: at its top level, inside functions, for type checkers alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.ImportFrom) and node.module in NAMES:
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                yield part if part in NAMES else node.module


# What a package says of its own public names is no import of theirs.
PACKAGES = ("sharpflow", "sharpflow.theory", "sharpflow.numerics", "sharpflow.testing")
GRAPH = {name: set() if name in PACKAGES else set(imported(path)) - {name} for name, path in NAMES.items()}


def place(name):
    """The wing of a module and how far up in it its folder stands."""
    folder = NAMES[name].relative_to(ROOT).parent.parts
    inside = ".".join(folder[1:]).replace("testing.checks", "testing")
    return folder[0], ORDER[folder[0]].index(ABOVE.get(name, inside))


def test_no_circle_of_imports():
    # CycleError names the circle.
    tuple(graphlib.TopologicalSorter(GRAPH).static_order())


@pytest.mark.parametrize("name", GRAPH)
def test_no_import_runs_back_up(name):
    wing, height = place(name)
    for other in GRAPH[name]:
        if place(other)[0] == wing:
            assert place(other)[1] <= height, other
        else:
            assert WINGS.index(place(other)[0]) < WINGS.index(wing), other


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_public_name_is_imported_from_the_module_that_makes_it(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
    for node in nodes:
        assert node.module not in PACKAGES or all(f"{node.module}.{alias.name}" in NAMES for alias in node.names)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=shown)
def test_a_folder_is_of_one_theme(folder):
    modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= 12 or shown(folder) in PLUG_INS


def test_no_module_has_the_name_of_what_its_package_exports():
    """Importing the module would put it in the place of the function."""
    for package in PACKAGES:
        assert not {f"{package}.{name}" for name in importlib.import_module(package).__all__} & set(NAMES)


@pytest.mark.parametrize("path", sorted((ROOT / "sharpflow" / "commands").glob("*.py")), ids=shown)
def test_commands_import_nothing_heavy_before_they_run(path):
    assert not {name for name in imports(path, top_level_only=True) if {name, name.split(".")[0]} & HEAVY}
    if not path.stem.startswith("_"):
        module = importlib.import_module(f"sharpflow.commands.{path.stem}")
        assert callable(module.add_arguments)
        assert callable(module.run)
        assert module.__doc__


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import sharpflow.theory", {"jax", "numpy"}),
        (
            "import sharpflow.theory.loss, sharpflow.theory.rules, sharpflow.theory.families",
            {"jax", "numpy", "sharpflow.numerics"},
        ),
        ("import sharpflow.numerics", {"jax", "sharpflow.cli"}),
        ("import sharpflow", {"jax", "sympy", "numpy"}),
        ("import sharpflow.cli", {"jax", "sympy", "numpy", "matplotlib"}),
        ("from sharpflow import Loss, Minima, Rule, resolve_loss; resolve_loss('x/y')", {"jax", "numpy"}),
    ],
)
def test_what_an_import_leaves_unloaded(program, absent):
    program += f"\nimport sys; print(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))], ids=shown)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_every_module_is_mutated_or_left_out_with_a_reason():
    fast = importlib.import_module("tests.mutation.fast_tests")
    left_out = [module for modules in fast.LEFT_OUT.values() for module in modules]
    # Those of benchmarks/ are mutated as well where they hold formulas.
    named = sorted(name for name in (*fast.TESTS, *left_out) if not name.startswith("benchmarks/"))
    assert named == [shown(path) for path in MODULES if path.relative_to(ROOT).parts[0] != "sharpflow"]
    for tests in fast.TESTS.values():
        assert all((ROOT / name).is_file() for name in tests if name.endswith(".py"))


def test_every_survivor_is_placed_in_a_function_that_is_there():
    places = json.loads((ROOT / "tests" / "mutation" / "survivors.json").read_text(encoding="utf-8"))
    for place in places:
        module, function = re.fullmatch(r"([\w/]+\.py), ([\w.]+|top level): .+ -> .+", place, re.S).groups()
        node = ast.parse((ROOT / module).read_text(encoding="utf-8"))
        for name in function.split(".") if function != "top level" else ():
            inside = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
            assert inside, f"{module} has no {function}"
            node = inside[0]


@pytest.mark.parametrize("package", ["sharpflow", "sharpflow.theory", "sharpflow.numerics", "sharpflow.testing"])
def test_every_public_name_is_where_it_is_made(package):
    module = importlib.import_module(package)
    known = homes(package) or homes("sharpflow")
    for name in module.__all__:
        assert name == "__version__" or getattr(module, name).__module__ == known[name], name
    with pytest.raises(AttributeError):
        _ = module.no_such_name


PUBLIC = [name for name in sharpflow.__all__ if name != "__version__"]


def test_the_front_door_is_small_and_its_docstring_lists_it():
    assert len(PUBLIC) <= 49
    rows = [line for line in sharpflow.__doc__.splitlines() if line.startswith("    ")]
    # Names, and what they are, in two columns.
    assert sorted(name for row in rows for name in row[:36].replace(",", " ").split()) == sorted(PUBLIC)
    assert all(row[36:].strip() and len(row) <= 120 for row in rows)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_type_that_a_public_function_returns_is_public(name):
    value = getattr(sharpflow, name)
    assert value.__doc__
    if inspect.isfunction(value):
        returned = set(re.findall(r"\w+", str(inspect.signature(value).return_annotation)))
        assert returned <= {*PUBLIC, "np", "ndarray", "float", "tuple", "None"}


def test_the_wings_export_what_the_front_door_has_of_them():
    for wing in (theory, numerics):
        assert set(wing.__all__) <= set(PUBLIC)
        assert {getattr(wing, name) for name in wing.__all__} == {
            value
            for value in (getattr(sharpflow, name) for name in PUBLIC)
            if value.__module__.startswith(f"{wing.__name__}.")
        }


def test_help_is_a_table_of_contents():
    program = "import sys, sharpflow; help(sharpflow); print({'jax', 'sympy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "CLASSES" not in done.stdout
    assert "FUNCTIONS" not in done.stdout
    assert len(done.stdout.splitlines()) < 100
    assert set(PUBLIC) <= set(dir(sharpflow))


@pytest.mark.parametrize("name", families.names())
def test_every_family_builds(name):
    family = families.get(name)
    assert isinstance(family, Family)
    assert family.name == name
    assert family.title
    assert isinstance(family.default(), Loss)
    # The values at either end and in the middle of every range.
    for share in (0, 0.5, 1):
        values = {key: p.value(int(share * (p.count - 1))) for key, p in family.parameters.items()}
        member = family.member(**values)
        assert isinstance(member, Loss)
        assert member.name.startswith(name)


@pytest.mark.parametrize("name", rules.names())
def test_every_rule_has_the_shape_of_one(name):
    rule = rules.get(name)
    assert isinstance(rule, Rule)
    assert rule.name == name
    assert rule.title
    assert rule.source
    parameters = vars(rule.parameters(1e-4))
    # The rate, in its own parameters, comes back.
    assert eval(rule.rate, {"__builtins__": {}}, parameters) == pytest.approx(1e-4)
    assert rule.intrinsic_lr(1e-4) > 0


def test_one_file_is_enough_for_a_family_a_rule_and_a_command(tmp_path):
    for wing in WINGS:
        shutil.copytree(ROOT / wing, tmp_path / wing, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    family = (ROOT / "theory" / "families" / "ridge.py").read_text(encoding="utf-8").replace('"ridge"', '"my-loss"')
    (tmp_path / "theory" / "families" / "my_loss.py").write_text(family, encoding="utf-8")
    rule = (ROOT / "theory" / "rules" / "gd_wd.py").read_text(encoding="utf-8").replace('"gd-wd"', '"my-rule"')
    (tmp_path / "theory" / "rules" / "my_rule.py").write_text(rule, encoding="utf-8")
    (tmp_path / "sharpflow" / "commands" / "greet.py").write_text(
        '"""Say hello."""\ndef add_arguments(parser): ...\ndef run(arguments):\n    print("hello")\n    return 0\n'
    )
    program = """
from sharpflow import cli, resolve_loss, resolve_rule
import sharpflow
print(sharpflow.__file__)
print(resolve_loss("my-loss").name, resolve_rule("my-rule").name)
cli.main(["greet"])
cli.main(["--help"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    where, names, hello, *help_text = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert names == "my-loss my-rule"
    assert hello == "hello"
    assert any(line.split() == ["greet", "Say", "hello"] for line in help_text)


def tracked():
    git = shutil.which("git")
    done = subprocess.run([git or "git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.split() if done.returncode == 0 else []


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs a git checkout")
def test_nothing_of_one_machine_is_tracked():
    names = tracked()
    assert "uv.lock" not in names
    assert not [name for name in names if re.search(r"(^|/)(__pycache__|\.venv|\.env|dist|build)(/|$)", name)]


def test_the_version_stands_in_one_place():
    assert re.fullmatch(r"\d+\.\d+\.\d+", sharpflow.__version__)
    assert f"version: {sharpflow.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "version =" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[tool.hatch")[0].replace(
        "python_version =", ""
    )


@pytest.mark.parametrize("wing", WINGS)
def test_the_wings_are_typed(wing):
    assert (ROOT / wing / "py.typed").exists()


def test_commands_are_documented_in_their_help_line():
    for name in cli.command_names():
        assert 10 <= len(cli.help_line(name)) <= 100


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_a_docstring_begins_with_an_equation_a_noun_or_a_verb(path):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds))
    words = {(ast.get_docstring(node) or "").split(" ")[0] for node in nodes}
    assert not words & {"What", "Whether"}
