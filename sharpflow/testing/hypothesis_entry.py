"""Hypothesis's entry point: ``@given(loss=...)`` resolves the types `Loss` and `Rule`.

Hypothesis calls `register` when it is imported, in every project of the environment. SymPy is loaded by neither: the
strategies are registered when ``sharpflow.theory.loss`` and ``sharpflow.theory.rule`` are imported by somebody else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["register"]


def _of_loss(module: ModuleType) -> None:
    from hypothesis import strategies as st

    def resolve(kind: type) -> st.SearchStrategy[object]:
        from sharpflow.testing.strategies import losses

        return losses()

    st.register_type_strategy(module.Loss, resolve)


def _of_rule(module: ModuleType) -> None:
    from hypothesis import strategies as st

    def resolve(kind: type) -> st.SearchStrategy[object]:
        from sharpflow.testing.strategies import rules

        return rules()

    st.register_type_strategy(module.Rule, resolve)


_WAITING: dict[str, Callable[[ModuleType], None]] = {
    "sharpflow.theory.loss": _of_loss,
    "sharpflow.theory.rule": _of_rule,
}


class _Afterwards(Loader):
    """A loader that tells when its module has been executed."""

    def __init__(self, loader: Loader, then: Callable[[ModuleType], None]) -> None:
        self.loader, self.then = loader, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader inside."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader inside, and then what waited."""
        self.loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        module.__loader__ = self.loader
        self.then(module)


class _Watch(MetaPathFinder):
    """Finds the modules that something waits for, with the finders behind it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec with a loader that tells; ``None`` for every other module."""
        then = _WAITING.pop(fullname, None)
        if then is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Afterwards(spec.loader, then)
        return spec


def register() -> None:
    """Register the strategies of `Loss` and `Rule`, now or when they are imported."""
    for name, then in list(_WAITING.items()):
        if name in sys.modules:
            _WAITING.pop(name)
            then(sys.modules[name])
    if _WAITING:
        sys.meta_path.insert(0, _Watch())
