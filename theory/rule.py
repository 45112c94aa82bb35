"""An update rule, written once and read by two interpreters: SymPy expands it, JAX runs it."""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import sympy as sp
from sympy.matrices.exceptions import ShapeError

from sharpflow.theory.errors import InputError, NoClosedForm
from sharpflow.theory.limits import TimeLimitExceeded

__all__ = ["ELEMENTWISE", "Operations", "Rule"]


ELEMENTWISE = (
    "an update multiplies, divides, shifts or compares vectors entry by entry, or takes a power or a root of one (for "
    "an inner product write ops.dot). The law at the edge is derived for rules that are the same in every orthonormal "
    "basis: w, gradients and states, each times a number. Of an elementwise rule, such as AdamW or signSGD, the theory "
    "says with its preconditioner P held fixed where the edge is, learning_rate*lambda_max(P^-1 H) = "
    "2 (1 + beta_1)/(1 - beta_1), and nothing of drift, period or flow. With ops.norm(gradient(w)) in place of its "
    "entries it is a rule like the built-in rmsprop or normalized-gd, of which all is derived."
)
# What Python, NumPy and SymPy say when a vector of the derivation is treated as an array.
_VECTORS = re.compile(r"SpanVector|JetVector|Matrix|ndarray|loop of ufunc")
# Functions of whole vectors, for which there are ops.
_WHOLE = ("norm", "dot", "vdot", "inner", "sum", "mean", "matmul")


@dataclass(frozen=True)
class Operations:
    """Operations besides ``+ - * /`` and powers: the inner product, the Euclidean norm, the square root."""

    dot: Callable[[Any, Any], Any]
    norm: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]


@dataclass(frozen=True)
class Rule:
    """w+ , state+ = update(w, gradient, state, p, ops).

    Args:
        name: a short name, used in tables and file names.
        update: ``gradient`` is callable (``gradient(w)``), ``state`` and ``p`` (the parameters) are read by attribute,
            ``ops`` offers ``dot``, ``norm``, ``sqrt``. Returns the new w and a dict of the new state.
        space: ``"weights"``: w is any nonzero vector, and effective_lr is derived from its norm. ``"sphere"``: w is the
            unit vector theta, the returned vector is normalised afterwards, and effective_lr, if the rule has one, is
            the state of that name.
        state: names of the state variables.
        rate: what multiplies the iteration number t to give flow time, as text in the parameters.
        at_rate: the parameters at a given rate (a float, or SymPy's delta**2).
        constants: parameters of order one that the theory keeps as symbols, with their default numbers.
        intrinsic_lr: the scale of the oscillation at a given rate; default ``sqrt(2 rate)``.
        initial: where scalars of the state start, as a function of the parameters; every other state is a vector like
            w. effective_lr, and vectors, start where the oscillation asks for it.
        title, source: one line for tables and the paper it comes from.
    """

    name: str
    update: Callable[..., tuple[Any, dict[str, Any]]]
    space: Literal["weights", "sphere"] = "weights"
    state: tuple[str, ...] = ()
    rate: str = "learning_rate*weight_decay"
    at_rate: Callable[[Any], dict[str, Any]] = field(default=lambda rate: {"learning_rate": 1, "weight_decay": rate})
    constants: Mapping[str, float] = field(default_factory=dict)
    intrinsic_lr: Callable[[Any], Any] = field(default=lambda rate: (2 * rate) ** 0.5)
    initial: Callable[[Any], Mapping[str, Any]] = field(default=lambda p: {})
    title: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not callable(self.update):
            raise InputError(f"rule {self.name!r}: update must be a function (w, gradient, state, p, ops).")
        arguments = len(inspect.signature(self.update).parameters)
        if arguments != 5:
            raise InputError(
                f"rule {self.name!r}: update takes {arguments} arguments; it must take (w, gradient, state, p, ops)."
            )
        if not isinstance(self.rate, str):
            raise InputError(
                f"rule {self.name!r}: give rate as text in the parameters, as in rate='learning_rate*weight_decay': "
                f"SymPy reads it, and cannot read a {type(self.rate).__name__}."
            )
        for name in ("at_rate", "intrinsic_lr", "initial"):
            if not callable(getattr(self, name)):
                given = "p" if name == "initial" else "rate"
                raise InputError(
                    f"rule {self.name!r}: {name} must be a function, as in {name}=lambda {given}: ..., not a "
                    f"{type(getattr(self, name)).__name__}."
                )
        if self.space not in ("weights", "sphere"):
            raise InputError(f"rule {self.name!r}: space must be 'weights' or 'sphere', not {self.space!r}.")
        if isinstance(self.state, str):
            raise InputError(f"rule {self.name!r}: state must be a tuple of names; did you forget a comma?")
        object.__setattr__(self, "state", tuple(self.state))

    @property
    def has_effective_lr(self) -> bool:
        """True where the rule carries an effective learning rate (normalized GD has none)."""
        return self.space == "weights" or "effective_lr" in self.state

    def parameters(self, rate: Any) -> SimpleNamespace:
        """All parameters at ``rate`` (a float): what ``update`` reads as ``p``."""
        return SimpleNamespace(**self.at_rate(rate), **self.constants)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The numbers of at_rate that are the same at every rate, the rate's own factors not among them."""
        first, second = (self.at_rate(rate) for rate in (0.25, 0.0625))
        inside = re.findall(r"[A-Za-z_]\w*", self.rate)
        return {
            name: value
            for name, value in first.items()
            if isinstance(value, Real) and not isinstance(value, bool) and second.get(name) == value
            and name not in inside
        }  # fmt: skip

    @cached_property
    def with_constants(self) -> Rule:
        """The same rule, its `fixed` numbers of order one among the constants, which the theory keeps as symbols."""
        moved = {n: float(v) for n, v in self.fixed.items() if v > 0 and not isinstance(v, Integral)}
        if not moved:
            return self

        def at_rate(rate: Any) -> dict[str, Any]:
            return {name: value for name, value in self.at_rate(rate).items() if name not in moved}

        return replace(self, at_rate=at_rate, constants={**self.constants, **moved})

    def parameter_symbols(self) -> dict[str, sp.Symbol]:
        """Positive symbols, one for each parameter and constant."""
        return {name: sp.Symbol(name, positive=True) for name in (*self.at_rate(0.25), *self.constants)}

    def step(self, w: Any, gradient: Callable[[Any], Any], state: Any, p: Any, ops: Operations) -> tuple[Any, Any]:
        """One update with its result checked: exactly the declared state must come back."""
        try:
            result = self.update(w, gradient, state, p, ops)
        except (InputError, NoClosedForm, TimeLimitExceeded):
            raise
        except Exception as error:  # the update is the user's own code
            raise InputError(f"rule {self.name!r}: {_blame(error, p, state)}") from error
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping)):
            raise InputError(f"rule {self.name!r}: update must return the new w and a dict of the new state ({{}}).")
        w_next, state_next = result
        if set(state_next) != set(self.state):
            raise InputError(
                f"rule {self.name!r}: update returned the state {sorted(state_next)}, declared is {sorted(self.state)}."
            )
        return w_next, SimpleNamespace(**state_next)


