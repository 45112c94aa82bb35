# ruff: noqa: E501  a statement and its slips are read side by side
r"""Statements and derivations of public mathematics of this field in our own words, each also in three wrong forms.

``python tests/statements/zoo.py [TITLE ...]`` checks them (all) and prints the table of docs/proving.md. A wrong form is the right one
with a part of it exchanged: a sign, a factor, an exponent, a clock, a term, a domain.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DERIVATIONS", "STATEMENTS", "Entry", "check"]


@dataclass(frozen=True)
class Entry:
    """One statement (text) or derivation (the body of a Markdown file), what it is about, and three slips."""

    title: str
    text: str
    slips: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]
    loss: str | None = None
    rule: str | None = None
    symbols: str = ""

    def wrong(self) -> Iterator[str]:
        """The three wrong forms."""
        for old, new in self.slips:
            assert old in self.text, (self.title, old)
            yield self.text.replace(old, new, 1)

    @property
    def kinds(self) -> dict[str, str]:
        """The symbols by name."""
        pairs = (part.split(":") for part in self.symbols.split(",") if part)
        return {name.strip(): kind.strip() for name, kind in pairs}


def _e(title: str, text: str, *slips: tuple[str, str], loss: str | None = None, rule: str | None = None,
       symbols: str = "") -> Entry:  # fmt: skip
    assert len(slips) == 3
    return Entry(title, text, slips, loss, rule, symbols)


RIDGE, GENERIC = {"loss": "ridge"}, {"rule": "gd-wd"}
ALGEBRA = "x:real,y:real,z:real,a:positive,b:positive,e:positive,h:positive,n:natural"
STATEMENTS = (
    _e("sharpness of the ridge", "sharpness = 2 + cos(2*p)", ("cos(2*p)", "cos(p)"), ("+ cos", "- cos"),
       ("2 + ", "1 + "), **RIDGE),
    _e("K of the ridge", "K^2 = 4*sin(2*p)^2/(2 + cos(2*p))^2", ("K^2", "K"), ("4*", "2*"), ("p))^2", "p))"), **RIDGE),
    _e("flow of the ridge", "flow(p) = sin(2*p)*(2 + cos(2*p))/((2 + cos(2*p))^2 + sin(2*p)^2)",
       ("= sin", "= -sin"), ("= sin", "= 2*sin"), ("^2 + sin", "^2 - sin"), **RIDGE),
    _e("sharpness falls", "along(log(sharpness)) = -2*K^2/(4 + K^2)", ("-2", "2"), ("K^2/", "K/"), ("4 +", "2 +"),
       **RIDGE),
    _e("sharpness never rises", "along(sharpness) <= 0", ("<=", ">="), ("<= 0", "<= -1"), ("along(", "-along("),
       **RIDGE),
    _e("speed on the ridge", "speed <= 1/2", ("1/2", "1/4"), ("<=", ">"), ("speed", "4*speed"), **RIDGE),
    _e("period of small orbits", "period = pi/intrinsic_lr", ("intrinsic_lr", "rate"), ("pi", "2*pi"),
       ("pi/", "pi*"), **RIDGE),
    _e("mean square of the oscillation", "mean_square = 2*rate/(4 + K^2)", ("K^2", "K"), ("2*rate", "2"),
       ("2*", ""), **RIDGE),
    _e("mean excess loss", "excess_loss = sharpness*rate/(4 + K^2)", ("sharpness*", ""), ("*rate", "*intrinsic_lr"),
       ("sharpness*", "2*sharpness*"), **RIDGE),
    _e("norm at the edge", "norm_squared = learning_rate*sharpness/2", ("learning_rate", "rate"), ("/2", ""),
       ("*sharpness", "/sharpness"), **RIDGE),
    _e("waiting time", "waiting_time = log(2/(lambda_1*effective_lr_0))/(-2*log(1 - rate))", ("(-2", "(2"),
       ("1 - rate", "1 + rate"), ("(-2", "(-1"), **RIDGE),
    _e("edge of stability", "effective_lr*sharpness = edge = 2", ("= 2", "= 1"), ("*sharp", "*K*sharp"),
       ("*sharp", "/sharp"), **RIDGE),
    _e("oscillator, displacement", "fast(X) = X*U", ("X*U", "-X*U"), ("X*U", "2*X*U"), ("X*U", "X*U^2"), **RIDGE),
    _e("oscillator, edge", "fast(U) = 4 - 2*(4 + K^2)*X^2", ("4 - 2", "2 - 2"), ("K^2", "K"), ("- 2*", "+ 2*"),
       **RIDGE),
    _e("energy", "energy = U^2/2 + (4 + K^2)*X^2 - 4*log(abs(X))", ("- 4*log", "+ 4*log"), ("U^2/2", "U^2"),
       ("4*log", "2*log"), **RIDGE),
    _e("energy is conserved", "fast(energy) = 0", ("energy", "energy + X^2"), ("= 0", "= X"), ("energy", "energy - U"),
       **RIDGE),
    _e("Euler's identity", "x*L_x(x, y, z) + y*L_y(x, y, z) + z*L_z(x, y, z) = 0", ("+ z", "- z"), ("x*L", "2*x*L"),
       ("= 0", "= L(x, y, z)"), **RIDGE),
    _e("the Hessian on w", "x*L_xx(x, y, z) + y*L_xy(x, y, z) + z*L_xz(x, y, z) = -L_x(x, y, z)", ("= -", "= "),
       ("= -", "= -2*"), ("= -L_x(x, y, z)", "= 0"), **RIDGE),
    _e("scale invariance", "L(3*x, 3*y, 3*z) = L(x, y, z)", ("3*z", "z"), ("= L", "= 3*L"), ("= L", "= 9*L"),
       **RIDGE),
    _e("gradient at another scale", "L_x(2*x, 2*y, 2*z) = L_x(x, y, z)/2", ("/2", ""), ("/2", "/4"), ("/2", "*2"),
       **RIDGE),
    _e("sharpness of the conic", "sharpness = (1 + 4*p^2 + p^4)/(1 + p^2 + p^4)", ("4*p^2", "2*p^2"), ("/(1", "/(2"),
       ("+ p^4)/", "- p^4)/"), loss="conic"),
    _e("K of the conic", "K^2 = 36*p^2*(1 - p^4)^2/(1 + 4*p^2 + p^4)^3", ("36", "6"), ("p^4)^3", "p^4)^2"),
       ("1 - p^4", "1 + p^4"), loss="conic"),
    _e("drift on the conic", "along(log(sharpness)) = -drift*K^2", ("-drift", "drift"), ("K^2", "K"), ("-drift", "-2*drift"),
       loss="conic"),
    _e("sharpness of the regression", "sharpness = 50/9 + 45*p^2/2", ("50/9", "25/9"), ("p^2", "p"), ("45", "-45"),
       loss="bn-regression"),
    _e("flow of the regression", "flow(p) = -p", ("-p", "p"), ("-p", "-2*p"), ("-p", "-p^2"), loss="bn-regression"),
    _e("angle of the regression", "along(p^2) = -2*p^2", ("= -2", "= -1"), ("= -2*p^2", "= -2*p"), ("= -", "= "),
       loss="bn-regression"),
    _e("a constant sharpness stands still", "flow(p) = K = 0", ("= 0", "= 1"), ("flow(p)", "flow(p) + p"),
       ("K", "K + rate"), loss="rayleigh"),
    _e("two eigenvalues", "lambda_2 < lambda_1", ("<", ">"), ("lambda_2 <", "2*lambda_2 <"), ("<", "="), loss="rayleigh"),
    _e("sharpness of the layers", "sharpness = (2*cosh(2*p) - 1)/4", ("cosh", "sinh"), ("/4", "/2"), ("- 1", "+ 1"),
       loss="two-layer"),
    _e("sharpness of the surface", "sharpness*(1 + p^2 + q^2) = 4 + 2*p^2 + p*q + 3*q^2", ("p*q", "2*p*q"), ("4 +", "3 +"),
       ("+ p*q", "- p*q"), loss="surface"),
    _e("edge of heavy ball", "edge = 2*(1 + beta)", ("1 + ", "1 - "), ("2*", ""), ("2*(1 + beta)", "2"), rule="heavy-ball"),
    _e("period of heavy ball", "period = pi/intrinsic_lr*sqrt((1 - beta)/(1 + beta))", ("*sqrt", "/sqrt"), ("sqrt", ""),
       ("intrinsic_lr", "rate"), rule="heavy-ball"),
    _e("drift of scalar RMSprop", "drift = C_b/2/(2*C_b + K^2)", ("C_b/2", "C_b"), ("K^2", "K"), ("2*C_b +", "4 +"),
       rule="rmsprop"),
    _e("many forgotten gradients", "C_b = 2 => drift = 1/(4 + K^2)", ("drift = 1", "drift = 2"), ("C_b = 2", "C_b = 4"),
       ("K^2", "K"), rule="rmsprop"),
    _e("drift of normalized GD", "drift = 1/4", ("1/4", "1/2"), ("drift", "-drift"), ("1/4", "1/(4 + K^2)"),
       rule="normalized-gd"),
    _e("drift of every loss", "velocity = -2*g/(4 + K^2)", ("-2", "2"), ("K^2", "K"), ("-2*g", "-g"), **GENERIC),
    _e("speed on every loss", "speed = 2*K/(4 + K^2) <= 1/2", ("<= 1/2", "<= 1/3"), ("2*K/", "2*K^2/"), ("<=", ">"),
       **GENERIC),
    _e("where the speed is largest", "K = 2 => speed = 1/2", ("K = 2", "K = 1"), ("= 1/2", "= 1/4"), ("speed", "2*speed"),
       **GENERIC),
    _e("catapult, output", "(f*n - eta*f*n*k + eta^2*f^2*f)/n = f*(1 - eta*k + eta^2*f^2/n)", ("1 - eta", "1 + eta"),
       ("eta^2*f^2/n)", "eta*f^2/n)"), ("+ eta^2*f^2/n)", ")"), symbols="f:real,n:natural,eta:positive,k:positive"),
    _e("catapult, curvature", "S = f*sqrt(n) => k - 4*eta*f*S/(n*sqrt(n)) + eta^2*f^2*k/n = k + eta*f^2/n*(eta*k - 4)",
       ("k - 4)", "k + 4)"), ("*(eta*k - 4)", "*(eta*k - 2)"), ("- 4*eta*f*S", "- 4*eta*S"),
       symbols="f:real,n:natural,eta:positive,k:positive,S:real"),
    _e("quasi-RMSprop",
       "v = 2*s/e^2; w = 2*s/f^2; f = e/(b^2*(1 + e^2*G)) => w = b^4*(v + 4*s*G + 2*s*e^2*G^2)",
       ("b^4", "b^2"), ("4*s*G", "2*s*G"), ("+ 2*s*e^2*G^2", ""),
       symbols="v:positive,w:positive,s:positive,e:positive,f:positive,b:positive,G:positive"),
    _e("mean of the square from balance", "4 - 2*(4 + k^2)*m = 0 => m = 2/(4 + k^2)", ("m = 2", "m = 4"), ("4 - 2", "4 - 3"),
       ("m = 2/(4 + k^2)", "m = 2/(4 + k)"), symbols="k:positive,m:positive"),
    _e("angle of batch normalization", "K = 2*t; a = -2*K/(4 + K^2) => (1 + t^2)*a = -t", ("= -t", "= t"), ("K = 2*t", "K = t"),
       ("= -t", "= -2*t"), symbols="K:positive,t:positive,a:real"),
    _e("multiplier -1 of heavy ball", "1 + (1 + b - e*h) + b = 0 => e*h = 2*(1 + b)", ("= 2*(1 + b)", "= 2*(1 - b)"),
       ("- e*h", "- 2*e*h"), ("= 2*(1", "= (1"), symbols=ALGEBRA),
    _e("variance of a noisy direction", "e*h < 2; v = (1 - e*h)^2*v + e^2*a*h => v = e*a/(2 - e*h)", ("2 - e*h)", "1 - e*h)"),
       ("e*a/", "a/"), ("^2*v", "*v"), symbols=ALGEBRA + ",v:positive"),
    _e("weight decay at first order", "(1 - e)^4 = 1 - 4*e + O(e^2)", ("- 4*e", "- 2*e"), ("^4", "^2"), ("e + O(e^2)", "e + O(e^3)"),
       symbols=ALGEBRA),
    _e("arithmetic and geometric mean", "4*a <= 4 + a^2", ("4*a", "5*a"), ("<=", ">"), ("a^2", "a"), symbols=ALGEBRA),
    _e("exponential schedule", "h < 1; e = a*(1 - h)^(-2*n - 1); b = a*(1 - h)^(-2*n - 3) => b*(1 - h)^2 = e",
       ("^2 = e", " = e"), ("- 3", "- 2"), ("a*(1 - h)^(-2*n - 1)", "a*(1 - h)^(-2*n)"), symbols=ALGEBRA),
)  # fmt: skip

R = "---\nloss: ridge\n---\n"
G = "---\nrule: gd-wd\n---\n"
DERIVATIONS = (
    _e("flow on the ridge", R + r"""
