"""A SymPy expression as a function that JAX traces, or NumPy runs: `lambdify` with the special functions of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import scipy.special
import sympy as sp
from mpmath.libmp import to_float
from sympy.printing.numpy import JaxPrinter
from sympy.printing.precedence import precedence

from sharpflow.numerics.config import configure
from sharpflow.theory.errors import InputError

__all__ = ["formula", "lambdify"]

configure()


# lambdify prints these as math.*, which JAX cannot trace.
_SPECIAL = {
    library: {"erf": home.erf, "erfc": home.erfc, "gamma": home.gamma, "loggamma": home.gammaln}
    for library, home in (("jax", jax.scipy.special), ("numpy", scipy.special))
}
# A power up to this is some thirty products, and keeps its exponent: x**2.0 is no product, and differs at x < 0.
_LARGEST_POWER = 2**31 - 1


class _Printer(JaxPrinter):
    """Every number as the float64 next to it: JAX takes a Python integer as int64, which ends at 9.2e18."""

    def _rounded(self, number: sp.Rational | sp.Float) -> str:
        try:
            value = to_float(number._mpf_, rnd="n") if isinstance(number, sp.Float) else int(number.p) / int(number.q)
        except OverflowError:
            raise InputError(
                f"a number of the formula, {sp.N(number, 6)}, is beyond float64, which ends at 1.8e308: choose other "
                "units for the loss or its variables."
            ) from None
        return repr(value)

    # SymPy has a class for each of the most frequent ones.
    _print_Integer = _print_Rational = _print_Float = _print_Half = _rounded
    _print_Zero = _print_One = _print_NegativeOne = _rounded

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        if isinstance(expr.exp, sp.Integer) and 1 < expr.exp <= _LARGEST_POWER:
            return f"{self.parenthesize(expr.base, precedence(expr), strict=False)}**{int(expr.exp)}"
        printed: str = super()._print_Pow(expr, rational)
        return printed

    def _print_Sum(self, expr: sp.Sum | sp.Product) -> str:
        # As a loop its limits would be numbers of the formula.
        printed: str = self._print(expr.doit())
        return printed

    _print_Product = _print_Sum


def lambdify(symbols: Any, expression: Any, *, library: str = "jax") -> Callable[..., Any]:
    """A SymPy expression as a function of scalars of ``library`` (jax or numpy), common subexpressions shared.

    Exact numbers are rounded once, to float64; symbols are renamed in it: one called arcsin would hide the function of
    that name.

    Raises:
        InputError: a number in it is beyond the range of float64.
    """
    flat = sp.flatten([symbols])
    names = dict(zip(flat, (sp.Dummy(f"s{k}") for k in range(len(flat))), strict=True))

    def renamed(thing: Any) -> Any:
        if isinstance(thing, tuple | list):
            return type(thing)(renamed(part) for part in thing)
        return thing.xreplace(names) if hasattr(thing, "xreplace") else thing

    printer = _Printer(
        {"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True,
         "user_functions": {name: name for name in _SPECIAL[library]}}
    )  # fmt: skip
    function: Callable[..., Any] = sp.lambdify(
        renamed(symbols), renamed(expression), modules=[_SPECIAL[library], library], cse=True, printer=printer
    )
    return function


def formula(symbols: Any, expression: Any) -> Callable[..., Any]:
    """The same as a function of JAX's arrays where an argument is one, and of NumPy's, without a program, else."""
    on_numbers = lambdify(symbols, expression, library="numpy")

    @cache
    def traced() -> Callable[..., Any]:
        return lambdify(symbols, expression)

    def evaluate(*values: Any) -> Any:
        return (traced() if any(isinstance(value, jax.Array) for value in values) else on_numbers)(*values)

    return evaluate
