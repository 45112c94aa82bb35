"""A user's file, run one statement after another: what it does beside defining things is told with its line.

Settings of the process are compared after each statement. What differs in the end is put back, since everything later
depends on it; what is written to standard output goes to standard error, since standard output may carry results. None
of it is an error. A package that a file imports may set what it likes: an import is not looked at, but a file of the
user's that it runs is run in the same way.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import IO, Any

from sharpflow.theory.user_frames import is_users

__all__ = ["REMARKS", "execute", "watching"]

# What was told of the files read so far: standard error is not shown where pytest captures it.
REMARKS: list[str] = []
_BUILTINS, _LIBRARY = vars(builtins), os.path.dirname(os.__file__)
# Of what is written to standard output after one statement, so many bytes are passed on.
MOST = 1 << 24
_watches: list[_Watch] = []


@dataclass(frozen=True)
class _Setting:
    """One of them: its name, what it is now, what gives it the value it had (if anything), and what to do instead."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object] | None
    advice: str = "Take that out."

    def now(self) -> Any:
        """``None`` where it cannot be seen."""
        with contextlib.suppress(OSError):  # the working directory was removed
            return self.read()
        return None


def _put(settings: Any, before: dict[Any, Any]) -> None:
    for name in [*settings]:
        if name not in before:
            del settings[name]
    for name, value in before.items():
        if settings.get(name) != value:
            settings[name] = value


