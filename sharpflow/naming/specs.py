"""One way to name a loss or a rule, on the command line and in a call.

    a built-in name              ridge      gd-wd      ridge(a=5/2)
    a file of the user's         path/to/file.py:attribute
    a module                     package.module:attribute; of either the object, or a function without arguments
                                 that makes it
    text with an operator in it  z^2/(x^2 + y^2 + z^2)         (a loss only)

``generic`` is reserved: it stands for the arbitrary loss of the proofs.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import sympy as sp

from sharpflow.naming.clock import clock_mismatch
from sharpflow.naming.expressions import parse_expression, parse_loss, remarks
from sharpflow.naming.isolated import in_time
from sharpflow.naming.user_code import line_of, load_file, load_module
from sharpflow.theory import families, rules
from sharpflow.theory.errors import InputError, did_you_mean
from sharpflow.theory.family import Family
from sharpflow.theory.limits import TimeLimitExceeded
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule
from sharpflow.theory.user_frames import raised_at

if TYPE_CHECKING:
    from sharpflow.numerics.objective import Objective

__all__ = ["is_text", "resolve_attribute", "resolve_loss", "resolve_rule"]

# One update of a rule on plain numbers takes milliseconds.
SECONDS = 20.0
# Data are loaded and a network is built in it.
MAKING = 120.0
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_NAME = re.compile(r"[^\W\d]\w*([-.][^\W\d]\w*)*")
_MEMBER = re.compile(r"([^\W\d][\w-]*)\((.*=.*)\)", re.DOTALL)


def resolve_loss(spec: str, /, *, needs_minima: bool = False) -> Loss | Objective:
    """The loss that ``spec`` names: a `Loss`, or an `Objective` where a file defines one.

    Args:
        spec: its name, where it is defined, or text.
        needs_minima: whether text, which has none, is refused.

    Raises:
        InputError: nothing is named so, the user's file fails (then with its name and line), or it is no loss.

    >>> resolve_loss("ridge(a=3)").name
    'ridge(a=3)'
    """
    spec = _text(spec, "loss")
    if spec in families.names():
        return families.get(spec).default()
    if spec == "generic":
        raise InputError("'generic' is reserved for the arbitrary loss of the proofs; name a loss here.")
    if member := _MEMBER.fullmatch(spec):
        if member[1] not in families.names():
            raise InputError(_unknown("loss family", member[1], families.names(), ""))
        return families.get(member[1]).member(**_values(member[2]))
    if ":" in spec or spec.endswith(".py"):
        return _loss(*resolve_attribute(spec, _is_loss, "a Loss or an Objective"))
    if is_text(spec):
        parsed = parse_loss(spec)
        for remark in remarks(spec):
            print(f"sharpflow: note: {remark}", file=sys.stderr)
        if needs_minima:
            raise InputError(
                f"the loss {parsed.name!r} is text, and text has no minima to start from: define it in a file as a "
                'Loss with Minima and name it as path/to/file.py:attribute (README, "A loss of your own").'
            )
        return parsed
    raise InputError(_unknown("loss family", spec, families.names(), ", or text such as 'x^2/(x^2 + y^2)'"))


def is_text(spec: str, /) -> bool:
    """True where ``spec`` spells a loss and does not name one.

    >>> is_text("x^2/(x^2 + y^2)"), is_text("ridge(a=3)"), is_text("file.py:loss"), is_text("two-layr")
    (True, False, False, False)
    """
    spec = spec.strip()
    if _MEMBER.fullmatch(spec) or ":" in spec or spec.endswith(".py"):
        return False
    # A sum of bare names is never scale-invariant, so that two-layr is a misspelt name and no text.
    return bool(spec) and not _NAME.fullmatch(spec) and not os.path.exists(spec)


def resolve_rule(spec: str, /, *, trusted: bool = True) -> Rule:
    """The update rule that ``spec`` names.

    Args:
        spec: its name, or where it is defined.
        trusted: whether a rule whose ``rate`` contradicts its ``at_rate`` is refused; only a check wants to see one.

    Raises:
        InputError: as `resolve_loss` does.

    >>> resolve_rule("gd-wd").rate
    'learning_rate*weight_decay'
    """
    spec = _text(spec, "rule")
    if spec in rules.names():
        return rules.get(spec)
    if ":" in spec or spec.endswith(".py"):
        value, where = resolve_attribute(spec, _is_rule, "a Rule")
        if isinstance(value, Rule):
            if trusted:
                _try_in_time(value, where)
            return value
        advice = "write it as Rule(name=..., update=...)" if callable(value) else "a rule is a sharpflow.Rule"
        raise InputError(f"{where} is {_kind(value)}, not a Rule: {advice}.")
    raise InputError(_unknown("rule", spec, rules.names(), ""))


def _try_in_time(rule: Rule, where: str) -> None:
    try:
        with in_time(SECONDS):
            if wrong := clock_mismatch(rule):
                raise InputError(f"{where}: {wrong}.")
            _try_once(rule)
    except TimeLimitExceeded as error:
        raise InputError(
            f"{where}: one update is still running after {SECONDS:g} s, at {raised_at(error.__traceback__)}; correct a "
            "loop there that does not end."
        ) from None


def _try_once(rule: Rule) -> None:
    """One update on plain numbers: what fails in it fails here, and not in the middle of a run."""
    from sharpflow.theory.rule import Operations

    ops = Operations(dot=lambda a, b: a.dot(b), norm=lambda a: sp.sqrt(a.dot(a)), sqrt=sp.sqrt)
    values = {**rule.at_rate(sp.Rational(1, 100)), **rule.constants}
    p = SimpleNamespace(**{name: sp.nsimplify(value, rational=True) for name, value in values.items()})
    initial = dict(rule.initial(p))
    zero = sp.zeros(3, 1)
    state = SimpleNamespace(
        **{name: initial.get(name, sp.Rational(1, 2) if name == "effective_lr" else zero) for name in rule.state}
    )
    rule.step(sp.Matrix([3, 4, 12]), _Slope(), state, p, ops)


class _Slope:
    """A gradient at (3, 4, 12): orthogonal to it, of length 5."""

    def __call__(self, w: Any) -> sp.Matrix:
        return sp.Matrix([4, -3, 0])

    def excess_loss(self, w: Any) -> sp.Expr:
        return sp.Rational(1, 4)


def _text(spec: str, what: str) -> str:
    if not isinstance(spec, str):
        raise InputError(f"a {what} is named by text, not by {_kind(spec)}.")
    if not spec.strip():
        raise InputError(f"the name of the {what} is empty.")
    return spec.strip()


def _values(text: str) -> dict[str, sp.Rational]:
    values = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        number = parse_expression(value) if equals else None
        if not isinstance(number, sp.Rational):
            raise InputError(f"parameters are written name=number, number rational, as in a=5/2; not {part.strip()!r}.")
        values[name.strip()] = number
    return values


def resolve_attribute(spec: str, fits: Callable[[Any], bool], wanted: str, /) -> tuple[Any, str]:
    """The object that ``spec`` names in a file or module, and where it was found, for messages."""
    place, colon, name = spec.rpartition(":")
    if not colon:
        place, name = spec, ""
    if place.endswith(".ipynb"):
        raise InputError(
            f"{place!r} is a notebook, not a Python file: copy the cell that defines it into a file, or export all "
            f"of it (jupyter nbconvert --to script {place}), and name path/to/file.py:attribute."
        )
    if place.endswith(".py") or os.sep in place or os.path.isfile(place):
        module = load_file(place)
    elif _MODULE.fullmatch(place):
        module = load_module(place)
    else:
        raise InputError(
            f"{spec!r} names no file and no module; write path/to/file.py:attribute or package.module:attribute."
        )
    file = getattr(module, "__file__", None) or place
    if not name:
        offered = _fitting(module, fits)
        example = f"{place}:{offered[0]}" if offered else f"{place}:attribute"
        raise InputError(f"{spec!r} names no attribute; {_offer(file, offered, wanted)} Write {example}.")
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            offered = _fitting(module, fits)
            public = [key for key in vars(module) if not key.startswith("_")]
            hint = did_you_mean(part, [*offered, *public])
            raise InputError(f"{file} has no attribute {part!r}; {hint}{_offer(file, offered, wanted)}")
        value = getattr(value, part)
    line = line_of(module, name.split(".")[0])
    return value, f"{file}, line {line}: {name}" if line else f"{file}: {name}"


def _fitting(module: ModuleType, fits: Callable[[Any], bool]) -> list[str]:
    """The public names of a module that are what was asked for; also those of ``__all__`` made when they are asked."""
    found: dict[str, Any] = {}
    for key in getattr(module, "__all__", ()):  # first, so that the order does not depend on which were made before
        with contextlib.suppress(Exception):  # the module's own code, run here for the sake of a message
            found[key] = getattr(module, key)
    found |= {key: value for key, value in vars(module).items() if key not in found}
    return [key for key, value in found.items() if not key.startswith("_") and fits(value)]


def _loss(value: Any, where: str) -> Loss | Objective:
    if isinstance(value, Family):
        return value.default()
    if callable(value) and not isinstance(value, type | Loss | Rule) and not _required(value):
        value, where = _made(value, where), f"{where}()"
    if _is_loss(value):
        loss: Loss | Objective = value
        return loss
    if isinstance(value, Rule):
        advice = "give it to --rule"
    elif isinstance(value, sp.Expr):
        advice = "wrap it, as in Loss(name=..., variables=(...), expression=...)"
    elif isinstance(value, ModuleType):
        advice = "name an attribute in it"
    elif callable(value):
        advice = "call it in the file and name what it returns, or wrap it in Objective(function, start)"
    else:
        advice = "a loss is a sharpflow.Loss or a sharpflow.Objective"
    raise InputError(f"{where} is {_kind(value)}, not a Loss or an Objective: {advice}.")


def _required(function: Callable[..., Any]) -> bool:
    """True where a function cannot be called without arguments, as far as can be told."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in given)


