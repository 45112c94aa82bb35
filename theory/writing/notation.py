"""How the theory's symbols are written, in one place: names as code has them, LaTeX and MathML as papers do."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter

from sharpflow.theory.proving.proof import Step

__all__ = ["LATEX", "RELATIONS", "formula", "latex", "latex_text", "mathml", "prose", "step_latex"]

RELATIONS = {"=": "=", ">": ">", ">=": r"\ge", "<=": r"\le"}

# Names that are not already read well by SymPy (which knows tau, mu, lambda_1, ...).
LATEX = {
    "C_b": r"C_b",
    "D^3 L(w)[w]": r"D^3 L(w)[w]",
    "E": "E",
    "Hess L(w)": r"\nabla^2 L(w)",
    "Hess L(w)[w]": r"\nabla^2 L(w)\, w",
    "H [zeta, d zeta]": r"\nabla^2 L(\zeta)\, [\zeta, \partial_i \zeta]",
    "H v_1": r"H v_1",
    "K2": "K^2",
    "L": "L",
    "L - min L": r"L - \min L",
    "<L - min L>": r"\langle L - \min L \rangle",
    "<X^2>": r"\langle X^2 \rangle",
    "<grad L(w), k>": r"\langle \nabla L(w), k \rangle",
    "<w+, k>/<w, k>": r"\langle w_+, k \rangle / \langle w, k \rangle",
    "<x^2>": r"\langle x^2 \rangle",
    "1 - beta": r"1 - \beta",
    "L(w + s k) - L(w)": r"L(w + s k) - L(w)",
    "X+": "X_+",
    "X'": "X'",
    "U'": "U'",
    "zeta'": r"\dot\zeta",
    "l/lambda_1": r"\ell/\lambda_1",
    "det(M + 1)": r"\det(M + 1)",
    "ds/dtau": r"\dot s",
    "<ds/dtau>": r"\langle \dot s \rangle",
    "<d>": r"\langle d \rangle",
    "<dE/dT>/delta": r"\langle dE/dT \rangle/\delta",
    "-alpha <U>/delta": r"-\alpha \langle U \rangle/\delta",
    "(brake <X^2> - growth)/delta": r"(b \langle X^2 \rangle - a)/\delta",
    "<U^2>": r"\langle U^2 \rangle",
    "<X>": r"\langle X \rangle",
    "<X^3>": r"\langle X^3 \rangle",
    "effective_lr*lambda_1": r"\eta_{\mathrm{eff}} \lambda_1",
    "d(X', U', s')/d(c_3, c_4, c_21, m, c_31, c_111, h)": (
        r"\partial (X', U', s')/\partial (c_3, c_4, c_{21}, m, c_{31}, c_{111}, h)"
    ),
    "dc/d(h, c_31, c_111)": r"\partial c/\partial (h, c_{31}, c_{111})",
    "d log lambda_1/dtau": r"d \log \lambda_1/d\tau",
    "V_1 after the step": r"V_1 \text{ after the step}",
    "V_2 after the step": r"V_2 \text{ after the step}",
    "V_3 after the step": r"V_3 \text{ after the step}",
    "V_1(X+, U+, S+)": "V_1(X_+, U_+, S_+)",
    "V_2(X+, U+, S+)": "V_2(X_+, U_+, S_+)",
    "V_3(X+, U+, S+)": "V_3(X_+, U_+, S_+)",
    "two steps": r"\text{two steps on rational numbers}",
    "crossings": r"N_{|z| = 1}",
    "dE/dT at delta^0": r"(dE/dT)_{\delta^0}",
    "dE/dT at delta^1": r"(dE/dT)_{\delta^1}",
    "P(X, U)": "P(X, U)",
    "min E": r"\min E",
    "U' at x = 0": r"U'_{x = 0}",
    "s'": "s'",
    "series": r"\text{the series}",
    "M*": "M^*",
    "f'(M*)": "f'(M^*)",
    "f(f(M))": "f(f(M))",
    "X++": "X_{++}",
    "coefficient": r"\text{coefficient}",
    "d log lambda_1/dp": r"\partial_p \log \lambda_1",
    "d(X', U', p')/dY_j": r"\partial (X', U', p') / \partial Y_j",
    "d(lambda_1 cos^2 alpha)/dp": r"\partial_p (\lambda_1 \cos^2 \alpha)",
    "dL(zeta(p))/dp": r"\partial_p L(\zeta(p))",
    "effective_lr": r"\eta_{\mathrm{eff}}",
    "effective_lr+": r"\eta_{\mathrm{eff}}^+",
    "effective_lr_0": r"\eta_{\mathrm{eff},0}",
    "e^y": "e^y",
    "eta_in": r"\eta_{\mathrm{in}}",
    "grad L(w)": r"\nabla L(w)",
    "grad L(w)[w]": r"\langle \nabla L(w), w \rangle",
    "grad L(zeta)": r"\nabla L(\zeta)",
    "gradient_squared": "|G|^2",
    "|g|^2": "|g|^2",
    "lambda_1 v_1": r"\lambda_1 v_1",
    "learning_rate": r"\eta",
    "log_growth": r"\gamma",
    "norm_squared": "|w|^2",
    "p'": "p'",
    "rate": r"\varepsilon",
    "speed": r"|\dot\zeta|",
    "t*": "t^*",
    "tan_alpha^2": r"\tan^2 \alpha",
    "tan_alpha_0": r"\tan \alpha_0",
    "v+": "v_+",
    "weight_decay": r"\lambda",
    "x+": "x_+",
    "|w+|^2": "|w_+|^2",
    "|w|^2": "|w|^2",
    "|P|^2": "|P|^2",
}
# ruff: noqa: RUF001  the letters are meant
_LETTERS = {
    "Gamma": "Γ", "Rightarrow": "⇒", "Sigma": "Σ", "alpha": "α", "beta": "β", "eta": "η", "gamma": "γ", "lambda": "λ",
    "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "theta": "θ", "varepsilon": "ε", "zeta": "ζ",
}  # fmt: skip
_OPERATORS = {
    "angle": "∠", "arccos": "arccos", "cos": "cos", "dim": "dim", "exp": "exp", "ge": "≥", "in": "∈", "langle": "⟨",
    "le": "≤", "log": "log",
    "max": "max", "min": "min", "nabla": "∇", "partial": "∂", "rangle": "⟩", "sim": "∼", "tan": "tan",
    "det": "det", "int": "∫", "ker": "ker", "otimes": "⊗", "perp": "⟂", "sum": "∑", "top": "⊤",
}  # fmt: skip
_SPACES = {",": " ", "quad": " ", "left": "", "right": ""}


class _Terms:
    """The order of terms in both printers: a sum begins with a positive term where it has one, 1 - x and not -x + 1."""

    def _as_ordered_terms(self, expr: sp.Expr, order: str | None = None) -> list[sp.Expr]:
        terms: list[sp.Expr] = super()._as_ordered_terms(expr, order=order)  # type: ignore[misc]
        first = next((term for term in terms if not term.could_extract_minus_sign()), terms[0])
        return [first, *(term for term in terms if term is not first)]


class _Latex(_Terms, LatexPrinter):
    def _print_Pow(self, expr: sp.Pow) -> str:
        # A symbol that is itself written as a square: |G|^4, not (|G|^2)^2.
        known = LATEX.get(expr.base.name, "") if expr.base.is_Symbol else ""
        if known.endswith("^2") and expr.exp.is_Integer and expr.exp > 1:
            return f"{known[:-2]}^{{{2 * expr.exp}}}"
        return str(super()._print_Pow(expr))

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:
        known = LATEX.get(expr.name)
        if known is not None:
            return known
        if re.fullmatch(r"[A-Za-z]+(_?\w+)?", expr.name):
            written = str(super()._print_Symbol(expr))
            # A word is upright, or it reads as a product of its letters; SymPy has put a backslash before Greek ones.
            word = re.match(r"[A-Za-z]{2,}", written)
            return rf"\mathrm{{{latex_text(expr.name)}}}" if word else written
        return rf"\text{{{latex_text(expr.name)}}}"


class _MathML(_Terms, MathMLPresentationPrinter):
    def _print_Symbol(self, sym: sp.Symbol, style: str = "plain") -> Any:
        known = LATEX.get(sym.name)
        if known is None and re.fullmatch(r"[A-Za-z]+(_?\w+)?", sym.name):
            return super()._print_Symbol(sym)
        return _nodes(self.dom, sym.name if known is None else known)

    def _print_Pow(self, e: sp.Pow) -> Any:
        known = LATEX.get(e.base.name, "") if e.base.is_Symbol else ""
        if known.endswith("^2") and e.exp.is_Integer and e.exp > 1:
            return _nodes(self.dom, f"{known[:-2]}^{{{2 * e.exp}}}")
        return super()._print_Pow(e)

    def _print_Subs(self, e: sp.Subs) -> Any:
        holder = self.dom.createElement("msub")
        row, below = self.dom.createElement("mrow"), self.dom.createElement("mrow")
        row.appendChild(self._print(e.expr))
        row.appendChild(_element(self.dom, "mo", "|"))
        for i, (variable, value) in enumerate(zip(e.variables, e.point, strict=True)):
            if i:
                below.appendChild(_element(self.dom, "mo", ","))
            below.appendChild(self._print(variable))
            below.appendChild(_element(self.dom, "mo", "="))
            below.appendChild(self._print(value))
        holder.appendChild(row)
        holder.appendChild(below)
        return holder

    def _print_Function(self, e: sp.Function) -> Any:
        # SymPy writes the names of undefined functions in lower case.
        if not isinstance(e, AppliedUndef):
            return super()._print_Function(e)
        row = self.dom.createElement("mrow")
        row.appendChild(_element(self.dom, "mi", e.func.__name__))
        row.appendChild(_element(self.dom, "mo", "("))
        for i, argument in enumerate(e.args):
            if i:
                row.appendChild(_element(self.dom, "mo", ","))
            row.appendChild(self._print(argument))
        row.appendChild(_element(self.dom, "mo", ")"))
        return row


# What pdflatex knows of Greek in text; of other scripts it knows nothing beyond accented Latin letters.
_GREEK_LETTERS = {
    letter: rf"\ensuremath{{\{name}}}" for name, letter in _LETTERS.items() if name != "Rightarrow"
} | {"δ": r"\ensuremath{\delta}", "φ": r"\ensuremath{\varphi}", "ψ": r"\ensuremath{\psi}", "ω": r"\ensuremath{\omega}",
     "π": r"\ensuremath{\pi}", "σ": r"\ensuremath{\sigma}", "ρ": r"\ensuremath{\rho}", "ξ": r"\ensuremath{\xi}",
     "κ": r"\ensuremath{\kappa}", "ν": r"\ensuremath{\nu}", "χ": r"\ensuremath{\chi}", "Δ": r"\ensuremath{\Delta}",
     "Ω": r"\ensuremath{\Omega}", "Λ": r"\ensuremath{\Lambda}", "Φ": r"\ensuremath{\Phi}"}  # fmt: skip


def latex_text(text: str) -> str:
    """Text with what LaTeX reads as commands escaped."""
    special = {
        "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
        ">": r"\textgreater{}", "|": r"\textbar{}",
    }  # fmt: skip
    text = re.sub(r"[\\^~<>|&%$#_{}]", lambda m: special.get(m.group(), "\\" + m.group()), text)
    return re.sub(r"[^\x00-\u024f]", lambda m: _GREEK_LETTERS.get(m.group(), "?"), text)


# Words of the theory in titles and notes; English words that are names as well stay words.
_ENGLISH = ("coefficient", "crossings", "rate", "series", "speed", "two steps", "E", "L")
_WORDS = {"effective_lr_t": r"\eta_{\mathrm{eff},t}", "eps": r"\varepsilon", "<U>": r"\langle U \rangle"} | {
    name: written for name, written in LATEX.items() if name not in _ENGLISH and not name.startswith("d(")
}
_GREEK = r"alpha|beta|gamma|Gamma|delta|zeta|eta|theta|lambda|mu|xi|tau|omega|pi"
_NAMES = "|".join(re.escape(name) for name in sorted(_WORDS, key=len, reverse=True))
_PROSE = re.compile(
    rf"(?<![\w|])(?:{_NAMES})(?![\w|+])"  # what has an entry above
    rf"|\b(?:{_GREEK}|[A-Za-z])_(?:[A-Za-z0-9]{{1,3}}\b|[+-])"  # an index
    rf"|\b(?:{_GREEK})\b"
    r"|\|[A-Za-z]\|"
    r"|(?:(?<![\w.])[A-Za-z])?(?:\^|\*\*)(?:\d+|[A-Za-z]\b|\([A-Za-z0-9 +*/.-]*\))"  # a power
    r"|<=|>=|->|<(?=\S)|(?<=\S)>|<|>|(?<=[\w)])\*(?=[\w(])|(?<= )-(?= )|(?<![\w-])-(?=\d)"
)
_SIGNS = {"<=": r"\le", ">=": r"\ge", "->": r"\to", "*": r"\cdot", "-": "-"}


def prose(text: str) -> list[tuple[bool, str]]:
    r"""Pieces of a title or a note: (True, LaTeX mathematics) or (False, plain text), in order.

    >>> prose("where lambda_1 > 0")
    [(False, 'where '), (True, '\\lambda_{1}'), (False, ' '), (True, '>'), (False, ' 0')]
    """
    pieces: list[tuple[bool, str]] = []
    end = 0
    for match in _PROSE.finditer(text):
        if match.start() > end:
            pieces.append((False, text[end : match.start()]))
        word = _word(match.group(), text[match.end() : match.end() + 1], text[match.start() - 1 : match.start()])
        if pieces and pieces[-1][0]:
            word = f"{pieces.pop()[1]} {word}"
        pieces.append((True, word))
        end = match.end()
    if end < len(text):
        pieces.append((False, text[end:]))
    return pieces


def _word(word: str, after: str, before: str) -> str:
    if word in _WORDS:
        return _WORDS[word]
    if word == "<" and after.strip():
        return r"\langle"
    if word == ">" and before.strip():
        return r"\rangle"
    if word in _SIGNS or word in ("<", ">") or word.startswith("|"):
        return _SIGNS.get(word, word)
    base, caret, power = word.replace("**", "^").partition("^")
    if caret:
        return f"{base or '{}'}^{{{power.removeprefix('(').removesuffix(')')}}}"
    base, _, index = word.partition("_")
    base = base if len(base) == 1 else "\\" + base
    if not index:
        return base
    return f"{base}_{{{index}}}" if len(index) == 1 or index.isdigit() else rf"{base}_{{\mathrm{{{index}}}}}"


def latex(value: Any) -> str:
    """A side of a step as LaTeX mathematics, without dollar signs."""
    if isinstance(value, str):
        return rf"\text{{{latex_text(value)}}}"
    return str(_Latex({"order": None}).doprint(value))


def step_latex(step: Step, /) -> str:
    """The line of a step as LaTeX mathematics, without dollar signs."""
    return f"{latex(step.lhs)} {RELATIONS[step.relation]} {latex(step.rhs)}"


def mathml(value: Any) -> str:
    """A side of a step as presentation MathML, without the outer element."""
    if isinstance(value, str):
        return f"<mtext>{escape(value)}</mtext>"
    printer = _MathML()
    text = str(printer._print(sp.sympify(value)).toxml())
    # SymPy's double-struck d of derivatives and e of powers are in few fonts, and its minus is a hyphen.
    for written, better in (("&dd;", "d"), ("&ExponentialE;", "e"), ("<mo>-</mo>", "<mo>−</mo>")):
        text = text.replace(written, better)
    return text


def formula(text: str) -> str:
    r"""A formula written in the LaTeX that claims are stated in, as presentation MathML without the outer element.

    Groups, scripts, fractions, roots of the kind \\frac{}{}, Greek letters, relations and named functions are
    understood.
    """
    return str(_nodes(_MathML().dom, text).toxml())


def _nodes(dom: Any, text: str) -> Any:
    """A row for a symbol written in the small part of LaTeX that `LATEX` uses: groups, scripts, a few names."""
    tokens = re.findall(r"\\[A-Za-z]+|\\,|[A-Za-z]|\d+|\S| ", text)
    row, _ = _row(dom, tokens, 0)
    return row


def _element(dom: Any, name: str, text: str) -> Any:
    node = dom.createElement(name)
    # SymPy's printer writes the text of nodes as it stands.
    node.appendChild(dom.createTextNode(escape(text)))
    return node


def _atom(dom: Any, tokens: list[str], i: int) -> tuple[Any, int]:
    token = tokens[i]
    if token == "{":
        return _row(dom, tokens, i + 1)
    if token.startswith("\\"):
        return _command(dom, tokens, i)
    if token.isdigit():
        return _element(dom, "mn", token), i + 1
    node = _element(dom, "mi" if token.isalpha() else "mo", "−" if token == "-" else token)
    if token == "|":  # a bar hugs what it encloses, on whichever side it stands
        for name, value in (("stretchy", "false"), ("lspace", "0"), ("rspace", "0")):
            node.setAttribute(name, value)
    return node, i + 1


def _command(dom: Any, tokens: list[str], i: int) -> tuple[Any, int]:
    name = tokens[i][1:]
    if name in ("mathrm", "text", "operatorname"):
        end = tokens.index("}", i)
        return _element(dom, "mi", "".join(tokens[i + 2 : end])), end + 1
    if name == "sqrt":
        inside, end = _atom(dom, tokens, i + 1)
        root = dom.createElement("msqrt")
        root.appendChild(inside)
        return root, end
    if name in ("frac", "tfrac"):
        holder = dom.createElement("mfrac")
        for _ in range(2):
            while tokens[i + 1] == " ":
                i += 1
            part, following = _atom(dom, tokens, i + 1)
            holder.appendChild(part)
            i = following - 1
        return holder, i + 1
    if name == "dot":
        holder = dom.createElement("mover")
        part, following = _atom(dom, tokens, i + 1)
        holder.appendChild(part)
        holder.appendChild(_element(dom, "mo", "˙"))
        return holder, following
    if name in _SPACES:
        return _element(dom, "mtext", _SPACES[name]), i + 1
    if name in _OPERATORS:
        return _element(dom, "mo", _OPERATORS[name]), i + 1
    return _element(dom, "mi", _LETTERS.get(name, name)), i + 1


def _row(dom: Any, tokens: list[str], i: int) -> tuple[Any, int]:
    row = dom.createElement("mrow")
    while i < len(tokens) and tokens[i] != "}":
        if tokens[i] == " ":
            i += 1
            continue
        atom, i = _atom(dom, tokens, i)
        scripts: dict[str, Any] = {}
        while i < len(tokens) and tokens[i] in "_^":
            mark = tokens[i]
            scripts[mark], i = _atom(dom, tokens, i + 1)
        if scripts:
            name = "msubsup" if len(scripts) == 2 else "msub" if "_" in scripts else "msup"
            holder = dom.createElement(name)
            holder.appendChild(atom)
            for mark in "_^":
                if mark in scripts:
                    holder.appendChild(scripts[mark])
            atom = holder
        row.appendChild(atom)
    return row, i + 1
