"""What every test run does: the tests of a room share a process and what it compiles, while there is room for it.

Each program that XLA compiles holds some memory maps, and Linux grants a process 65 530. The caches of this project
keep programs on purpose; a whole test suite makes more than a process may hold, and XLA then ends with a segmentation
fault.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The matrices of the tests are small: threads of the linear algebra only wait for each other, the more the busier the
# machine is. Read when NumPy is imported, and by the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Programs of tests run for milliseconds and compile for seconds: a third of that is saved where LLVM optimizes nothing.
# `XLA_FLAGS= pytest` compiles as users do, and .ci/run the deep tests.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# A program of its own, and no tests.
collect_ignore = ["tests/mutation"]

# Of 65 530; one module of tests makes some thousands.
MOST_MAPS = 40_000
# The rooms that take longest come first: a process that got one last would work while the others wait.
FIRST = ("numerics/flows", "numerics/comparison", "testing", "theory/derivation", "numerics/training", "commands")


def _maps() -> int:
    try:
        with Path("/proc/self/maps").open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0  # not Linux: no such limit is known


def _let_go() -> None:
    for name, module in list(sys.modules.items()):
        # What SymPy derived holds no programs, and takes as long to make anew.
        if name.split(".")[0] == "sharpflow" and not name.startswith("sharpflow.theory"):
            for value in list(vars(module).values()):
                clear = getattr(value, "cache_clear", None)
                if callable(clear):
                    clear()
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()
    gc.collect()


def room_of(nodeid: str) -> str:
    """The folder of a test or an example: tests/ mirrors the tree, and what is compiled there all have in common."""
    room = nodeid.split("::")[0].rpartition("/")[0]
    if room.startswith("sharpflow/"):
        room = f"tests/{room.removeprefix('sharpflow/')}"  # the examples of a room run what its tests run
    # What is written is what was derived.
    return "tests/theory/derivation" if room == "tests/theory/writing" else room


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Room by room, `FIRST` before the others."""
    rooms = [f"tests/{name}" for name in FIRST]
    places = {room: place for place, room in enumerate(rooms)}
    items.sort(key=lambda item: places.get(room_of(item.nodeid), len(rooms)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A room goes to one process as a whole."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return room_of(nodeid)

    return Rooms(config, log)


@pytest.fixture(scope="module", autouse=True)
def _few_compiled_programs() -> Iterator[None]:
    """After a module of tests, let go of what is compiled where much is."""
    yield
    if _maps() > MOST_MAPS:
        _let_go()


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    """No exact result is read from disk or written there: a test may have replaced the function that derives it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sharpflow.theory.keeping.cache_folder", lambda name: None)
        yield


@pytest.fixture
def interrupts_are_heard() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
