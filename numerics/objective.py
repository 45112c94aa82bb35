"""A loss as JAX sees it: a function of the weights, flat or a tree of arrays, differentiated automatically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from sharpflow.numerics.compiled import Compiled
from sharpflow.numerics.config import configure, device_error
from sharpflow.numerics.formulas import lambdify
from sharpflow.numerics.leaves import Leaves, is_tree
from sharpflow.numerics.numbers import check_whole
from sharpflow.theory.errors import InputError
from sharpflow.theory.identity import Identity
from sharpflow.theory.loss import Loss
from sharpflow.theory.sphere.invariance import require_homogeneous

__all__ = ["Objective", "as_objective", "objective_of", "once_for_each_loss", "require_scale_invariant"]


configure()

P = ParamSpec("P")
T = TypeVar("T")

# Long sums leave 1e-9 of rounding; the epsilon of a usual normalization layer changes L by 1e-5 and more.
SCALING = 1e-6


@dataclass(frozen=True, eq=False)
class Objective:
    """L: R^D without 0 -> R, with L(c w) = L(w) for every c > 0, of all weights or of a part of them.

    Args:
        function: takes weights like ``start`` in double precision, returns a scalar; written in jax.numpy.
        start: any nonzero default start: a flat vector (D,), or a tree of arrays, as a network has. It is kept flat,
            and so is every point that is handed back; ``objective.unravel`` makes a tree of one.
        residuals: of the weights, (n,), with function = |residuals|^2/2, if the loss has them: spectrum and retraction
            then need only an n x n matrix.
        name: a short name, used in tables and file names.
        rank: number of directions normal to the minima, D - 1 less the dimension of Gamma, where it is known; else it
            is read off the spectrum where it is needed.
        leaves: left out; of a tree, where each leaf lies in the flat vector.
        decay: left out; of the coordinates of `sharpflow.numerics.weights.coordinates`, in which gradient descent moves
            all of R^D and not a sphere: for runs of weights how many they are and their weight decay, in units of the
            rate.
        kin: left out; copies (`dataclasses.replace`) have it in common, and share what is compiled.

    Raises:
        InputError: start is not finite and nonzero, or a leaf of it is not real; function is not a real scalar, or not
            finite at start; residuals disagree with function; rank is not from 1 to D - 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> from sharpflow import Objective
        >>> def loss(p):
        ...     return jnp.sum((p["gain"] * p["w"] / jnp.linalg.norm(p["w"]) - 1.0) ** 2)
        >>> objective = Objective(loss, {"w": jnp.ones(3), "gain": jnp.ones(1)})
        >>> objective.leaves.names, objective.dimension
        (('gain', 'w'), 4)
    """

    function: Callable[[Any], Any]
    start: Any
    residuals: Callable[[Any], Any] | None = None
    name: str = "objective"
    rank: int | None = None
    leaves: Leaves | None = None
    decay: tuple[tuple[int, float], ...] | None = None
    kin: object = field(default_factory=object, repr=False)

    def __post_init__(self) -> None:
        where = f"objective {self.name!r}"
        if not callable(self.function):
            raise InputError(f"{where}: function must be callable, not {type(self.function).__name__}.")
        start, leaves, at_start = self.start, self.leaves, f"{where}: start"
        if is_tree(start):
            if leaves is None:
                leaves = Leaves.of(start, at_start)
                for name in ("function", "residuals"):
                    if callable(given := getattr(self, name)):
                        object.__setattr__(self, name, leaves.flat(given))
                object.__setattr__(self, "leaves", leaves)
            start = leaves.ravel(start, at_start)
        object.__setattr__(self, "start", check_vector(start, at_start, None, leaves))
        if self.rank is not None:
            check_whole(f"{where}: rank", self.rank, most=self.normals_at_most)
        value = self._probe(self.function, f"{where}: function")
        if value.shape != ():
            raise InputError(f"{where}: function must return a scalar, not an array of shape {value.shape}.")
        if self.residuals is not None:
            residuals = self._probe(self.residuals, f"{where}: residuals")
            if residuals.ndim != 1:
                raise InputError(f"{where}: residuals must return a vector, not an array of shape {residuals.shape}.")
            half = 0.5 * float(residuals @ residuals)
            # Two orders of summation of n squares differ by n machine epsilons; 1e-8 forgives a user's float32
            # data as well.
            if abs(half - float(value)) > 1e-8 * max(half, abs(float(value))) + 1e-14:
                raise InputError(
                    f"{where}: |residuals|^2/2 = {half:g} but function = {float(value):g} at start; they must be equal."
                )

    def _probe(self, function: Callable[[Any], Any], what: str) -> np.ndarray:
        """The value of a user's function at start, with everything wrong with it named."""
        try:
            compiled = function if hasattr(function, "lower") else jax.jit(function)
            value = compiled(jnp.asarray(self.start))
        except Exception as error:  # whatever a user's function raises, the message must say where
            if device_error() is not None:
                raise  # no function is at fault
            # JAX's own messages carry pages of the trace.
            said = " ".join(str(error).strip().split("\n")[0].split())[:200]
            advice = ""
            if isinstance(error, jax.errors.JAXTypeError | jax.errors.ConcretizationTypeError):
                advice = " Write it in jax.numpy (not numpy, math or float), without Python branches on values."
            elif "unravel function" in said:
                advice = (
                    " The function is handed float64; unravel takes the type that was ravelled, which of a mixture of "
                    "types is the widest: begin with unravel(w.astype(flat.dtype))."
                )
            raise InputError(f"{what} fails at start with {type(error).__name__}: {said}.{advice}") from error
        if not isinstance(value, jax.Array):
            raise InputError(f"{what} must return an array, not {type(value).__name__}.")
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"{what} returns {array.dtype} at start; a loss is real (floating point).")
        if not np.all(np.isfinite(array)):
            raise InputError(f"{what} is not finite at start ({array}); give another start.")
        return array

    @classmethod
    def from_loss(cls, loss: Loss, /) -> Objective:
        """A symbolic loss with the start and the rank of its chart (a generic direction where it has none)."""
        scalar = lambdify(loss.variables, loss.expression)

        # Traced once: every program of the loss takes the formula over as it is, and derivatives of it, too.
        @jax.jit
        def function(w: jax.Array) -> jax.Array:
            return jnp.asarray(scalar(*w)).astype(w.dtype)

        rank = None
        if loss.minima is None:
            start = 1.0 / np.sqrt(np.arange(1, loss.dimension + 1))
        else:
            start = minima_point(loss, loss.minima.start or ())
            rank = loss.dimension - 1 - len(loss.minima.chart)
        start = start / np.linalg.norm(start)
        with np.errstate(all="ignore"):
            value = np.asarray(lambdify(loss.variables, loss.expression, library="numpy")(*start))
        if np.iscomplexobj(value):
            raise InputError(
                f"loss {loss.name!r} is a complex number: a root or a logarithm of something negative? A loss is real."
            )
        if not np.isfinite(float(value)):
            place = ", ".join(f"{name} = {v:.3g}" for name, v in zip(loss.variables, start, strict=True))
            raise InputError(
                f"loss {loss.name!r} is not a finite real number at {place}: a root or a logarithm of something "
                "negative, or 0/0. A loss must be real all over the sphere."
            )
        return cls(function=function, start=start, name=loss.name, rank=rank)

    @property
    def dimension(self) -> int:
        """D, the number of weights."""
        return int(self.start.shape[0])

    @property
    def normals_at_most(self) -> int:
        """D - 1 on the sphere, where the radius is no direction; else D."""
        return self.dimension - (self.decay is None)

    def onto(self, z: Any, /) -> Any:
        """z (D,) taken to where the weights live: z/|z| on the unit sphere, itself in R^D; for tracing."""
        return z / jnp.linalg.norm(z) if self.decay is None else z

    def radial(self, z: Any, /) -> Any:
        """The unit vector (D,) at z that leads away from where the weights live; 0 in R^D. For tracing."""
        return z if self.decay is None else jnp.zeros_like(z)

    def pulled(self, z: Any, /) -> Any:
        """R z (D,), what weight decay takes off in a unit of flow time, in R^D; for tracing."""
        assert self.decay is not None
        ends = np.cumsum([0, *(size for size, _ in self.decay)])
        return jnp.concatenate([
            ratio * z[first : first + size] for first, (size, ratio) in zip(ends, self.decay, strict=False)
        ])  # fmt: skip

    def vector(self, value: Any, what: str, /) -> np.ndarray:
        """``value``, flat or a tree like the start, as a finite nonzero flat vector (D,)."""
        known = self.leaves
        if is_tree(value):
            if known is None:
                raise InputError(f"{what} is a tree of arrays, and the weights of {self.name!r} are one flat vector.")
            value = known.ravel(value, what)
        return check_vector(value, what, self.dimension, known)

    def unravel(self, w: Any, /) -> Any:
        """The weights as the start held them, of a flat vector (D,)."""
        return w if self.leaves is None else self.leaves.unravel(w)

    @cached_property
    def value(self) -> Compiled:
        """L(w), of w (D,)."""
        return Compiled(self.function)

    @cached_property
    def gradient(self) -> Compiled:
        """grad L(w), (D,), of w (D,)."""
        return Compiled(jax.grad(self.function))

    @cached_property
    def hessian(self) -> Compiled:
        """Hess L(w), (D, D), of w (D,)."""
        return Compiled(jax.hessian(self.function))

    @cached_property
    def hvp(self) -> Compiled:
        """Hess L(w) v, (D,), of w (D,) and v (D,), without the matrix."""
        return Compiled(lambda w, v: jax.jvp(jax.grad(self.function), (w,), (v,))[1])


