"""Purity of a user's function: its trace is read, its calls are watched, and what it remembers is compared.

A jaxpr holds every operation of a JAX function with its types: callbacks to the host and single precision show there;
two traces that differ come from something that the function remembers or draws. What it does to files, processes and
the network the interpreter reports (PEP 578). What it remembers shows in a digest of everything mutable within its
reach; what packages and Python keep for themselves (caches of jit and lru_cache, imported modules) is not looked at.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import os
import pickle
import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr

from sharpflow.theory.user_frames import is_pythons, is_users

__all__ = ["Trace", "changed", "memory", "noted", "read_trace"]

LOW = ("float32", "float16", "bfloat16")
WORDS = 200
# Of the global generators: none that a function would be likely to set by itself, which would then change nothing.
SEEDS = (860_233, 860_239)
# Bytes of what one variable holds that are digested, a tenth of a second; of a longer array so many entries.
BYTES, ENTRIES = 1 << 26, 1000
# Whose objects are plain data, digested by what they hold. Of the user's own objects the attributes are; of anything
# else, only which object it is.
PLAIN = ("builtins", "array", "collections", "datetime", "decimal", "fractions", "numpy", "random", "_random", "_io")
# By the event: what was done, and whether its first argument is a path.
_EVENTS: dict[str, tuple[str, bool]] = {
    "os.chdir": ("changes the working directory to", True), "os.chmod": ("changes the mode of", True),
    "os.exec": ("becomes the program", True), "os.fork": ("starts a process", False),
    "os.kill": ("sends a signal", False), "os.link": ("links the file", True), "os.mkdir": ("makes the folder", True),
    "os.posix_spawn": ("starts the program", True), "os.putenv": ("sets in the environment", True),
    "os.remove": ("removes the file", True), "os.rename": ("renames the file", True),
    "os.rmdir": ("removes the folder", True), "os.spawn": ("starts a process", False),
    "os.symlink": ("links the file", True), "os.system": ("runs the command", True),
    "os.truncate": ("cuts the file", True), "os.unsetenv": ("takes out of the environment", True),
    "os.utime": ("changes the times of", True), "socket.bind": ("listens on a socket", False),
    "socket.connect": ("connects to the network", False), "socket.sendto": ("sends to the network", False),
    "socket.getaddrinfo": ("asks the network for the host", True), "sqlite3.connect": ("opens the database", True),
    "subprocess.Popen": ("starts the program", True),
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What JAX keeps of compiled programs, by whatever package it writes them.
_KEPT = ("compilation_cache.py", "compiler.py", "lru_cache.py", "path.py")


@dataclass(frozen=True)
class Trace:
    """The trace of a function, as far as it shows effects.

    Attributes:
        callbacks: names of operations that leave the program.
        low_precision: operations whose result is less than float64, though w is float64.
        impure: what differs between two traces or calls; empty where nothing does.
        prints: what it printed while it was traced or called.
        effects: what it did to files, processes and the network, with the line.
        drawn: what it did to the global random states; empty where nothing.
        changes: variables that it changed.
    """

    callbacks: tuple[str, ...]
    low_precision: tuple[str, ...]
    impure: str
    prints: str
    effects: tuple[str, ...] = ()
    drawn: str = ""
    changes: tuple[str, ...] = ()


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner)


def read_trace(function: Callable[[Any], Any], start: np.ndarray, /, *, also: tuple[Any, ...] = ()) -> Trace:
    """Trace ``function`` twice and call it twice at ``start`` (D,), under different global random states.

    What it leaves behind is looked for the second time, when what it keeps for good (``lru_cache``, imports) is there.

    Args:
        function: takes a float array (D,), returns a scalar.
        start: (D,).
        also: functions that it calls in a way that cannot be seen from it.
    """
    w = jnp.asarray(start)
    printed = io.StringIO()
    traces, values, effects, drawn = [], [], [], ""

    def body() -> None:
        # A fresh function each time, or JAX would remember the first trace.
        traces.append(jax.make_jaxpr(lambda v: function(v))(w))
        values.append(np.asarray(function(w)))

    with contextlib.redirect_stdout(printed):
        for seed in SEEDS:
            kept = memory(function, *also)
            with _seeded(seed):
                states = _random_states()
                effects = noted(body)
                drawn = _random_change(states)
    changes = changed(kept, memory(function, *also))
    callbacks, low = [], []
    for equation in _equations(traces[0].jaxpr):
        name = str(equation.primitive)
        if "callback" in name or "outside_call" in name or name in ("infeed", "outfeed"):
            callbacks.append(name)
    # What the value does not depend on, such as running statistics that are thrown away, may have any precision.
    needed, _ = dce_jaxpr(traces[0].jaxpr, [True] * len(traces[0].jaxpr.outvars))
    for equation in _equations(needed):
        name = str(equation.primitive)
        if any(str(getattr(v.aval, "dtype", "")) in LOW for v in equation.outvars):
            low.append(name)
    impure = ""
    if str(traces[0]) != str(traces[1]):
        impure = "two traces of it are different programs"
    elif any(not _equal(a, b) for a, b in zip(traces[0].consts, traces[1].consts, strict=True)):
        impure = "two traces of it hold different constants"
    elif not _equal(values[0], values[1]):
        impure = f"two calls at one point give {float(values[0]):.17g} and {float(values[1]):.17g}"
    return Trace(
        tuple(dict.fromkeys(callbacks)), tuple(dict.fromkeys(low)), impure, printed.getvalue()[:WORDS],
        tuple(effects), drawn, tuple(changes),
    )  # fmt: skip


def _equal(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))


class _Watch:
    """Where the body of `noted` runs, and what was noted: one thing for a line."""

    def __init__(self, around: CodeType) -> None:
        self.around = around
        self.thread = threading.get_ident()
        self.found: dict[str, str] = {}


_watches: list[_Watch] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches or (event != "open" and event not in _EVENTS):
        return
    watch = _watches[-1]
    if threading.get_ident() != watch.thread:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        # A descriptor was opened by somebody before.
        if isinstance(path, int) or not _writes(mode, flags) or os.fsdecode(path) == os.devnull:
            return
        what = f"writes the file {_shown(path)}"
    else:
        text, named = _EVENTS[event]
        what = f"{text} {_shown(arguments[0])}" if named and arguments else text
    place = _place(sys._getframe(1), watch.around)
    if place is not None:
        watch.found.setdefault(place, what)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)


def _shown(value: Any) -> str:
    return repr(os.fsdecode(value) if isinstance(value, bytes) else str(value))[:80]


def _place(frame: FrameType | None, around: CodeType) -> str | None:
    """The user's line that leads to this frame; ``None`` where it is JAX, or a module being imported, that does it."""
    place, caller = "", ""
    while frame is not None and frame.f_code is not around:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        parts = name.replace("\\", "/").split("/")
        if not caller and not is_pythons(name):
            caller = name
            if {"jax", "jaxlib"} & set(parts) and not is_users(name):
                return None
        if parts[-3:-1] == ["jax", "_src"] and parts[-1] in _KEPT:
            return None
        if not place and is_users(name):
            place = f"{name}, line {frame.f_lineno}"
        frame = frame.f_back
    return place


