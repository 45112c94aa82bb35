"""Throughput of a sweep, each as a ratio measured in one run.

    python -m benchmarks.sweep            # against a bare vmapped scan of the same iteration
    python -m benchmarks.sweep --cores    # two devices, and two processes, against one
    python -m benchmarks.sweep --forced   # on 1, 2, 4 and 8 forced host devices: a split changes nothing
    python -m benchmarks.sweep --blocks 256,16384   # an iteration of a block of so many cells, on JAX's first device

Prints the ratios and exits with status 1 where one is below what is wanted (0.9, 1.6 and 1.5).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

WANTED, WANTED_DEVICES, WANTED_PROCESSES = 0.9, 1.6, 1.5
STARTS, RATES = 256, "1e-3:1e-6:7"


def bare_scan(loss, rate, steps, count):
    """Seconds of the plain scan: theta and effective_lr of ``count`` starts, nothing recorded and nothing checked."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from sharpflow.numerics.objective import objective_of

    gradient = jax.grad(objective_of(loss).function)

    def step(_, carry):
        theta, effective_lr, eps = carry
        g = gradient(theta)
        moved = theta - effective_lr * g
        shrink = (1 - eps) ** 2 * (1 + effective_lr**2 * (g @ g))
        return moved / jnp.sqrt(moved @ moved), effective_lr / shrink, eps

    def run(theta, effective_lr, eps, n):
        return jax.lax.fori_loop(0, n, step, (theta, effective_lr, eps))

    program = jax.jit(jax.vmap(run, in_axes=(0, 0, None, None)))
    angle = np.linspace(0.2, 1.4, count)
    theta = np.stack([np.cos(angle), np.sin(angle), np.full(count, 1e-3)], axis=1)
    arguments = (theta / np.linalg.norm(theta, axis=1, keepdims=True), 2 / (2 + np.cos(2 * angle)), rate)
    jax.block_until_ready(program(*arguments, 10))
    begun = time.perf_counter()
    jax.block_until_ready(program(*arguments, steps))
    return time.perf_counter() - begun


def against_bare():
    from sharpflow.commands.sweep import rates as read_rates
    from sharpflow.numerics.sweeps.sweep import sweep
    from sharpflow.theory import families

    loss, rates = families.get("ridge").default(), read_rates(RATES)
    with tempfile.TemporaryDirectory() as folder:
        sweep([loss], rates=rates[:1], starts=STARTS, out=f"{folder}/warm")  # compiles
        ours, bare = [], []
        for i in range(3):  # in turns, so that what else the machine does meets both
            begun = time.perf_counter()
            result = sweep([loss], rates=rates, starts=STARTS, out=f"{folder}/{i}")
            ours.append(time.perf_counter() - begun)
            steps = {rate: int(result.rows["steps"][result.rows["rate"] == rate][0]) for rate in result.plan.rates}
            bare.append(sum(bare_scan(loss, rate, n, STARTS) for rate, n in steps.items()))
    ours, bare, total = min(ours), min(bare), sum(steps.values()) * STARTS
    print(f"sweep {ours / total * 1e9:.2f} ns a step and cell, bare scan {bare / total * 1e9:.2f} ns")
    print(f"throughput against the bare scan: {bare / ours:.2f}, wanted {WANTED}")
    return bare / ours >= WANTED


