"""Losses that are wrong on purpose, each in one way: the referee is held to catching every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sharpflow.numerics.objective import Objective
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule

__all__ = ["Wrong", "plain", "wrong_losses"]


@dataclass(frozen=True)
class Wrong:
    """One mutant.

    Args:
        name: short.
        what: is wrong, in one line.
        caught_by: the check that should fail.
        make: builds it.
        about: "loss" or "rule".
    """

    name: str
    what: str
    caught_by: str
    make: Callable[[], Loss | Objective | Rule]
    about: Literal["loss", "rule"] = "loss"


START = (0.9, 0.4, 0.1, 0.05)


def _plain(w: Any) -> Any:
    """A right loss in R^4: Gamma is the great circle w_3 = w_4 = 0, with eigenvalues 3 + w_1^2 and 1."""
    import jax.numpy as jnp

    u = w / jnp.linalg.norm(w)
    return (u[2] ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2


def plain() -> Objective:
    """The right loss that most mutants are made of."""
    return _objective("plain", _plain)


def _objective(name: str, function: Callable[[Any], Any], **options: Any) -> Objective:
    from sharpflow.numerics.objective import Objective

    return Objective(function, START, name=name, **options)


def _formula(name: str, text: str, point: tuple[str, str, str] = ("cos(p)", "sin(p)", "0"), **options: Any) -> Loss:
    """A loss in R^3 with the circle z = 0, or another, for its minima."""
    import sympy as sp

    from sharpflow.naming.expressions import parse_expression
    from sharpflow.theory.loss import Loss, Minima

    x, y, z = sp.symbols("x y z", real=True)
    p = sp.Symbol("p", real=True)
    names = {"x": x, "y": y, "z": z, "r2": x**2 + y**2 + z**2}
    chart = tuple(parse_expression(entry, names={"p": p}) for entry in point)
    minima = Minima(chart=(p,), point=chart, start=(0.35,), domain=((-3, 3),))
    return Loss(
        name=name, variables=(x, y, z), expression=parse_expression(text, names=names), minima=minima, **options
    )


def _almost_invariant() -> Objective:
    import jax.numpy as jnp

    return _objective("almost-invariant", lambda w: _plain(w) * (1 + 1e-6 * jnp.tanh(jnp.linalg.norm(w))))


def _large_only() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        length = jnp.linalg.norm(w)
        return _plain(w) * jnp.where(length < 1, 1 + (1 - length) ** 4, 1.0)

    return _objective("large-only", function)


def _epsilon() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.sqrt(w @ w + 1e-5)
        return (u[2] ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2

    return _objective("epsilon", function)


def _guarded() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.maximum(jnp.linalg.norm(w), 1e-12)
        return (u[2] ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2

    return _objective("guarded-norm", function)


def _degree_one() -> Objective:
    import jax.numpy as jnp

    return _objective("degree-one", lambda w: _plain(w) * jnp.linalg.norm(w))


def _even_scales() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        return _plain(w) * (1 + 1e-3 * jnp.sin(jnp.pi * jnp.log2(jnp.linalg.norm(w))) ** 2)

    return _objective("periodic-in-scale", function)


def _stopped_norm() -> Objective:
    import jax
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jax.lax.stop_gradient(jnp.linalg.norm(w))
        return (u[2] ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2

    return _objective("stopped-norm", function)


def _wrong_jvp() -> Objective:
    import jax

    # Radially right, so that Euler's identities hold: only differences see that the gradient is 1 % too large.
    function = jax.custom_jvp(_plain)

    @function.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        value, slope = jax.jvp(_plain, primals, tangents)
        return value, 1.01 * slope

    return _objective("wrong-gradient", function)


def _remembers() -> Objective:
    calls: list[int] = []

    def function(w: Any) -> Any:
        calls.append(0)
        return _plain(w) * (1 + 1e-9 * len(calls))

    return _objective("remembers", function)


def _random() -> Objective:
    import numpy as np

    def function(w: Any) -> Any:
        return _plain(w) + 1e-9 * np.random.rand()  # noqa: NPY002  the point of it

    return _objective("random", function)


def _appends() -> Objective:
    history: list[Any] = []

    def function(w: Any) -> Any:
        history.append(0)
        return _plain(w)

    return _objective("keeps-a-history", function)


def _writes() -> Objective:
    import os
    import tempfile

    def function(w: Any) -> Any:
        with tempfile.NamedTemporaryFile() as log:
            os.truncate(log.name, 1)
        return _plain(w)

    return _objective("writes-a-file", function)


def _seeds() -> Objective:
    import numpy as np

    def function(w: Any) -> Any:
        np.random.seed(0)  # noqa: NPY002  the point of it
        return _plain(w)

    return _objective("seeds", function)


def _prints() -> Objective:
    def function(w: Any) -> Any:
        print("called")
        return _plain(w)

    return _objective("prints", function)


def _callback() -> Objective:
    import jax
    import numpy as np

    def function(w: Any) -> Any:
        one = jax.pure_callback(lambda v: np.float64(1.0), jax.ShapeDtypeStruct((), "float64"), 0.0)
        return _plain(w) * jax.lax.stop_gradient(one)

    return _objective("callback", function)


def _single() -> Objective:
    import jax.numpy as jnp

    return _objective("float32-inside", lambda w: _plain(w.astype(jnp.float32)).astype(w.dtype))


def _single_constant() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return (u[2].astype(jnp.float32).astype(jnp.float64) ** 2 * (3.0 + u[0] ** 2) + u[3] ** 2) / 2

    return _objective("float32-in-one-place", function)


def _gap_on_plane() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return _plain(w) + 0.1 * u[3] ** 2 * (u[0] - u[1]) ** 2 / (u[0] - u[1])

    return _objective("nan-on-a-plane", function)


def _nan_at_the_end() -> Objective:
    import jax.numpy as jnp

    return _objective("nan-on-a-part", lambda w: jnp.where(w[2:] @ w[2:] < 1e-3 * (w @ w), jnp.nan, _plain(w)))


def _nan_gradient() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return _plain(w) + 0.1 * u[3] ** 2 * jnp.sqrt(u[1] ** 4)

    return _objective("nan-gradient-on-a-plane", function)


def _saturated() -> Objective:
    import jax.numpy as jnp

    # 1e4 (|u|^2 - 1) = 0: in float32 the difference of two large numbers has no digits left.
    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return jnp.sum(jnp.stack([1e4 * u[0] ** 2, 1e4 * u[1] ** 2, 1e4 * (u[2] ** 2 + u[3] ** 2)])) - 1e4 + _plain(w)

    return _objective("cancels-in-float32", function)


def _wrong_residuals() -> Objective:
    import jax.numpy as jnp

    def residuals(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        start = jnp.asarray(START) / jnp.linalg.norm(jnp.asarray(START))
        return jnp.stack([u[2] * jnp.sqrt(3.0 + start[0] ** 2), u[3]])

    return _objective("wrong-residuals", _plain, residuals=residuals)


def _kink_across() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return (u[2] ** 2 * (3.0 + jnp.abs(u[0] - 0.8)) + u[3] ** 2) / 2

    return _objective("native-kink-across-gamma", function)


def _relu() -> Objective:
    import jax.numpy as jnp

    def residuals(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        return jnp.maximum(jnp.stack([u[2] - 0.1 * u[0], u[3] - u[2], u[1] - u[3]]), 0.0)

    return _objective("relu", lambda w: jnp.sum(residuals(w) ** 2) / 2, residuals=residuals)


def _flat_part() -> Objective:
    import jax.numpy as jnp

    def function(w: Any) -> Any:
        u = w / jnp.linalg.norm(w)
        # Where u_1 > 0.8, u_4 does not enter to second order.
        part = 50 * (0.8 - jnp.minimum(u[0], 0.8)) ** 5
        return (u[2] ** 2 * (3.0 + u[0] ** 2) + part * u[3] ** 2 + u[3] ** 4) / 2

    return _objective("flat-on-a-part", function)


@cache
def wrong_losses() -> tuple[Wrong, ...]:
    """The wrong losses."""
    even = "z^2/(2*r2)"
    return (
        Wrong("almost-invariant", "scale-invariant but for a part in a million", "homogeneity", _almost_invariant),
        Wrong("large-only", "scale-invariant for |w| > 1 only", "homogeneity", _large_only),
        Wrong("epsilon", "an epsilon in the normalization, as real batch norm has", "homogeneity", _epsilon),
        Wrong("guarded-norm", "w/max(|w|, 1e-12), as libraries normalize", "homogeneity", _guarded),
        Wrong("degree-one", "a factor |w| left over", "homogeneity", _degree_one),
        Wrong("periodic-in-scale", "L(2 w) = L(w), but not L(3 w)", "homogeneity", _even_scales),
        Wrong("formula-epsilon", "an epsilon in a formula", "homogeneity",
              lambda: _formula("formula-epsilon", "z^2/(2*r2 + 1/100000)*(2 + (x^2 - y^2)/r2)")),
        Wrong("stopped-norm", "stop_gradient on the norm: right values, wrong gradient", "euler_identities",
              _stopped_norm),
        Wrong("wrong-gradient", "a custom derivative that is 1 % too large", "derivatives", _wrong_jvp),
        Wrong("remembers", "counts its calls", "purity", _remembers),
        Wrong("random", "draws from the global random state", "purity", _random),
        Wrong("keeps-a-history", "appends to a list when called", "purity", _appends),
        Wrong("writes-a-file", "writes a file when called", "purity", _writes),
        Wrong("seeds", "seeds NumPy's global random state when called", "purity", _seeds),
        Wrong("prints", "prints when called", "purity", _prints),
        Wrong("callback", "calls back to the host", "purity", _callback),
        Wrong("float32-inside", "computes in float32", "precision", _single),
        Wrong("float32-in-one-place", "one intermediate result in float32", "precision", _single_constant),
        Wrong("nan-on-a-plane", "0/0 where w_1 = w_2", "finite", _gap_on_plane),
        Wrong("nan-on-a-part", "nan on the part of the sphere that gradient flow leads to", "finite", _nan_at_the_end),
        Wrong("nan-gradient-on-a-plane", "sqrt(w_2^4): nan derivative where w_2 = 0", "finite", _nan_gradient),
        Wrong("cancels-in-float32", "a large constant added and taken away", "single_precision", _saturated),
        Wrong("wrong-residuals", "residuals that agree with the function at the start only", "residuals",
              _wrong_residuals),
        Wrong("no-chart", "the point of the chart is a constant", "chart",
              lambda: _formula("no-chart", f"{even}*(2 + (x^2 - y^2)/r2)", ("cos(3/5)", "sin(3/5)", "0"))),
        Wrong("singular-chart", "the chart stands still at p = 1/10", "chart",
              lambda: _formula("singular-chart", f"{even}*(2 + (x^2 - y^2)/r2)",
                               ("cos((p - 1/10)^2)", "sin((p - 1/10)^2)", "0"))),
        Wrong("kink", "|z|^3 next to z^2: third derivative jumps on Gamma", "smoothness",
              lambda: _formula("kink", f"{even}*(2 + (x^2 - y^2)/r2) + abs(z)^3/r2^(3/2)")),
        Wrong("half-power", "(z^2)^(7/4): the fourth derivative diverges on Gamma", "smoothness",
              lambda: _formula("half-power", f"{even}*(2 + (x^2 - y^2)/r2) + (z^2/r2)^(7/4)")),
        Wrong("kink-across-gamma", "|w_1| times what vanishes on Gamma: a kink that Gamma crosses once", "smoothness",
              lambda: _formula("kink-across-gamma", "((4*y - 3*z)/5)^2/r2*(3 + abs(x)/r2^(1/2))",
                               ("cos(p)", "3*sin(p)/5", "4*sin(p)/5"))),
        Wrong("native-kink-across-gamma", "the same in an Objective", "smoothness", _kink_across),
        Wrong("relu", "residuals relu(X u), which all vanish on a cone: flat there, and kinks on its faces",
              "smoothness", _relu),
        Wrong("saddle", "Gamma is a saddle: L falls on both sides", "minimizers",
              lambda: _formula("saddle", f"-{even}*(2 + (x^2 - y^2)/r2)")),
        Wrong("local-minimum", "Gamma is a local minimum only", "minimizers",
              lambda: _formula("local-minimum", f"{even}*(2 + x*y/r2)*(1 - 3*z^4/r2^2)")),
        Wrong("off-gamma", "the chart is not on the minima", "minimizers",
              lambda: _formula("off-gamma", f"{even}*(2 + x*y/r2)", ("cos(p)", "sin(p)", "1/10"))),
        Wrong("tilted", "L is not the same all over the chart", "minimizers",
              lambda: _formula("tilted", f"{even}*(2 + x*y/r2) + (x/1000)^4/r2^2")),
        Wrong("flat-point", "the Hessian loses its rank at one point of Gamma", "minimal_kernel",
              lambda: _formula("flat-point", f"{even}*(x + y)^2/r2")),
        Wrong("flat-on-a-part", "the Hessian has lower rank on a part of Gamma", "minimal_kernel", _flat_part),
        Wrong("quartic", "no Hessian normal to Gamma at all", "minimal_kernel",
              lambda: _formula("quartic", "z^4/r2^2*(2 + x*y/r2)")),
        Wrong("tie", "the two largest eigenvalues cross at a point of Gamma", "simple_sharpness", _tie),
        Wrong("always-tied", "two equal eigenvalues all over Gamma", "simple_sharpness", _tied),
    )  # fmt: skip


def _tie() -> Loss:
    import sympy as sp

    from sharpflow.theory.loss import Loss, Minima

    x, y, u, v = sp.symbols("x y u v", real=True)
    p = sp.Symbol("p", real=True)
    r2 = x**2 + y**2 + u**2 + v**2
    expression = (u**2 * (2 + x**2 / r2) + v**2 * (2 + y**2 / r2)) / (2 * r2)
    minima = Minima(chart=(p,), point=(sp.cos(p), sp.sin(p), 0, 0), start=(0.35,), domain=((-1, 1),))
    return Loss(name="tie", variables=(x, y, u, v), expression=expression, minima=minima)


def _tied() -> Objective:
    return _objective("always-tied", lambda w: (w[2] ** 2 + w[3] ** 2) / (w @ w) * (2.0 + w[0] ** 2 / (w @ w)) / 2)