def check_vector(value: Any, what: str, dimension: int | None = None, leaves: Leaves | None = None) -> np.ndarray:
    """``value`` as a finite nonzero float vector, or `InputError`."""
    try:
        vector = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        said = repr(value)
        raise InputError(f"{what} is not a vector of numbers: {said[:60]}{'...' * (len(said) > 60)}.") from error
    if vector.ndim != 1 or vector.size < 2:
        raise InputError(f"{what} must be a vector of at least two numbers; its shape is {vector.shape}.")
    if dimension is not None and vector.size != dimension:
        raise InputError(f"{what} has {vector.size} entries; the loss has {dimension} weights.")
    if not np.all(np.isfinite(vector)):
        entry = int(np.argmin(np.isfinite(vector)))
        raise InputError(f"{what} is not finite {f'in {leaves.place(entry)}' if leaves else f'at entry {entry}'}.")
    if not np.any(vector):
        raise InputError(f"{what} is the zero vector, which has no direction on the sphere.")
    vector.setflags(write=False)
    return vector


def minima_point(loss: Loss, chart: tuple[float, ...]) -> np.ndarray:
    """zeta(p), the unit vector (D,) on Gamma at chart coordinates p (m numbers)."""
    assert loss.minima is not None
    values = dict(zip(loss.minima.chart, chart, strict=True))
    vector = np.array([complex(sp.N(sp.sympify(e).subs(values))) for e in loss.minima.point])
    if np.any(vector.imag != 0) or not np.all(np.isfinite(vector.real)) or not np.any(vector.real):
        raise InputError(f"loss {loss.name!r}: Minima.point is not a real, finite, nonzero vector at {chart}.")
    real: np.ndarray = vector.real / np.linalg.norm(vector.real)
    return real


