"""What a function of the user's does beside returning a value: seen with its line, and no right function is accused."""

from __future__ import annotations

import os
import textwrap

import numpy as np
import pytest

from sharpflow import Objective, resolve_loss, resolve_rule
from sharpflow.numerics.inspection.purity import changed, memory, noted
from sharpflow.testing import check_loss, check_rule
from sharpflow.testing.check import Outcome
from sharpflow.testing.mutants.wrong_losses import plain

HEAD = """
import array, collections, dataclasses, functools, io, itertools, os, random, shutil, socket, subprocess, sys, tempfile
import jax, jax.numpy as jnp, numpy as np
from pathlib import Path
from sharpflow import Objective
here = Path(__file__).parent
def plain(w):
    u = w / jnp.linalg.norm(w)
    return (u[2] ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2
"""
TAIL = """
mine = Objective(function, (0.9, 0.4, 0.1, 0.05), name="mine")
"""


@pytest.fixture
def tried(tmp_path):
    """The check purity of a loss in a file of that text."""

    def _tried(text):
        path = tmp_path / "mine.py"
        path.write_text(HEAD + textwrap.dedent(text) + TAIL)
        return check_loss(resolve_loss(f"{path}:mine"), checks=["purity"])[0]

    return _tried


def adds(line, before=""):
    """A function whose value is right, and that does ``line`` besides, in line 12."""
    return f"{before or 'one = 1'}\ndef function(w):\n    {line}\n    return plain(w)\n"


@pytest.mark.parametrize(
    ("before", "line", "words"),
    [
        ("seen = []", "seen.append(1)", "changes seen of mine.py"),
        ("seen = []", "seen.append(w)", "changes seen of mine.py"),
        ("seen = {}", "seen[len(seen)] = 1", "changes seen of mine.py"),
        ("seen = set()", "seen.add(len(seen))", "changes seen of mine.py"),
        ("seen = collections.Counter()", "seen['calls'] += 1", "changes seen of mine.py"),
        ("seen = collections.deque(maxlen=2)", "seen.append(object())", "changes seen of mine.py"),
        ("seen = {'a': {'b': [0]}}", "seen['a']['b'][0] += 1", "changes seen of mine.py"),
        ("seen = np.zeros(3)", "seen[1] += 1", "changes seen of mine.py"),
        ("seen = bytearray(2)", "seen[0] += 1", "changes seen of mine.py"),
        ("seen = array.array('d', [0.0])", "seen[0] += 1", "changes seen of mine.py"),
        ("seen = 0", "global seen; seen += 1", "changes seen of mine.py"),
        ("seen = None", "global seen; seen = w * 2", "changes seen of mine.py"),
        ("seen = itertools.count()", "next(seen)", "changes seen of mine.py"),
        ("seen = np.random.default_rng(0)", "seen.normal()", "changes seen of mine.py"),
        ("seen = random.Random(0)", "seen.random()", "changes seen of mine.py"),
        ("seen = io.StringIO()", "print('called', file=seen)", "changes seen of mine.py"),
        ("class Seen:\n    calls = 0", "Seen.calls += 1", "changes Seen of mine.py"),
        ("class Seen:\n    pass\nseen = Seen(); seen.calls = 0", "seen.calls += 1", "changes seen of mine.py"),
        ("one = 1", "function.calls = getattr(function, 'calls', 0) + 1", "changes function.calls of mine.py"),
        ("seen = []\ndef note():\n    seen.append(1)", "note()", "changes seen of mine.py"),
        (
            "seen = []\nnote = functools.partial(lambda s: s.append(1), seen)",
            "note()",
            "changes argument 0 of a partial",
        ),
    ],
)
def test_what_it_remembers_is_named(tried, before, line, words):
    result = tried(adds(line, before))
    assert result.outcome is Outcome.FAILED
    text = " ".join(result.explain().split())
    assert words in text
    assert "mine.py, line " in text
    assert "whenever it is called" in text
    assert "What to do: Let it change nothing that outlives the call" in text