def _made(function: Callable[..., Any], where: str) -> Any:
    """The value of a function of the user's: a network and its data are built when asked for, not on import."""
    try:
        with in_time(MAKING):
            return function()
    except TimeLimitExceeded:
        raise InputError(f"{where}() is still running after {MAKING:g} s.") from None
    except InputError:
        raise
    except Exception as error:  # a user's function may raise anything
        at = raised_at(error.__traceback__)
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{where}() fails{f' at {at}' if at else ''} with {type(error).__name__}: {said}") from error


def _is_loss(value: Any) -> bool:
    # Importing the class would load JAX for losses that need none; where its module is not loaded, nothing is one.
    home = sys.modules.get("sharpflow.numerics.objective")
    return isinstance(value, Loss | Family) or (home is not None and isinstance(value, home.Objective))


def _is_rule(value: Any) -> bool:
    return isinstance(value, Rule)


def _kind(value: Any) -> str:
    name = "function" if type(value).__name__ == "builtin_function_or_method" else type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _offer(file: str, offered: Sequence[str], wanted: str) -> str:
    return f"it defines {', '.join(offered)}." if offered else f"{file} defines no attribute that is {wanted}."


def _unknown(what: str, spec: str, names: Sequence[str], more: str) -> str:
    hint = did_you_mean(spec.replace("_", "-").lower(), names)
    if os.path.exists(spec):
        return f"{spec!r} is a file or folder; name what it defines, as path/to/file.py:attribute."
    there = "There" if hint else "there"
    return (
        f"no built-in {what} is called {spec!r}; {hint}{there} are {', '.join(names)}. Anything else is "
        f"named as path/to/file.py:attribute, package.module:attribute{more}."
    )