@functools.cache
def _install() -> None:  # for good, since a hook cannot be taken out; idle but within `noted`
    sys.addaudithook(_hook)


def noted(body: Callable[[], Any], /) -> list[str]:
    """Run ``body``; what it does to files, processes and the network, each with the user's line that does it."""
    _install()
    watch = _Watch(noted.__code__)
    _watches.append(watch)
    try:
        body()
    finally:
        _watches.remove(watch)
    return [f"{what} ({place})" if place else what for place, what in watch.found.items()]


def _random_states() -> tuple[Any, bytes]:
    return random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002  the user's function may use it


def _random_change(before: tuple[Any, bytes], /) -> str:
    """The changes of the global random states since, empty where nothing did."""
    whose = [name for name, a, b in zip(("Python", "NumPy"), before, _random_states(), strict=True) if a != b]
    return f"draws from, or seeds, the global random state of {' and '.join(whose)}" if whose else ""


@contextlib.contextmanager
def _seeded(seed: int, /) -> Iterator[None]:
    """Global generators at a seed, and put back afterwards."""
    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(numpys)  # noqa: NPY002


def memory(*functions: Any) -> dict[str, _Digest]:
    """The state that the functions, and those of the user's that they call, keep: name and place to a digest."""
    return {label: _Digest(value) for label, value in _variables(functions)}


def changed(before: dict[str, _Digest], after: dict[str, _Digest], /) -> list[str]:
    """The names of what is in both and differs."""
    return [name for name, digest in before.items() if name in after and after[name].bytes != digest.bytes]


def _own(filename: str) -> bool:
    """True where code is the user's: of a file, or typed into an interpreter."""
    return is_users(filename) or (filename.startswith("<") and not filename.startswith(("<frozen", "<lambdify")))