@pytest.mark.parametrize(
    "text",
    [
        """
        def make():
            seen = []
            def function(w):
                seen.append(1)
                return plain(w)
            return function
        function = make()
        """,
        """
        class Loss:
            def __init__(self):
                self.seen = []
            def __call__(self, w):
                self.seen.append(1)
                return plain(w)
        function = Loss()
        """,
        """
        class Loss:
            def __init__(self):
                self.seen = []
            def value(self, w):
                self.seen.append(1)
                return plain(w)
        function = Loss().value
        """,
        """
        def function(w, seen=[]):
            seen.append(1)
            return plain(w)
        """,
        """
        seen = []
        def counted(f):
            @functools.wraps(f)
            def inner(*a):
                seen.append(1)
                return f(*a)
            return inner
        @counted
        def inner(w):
            return plain(w)
        def function(w):
            return inner(w)
        """,
    ],
    ids=["closure", "instance", "method", "default", "decorators"],
)
def test_what_it_remembers_elsewhere_is_seen_too(tried, text):
    result = tried(text)
    assert result.outcome is Outcome.FAILED
    assert "seen" in result.trial.message or "self" in result.trial.message or "default 1" in result.trial.message or (
        "Loss" in result.trial.message
    )  # fmt: skip


def test_a_list_in_a_file_beside_it_is_seen(tried, tmp_path):
    (tmp_path / "helper_that_remembers.py").write_text("seen = []\ndef note():\n    seen.append(1)\n")
    result = tried(adds("helper_that_remembers.note()", "import helper_that_remembers"))
    assert "changes seen of helper_that_remembers.py" in result.trial.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("open(here / 'log', 'w').close()", "writes the file"),
        ("open(here / 'log', 'a').close()", "writes the file"),
        ("(here / 'log').write_text('called')", "writes the file"),
        ("np.save(here / 'log.npy', np.zeros(2))", "writes the file"),
        ("os.close(os.open(here / 'log', os.O_WRONLY | os.O_CREAT))", "writes the file"),
        ("(here / 'folder').mkdir(exist_ok=True)", "makes the folder"),
        ("tempfile.TemporaryDirectory().cleanup()", "makes the folder"),
        ("os.rename(here / 'old', here / 'old')", "renames the file"),
        ("subprocess.run(['true'])", "starts the program 'true'"),
        ("os.system('true')", "runs the command 'true'"),
        ("with socket.socket(socket.AF_UNIX) as s: s.connect_ex(str(here / 'none'))", "connects to the network"),
        ("os.environ['SHARPFLOW_MINE'] = '1'", "sets in the environment 'SHARPFLOW_MINE'"),
        ("os.chdir(os.getcwd())", "changes the working directory"),
    ],
)
def test_what_it_does_to_the_world_is_told_with_its_line(tried, line, words, tmp_path, monkeypatch):
    (tmp_path / "old").write_text("")
    monkeypatch.setenv("SHARPFLOW_MINE", "0")
    result = tried(adds(line))
    assert result.outcome is Outcome.FAILED
    text = " ".join(result.explain().split())
    assert f"the function has effects beside its value: it {words}" in text
    assert "mine.py, line 12)" in text
    assert "What to do: Do that once, outside of it" in text


def test_a_removed_file_is_told(tried, tmp_path):
    result = tried(adds("(here / 'log').touch(); os.remove(here / 'log')"))
    assert "log" in result.trial.message
    result = tried(adds("os.remove(here / 'log') if (here / 'log').exists() else None"))
    assert result.outcome is Outcome.PASSED  # the first call, before the check, did it


@pytest.mark.parametrize(
    ("line", "whose"),
    [
        ("np.random.seed(0)", "NumPy"),
        ("np.random.seed(1)", "NumPy"),
        ("np.random.rand()", "NumPy"),
        ("random.seed(0)", "Python"),
        ("random.random()", "Python"),
        ("random.seed(0); np.random.seed(0)", "Python and NumPy"),
    ],
)
def test_what_it_does_to_the_random_states_is_told(tried, line, whose):
    result = tried(adds(line))
    assert result.outcome is Outcome.FAILED
    text = " ".join(result.explain().split())
    assert f"mine.py, line 11) draws from, or seeds, the global random state of {whose}" in text
    assert "np.random.default_rng(seed)" in text