@dataclass(frozen=True)
class _Kin:
    """All that programs depend on; equal for copies of one objective that differ in start or name."""

    kin: object
    function: Identity[Any]
    residuals: Identity[Any]
    dimension: int
    decay: tuple[tuple[int, float], ...] | None
    objective: Objective = field(compare=False)


def once_for_each_loss(make: Callable[Concatenate[Objective, P], T], /) -> Callable[Concatenate[Objective, P], T]:
    """``make(objective, ...)`` kept for 64 arguments; copies of an objective with another start or name share it.

    For compiled programs, which take the start as an argument. An objective made anew of the same function shares
    nothing: what the function reads may have changed.
    """

    @lru_cache(maxsize=64)
    def kept(kin: _Kin, *rest: P.args, **named: P.kwargs) -> T:
        return make(kin.objective, *rest, **named)

    @wraps(make)
    def once(objective: Objective, /, *rest: P.args, **named: P.kwargs) -> T:
        kin = _Kin(
            objective.kin, Identity(objective.function), Identity(objective.residuals), objective.dimension,
            objective.decay, objective,
        )  # fmt: skip
        return kept(kin, *rest, **named)  # type: ignore[arg-type]  # every argument of a program is hashable

    once.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
    return once


@lru_cache(maxsize=256)
def objective_of(loss: Loss, /) -> Objective:
    """The objective of a loss, made once: what is compiled for it stays with it."""
    return Objective.from_loss(loss)


@lru_cache(maxsize=256)
def require_scale_invariant(subject: Loss | Objective, /) -> None:
    """Raise `InputError` where L(c w) = L(w) fails: by the proof of a loss, at four points w of an objective."""
    if isinstance(subject, Loss):
        require_homogeneous(subject)
        return
    random = np.random.default_rng(0)
    start = subject.start / np.linalg.norm(subject.start)
    near = start + 0.3 * random.standard_normal((3, len(start))) / np.sqrt(len(start))
    values = np.array([[float(subject.value(c * w)) for c in (1.0, 0.5, 3.0)] for w in (start, *near)])
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return  # what is not finite is named where it is first needed
    # The largest |L| of all points is the size: on Gamma itself L may be rounding only.
    change = np.ptp(values, axis=1)
    if change.max() > SCALING * np.abs(values).max():
        one, half, three = values[change.argmax()]
        raise InputError(
            f"objective {subject.name!r} is not scale-invariant: near its start L(w) = {one:.7g}, L(w/2) = {half:.7g} "
            f"and L(3 w) = {three:.7g}, {change.max():.2g} apart. Normalise by |w|, and take any epsilon out of the "
            "normalization."
        )


def as_objective(subject: Loss | Objective, /) -> Objective:
    """A loss or an objective as an objective."""
    if isinstance(subject, Objective):
        return subject
    if isinstance(subject, Loss):
        return objective_of(subject)
    named = f": sharpflow.resolve_loss({subject!r}) gives what that names" if isinstance(subject, str) else ""
    raise InputError(f"expected a Loss or an Objective, not {type(subject).__name__}{named}.")
