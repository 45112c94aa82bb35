"""The gain by `sharpflow.numerics.compiled.QUICK`: ``python benchmarks/compiling.py`` prints CONTRIBUTING.md's table.

Each command is run as a user runs it, at its defaults, in a process of its own that finds nothing compiled before: in
turn with the options and without them. Processor seconds are of the whole process; seconds of gradient descent and of
the flow are those that `compare` itself reports, of calls that are compiled already.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

from tables import row, rule

COMMANDS = (
    ("compare", "ridge"),
    ("compare", "sharpflow.numerics.networks.two_layer:batch", "--time", "3"),
    ("check", "ridge"),
)
TIMES = 3
PROGRAM = """
import sys
from sharpflow import cli
from sharpflow.numerics import compiled
if sys.argv[1] == "without":
    compiled.QUICK = {}
raise SystemExit(cli.main(sys.argv[2:]))
"""


def once(how: str, command: tuple[str, ...]) -> tuple[float, float]:
    """Processor seconds, and those of gradient descent and flow together; 0 where the command does not report them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, *command, "--json", "-"], capture_output=True, text=True, check=True,
        env={**os.environ, "SHARPFLOW_CACHE": "off"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = json.loads(done.stdout).get("seconds", {})
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, seconds.get("gd", 0.0) + seconds.get("flow", 0.0)


def main() -> None:
    """Print the table: the least of some runs each, and their ratios."""
    print(row("command", "processor, with", "without", "ratio", "running, with", "without", "ratio"), rule(7), sep="\n")
    for command in COMMANDS:
        found = {"with": [], "without": []}
        for _ in range(TIMES):
            for how, runs in found.items():
                runs.append(once(how, command))
        cells = []
        for part in (0, 1):
            less, more = (min(run[part] for run in found[how]) for how in ("with", "without"))
            told = part == 0 or more > 0
            cells += [f"{less:.2f} s", f"{more:.2f} s", f"{less / more:.2f}"] if told else ["", "", ""]
        print(row(f"`sharpflow {' '.join(command)}`", *cells), flush=True)


if __name__ == "__main__":
    main()
