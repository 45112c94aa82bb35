"""List the built-in loss families, update rules, claims, networks and experiments."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sharpflow.terminal.output import Output, add_json, to_json
from sharpflow.terminal.tables import aligned

KINDS = ("families", "rules", "claims", "networks", "experiments")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The kind to list."""
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", choices=KINDS, help=f"one of {', '.join(KINDS)}; default: all"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print names and titles."""
    output = Output(arguments.json)
    tables = {kind: _rows_of(kind) for kind in KINDS if arguments.kind in (None, kind)}
    for i, (kind, rows) in enumerate(tables.items()):
        lines = aligned([(row["name"], row["title"]) for row in rows], indent="  ")
        output.say(*([""] if i else []), f"{kind}:", *(lines or ["  none"]))
    output.write_json(tables)
    return 0


def _rows_of(kind: str) -> list[dict[str, Any]]:
    """The rows of a kind; kept on disk, as importing what they tell of takes seconds."""
    from sharpflow import claims, numerics
    from sharpflow.theory import keeping

    making = {
        "families": _families, "rules": _rules, "claims": _claims, "networks": _networks, "experiments": _experiments,
    }  # fmt: skip
    folders = [Path(folder) for package in (claims, numerics) for folder in package.__path__]
    sources = sorted(str(source) for folder in folders for source in folder.rglob("*.py"))
    entry = keeping.entry(f"list-{kind}", sources=(__file__, *sources))
    rows: list[dict[str, Any]] = entry.get(lambda: json.loads(to_json(making[kind]())))
    return rows


def _families() -> list[dict[str, Any]]:
    from sharpflow.theory import families

    found = (families.get(name) for name in families.names())
    return [
        {
            "name": family.name,
            "title": family.title,
            "note": family.note,
            "parameters": {
                name: {"default": parameter.default, "low": parameter.low, "high": parameter.high}
                for name, parameter in family.parameters.items()
            },
        }
        for family in found
    ]


def _rules() -> list[dict[str, Any]]:
    from sharpflow.theory import rules

    found = (rules.get(name) for name in rules.names())
    return [{"name": rule.name, "title": rule.title, "rate": rule.rate, "source": rule.source} for rule in found]


def _claims() -> list[dict[str, Any]]:
    from sharpflow import claims

    return [{"name": name, "title": claims.get(name).title} for name in claims.names()]


def _networks() -> list[dict[str, Any]]:
    from sharpflow.numerics import networks

    return [
        {
            "name": name,
            "title": "; ".join([network.title, *(f"{size}={_size(value)}" for size, value in network.sizes.items())]),
            "sizes": dict(network.sizes),
            "norms": list(network.norms),
        }
        for name, network in ((name, networks.get(name)) for name in networks.names())
    ]


def _size(value: Any) -> str:
    """A size as `sharpflow train --size` reads it."""
    if isinstance(value, tuple):
        return ("/" if any(isinstance(v, tuple) for v in value) else ",").join(_size(v) for v in value)
    return str(value)


def _experiments() -> list[dict[str, Any]]:
    from sharpflow.numerics import experiments

    return [{"name": name, "title": experiments.get(name).title} for name in experiments.names()]