$$ \lambda_1 = 2 + \cos 2p $$
$$ g = \frac{d}{dp}\log\lambda_1 = -\frac{2\sin 2p}{2+\cos 2p} $$
\begin{align} \dot p &= -\frac{2g}{4+K^2} \\ &= \frac{\sin 2p(2+\cos 2p)}{(2+\cos 2p)^2+\sin^2 2p} \end{align}
""", (r"= -\frac{2\sin", r"= \frac{2\sin"), (r"-\frac{2g}", r"-\frac{g}"), (r"+\sin^2", r"+\sin")),
    _e("sharpness falls on the ridge", R + r"""
$$ \frac{d\log\lambda_1}{d\tau} = g\,\dot p \label{chain} $$
$$ \frac{d\log\lambda_1}{d\tau} = -\frac{2K^2}{4+K^2} \le 0 $$
$$ |\dot\zeta| = \frac{2K}{4+K^2} \le \frac12 $$
""", (r"= g\,\dot p", r"= \dot p"), (r"\le 0", r"\ge 0"), (r"\le \frac12", r"\le \frac14")),
    _e("oscillator and energy", G + r"""
$$ X' = X U, \qquad \frac{dU}{dT} = 4 - 2(4+K^2)X^2 $$
$$ E = \tfrac12 U^2 + (4+K^2)X^2 - 4\log|X| $$
$$ \frac{dE}{dT} = 0 $$
""", ("X' = X U", "X' = -X U"), (r"\tfrac12 U^2", "U^2"), (r"4 - 2(4", r"2 - 2(4")),
    _e("averages over an orbit", G + r"""