RIGHT = {
    "caches": """
        @functools.lru_cache
        def data():
            rng = np.random.default_rng(0)
            (here / "cache").write_text("kept")
            return rng.normal(size=4)
        memo = {}
        def factor():
            if "factor" not in memo:
                memo["factor"] = np.ones(3)
            return memo["factor"]
        def function(w):
            return plain(w) * (1 + 0 * jnp.sum(data())) * factor()[0]
        """,
    "lazy import": """
        def function(w):
            import wave, sndhdr_of_nobody as helper
            return plain(w) * helper.one
        """,
    "jit": """
        @jax.jit
        def inner(w):
            return plain(w)
        table = jnp.arange(7.0)
        def function(w):
            return jax.vmap(inner)(w[None])[0] + 0 * jnp.sum(jnp.sort(table)[:3])
        """,
    "local": """
        def function(w):
            parts = []
            for k in (2, 3):
                parts.append(w[k])
            rng = np.random.default_rng(3)
            return plain(w) + 0 * sum(parts) * rng.normal()
        """,
    "reads": """
        data = np.arange(5.0)
        np.save(here / "data.npy", data)
        names = {"a": [1, 2, (3, 4)], "b": {1, 2}}
        @dataclasses.dataclass
        class Settings:
            scale: float = 1.0
            @functools.cached_property
            def twice(self):
                return 2 * self.scale
        settings = Settings()
        def function(w):
            with open(here / "data.npy", "rb") as file:
                read = np.load(file)
            return plain(w) * read[1] * settings.scale * settings.twice / 2
        """,
    "states kept": """
        def function(w):
            before = np.random.get_state()
            np.random.seed(0)
            x = np.random.rand()
            np.random.set_state(before)
            return plain(w) + 0 * x
        """,
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_no_right_function_is_accused(tried, text, tmp_path):
    (tmp_path / "sndhdr_of_nobody.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('x').touch()\none = 1\n"
    )
    result = tried(text)
    assert result.outcome is Outcome.PASSED, result.explain()


def test_programs_that_jax_keeps_on_disk_are_no_effect(tmp_path):
    """With an empty place to keep them, and nothing of the kind compiled before."""
    import jax
    import jax.numpy as jnp
    from jax._src import compilation_cache

    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation_cache.reset_cache()
    try:
        found = noted(lambda: jax.jit(lambda w: jnp.sum(jnp.cos(w) ** 7) + 0.123)(np.arange(13.0)))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()
    assert os.listdir(tmp_path)
    assert found == []


RULE = """
import numpy as np
from sharpflow import Rule
seen = []
def update(w, gradient, state, p, ops):
    {line}
    return w - p.learning_rate*gradient(w) - p.learning_rate*p.weight_decay*w, {{}}
mine = Rule(name="mine", update=update)
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seen.append(1)", "changes seen of mine.py"),
        ("np.random.seed(0)", "draws from, or seeds, the global random state of NumPy"),
        ("open(__file__ + '.log', 'w').close()", "the update has effects beside its value: it writes the file"),
        ("pass", ""),
    ],
)
def test_an_update_is_held_to_the_same(tmp_path, line, words):
    (tmp_path / "mine.py").write_text(RULE.format(line=line))
    (result,) = check_rule(resolve_rule(f"{tmp_path}/mine.py:mine"), checks=["rule_purity"])
    assert result.outcome is (Outcome.FAILED if words else Outcome.PASSED), result.explain()
    assert words in result.trial.message


def test_large_data_are_looked_at_in_little_time():
    import time

    held = {"rows": [[float(k) for k in range(400)] for _ in range(400)], "x": np.zeros((3000, 3000))}

    def function(w):
        return w[0] * held["x"][0, 0]

    begin = time.process_time()
    before = memory(function)
    assert time.process_time() - begin < 2
    held["x"][0, 0] = 1
    assert len(changed(before, memory(function))) == 1


def test_built_in_losses_have_nothing_of_it():
    for loss in (plain(), "ridge", Objective(plain().function, plain().start)):
        assert check_loss(loss, checks=["purity"]).ok