def timed_call(*options):
    """Seconds of a sweep in processes of their own."""
    begun = time.perf_counter()
    call = [sys.executable, "-m", "sharpflow", "sweep", "ridge"]
    ran = [subprocess.Popen([*call, *one], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for one in options]
    if any(process.wait() for process in ran):
        raise SystemExit("a sweep failed")
    return time.perf_counter() - begun


def cores():
    # Two blocks of 256 starts, or one of 256 for each of two devices.
    # Long enough (some 30 s) that start-up, which is taken off and noisy by a second or two, does not matter.
    short, rates, starts = ("--rates", "1e-3"), ("--rates", "1e-6", "--time", "4"), ("--starts", "512")
    seconds = {}
    for name in ("one", "devices", "processes"):
        for turn, length in enumerate((short, short, rates)):  # the first fills the cache of compiled programs
            address = f"127.0.0.1:{20000 + (3 * os.getpid() + turn) % 20000}"
            extra = {
                "one": [("--block", "256")],
                "devices": [("--block", "512", "--devices", "2")],
                "processes": [("--block", "256", "--distributed", f"{address},2,{i}") for i in (0, 1)],
            }[name]
            with tempfile.TemporaryDirectory() as folder:
                taken = timed_call(*[(*length, *starts, "--out", f"{folder}/s", *more) for more in extra])
            seconds[name, length] = taken
            print(f"  {name}, {' '.join(length)}: {taken:.1f} s")
    run = {name: seconds[name, rates] - seconds[name, short] for name in ("one", "devices", "processes")}
    devices, processes = run["one"] / run["devices"], run["one"] / run["processes"]
    print(f"one device {run['one']:.1f} s; two devices {run['devices']:.1f} s; two processes {run['processes']:.1f} s")
    print(f"two devices: {devices:.2f} times one, wanted {WANTED_DEVICES}")
    print(f"two processes: {processes:.2f} times one, wanted {WANTED_PROCESSES}")
    return devices >= WANTED_DEVICES and processes >= WANTED_PROCESSES


def forced():
    """The same 1024 cells on more and more forced devices; as the cores stay the same, what is added is overhead."""
    import numpy as np

    from sharpflow.numerics.sweeps.sweep import read_sweep

    first, equal = None, True
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 2, 4, 8):
            out = f"{folder}/{count}"
            options = ("--starts", "1024", "--block", "1024", "--devices", str(count))
            timed_call((*options, "--rates", "1e-3", "--out", f"{folder}/warm{count}"))
            short = timed_call((*options, "--rates", "1e-3", "--out", f"{folder}/short{count}"))
            taken = timed_call((*options, "--rates", "1e-6", "--out", out)) - short
            rows = read_sweep(out).rows
            first = rows if first is None else first
            differ = 0
            for name in rows.dtype.names:
                number = rows[name].dtype.kind == "f"
                # Rounding of sums that XLA orders by the length of a batch, and what of it the oscillation keeps.
                close = np.isclose(rows[name], first[name], rtol=1e-10, atol=0, equal_nan=True) if number else None
                differ += int(np.sum(~close if number else rows[name] != first[name]))
            exact = sum(rows[name].tobytes() == first[name].tobytes() for name in rows.dtype.names)
            equal &= differ == 0
            print(
                f"  {count} devices: {taken:.1f} s, {differ} entries differ, "
                f"{exact} of {len(rows.dtype.names)} columns equal to the bit",
                flush=True,
            )
    return equal


def blocks(sizes):
    """What an iteration of a block takes, start-up and records taken off by a run at a larger rate."""
    import jax

    from sharpflow.numerics.sweeps.sweep import sweep
    from sharpflow.theory import families

    loss = families.get("ridge").default()
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")
    for size in sizes:
        seconds, steps = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(2):  # the first compiles
                for rate in (1e-3, 1e-4):
                    begun = time.perf_counter()
                    found = sweep([loss], rates=[rate], starts=size, block=size, out=f"{folder}/{turn}-{rate}")
                    seconds[rate] = time.perf_counter() - begun
                    steps[rate] = int(found.rows["steps"][0])
        one = (seconds[1e-4] - seconds[1e-3]) / (steps[1e-4] - steps[1e-3])
        print(f"  {size} cells: {one * 1e6:.1f} us, {one / size * 1e9:.2f} ns a cell", flush=True)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", action="store_true")
    parser.add_argument("--forced", action="store_true")
    parser.add_argument("--blocks", type=lambda text: [int(n) for n in text.split(",")], metavar="N,...")
    chosen = parser.parse_args()
    if chosen.blocks:
        good = blocks(chosen.blocks)
    else:
        good = cores() if chosen.cores else forced() if chosen.forced else against_bare()
    sys.exit(0 if good else 1)
