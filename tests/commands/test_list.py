"""The list of what there is, kept on disk by the content of what it tells of."""

from __future__ import annotations

import json

import pytest

from sharpflow import cli
from sharpflow.theory import keeping, rules


def test_a_list_is_kept_and_comes_back_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(keeping, "cache_folder", lambda name: tmp_path)
    assert cli.main(["list", "rules", "--json", "-"]) == 0
    first = capsys.readouterr().out
    assert [row["name"] for row in json.loads(first)["rules"]] == list(rules.names())
    monkeypatch.setattr("sharpflow.commands.list._rules", lambda: pytest.fail("made again"))
    assert cli.main(["list", "rules", "--json", "-"]) == 0
    assert capsys.readouterr().out == first
    assert len(list(tmp_path.iterdir())) == 1


def test_every_name_that_is_listed_is_there(capsys):
    """A file of networks/ that defines none ended every `list` with a traceback."""
    from sharpflow.numerics import networks

    assert all(networks.get(name).name == name for name in networks.names())
