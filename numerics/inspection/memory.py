"""What a user's function can remember between its calls: globals, closures, defaults, attributes, generators, files.

A digest of everything mutable within its reach, taken before a call and after it, differs where the call left something
behind. What packages and Python keep for themselves (caches of jit and lru_cache, imported modules) is not looked at.
"""

from __future__ import annotations

import array
import collections
import functools
import hashlib
import io
import itertools
import os
import pickle
import random
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from sharpflow.naming.user_frames import is_users

__all__ = ["changed", "memory"]

# Containers inside each other, entries of one, and values of one variable that are looked into: half a second.
DEPTH, ENTRIES, VALUES = 4, 1000, 100_000
# Bytes of an array that are read, a hundredth of a second; of a longer one so many entries.
BYTES = 1 << 24
SCALARS = (type(None), bool, int, float, complex, str, bytes)


def memory(*functions: Any) -> dict[str, Any]:
    """What the functions, and those of the user's that they call, keep: name and place to a digest."""
    return {label: _Digest().of(value, DEPTH) for label, value in _variables(functions)}


def changed(before: dict[str, Any], after: dict[str, Any], /) -> list[str]:
    """The names of what is in both and differs."""
    return [label for label, digest in before.items() if label in after and after[label] != digest]


def _own(filename: str) -> bool:
    """Whether code is the user's: of a file, or typed into an interpreter."""
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
                stack += _methods(value)


def _methods(value: Any) -> list[Any]:
    """Methods of an object, or a class, of the user's: what is called on it may use more of their globals."""
    kind = value if isinstance(value, type) else type(value)
    inside = [part for part in vars(kind).values() if isinstance(part, FunctionType)]
    return [part for part in inside if _own(part.__code__.co_filename)]


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


class _This:
    """The object itself; keeps it, or the next one would have its id."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _This) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class _Digest:
    """Something hashable that is equal as long as a value stays what it is; of one variable."""

    def __init__(self) -> None:
        self.left = VALUES

    def of(self, value: Any, depth: int) -> Any:
        """Of a value; of what lies too deep, only which object it is."""
        self.left -= 1
        if isinstance(value, SCALARS):
            return type(value).__name__, repr(value) if isinstance(value, float | complex) else value
        if isinstance(value, np.ndarray) and value.dtype != object:
            few = value if value.nbytes <= BYTES else value.ravel()[:: value.size // ENTRIES]
            return value.shape, value.dtype.str, hashlib.blake2b(np.ascontiguousarray(few).tobytes()).digest()
        if isinstance(value, bytearray | array.array):
            return len(value), hashlib.blake2b(bytes(value)).digest()
        if isinstance(value, random.Random):
            return value.getstate()
        if isinstance(value, np.random.Generator):
            return pickle.dumps(value.bit_generator.state)
        if isinstance(value, np.random.RandomState):
            return pickle.dumps(value.get_state())
        if isinstance(value, itertools.count):
            return repr(value)
        if isinstance(value, io.IOBase):
            return _This(value), value.closed or (value.tell() if value.seekable() else 0)
        if depth == 0 or self.left < 0:
            return _This(value)
        if isinstance(value, list | tuple | collections.deque):
            return len(value), tuple(self.of(part, depth - 1) for part in itertools.islice(value, ENTRIES))
        if isinstance(value, set | frozenset):
            return len(value), frozenset(self.of(part, depth - 1) for part in itertools.islice(value, ENTRIES))
        if isinstance(value, dict):
            some = itertools.islice(value.items(), ENTRIES)
            return len(value), tuple((self.of(k, depth - 1), self.of(v, depth - 1)) for k, v in some)
        return _This(value), self._attributes(value, depth)

    def _attributes(self, value: Any, depth: int) -> Any:
        """Of an object, or a class, that the user defined."""
        kind = value if isinstance(value, type) else type(value)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None) or "<"
        if not is_users(file) and kind.__module__ != "__main__":
            return ()
        parts = {name: part for name, part in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
        parts |= {name: getattr(value, name, None) for name in getattr(kind, "__slots__", ()) if isinstance(name, str)}
        plain = {name: part for name, part in parts.items() if not isinstance(part, FunctionType | property)}
        return tuple((name, self.of(part, depth - 1)) for name, part in sorted(plain.items()))
