"""A key that stands for one object: caches by identity, for values that do not hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Identity"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Identity(Generic[T]):
    """Equal to another exactly if both hold the very same object, which is kept alive."""

    value: T

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
