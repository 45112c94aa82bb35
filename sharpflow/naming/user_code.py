"""Running a file or a module of the user's, so that whatever goes wrong in it is told in terms of that file.

What it prints and what it does to settings is looked after by `sharpflow.naming.settings`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.machinery
import importlib.util
import linecache
import os
import stat
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from sharpflow.naming.isolated import in_time
from sharpflow.naming.settings import execute, watching
from sharpflow.theory.errors import InputError
from sharpflow.theory.limits import TimeLimitExceeded
from sharpflow.theory.user_frames import is_users

__all__ = ["line_of", "load_file", "load_module"]

# A file that takes longer to be read hangs; one that loads a large data set takes a few seconds.
SECONDS = 60.0
VARIABLE = "SHARPFLOW_FILE_SECONDS"
_HERE = Path(__file__).parents[1]
# Bytes of Python that anybody has written.
LARGEST = 10_000_000
# Files that were run, by place and content: file.py:a and file.py:b share their symbols and run once.
_LOADED: dict[tuple[str, bytes], ModuleType] = {}


def load_file(path: str, /) -> ModuleType:
    """The module that a Python file defines; raises `InputError` with file and line for every failure in it."""
    place = Path(path).expanduser()
    try:
        place = place.resolve()
        found = place.stat()
        if not stat.S_ISREG(found.st_mode) and not place.is_dir():  # a device has no end, a pipe may never begin
            raise InputError(f"cannot read {path!r}: it is no regular file; name a file of Python.")
        if found.st_size > LARGEST:
            raise InputError(
                f"cannot read {path!r}: it has {found.st_size} bytes, and {LARGEST} is the limit; let it load its data "
                "from another."
            )
        source = place.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {path!r} (seen from {os.getcwd()}); check the path.") from None
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}.") from None
    key = (str(place), hashlib.sha256(source).digest())
    if key not in _LOADED:
        _LOADED[key] = _run(place, source, path)
    return _LOADED[key]


def _full_name(name: str) -> str:
    """``numerics.networks.mlp`` is ``sharpflow.numerics.networks.mlp``, unless the user has a module of that name."""
    wing, *inside = name.split(".")
    if wing not in ("theory", "numerics"):
        return name
    found = importlib.machinery.PathFinder.find_spec(wing)
    if found is not None and found.origin and Path(found.origin).samefile(_HERE / wing / "__init__.py"):
        found = None  # the folder of the sources itself, from where it is the current directory
    for k, part in enumerate(inside):
        if found is not None:  # a plain module has nothing inside
            places = found.submodule_search_locations
            full = ".".join((wing, *inside[:k], part))
            found = None if places is None else importlib.machinery.PathFinder.find_spec(full, list(places))
    return f"sharpflow.{name}" if found is None else name


def load_module(name: str, /) -> ModuleType:
    """The module of that dotted name, looked for in the current directory too."""
    _add_to_path(os.getcwd())
    importlib.invalidate_caches()
    name = _full_name(name)
    try:
        with in_time(_seconds()), watching():
            return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.skip and the like are no Exceptions
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise InputError(
                f"there is no module {error.name!r}; a module must be installed or lie in the current directory "
                f"({os.getcwd()}), a file is named as path/to/file.py:attribute."
            ) from None
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        _explain(error, next(filter(is_users, files), ""), name)


def line_of(module: ModuleType, name: str, /) -> int | None:
    """The line on which the module last assigns, defines or imports ``name`` at its top level."""
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    lines = []
    for node in ast.walk(tree):
        stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name
        defined = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
        imported = isinstance(node, ast.Import | ast.ImportFrom) and any(
            (a.asname or a.name) == name for a in node.names
        )
        if stored or defined or imported:
            lines.append(int(node.lineno))  # type: ignore[attr-defined]
    return max(lines, default=None)


def _seconds() -> float:
    """How long a file may take to be read: the environment variable `VARIABLE`, a number of seconds, else `SECONDS`."""
    given = os.environ.get(VARIABLE, "")
    if not given:
        return SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise InputError(f"{VARIABLE}={given!r} is no number of seconds; give one above 0, as in {VARIABLE}=300.")
    return seconds


def _assigned(path: str, line: int | None) -> str:
    """The names that the statement of that line assigns at the top level, as ", mine"; empty where none is clear."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and line is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.lineno <= line <= (node.end_lineno or node.lineno):
                return f", {', '.join(ast.unparse(target) for target in targets)}"
    return ""


def _run(place: Path, source: bytes, shown: str) -> ModuleType:
    name = f"_{place.stem}_{hashlib.sha256(str(place).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, place, loader=None) or importlib.util.spec_from_loader(
        name, None
    )
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(place)
    _add_to_path(str(place.parent))  # for the files beside it that it imports
    linecache.checkcache(str(place))
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        with in_time(_seconds()), watching():
            execute(source, module, str(place))
    except KeyboardInterrupt:
        sys.modules.pop(name, None)
        raise
    except BaseException as error:  # pytest.skip and the like are no Exceptions
        sys.modules.pop(name, None)
        _explain(error, str(place), shown)
    return module


def _add_to_path(folder: str) -> None:
    # At the end, so that a file of the user's never takes the place of an installed package.
    if folder not in sys.path:
        sys.path.append(folder)


def _explain(error: BaseException, path: str, shown: str) -> NoReturn:
    """Raise `InputError` for what the user's code at ``path`` raised."""
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        where = f"{error.filename}, line {error.lineno}"
        text = f"\n    {error.text.strip()}" if error.text else ""
        raise InputError(f"{where}: not valid Python: {error.msg}. Correct that line.{text}") from None
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    where = f"{path or shown}, line {lines[-1]}" if lines else path or shown
    if len(lines) > 1 and isinstance(error, InputError):
        # Built by a function of the file: the line that called it, and what was to be assigned there, name the culprit.
        where = f"{path or shown}, line {lines[0]}{_assigned(path, lines[0])} (in line {lines[-1]})"
    if isinstance(error, InputError):
        rest = "" if len(lines) < 2 else " Until that is corrected, nothing else of the file is read."
        raise InputError(f"{where}: {error}{rest}") from None
    if isinstance(error, TimeLimitExceeded):
        raise InputError(
            f"{where}: still running after {_seconds():g} s; a file should define losses and rules, and compute "
            "nothing long when it is read. Correct that line, keep the result in a file that is loaded, or set "
            f"{VARIABLE}."
        ) from None
    if isinstance(error, SystemExit):
        raise InputError(
            f"{where}: the file ends the program (sys.exit, exit, quit or os._exit); take that out."
        ) from None
    if isinstance(error, ModuleNotFoundError):
        advice = f"Install {error.name}, or correct its name."
    elif isinstance(error, ImportError) and "relative import" in str(error):
        advice = "A file with relative imports is part of a package: name it as package.module:attribute."
    else:
        advice = "Correct that line; `python " + (path or shown) + "` shows the whole traceback."
    message = " ".join(str(error).split()) or "no message"
    raise InputError(f"{where}: {type(error).__name__}: {message[:500].rstrip('.')}. {advice}") from None
