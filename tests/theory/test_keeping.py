"""Results kept on disk: another question or program asks for another entry, and damage is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sympy as sp

from sharpflow.theory import families, keeping
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.loss import Loss


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "cache_folder", lambda name: tmp_path)
    return tmp_path


def test_what_was_kept_is_read_again(place):
    one = keeping.entry("sum", "1 + 1")
    assert one.read() is None
    assert one.get(lambda: {"value": 2}) == {"value": 2}
    assert keeping.entry("sum", "1 + 1").get(lambda: pytest.fail("made again")) == {"value": 2}
    assert [path.name for path in place.iterdir()] == [one.path.name]
    for other in (keeping.entry("sum", "1 + 2"), keeping.entry("product", "1 + 1"), keeping.entry("sum", "1", "1")):
        assert other.read() is None


def test_nothing_kept_is_read_where_all_is_to_be_made_anew(place):
    one = keeping.entry("sum", "1 + 1")
    one.write(3)
    with keeping.ignored():
        assert keeping.ignoring()
        assert one.get(lambda: 2) == 2
    assert one.read() == 2


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 40, b"\xff\xfe", b"[1, 2]", b'{"sha256": 1, "content": 5}', b"{}", b"[" * 100_000]
)
def test_whatever_a_kept_file_holds_it_is_read_or_refused(place, content, capsys):
    one = keeping.entry("sum", "1 + 1")
    one.path.write_bytes(content)
    assert one.read() is None
    assert one.path.name in capsys.readouterr().err
    assert one.get(lambda: 2) == 2
    assert (one.read(), "damaged" in capsys.readouterr().err) == (2, True)


def test_one_changed_letter_is_damage(place, capsys):
    one = keeping.entry("sum", "1 + 1")
    one.write("two")
    one.path.write_text(one.path.read_text().replace("two", "ten"))
    assert one.read() is None
    assert "damaged" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    missing = keeping.Entry(tmp_path / "missing" / "x.json")
    missing.write(1)
    assert missing.read() is None
    keeping.Entry(None).write(1)
    assert keeping.Entry(None).get(lambda: 2) == 2


def test_a_question_without_a_text_is_not_kept(place):
    assert keeping.entry("sum", "1", None).path is None


def test_a_change_of_the_exact_wing_asks_for_another_entry(place, tmp_path, monkeypatch):
    """In a folder below it, too; and a file that is renamed, or another that makes the answer."""
    tree = tmp_path / "theory"
    shutil.copytree(Path(keeping.__file__).parent, tree, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keeping, "HERE", tree)
    claim = tmp_path / "claim.py"
    claim.write_text("1")

    def program(*sources):
        keeping.program.cache_clear()
        return keeping.program(tuple(map(str, sources)))

    seen = [program(), program(claim)]
    claim.write_text("2")
    seen.append(program(claim))
    (tree / "proving" / "zero.py").write_text("pass")
    seen.append(program())
    (tree / "proving" / "zero.py").rename(tree / "proving" / "nought.py")
    seen.append(program())
    monkeypatch.setattr(keeping, "_version", lambda name: "0")
    seen.append(program())
    assert len(set(seen)) == len(seen)
    keeping.program.cache_clear()


def test_a_loss_is_known_by_its_content_and_not_by_its_name():
    ridge = families.get("ridge").default()
    x, y = sp.symbols("x y", real=True)
    variants = [
        ridge,
        Loss(name="ridge", variables=(x, y), expression=x**2 / (x**2 + y**2)),
        Loss(name="ridge", variables=(y, x), expression=x**2 / (x**2 + y**2)),
        Loss(name="ridge", variables=(x, y), expression=x**2 / (x**2 + 2 * y**2)),
    ]
    assert len({exact_fingerprint(loss) for loss in variants}) == len(variants)
    assert exact_fingerprint(families.get("ridge").member()) == exact_fingerprint(ridge)


def test_a_formula_with_a_function_of_the_users_own_is_not_kept():
    class Bump(sp.Function):
        @classmethod
        def eval(cls, x):
            return None

    x, y = sp.symbols("x y", real=True)
    assert exact_fingerprint(Loss(name="bump", variables=(x, y), expression=Bump(x / y))) is None