def _names(code: CodeType) -> set[str]:
    """Global names and attributes in a function and the functions inside it."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _callable(value: Any) -> bool:
    return isinstance(value, FunctionType | MethodType | functools.partial) or (
        callable(value) and not isinstance(value, type) and hasattr(value, "__wrapped__")
    )


def _variables(functions: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Everything within reach of the functions that is no function: a label for the reader, and the value."""
    stack, seen = list(functions), {}
    while stack:
        function = stack.pop()
        if id(function) in seen:
            continue
        seen[id(function)] = function  # kept, or another object could have its id
        found: list[tuple[str, Any]] = []
        if isinstance(function, functools.partial):
            stack.append(function.func)
            found += [(f"argument {k} of a partial", v) for k, v in enumerate(function.args)]
            found += [(f"{name} of a partial", v) for name, v in function.keywords.items()]
        elif isinstance(function, MethodType):
            stack.append(function.__func__)
            found.append((f"self of {function.__func__.__qualname__}", function.__self__))
        elif isinstance(function, FunctionType):
            found += _reached(function, function in functions or _own(function.__code__.co_filename))
        elif callable(function):
            found.append((type(function).__name__, function))
        if (wrapped := getattr(function, "__wrapped__", None)) is not None:
            stack.append(wrapped)
        for label, value in found:
            if _callable(value):
                stack.append(value)
            elif not isinstance(value, ModuleType):
                yield label, value
                # What is called on an object of the user's may use more of their globals.
                methods = vars(value if isinstance(value, type) else type(value)).values()
                stack += [m for m in methods if isinstance(m, FunctionType) and _own(m.__code__.co_filename)]


def _reached(function: FunctionType, own: bool) -> Iterator[tuple[str, Any]]:
    """Of a function that is not the user's ``own``, only what it calls."""
    code, where = function.__code__, os.path.basename(function.__code__.co_filename)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if own or _callable(value):
            yield f"{name} in {function.__qualname__} of {where}", value
    if not own:
        return
    names = _names(code)
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield f"{name} of {where}", value
        if isinstance(value, ModuleType) and is_users(getattr(value, "__file__", None) or "<"):
            for inner in sorted(names & vars(value).keys()):
                yield f"{name}.{inner}", vars(value)[inner]
    for k, default in enumerate((*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())):
        yield f"default {k + 1} of {function.__qualname__} of {where}", default
    for name, value in vars(function).items():
        yield f"{function.__qualname__}.{name} of {where}", value


class _Digest(pickle.Pickler):
    """Bytes that stay the same as long as a value does: a hash of its pickle, which nobody reads."""

    def __init__(self, value: Any) -> None:
        super().__init__(self, protocol=5)  # what it writes to is below
        self.fast = True  # equal texts are equal, whether or not they are one object
        self.hash, self.left = hashlib.blake2b(), BYTES
        self.kept: dict[int, Any] = {}  # or another object could come to have the same id
        with contextlib.suppress(ValueError, RecursionError):  # it is long, or holds itself
            self.dump(value)
        self.bytes = self.hash.digest()

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("enough was digested")

    def reducer_override(self, value: Any) -> Any:
        """The text that stands for whatever is neither a plain container nor a number."""
        if value is int or value is str:
            return NotImplemented
        if isinstance(value, np.ndarray) and value.nbytes > BYTES // 4:
            return str, (f"{value.shape} {value.dtype}", value.ravel()[:: value.size // ENTRIES].tobytes())
        if isinstance(value, io.IOBase) and not isinstance(value, io.StringIO | io.BytesIO):
            return self._which(value, value.closed or (value.tell() if value.seekable() else 0))
        kind = value if isinstance(value, type) else type(value)
        own = is_users(getattr(sys.modules.get(kind.__module__), "__file__", None) or "<")
        if own or kind.__module__ == "__main__":
            return self._which(value, () if id(value) in self.kept else _attributes(value, kind))
        if kind is itertools.count:
            return str, (repr(value),)
        named = kind is object or isinstance(value, type | FunctionType | ModuleType)
        if kind.__module__.split(".")[0] in PLAIN and not named:
            with contextlib.suppress(TypeError):  # of a generator, say, nothing can be told
                return value.__reduce_ex__(5)
        return self._which(value, ())

    def _which(self, value: Any, more: Any) -> Any:
        self.kept[id(value)] = value
        return int, (id(value), more)


def _attributes(value: Any, kind: type) -> list[tuple[str, Any]]:
    parts = {name: part for name, part in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
    parts |= {name: getattr(value, name, None) for name in getattr(kind, "__slots__", ()) if isinstance(name, str)}
    return [(name, part) for name, part in sorted(parts.items()) if not isinstance(part, FunctionType | property)]