def _put_handlers(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:  # None: not set from Python
            signal.signal(number, handler)


def _put_filters(before: list[Any]) -> None:
    warnings.filters[:] = before  # type: ignore[index]
    with warnings.catch_warnings():  # its end makes Python forget what it remembers of the filters
        pass


def _put_path(before: list[str]) -> None:
    # What is new stays findable, for imports inside of functions, and takes no installed package's place.
    new = [folder for folder in sys.path[: sys.path.index(_LIBRARY)] if folder not in before]
    sys.path[:] = [*(folder for folder in sys.path if folder not in new), *new]


def _put_jax(before: dict[str, Any]) -> None:
    config = sys.modules["jax"].config
    for name, value in before.items():
        if config.values[name] != value:
            config.update(name, value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _if_loaded(module: str, part: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: part(sys.modules[module]) if module in sys.modules else None


def _threads() -> list[Any]:
    # Those of a pool end with it.
    return [t for t in threading.enumerate() if not t.daemon and not t.name.startswith("ThreadPoolExecutor")]


SETTINGS = (
    _Setting("functions of Python's own", lambda: dict(_BUILTINS), lambda before: _put(_BUILTINS, before)),
    _Setting(
        "the working directory", os.getcwd, os.chdir,
        "Take that out, and build paths from pathlib.Path(__file__).parent.",
    ),
    _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting(
        "the environment", lambda: dict(os.environ), lambda before: _put(os.environ, before),
        "Take that out, and set it where the process is started.",
    ),
    _Setting(
        "which warnings Python shows", lambda: list(warnings.filters), _put_filters,
        "Write `with warnings.catch_warnings():` around the lines that need it.",
    ),
    _Setting("what happens at a signal", lambda: {s: signal.getsignal(s) for s in signal.Signals}, _put_handlers),
    _Setting(
        # Before Python's own: a folder that is added at the end takes nobody's place.
        "the first folders of sys.path", lambda: sys.path[: sys.path.index(_LIBRARY)], _put_path,
        "What it added comes last now, so that it takes no installed package's place: append it.",
    ),
    _Setting("sys.stdout", lambda: sys.stdout, lambda before: setattr(sys, "stdout", before)),
    _Setting("sys.stderr", lambda: sys.stderr, lambda before: setattr(sys, "stderr", before)),
    _Setting("sys.stdin", lambda: sys.stdin, lambda before: setattr(sys, "stdin", before)),
    _Setting("the umask", _umask, os.umask),
    _Setting(
        "the threads that the program waits for", _threads, None,
        "Such a thread keeps Python from ending: make it a daemon, or end it in the file.",
    ),
    _Setting(
        "the precision of decimal", _if_loaded("decimal", lambda decimal: decimal.getcontext().prec),
        lambda before: setattr(sys.modules["decimal"].getcontext(), "prec", before), "Use decimal.localcontext().",
    ),
    _Setting(
        "the precision of mpmath", _if_loaded("mpmath", lambda mpmath: mpmath.mp.prec),
        lambda before: setattr(sys.modules["mpmath"].mp, "prec", before), "Use mpmath.workdps(...).",
    ),
    _Setting(
        # Not before this program has set JAX up.
        "settings of JAX", _if_loaded("sharpflow.numerics.config", lambda config: dict(config.jax.config.values)),
        _put_jax, "Take that out: every number here supposes what it was.",
    ),
)  # fmt: skip


def _detail(before: Any, after: Any) -> str:
    if isinstance(after, dict):
        names = [getattr(name, "name", name) for name in {**before, **after} if before.get(name) != after.get(name)]
        return f" ({', '.join(sorted(names)[:5])})"
    if isinstance(after, list):
        return "".join(f" ({entry})" for entry in after if isinstance(entry, str) and entry not in before)
    return f" to {after}" if isinstance(after, str | int) else f" to a {type(after).__name__}"


class _Watch:
    """The settings that a file, with those that it imports, changes: by name, the value before and the line."""

    def __init__(self, written: IO[bytes] | None) -> None:
        self.before = [setting.now() for setting in SETTINGS]
        self.last = list(self.before)
        self.places: dict[int, str] = {}
        self.written, self.passed_on, self.output = written, 0, ""

    def look(self, place: str, /, *, left_alone: bool = False) -> None:
        """Compare, after a statement at that place; what is ``left_alone`` counts as the value before."""
        found = [dict(_BUILTINS)]
        if not left_alone:
            _BUILTINS.update(self.before[0])  # at once: what comes next is Python, too
        found += [setting.now() for setting in SETTINGS[1:]]
        for k, now in enumerate(found):
            if now == self.last[k] or (k == 0 and k in self.places):
                continue
            if self.last[k] is not None and not left_alone:
                self.places.setdefault(k, place)
            elif k not in self.places:
                self.before[k] = now
            self.last[k] = now
        self.pass_on(place)

    def pass_on(self, place: str) -> None:
        """To standard error, what was written to standard output."""
        for stream in (sys.stdout, sys.__stdout__):
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()  # type: ignore[union-attr]
        if self.written is None or not (text := os.pread(self.written.fileno(), MOST, self.passed_on)):
            return
        self.passed_on += len(text)
        sys.stderr.write(text.decode(errors="replace"))
        if not self.output and text.strip():
            what = f"writes to standard output while it is read: {text.decode(errors='replace').strip()[:60]!r}"
            why = "it went to standard error, since standard output may carry results"
            self.output = f"{place}: {what}; {why}. Take that out."

    def end(self) -> list[str]:
        """Put everything back; what is to be told."""
        remarks = []
        for k, place in self.places.items():
            setting, before, after = SETTINGS[k], self.before[k], self.last[k]
            if after == before:  # the file put it back
                continue
            what = f"changes {setting.name}{_detail(before, after)} while it is read"
            if setting.put_back is not None:
                what += ": it was put back"
                with contextlib.suppress(OSError, ValueError, RecursionError):
                    setting.put_back(before)
            remarks.append(f"{place}: {what}. {setting.advice}")
        return [*remarks, *filter(None, [self.output])]


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Within, `execute` tells what files of the user's do; it runs those, too, that an import finds."""
    finder, remarks = _Finder(), []
    try:
        with _captured() as written:
            watch = _Watch(written)
            _watches.append(watch)
            sys.meta_path.insert(sys.meta_path.index(importlib.machinery.PathFinder), finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                _watches.remove(watch)
                remarks = watch.end()
    finally:
        REMARKS.extend(remarks)
        for remark in remarks:
            print(f"sharpflow: note: {remark}", file=sys.stderr)


def execute(source: bytes, module: ModuleType, path: str, /) -> None:
    """Run the file in the name space of ``module``, one statement after another, within `watching`."""
    tree = ast.parse(source, path)
    compile(source, path, "exec", dont_inherit=True)  # what is wrong with the whole of it, before any of it runs
    future = [alias.name for node in tree.body for alias in getattr(node, "names", ()) if _module(node) == "__future__"]
    flags = sum({getattr(__future__, name).compiler_flag for name in future})
    if b"jax" in source:
        from sharpflow.numerics.config import configure

        configure()  # first, or what a file makes numerics set would count as its own doing
    module.__doc__ = ast.get_docstring(tree, clean=False)
    watch = _watches[-1]
    watch.look(path, left_alone=True)
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # alone, any text would be the docstring
        # Compiled here and not by importlib, which would leave a __pycache__ beside the user's file.
        code = compile(ast.Module([node], []), path, "exec", flags, dont_inherit=True)
        try:
            exec(code, module.__dict__)
        finally:
            watch.look(f"{path}, line {node.lineno}", left_alone=_imports(node))


def _module(node: ast.AST) -> str | None:
    return node.module if isinstance(node, ast.ImportFrom) else None


def _imports(node: ast.AST) -> bool:
    """True where a statement imports, and does nothing else but see whether it can."""
    kinds = {type(inner) for inner in ast.walk(node)}
    return bool(kinds & {ast.Import, ast.ImportFrom}) and ast.Call not in kinds


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec with a loader that looks, where it is a file of the user's."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if (
            spec is None
            or type(spec.loader) is not importlib.machinery.SourceFileLoader
            or not is_users(str(spec.origin))
        ):
            return None
        spec.loader = _Loader(fullname, str(spec.origin))
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        """As the file itself is run."""
        execute(self.get_data(self.path), module, self.path)


@contextlib.contextmanager
def _captured() -> Iterator[IO[bytes] | None]:
    """A file that gets what is written to standard output within, by Python, below it, or by a program."""
    with contextlib.ExitStack() as stack:
        try:
            written = stack.enter_context(tempfile.TemporaryFile())
            own = os.dup(1)
        except OSError:  # there is no place for files, or standard output is closed
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            yield None
            return
        stack.callback(os.close, own)
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.__stdout__.flush()  # type: ignore[union-attr]
        os.dup2(written.fileno(), 1)
        stack.callback(os.dup2, own, 1)
        text = stack.enter_context(open(os.dup(written.fileno()), "w", encoding="utf-8", errors="backslashreplace"))
        stack.enter_context(contextlib.redirect_stdout(text))
        yield written