$$ \langle X^2\rangle = \frac{2}{4+K^2} $$
$$ \langle x^2\rangle = \varepsilon\langle X^2\rangle = \frac{2\varepsilon}{4+K^2} $$
$$ \langle L - \min L\rangle = \frac{\lambda_1}{2}\langle x^2\rangle = \frac{\lambda_1\varepsilon}{4+K^2} $$
""", (r"= \frac{2}{4", r"= \frac{1}{4"), (r"\varepsilon\langle X^2", r"\eta_{\mathrm{in}}\langle X^2"),
       (r"\frac{\lambda_1}{2}\langle", r"\lambda_1\langle")),
    _e("drift on every loss", G + r"""
$$ \eta_{\mathrm{eff}}\lambda_1 = 2 \label{edge} $$
$$ |w|^2 = \frac{\eta}{\eta_{\mathrm{eff}}} = \frac{\eta\lambda_1}{2} $$
$$ \frac{d\zeta}{d\tau} = -\frac{2g}{4+K^2} $$
""", (r"\lambda_1 = 2", r"\lambda_1 = 1"), (r"= \frac{\eta\lambda_1}{2}", r"= \frac{\eta\lambda}{2}"),
       (r"-\frac{2g}{4+K^2}", r"-\frac{2g}{4+K}")),
    _e("quasi-RMSprop identity", r"""---