def _sentence(text: str) -> str:
    """The first sentence or so, cut between words."""
    said = " ".join(text.split()).rstrip(".")
    if len(said) > 200:
        said = said[:200].rsplit(" ", 1)[0] + " ..."
    return said or "no message"


def _blame(error: Exception, p: Any, state: Any) -> str:
    """A mistake of the update, in the words of its author: the line, the names there are, what an update may use."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames[1:] if not Path(f.filename).is_relative_to(Path(__file__).parent)][:1]
    where = f" in line {own[0].lineno} of {os.path.basename(own[0].filename)}" if own else ""
    said = _sentence(str(error))
    if type(error).__module__.split(".")[0] in ("jax", "jaxlib") or "jax" in said or "abstract array" in said:
        # JAX speaks of its own insides here: what was called is all that an author can mend.
        called = re.search(r"<function (\w+)", said)
        said = f"{called[1] if called else 'a function'} of jax.numpy was given what is no array of JAX"
        if _VECTORS.search(str(error)) and not (called and called[1] in _WHOLE):
            return f"its update fails{where} ({said}): {ELEMENTWISE}"
    elif isinstance(error, TypeError | AttributeError | sp.SympifyError | ShapeError) and _VECTORS.search(said):
        return f"its update fails{where} ({said}): {ELEMENTWISE}"
    if isinstance(error, AttributeError) and "SimpleNamespace" in said:
        names = f"p has {', '.join(vars(p)) or 'nothing'}; state has {', '.join(vars(state)) or 'nothing'}"
        return f"its update fails{where}: {said}; {names}."
    return (
        f"its update fails{where} with {type(error).__name__}: {said}. An update uses + - * / and powers of numbers, "
        "and ops.dot, ops.norm, ops.sqrt; SymPy and JAX run the same lines, so no branches on values and no other "
        "functions."
    )
