"""Arguments that several commands share, and how their text is read."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "add_plot",
    "add_run",
    "add_seed",
    "add_time_limit",
    "add_weights",
    "figure_file",
    "number",
    "numbers",
    "of_leaf",
    "positive",
    "seed",
    "start",
    "whole",
]

_SAVE = "write one by np.save('start.npy', w), w a vector of floats"
FIGURES = (".png", ".svg", ".pdf")


def number(text: str, /) -> float:
    """A finite float."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; write it as 0.001 or 1e-3") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not finite; give a finite number")
    return value


def positive(text: str, /) -> float:
    """A finite float above 0."""
    value = number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not positive; give a number above 0")
    return value


def whole(text: str, /) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def seed(text: str, /) -> int:
    """A whole number that random numbers can begin from."""
    value = whole(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    return value


def numbers(text: str, /) -> tuple[float, ...]:
    """A comma-separated list of finite floats.

    >>> numbers("0.4, -0.8")
    (0.4, -0.8)
    """
    return tuple(number(part.strip()) for part in text.split(","))


def figure_file(text: str, /) -> str:
    """A path whose ending names a format that is drawn."""
    if not text.lower().endswith(FIGURES):
        raise argparse.ArgumentTypeError(f"{text!r} must end in one of {', '.join(FIGURES)}")
    return text


def add_run(parser: argparse.ArgumentParser, /) -> None:
    """SPEC, and how gradient descent and the flow set off from it."""
    parser.add_argument("spec", metavar="SPEC", help="a built-in family, file.py:attribute, module:attribute, or text")
    parser.add_argument("--rule", default="gd-wd", help="an update rule, named as SPEC is; default: %(default)s")
    parser.add_argument(
        "--time", default="1", type=number, metavar="TAU", help="flow time, rate times iterations; default: %(default)s"
    )
    parser.add_argument(
        "--start", type=start, metavar="P1,P2,...",
        help="where the flow starts: coordinates in the chart of a Loss, a vector (FILE.npy) of an Objective",
    )  # fmt: skip
    parser.add_argument(
        "--amplitude", default="1.2", type=number, metavar="A",
        help="of the oscillation at the start, in units of its equilibrium; default: %(default)s",
    )  # fmt: skip


def add_seed(parser: argparse._ActionsContainer, what: str, /) -> None:
    """``--seed``, of ``what``."""
    parser.add_argument("--seed", default="0", type=seed, metavar="N", help=f"of {what}; default: %(default)s")


def add_time_limit(parser: argparse._ActionsContainer, default: float, what: str, /) -> None:
    """``--time-limit``, in seconds of this process's own work, of ``what``."""
    parser.add_argument(
        "--time-limit", default=f"{default:g}", type=positive, metavar="SECONDS",
        help=f"processor seconds for {what}; default: %(default)s",
    )  # fmt: skip


def of_leaf(text: str, /) -> tuple[str, float]:
    """A number for all leaves, or for those that a pattern is found in.

    >>> of_leaf("0.05"), of_leaf("bias|scale=0.01")
    (('', 0.05), ('bias|scale', 0.01))
    """
    pattern, equals, value = text.rpartition("=")
    return pattern if equals else "", number(value)


def add_weights(parser: argparse._ActionsContainer, /) -> None:
    """How weights that are not scale-invariant are trained."""
    more = "or PATTERN=NUMBER for leaves whose path it is found in (repeat for more, the first that fits)"
    for option, what in (("--learning-rate", "where weights are not scale-invariant"), ("--weight-decay", "of them")):
        parser.add_argument(option, type=of_leaf, action="append", metavar="NUMBER", help=f"{what}: a number, {more}")
    parser.add_argument("--no-decay", metavar="PATTERN", help="leaves without weight decay, as 'bias|scale'")


def add_plot(parser: argparse._ActionsContainer, option: str, what: str, /) -> None:
    """An option that draws ``what`` into a file."""
    parser.add_argument(
        option, type=figure_file, metavar="FILE", help=f"draw {what}; FILE ends in {', '.join(FIGURES)}"
    )


def start(text: str, /) -> tuple[float, ...] | np.ndarray:
    """A comma-separated list, or a vector in an npy file."""
    if text.lower().endswith(".npz"):
        raise argparse.ArgumentTypeError(
            f"{text!r} may hold several arrays; give an .npy file, as np.save('start.npy', w) writes"
        )
    if not text.lower().endswith(".npy"):
        return numbers(text)
    import numpy as np

    try:
        with open(text, "rb") as file:
            vector: np.ndarray = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise argparse.ArgumentTypeError(f"there is no file {text!r}; check the path") from None
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError):
        # NumPy's own words advise to unpickle it, which runs what is in it.
        raise argparse.ArgumentTypeError(f"{text!r} is no npy file of numbers; {_SAVE}") from None
    if not isinstance(vector, np.ndarray) or vector.dtype.kind not in "fiu":
        # A complex number would lose its imaginary part on the way.
        kind = "an archive" if not isinstance(vector, np.ndarray) else f"of type {vector.dtype}"
        raise argparse.ArgumentTypeError(f"{text!r} is {kind}, not an array of real numbers; {_SAVE}")
    return vector
