"""What every test run does: compiled programs are let go before the system runs out of memory maps for them.

Each program that XLA compiles holds some memory maps, and Linux grants a process 65 530. The caches of this project
keep programs on purpose; a whole test suite makes more than a process may hold, and XLA then ends with a segmentation
fault.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# The matrices of the tests are small: threads of the linear algebra only wait for each other, the more the busier the
# machine is. Read when NumPy is imported, and by the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A program of its own, and no tests.
collect_ignore = ["tests/mutation"]

# Of 65 530; one module of tests makes some thousands.
MOST_MAPS = 25_000


def _maps() -> int:
    try:
        with Path("/proc/self/maps").open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0  # not Linux: no such limit is known


def _let_go() -> None:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("numerics", "sharpflow"):
            for value in list(vars(module).values()):
                clear = getattr(value, "cache_clear", None)
                if callable(clear):
                    clear()
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with the most slow tests first: a process that gets one last would work while the others wait."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="module", autouse=True)
def _few_compiled_programs() -> Iterator[None]:
    """After a module of tests, let go of what is compiled where much is."""
    yield
    if _maps() > MOST_MAPS:
        _let_go()


@pytest.fixture
def interrupts_are_heard() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