symbols: {e: positive, G: positive, s: positive, b: positive}
---
$$ f = \frac{e}{b^2(1+e^2 G)} $$
$$ v = \frac{2s}{e^2}, \quad w = \frac{2s}{f^2} $$
$$ w = b^4 v\,(1+e^2 G)^2 $$
$$ \frac{w}{b^4} - v = 4 s G + 2 s e^2 G^2 $$
""", (r"= b^4 v", r"= b^2 v"), ("= 4 s G", "= 2 s G"), ("+ 2 s e^2 G^2", "- 2 s e^2 G^2")),
    _e("Euler identities", R + r"""
$$ x\,L_x(x,y,z) + y\,L_y(x,y,z) + z\,L_z(x,y,z) = 0 $$
$$ L(2x,2y,2z) = L(x,y,z) $$
$$ x\,L_{xz}(x,y,z) + y\,L_{yz}(x,y,z) + z\,L_{zz}(x,y,z) = -L_z(x,y,z) $$
""", (r"+ z\,L_z(", r"- z\,L_z("), (r"= L(x,y,z)", r"= 4L(x,y,z)"), ("= -L_z", "= L_z")),
    _e("regression with batch normalization", r"""---
loss: bn-regression
---
$$ \lambda_1 = \frac{50}{9} + \frac{45}{2}p^2 $$
$$ K^2 = \frac{81}{5} p^2 \implies \dot p = -p $$
$$ \frac{d p^2}{d\tau} = -2p^2 $$
""", (r"\frac{45}{2}p^2", r"\frac{45}{2}p"), (r"\dot p = -p", r"\dot p = p"), ("= -2p^2", "= -p^2")),
    _e("central flow of scalar RMSprop at the edge", r"""---
