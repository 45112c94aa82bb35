"""How results are printed: a line for each number, arrays by their shape.

A comparison holds a dozen series of four hundred points, and an order seven comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np

__all__ = ["brief"]

Result = TypeVar("Result")

# Numbers of an array, and entries of a sequence or a mapping, that are written out.
FEW = 8
WIDTH = 100


def brief(kind: type[Result], /) -> type[Result]:
    """A decorator of dataclasses: ``repr`` and ``print`` have a short line for each field that says something."""

    def short(self: Any) -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        said = (f"  {name} = {_shown(value)}" for name, value in values.items() if not _says_nothing(value))
        return "\n".join([type(self).__name__, *said])

    kind.__repr__ = short  # type: ignore[method-assign]
    return kind


def _says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray):
        value = np.asarray(value)  # of JAX, and NumPy's scalars
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return _shown(value.item())
        if value.ndim == 1 and value.size <= FEW and value.dtype.kind in "biufc":
            return f"[{', '.join(f'{v:.6g}' if value.dtype.kind in 'fc' else str(v) for v in value.tolist())}]"
        return f"array of shape {value.shape}"
    if isinstance(value, float):
        return f"{value:.8g}"
    if is_dataclass(value) and not isinstance(value, type):
        # The fields of a part are its own: it is printed when it is asked for.
        return type(value).__name__
    if isinstance(value, tuple | list) and (len(value) > FEW or any(is_dataclass(v) for v in value)):
        names = sorted({type(v).__name__ for v in value})
        return f"{len(value)} x {names[0]}" if len(names) == 1 else f"{len(value)} entries"
    if isinstance(value, tuple | list):
        inside = ", ".join(_shown(v) for v in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, Mapping) and len(value) > FEW:
        return f"{len(value)} entries: {', '.join(map(str, list(value)[:FEW]))}, ..."
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {_shown(v)}' for k, v in value.items())}}}"
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
