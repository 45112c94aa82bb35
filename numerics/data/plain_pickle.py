"""Pickles of numbers, text, plain containers and NumPy arrays, read without running anything that they name.

A pickle is a program that calls what it names. Here a name is never looked up: the few that an array is rebuilt from
stand for the classes of this file, which keep bytes and shapes, and every other name is refused.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

import numpy as np

from sharpflow.theory.errors import InputError

__all__ = ["read_plain_pickle"]

_KINDS = ("b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8")


class _Kind:
    """In place of numpy.dtype: numbers of a fixed size, and nothing that holds objects."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(_text(code) if _text(code) in _KINDS else "V0")
        if self.dtype.kind == "V":
            raise pickle.UnpicklingError(f"it has an array of type {code!r}, not of numbers")

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if order not in ("<", ">", "|") or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("it has an array of records")
        self.dtype = np.dtype(order + self.dtype.str[1:])


class _Array:
    """In place of numpy.ndarray."""

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.array = _array(data, kind, shape, "F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    """In place of numpy.core.multiarray._reconstruct: an array whose bytes come with its state."""
    return _Array()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any, *_: Any) -> _Array:
    """In place of numpy.core.numeric._frombuffer, of protocol 5."""
    result = _Array()
    result.array = _array(data, kind, shape, _text(order))
    return result


def _encode(text: Any, encoding: Any) -> bytes:
    """In place of _codecs.encode, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it has bytes in an encoding other than latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """In place of bytes, by which protocol 2 writes those of an empty array."""
    return b""


_NAMES = {
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _array(data: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("it has an array without bytes, type or shape")
    if math.prod(shape) * kind.dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"it has {len(data)} bytes for an array of shape {shape}")
    return np.frombuffer(bytes(data), kind.dtype).reshape(shape, order="F" if order == "F" else "C")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no plain data need")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def _plain(value: Any) -> Any:
    """The same with arrays in place of what stood for them."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    if isinstance(value, _Kind):
        raise pickle.UnpicklingError("it has a type by itself")
    return value


def read_plain_pickle(data: bytes, where: str, /) -> Any:
    """The object in a pickle; text of Python 2 comes as bytes.

    Raises:
        InputError: it is no pickle, it is cut off, or it names anything but plain data; nothing that it names was run.
    """
    try:
        return _plain(_Unpickler(io.BytesIO(data), encoding="bytes").load())
    # A damaged pickle makes the unpickler raise almost anything.
    except Exception as error:
        said = (str(error).split("\n")[0] or type(error).__name__)[:200]
        raise InputError(
            f"{where} is not a pickle of plain data and NumPy arrays: {said}. Nothing that it names was run; take the "
            "file anew from its source."
        ) from error
