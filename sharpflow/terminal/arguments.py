"""Arguments that several commands share, and how their text is read."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from sharpflow.theory.errors import InputError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["add_plot", "add_run", "check_plot", "number", "numbers", "read_start", "save_plot", "whole"]

_SAVE = "write one by np.save('start.npy', w), w a vector of floats."
PLOT_FORMATS = (".png", ".svg", ".pdf")


def add_run(parser: argparse.ArgumentParser, /) -> None:
    """SPEC, and how gradient descent and the flow set off from it."""
    parser.add_argument("spec", metavar="SPEC", help="a built-in family, file.py:attribute, module:attribute, or text")
    parser.add_argument("--rule", default="gd-wd", help="an update rule, named as SPEC is; default: %(default)s")
    parser.add_argument(
        "--time", default="1", metavar="TAU", help="flow time, rate times iterations; default: %(default)s"
    )
    parser.add_argument(
        "--start",
        metavar="P1,P2,...",
        help="where the flow starts: coordinates in the chart of a Loss, a vector (FILE.npy) of an Objective",
    )
    parser.add_argument(
        "--amplitude",
        default="1.2",
        metavar="A",
        help="of the oscillation at the start, in units of its equilibrium; default: %(default)s",
    )


def add_plot(parser: argparse._ActionsContainer, option: str, what: str, /) -> None:
    """An option that draws ``what`` into a file."""
    parser.add_argument(option, metavar="FILE", help=f"draw {what}; FILE ends in {', '.join(PLOT_FORMATS)}")


def check_plot(path: str | None, option: str = "--plot", /) -> str | None:
    """``path`` if its ending names a format that is drawn; raises `InputError` otherwise."""
    if path is not None and not path.lower().endswith(PLOT_FORMATS):
        raise InputError(f"{option}: {path!r} must end in one of {', '.join(PLOT_FORMATS)}.")
    return path


def save_plot(figure: Any, path: str, option: str = "--plot", /) -> None:
    """Write a matplotlib figure in the format of the ending of ``path``."""
    from sharpflow.terminal.output import replacing

    with replacing(path, option) as place:
        figure.savefig(place, format=path.rsplit(".", 1)[-1].lower())


def number(text: str, option: str, /) -> float:
    """``text`` as a finite float; raises `InputError` with the name of the option."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{option}: {text!r} is not a number; write it as 0.001 or 1e-3.") from None
    if not math.isfinite(value):
        raise InputError(f"{option}: {text!r} is not finite; give a finite number.")
    return value


def whole(text: str, option: str, /) -> int:
    """``text`` as a whole number; raises `InputError` with the name of the option."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{option}: {text!r} is not a whole number.") from None


def numbers(text: str, option: str, /) -> tuple[float, ...]:
    """A comma-separated list of finite floats.

    >>> numbers("0.4, -0.8", "--start")
    (0.4, -0.8)
    """
    return tuple(number(part.strip(), option) for part in text.split(","))


def read_start(text: str | None, /) -> tuple[float, ...] | np.ndarray | None:
    """``--start``: a comma-separated list, or a vector in an npy file."""
    if text is None:
        return None
    if text.lower().endswith(".npz"):
        raise InputError(
            f"--start: {text!r} may hold several arrays; give an .npy file, as np.save('start.npy', w) writes."
        )
    if not text.lower().endswith(".npy"):
        return numbers(text, "--start")
    import numpy as np

    try:
        with open(text, "rb") as file:
            vector: np.ndarray = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"--start: there is no file {text!r}; check the path.") from None
    except OSError as error:
        raise InputError(f"--start: {text!r} cannot be read: {error.strerror or error}.") from None
    except (ValueError, EOFError):
        # NumPy's own words advise to unpickle it, which runs what is in it.
        raise InputError(f"--start: {text!r} is no npy file of numbers; {_SAVE}") from None
    if not isinstance(vector, np.ndarray) or vector.dtype.kind not in "fiu":
        # A complex number would lose its imaginary part on the way.
        kind = "an archive" if not isinstance(vector, np.ndarray) else f"of type {vector.dtype}"
        raise InputError(f"--start: {text!r} is {kind}, not an array of real numbers; {_SAVE}")
    return vector
