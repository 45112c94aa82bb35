"""How long a user waits for each command: ``python benchmarks/waits.py`` prints the table of CONTRIBUTING.md.

Nothing is kept before the first `verify`: it begins with an empty folder for caches, which the commands after it share.
Each of those is run twice and the second is measured. Processor seconds are those of all processes of a command.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

from tables import row, rule

VERIFY = ("verify",)
# The command, and what is wanted of it: seconds by the clock for verify, of the processor for the others.
WARM = (
    (VERIFY, 20.0),
    (("list",), 1.5),
    (("derive", "ridge"), 4.0),
    (("compare", "ridge"), 4.0),
    (("check", "ridge"), 6.0),
    (("check", "numerics.networks.two_layer:batch"), 15.0),
)
COLD = 70.0


def run(command: tuple[str, ...], cache: str) -> tuple[float, float, float]:
    """Seconds by the clock, of the processor, and by the clock until the first row of the table, after its head."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    first = float("nan")
    with subprocess.Popen(
        [sys.executable, "-m", "sharpflow", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "SHARPFLOW_CACHE": cache},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout):
            if number == 1:
                first = time.perf_counter() - begin
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"sharpflow {' '.join(command)} ended with status {process.returncode}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, first


def main() -> None:
    """Print the table as it is measured."""
    print(row("wait", "by the clock", "processor", "wanted"), rule(4), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        wall, processor, first = run(VERIFY, cache)
        told = f"{wall:.0f} s, first verdict after {first:.0f} s"
        print(row("first `sharpflow verify`", told, f"{processor:.0f} s", f"{COLD:.0f} s, 10 s"), flush=True)
        for command, wanted in WARM:
            if command != VERIFY:
                run(command, cache)
            wall, processor, _ = run(command, cache)
            clock = "by the clock" if command == VERIFY else "of processor"
            name = f"`sharpflow {' '.join(command)}` again"
            print(row(name, f"{wall:.1f} s", f"{processor:.1f} s", f"{wanted:g} s {clock}"), flush=True)


if __name__ == "__main__":
    main()