symbols: {eta: positive, S: positive, nu: positive, G: nonnegative, m: real}
---
$$ \frac{\eta S}{\sqrt{\nu}} = 2 \tag{given} \label{edge} $$
$$ \sqrt{\nu} = \frac{\eta S}{2} \text{ by \eqref{edge}} $$
$$ \nu = \frac{\eta^2 S^2}{4} \text{ by \eqref{edge}} $$
""", (r"\frac{\eta S}{2}", r"\eta S"), (r"\frac{\eta^2 S^2}{4}", r"\frac{\eta^2 S^2}{2}"), (r"\eta^2 S^2", r"\eta S^2")),
    _e("the catapult's map", r"""---
symbols: {f: real, n: natural, eta: positive, k: positive}
---
$$ F = f\left(1 - \eta k + \frac{\eta^2 f^2}{n}\right) $$
$$ k_1 = k + \frac{\eta f^2}{n}(\eta k - 4) $$
$$ F - f = -\eta f\left(k - \frac{\eta f^2}{n}\right) $$
$$ n(k_1 - k) + 4\eta f^2 = \eta^2 f^2 k $$
""", (r"= -\eta f\left(k -", r"= -\eta f\left(k +"), (r"= \eta^2 f^2 k", r"= \eta f^2 k"), (r"+ 4\eta f^2", r"+ 2\eta f^2")),
    _e("waiting for the edge", G + r"""
$$ \rho = \frac{1}{(1-\varepsilon)^2} $$
$$ \mathrm{waiting\_time} = \frac{\log\frac{2}{\lambda_1\eta_{\mathrm{eff},0}}}{-2\log(1-\varepsilon)} $$
$$ \rho (1-\varepsilon)^2 = 1 $$
$$ \rho = 1 + 2\varepsilon + O(\varepsilon^2) $$
""", (r"{-2\log", r"{2\log"), (r"\rho (1-\varepsilon)^2", r"\rho (1-\varepsilon)"), (r"1 + 2\varepsilon", r"1 + \varepsilon")),
    _e("small oscillations", G + r"""
$$ \eta_{\mathrm{in}} = \sqrt{2\varepsilon} $$
$$ \omega = 2\eta_{\mathrm{in}} $$
$$ \omega^2 = 8\varepsilon $$
$$ \mathrm{period} = \frac{2\pi}{\omega} $$
$$ \mathrm{period} = \frac{\pi}{\eta_{\mathrm{in}}} $$
""", (r"\sqrt{2\varepsilon}", r"2\varepsilon"), (r"\frac{2\pi}{\omega}", r"\frac{\pi}{\omega}"),
       (r"\frac{\pi}{\eta", r"\frac{\pi}{2\eta")),
)  # fmt: skip


def check(entry: Entry, text: str, /) -> tuple[list[str], str]:
    """The verdicts on a text of an entry, and the message of the first that is not proved."""
    from sharpflow.statements.derivation_file import prove_file
    from sharpflow.statements.prove import prove

    if "\n" not in text:
        result = prove(text, loss=entry.loss, rule=entry.rule, symbols=entry.kinds)
        return [result.proof], f"{result.message} {dict(result.witness)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "entry.md"
        path.write_text(text, encoding="utf-8")
        _, results = prove_file(str(path))
    said = next((f"{r.text}: {r.message}" for r in results if r.proof not in ("proved", "none")), "")
    return [r.proof for r in results], said


def main() -> int:
    """Print the table; 1 where a right one is refuted or a wrong one is not."""
    bad = 0
    print("| statement or derivation | right | three wrong forms | seconds |\n| --- | --- | --- | --- |")
    chosen = [e for e in (*STATEMENTS, *DERIVATIONS) if not sys.argv[1:] or e.title in sys.argv[1:]]
    for entry in chosen:
        begin = time.process_time()
        right, said = check(entry, entry.text)
        wrong = [check(entry, text) for text in entry.wrong()]
        worst = next((kind for kind in ("refuted", "undecided", "proved") if kind in right), "none")
        found = ["refuted" if "refuted" in verdicts else "missed" for verdicts, _ in wrong]
        lines = f" ({len(right)} equations)" if len(right) > 1 else ""
        print(
            f"| {entry.title}{lines} | {worst} | {found.count('refuted')} of 3 refuted | {time.process_time() - begin:.1f} |"
        )
        if worst == "refuted" or "missed" in found or worst == "undecided":
            bad += worst == "refuted" or "missed" in found
            print(entry.title, right, said, [m for (v, m) in wrong], file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
