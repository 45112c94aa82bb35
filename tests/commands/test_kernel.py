"""`derive --format coq`, `prove --format coq` and `verify --kernel` on the command line, with coqc and without it."""

import json

import pytest

from sharpflow import cli
from sharpflow.theory.kernel import coqc as compiler


@pytest.fixture
def without_coqc(monkeypatch):
    monkeypatch.setattr(compiler.shutil, "which", lambda name: None)
    compiler.coqc.cache_clear()
    yield
    compiler.coqc.cache_clear()


@pytest.mark.usefixtures("without_coqc")
def test_without_coqc_the_file_is_written_and_a_sentence_says_how_to_install_it(tmp_path, capsys):
    place = tmp_path / "derivation.v"
    told = tmp_path / "told.json"
    words = ["derive", "generic", "--rule", "constant-lr", "--format", "coq", "--output", str(place)]
    assert cli.main([*words, "--json", str(told)]) == 0
    assert "not checked: no coqc that knows Coquelicot is on the path" in capsys.readouterr().out
    assert "Theorem energy_is_conserved" in place.read_text(encoding="utf-8")
    content = json.loads(told.read_text(encoding="utf-8"))
    assert content["kernel"] is None
    assert content["exported"] + content["not_exported"] == content["steps"]
    assert cli.main(["verify", "ridge", "--claim", "energy", "--kernel"]) == 2
    assert "apt-get install coq libcoq-coquelicot" in capsys.readouterr().err


@pytest.mark.skipif(compiler.coqc() is None, reason="no coqc: apt-get install coq libcoq-coquelicot")
def test_what_is_proved_of_a_statement_is_checked(tmp_path, capsys):
    words = ["prove", "generic", "--symbols", "a:real,b:real", "--that", "(a + b)^2 = a^2 + 2*a*b + b^2"]
    assert cli.main([*words, "--format", "coq", "--output", str(tmp_path / "mine.v")]) == 0
    assert "accepted by the kernel" in capsys.readouterr().out


def test_a_file_for_lemmas_needs_their_format(tmp_path, capsys):
    assert cli.main(["prove", "ridge", "--that", "sharpness > 0", "--output", str(tmp_path / "mine.v")]) == 2
    assert "--output is for --format coq" in capsys.readouterr().err
