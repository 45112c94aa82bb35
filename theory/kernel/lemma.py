"""A checked step as a lemma of Coq: its hypotheses, its statement, and a proof that the kernel checks.

    Lemma step_12 (p : R) (d1 : 2 * cos p ^ 2 + 1 <> 0) : lhs = rhs.

Hypotheses are what a reader of the equation supposes without saying so: symbols that are declared positive,
denominators that do not vanish, radicands that are not negative. Those that this program can show are proved and not
supposed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.kernel.field import Atoms, Relation, Rewriting, factors
from sharpflow.theory.kernel.signs import Positive, positive
from sharpflow.theory.kernel.terms import NotExported, Terms, plain
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Step

__all__ = ["Lemma", "both", "lemma_of", "theorem"]

# Finding a certificate for a step of the built-in families takes a tenth of it.
SECONDS = 20.0
# Characters of a lemma: longer ones take the kernel minutes.
LONGEST = 60_000


@dataclass(frozen=True)
class Lemma:
    """Text of a lemma, with its proof.

    Attributes:
        name: its identifier.
        text: statement and proof.
        hollow: both sides are the same expression, so that the kernel learns nothing that the reader did not see.
        searched: the proof is looked for by the assistant (`nra`), which may not find it.
    """

    name: str
    text: str
    hollow: bool = False
    searched: bool = False


def lemma_of(step: Step, name: str, /) -> Lemma:
    """The lemma of a proved step.

    Raises:
        NotExported: it is not restated; the message is the kind of reason.
    """
    sides = step.sides
    if sides is None:
        raise NotExported("checked by another procedure than algebra on two sides")
    try:
        with time_limit(SECONDS):
            found = _equation(sides, name) if step.relation == "=" else _inequality(step, name)
    except TimeLimitExceeded as reason:
        raise NotExported("no certificate in time") from reason
    except (NoClosedForm, sp.PolynomialError) as reason:
        raise NotExported("not made of polynomials, roots and elementary functions") from reason
    if len(found.text) > LONGEST:
        raise NotExported("too long for the kernel")
    return found


def _pairs(sides: tuple[object, object]) -> list[tuple[sp.Expr, sp.Expr]]:
    left, right = sides
    if isinstance(left, sp.MatrixBase):
        others = list(right) if isinstance(right, sp.MatrixBase) else [right] * len(left)
        pairs = list(dict.fromkeys(zip(list(left), others, strict=True)))
    else:
        pairs = [(left, right)]
    return [(plain(sp.sympify(a)), plain(sp.sympify(b))) for a, b in pairs]


class _Script:
    """What a lemma supposes, and the facts that its proof begins with."""

    def __init__(self, *expressions: sp.Expr) -> None:
        if any(e.has(sp.I) for e in expressions):
            raise NotExported("a complex number")
        self.terms, self.atoms = Terms(), Atoms()
        self.terms.nodes = self.atoms.shown
        self.atoms.prepare(*expressions)
        self.hypotheses: list[tuple[str, str]] = []
        self.facts: list[str] = []
        self.rewritten: list[str] = []
        self.shown: dict[Relation, str] = {}
        self.nonzero: set[sp.Expr] = set()
        self.products: set[sp.Expr] = set()
        self.signs: dict[sp.Expr, Positive] = {}

    def begin(self, *expressions: sp.Expr) -> list[sp.Expr]:
        """The expressions in the atoms; veils over what holds others, and what is rewritten."""
        found = [self.atoms.convert(e) for e in expressions]
        for atom in self.atoms.veiled:
            node = self.atoms.node[atom]
            if isinstance(node, sp.Pow):
                self._root(atom, node)
            self.facts.append(f"set ({self.terms.name(atom)} := {self.terms(node)}) in *.")
            self.facts.append(f"clearbody {self.terms.name(atom)}.")
        for rewriting in self.atoms.rewritings.values():
            self._rewrite(rewriting)
        return found

    def _root(self, atom: sp.Symbol, node: sp.Expr) -> None:
        q = self.terms.name(atom)
        text = self.terms(node.base)
        above, below = self.atoms.fraction(self.atoms.convert(node.base))
        found = None if below or node.base.has(sp.sin, sp.cos, sp.exp) else positive(above, self.atoms)
        if found is not None and found.sign > 0 and found.strict and not found.cofactors:
            proof = self.prove_sign(found, goal=text)
            self.facts.append(f"assert (x_{q} : 0 < {text}) by ({proof}).")
            self.facts.append(f"assert (q_{q} : 0 <= {text}) by lra.")
            self.facts.append(f"pose proof (sqrt_lt_R0 _ x_{q}) as y_{q}.")
        else:
            self.hypotheses.append((f"q_{q}", f"0 <= {text}"))
            self.facts.append(f"pose proof (sqrt_pos ({text})) as y_{q}.")
        self.facts.append(f"pose proof (root _ q_{q}) as z_{q}.")

    def _rewrite(self, rewriting: Rewriting) -> None:
        name = f"w{len(self.rewritten) + 1}"
        node, value = rewriting.node, self.write(rewriting.value)
        if not rewriting.parts:  # a power of a sine
            base = node.as_base_exp()[0]
            proof = f"rewrite <- (sine_squared ({self.terms(base.args[0])})); ring"
            self.facts.append(f"assert ({name} : {self.terms(node)} = {value}) by ({proof}).")
        else:
            pieces = [self.terms(u if n > 0 else -u) for n, u in rewriting.parts for _ in range(abs(n))]
            whole = pieces[-1]
            for piece in reversed(pieces[:-1]):
                whole = f"({piece}) + ({whole})"
            expand = "expand_exp" if isinstance(node, sp.exp) else self._expanded(rewriting)
            argument = self.terms(node.args[0])
            self.facts.append(
                f"assert ({name} : {self.terms(node)} = {value}) by (replace ({argument}) with ({whole}) by field; "
                f"{expand})."
            )
        self.rewritten.append(name)

    def _expanded(self, rewriting: Rewriting) -> str:
        """From the polynomial in sin u and cos u that the addition theorems give to one that is linear in sin u."""
        cosine, sine = sp.Integer(1), sp.Integer(0)
        for n, u in reversed(rewriting.parts):
            c, s = self.atoms.atom(sp.cos(u)), self.atoms.atom(sp.sin(u))
            for _ in range(abs(n)):
                cosine, sine = cosine * c - sine * s * sp.sign(n), sine * c + cosine * s * sp.sign(n)
        whole = sp.expand(cosine if isinstance(rewriting.node, sp.cos) else sine)
        certificate = self.atoms.certify(sp.expand(whole - rewriting.value))
        if not certificate.cofactors:
            return "expand_angle; ring"
        names = [self.relation(r) for r, _ in certificate.cofactors]
        total = " + ".join(f"({self.write(r.polynomial)}) * ({self.write(q)})" for r, q in certificate.cofactors)
        return (
            f"expand_angle; apply Rminus_diag_uniq; transitivity ({total}); [ring | rewrite {', '.join(names)}; ring]"
        )

    def write(self, e: sp.Expr) -> str:
        """An expression in the atoms, as a term."""
        return self.terms(e)

    def unveiled(self, e: sp.Expr) -> str:
        """The same before any veil is laid over it."""
        bare = Terms()
        bare.names, bare.nodes = self.terms.names, self.atoms.node_of_all()
        return bare(e)

    def suppose(self, text: str) -> None:
        self.hypotheses.append((f"d{1 + sum(h.startswith('d') for h, _ in self.hypotheses)}", text))

    def relation(self, relation: Relation) -> str:
        """The name of the fact polynomial = 0."""
        if relation not in self.shown:
            name = self.shown[relation] = f"r{len(self.shown) + 1}"
            text, node = self.write(relation.polynomial), relation.node
            if isinstance(node, sp.sin):
                proof = f"pose proof (circle ({self.terms(node.args[0])})) as Z; lra"
            else:
                below = self.atoms.fraction(self.atoms.convert(node.base))[1]
                self.denominators(below)
                product, inside = self.write(sp.Mul(*(d**k for d, k in below.items()))), self.terms(node.base)
                rewrite = f"rewrite {', '.join('?' + w for w in self.rewritten)}; " if self.rewritten else ""
                close = "field; nonzero" if below else "(ring || field)"
                q = self.terms.name(relation.atom)
                proof = f"transitivity (({product}) * ({q} ^ 2 - ({inside}))); [{rewrite}{close} | rewrite z_{q}; ring]"
            self.facts.append(f"assert ({name} : {text} = 0) by ({proof}).")
        return self.shown[relation]

    def sign(self, polynomial: sp.Expr) -> Positive | None:
        if polynomial not in self.signs:
            found = positive(polynomial, self.atoms)
            if found is None:
                return None
            self.signs[polynomial] = found
        return self.signs[polynomial]

    def prove_sign(self, found: Positive, *, strict: bool = True, goal: str = "") -> str:
        """A tactic for 0 < sign*polynomial (or <=)."""
        total = " + ".join(self._term(t) for t in found.terms)
        if not goal:
            goal = self.write(found.polynomial) if found.sign > 0 else f"- ({self.write(found.polynomial)})"
        added, names = "", []
        for relation, cofactor in found.cofactors:
            names.append(self.relation(relation))
            added += f" + ({self.write(relation.polynomial)}) * ({self.write(cofactor)})"
        steps = [f"replace ({goal}) with ({total}{added}) by (ring || field)"]
        steps += [f"rewrite {name}, Rmult_0_l, Rplus_0_r" for name in reversed(names)]
        return "; ".join([*steps, "positive" if strict else "nonneg"])

    def _term(self, term: sp.Expr) -> str:
        """A term with a positive coefficient, as a product of powers."""
        coefficient, powers = term.as_coeff_Mul()
        parts = [] if coefficient == 1 and powers != 1 else [f"({self.terms(coefficient)})"]
        parts += [] if powers == 1 else [self.terms(f, 2) for f in sp.Mul.make_args(powers)]
        return " * ".join(parts)

    def denominators(self, below: Counter[sp.Expr]) -> None:
        """Each factor of the denominators does not vanish: shown, or supposed."""
        for factor in (*below, *self.atoms.inner):
            if factor in self.nonzero:
                continue
            self.nonzero.add(factor)
            text = self.write(factor)
            node = self.atoms.node.get(factor, factor)
            found = self.sign(factor)
            if found is not None and found.strict:
                sign = f"0 < {self.write(factor)}" if found.sign > 0 else f"0 < - ({text})"
                name = f"p{len(self.facts)}"
                self.facts.append(f"assert ({name} : {sign}) by ({self.prove_sign(found)}).")
            elif isinstance(node, sp.Symbol) and node.is_positive:
                continue
            else:
                self.suppose(f"{self.unveiled(factor)} <> 0")

    def bases(self, *expressions: sp.Expr) -> None:
        """What is divided by as it is written, where that is a product: it does not vanish as its factors do not."""
        for e in expressions:
            for node in sp.preorder_traversal(e):
                if not (isinstance(node, sp.Pow) and node.exp < 0 and node.base.is_Add):
                    continue
                above, _ = self.atoms.fraction(node.base)
                if above in self.products:
                    continue
                self.products.add(above)
                constant, parts = factors(above)
                if len(parts) > 1 or any(k > 1 for _, k in parts):
                    product = " * ".join([f"({self.terms(constant)})", *(f"({self.write(f)}) ^ {k}" for f, k in parts)])
                    self.facts.append(
                        f"assert (b{len(self.facts)} : {self.write(above)} <> 0) by "
                        f"(replace ({self.write(above)}) with ({product}) by (ring || field); product_nonzero)."
                    )

    def lemma(self, name: str, statement: str, proof: list[str], **kind: bool) -> Lemma:
        symbols = [
            (identifier, symbol) for symbol, identifier in self.terms.names.items() if not isinstance(symbol, str)
        ]
        symbols = [(i, s) for i, s in symbols if s not in self.atoms.veiled]
        binders = [f"({identifier} : R)" for identifier, _ in symbols]
        positives = [
            (f"h_{identifier}", f"0 < {identifier}" if symbol.is_positive else f"0 <= {identifier}")
            for identifier, symbol in symbols
            if isinstance(symbol, sp.Symbol) and symbol.is_nonnegative
        ]
        binders += [f"({h} : {text})" for h, text in (*positives, *self.hypotheses)]
        head = f"Lemma {name} {' '.join(binders)} :" if binders else f"Lemma {name} :"
        body = "\n".join(f"  {line}" for line in (*self.facts, *proof))
        return Lemma(name, f"{head}\n  {statement}.\nProof.\n{body}\nQed.\n", **kind)


def _equation(sides: tuple[object, object], name: str) -> Lemma:
    pairs = _pairs(sides)
    if not pairs:
        raise NotExported("nothing to state")
    if any(e in (sp.oo, -sp.oo, sp.zoo, sp.nan) or e.has(sp.oo, sp.zoo, sp.nan) for pair in pairs for e in pair):
        raise NotExported("an infinite number")
    script = _Script(*(e for pair in pairs for e in pair))
    statement = " /\\\n  ".join(f"{script.terms(a)} = {script.terms(b)}" for a, b in pairs)
    if all(a == b for a, b in pairs):
        return script.lemma(name, statement, ["repeat split; reflexivity."], hollow=True)
    converted = script.begin(*(e for pair in pairs for e in pair))
    rewrite = [f"rewrite {', '.join('?' + w for w in script.rewritten)}"] if script.rewritten else []
    proofs = [
        "reflexivity" if a == b else "; ".join([*rewrite, _residual(left, right, script)])
        for (a, b), left, right in zip(pairs, converted[::2], converted[1::2], strict=True)
    ]
    if len(proofs) == 1:
        return script.lemma(name, statement, [f"{proofs[0]}."])
    bullets = [f"- {proof}." for proof in proofs]
    return script.lemma(name, statement, [f"{both(len(proofs))}.", *bullets])


def theorem(
    name: str, pairs: Sequence[tuple[sp.Expr, sp.Expr]], statements: Sequence[str], /, *, unfold: Sequence[str],
    divided: Sequence[sp.Expr] = (),
) -> str:  # fmt: skip
    """Equations between terms that are defined in the file, each the same as a pair once definitions are unfolded.

    Args:
        name: of the theorem.
        pairs: both sides, in SymPy.
        statements: the equations, as terms of Coq.
        unfold: definitions to unfold.
        divided: what the definitions divide by at the place.
    """
    pairs = [(plain(a), plain(b)) for a, b in pairs]
    divisors = [1 / plain(d) for d in divided]
    script = _Script(*(e for pair in pairs for e in pair), *divisors)
    script.atoms.raw = True
    for symbol in sorted({s for e in (*divisors, *(e for p in pairs for e in p)) for s in e.free_symbols}, key=str):
        script.terms.name(symbol)
    converted = script.begin(*(e for pair in pairs for e in pair), *divisors)
    for e in converted[2 * len(pairs) :]:
        script.denominators(script.atoms.fraction(e)[1])
    rewrite = [f"rewrite {', '.join('?' + w for w in script.rewritten)}"] if script.rewritten else []
    start = [f"unfold {', '.join(unfold)}", *rewrite]
    proofs = [
        "; ".join([*start, _residual(left, right, script, "field; nonzero")])
        for left, right in zip(converted[: 2 * len(pairs) : 2], converted[1 : 2 * len(pairs) : 2], strict=True)
    ]
    body = [f"{proofs[0]}."] if len(proofs) == 1 else [f"{both(len(proofs))}.", *(f"- {p}." for p in proofs)]
    lemma = script.lemma(name, " /\\\n  ".join(statements), body)
    return lemma.text.replace("Lemma", "Theorem", 1)


def both(count: int) -> str:
    """A tactic that takes a conjunction apart; `split` alone would close what is true by reflexivity as well."""
    holes = "_"
    for _ in range(count - 1):
        holes = f"(conj _ {holes})"
    return f"refine {holes}"


def _residual(a: sp.Expr, b: sp.Expr, script: _Script, closing: str = "") -> str:
    """A tactic for a = b, both in the atoms, after all rewritings."""
    atoms = script.atoms
    (left, below), (right, under) = atoms.fraction(a), atoms.fraction(b)
    both = below | under
    numerator = sp.expand(
        left * sp.Mul(*(d ** (k - below[d]) for d, k in both.items()))
        - right * sp.Mul(*(d ** (k - under[d]) for d, k in both.items()))
    )
    certificate = atoms.certify(numerator)
    divisor = both + certificate.multiplier
    script.denominators(divisor)
    script.bases(a, b)
    close = closing or ("field; nonzero" if divisor else "(ring || field)")
    if not certificate.cofactors:
        return close
    names = [script.relation(r) for r, _ in certificate.cofactors]
    total = " + ".join(f"({script.write(r.polynomial)}) * ({script.write(q)})" for r, q in certificate.cofactors)
    if divisor:
        total = f"({total}) / ({script.write(sp.Mul(*(d**k for d, k in divisor.items())))})"
    return f"apply Rminus_diag_uniq; transitivity ({total}); [{close} | rewrite {', '.join(names)}; unfold Rdiv; ring]"


def _inequality(step: Step, name: str) -> Lemma:
    assert step.sides is not None
    (left, right), relation = _pairs(step.sides)[0], step.relation
    script = _Script(left, right)
    statement = f"{script.terms(left)} {relation} {script.terms(right)}"
    first, second = script.begin(left, right)
    difference = first - second if relation in (">", ">=") else second - first
    strict = relation in (">", "<")
    above, below = script.atoms.fraction(difference)
    found = script.sign(above)
    if found is None or (strict and not found.strict):
        raise NotExported("no certificate of positivity")
    script.denominators(below)
    sign = found.sign
    odd: list[Positive] = []
    for factor, k in below.items():
        if k % 2:
            shown = script.sign(factor)
            if shown is None:
                raise NotExported("no certificate of positivity")
            odd.append(shown)
            sign *= shown.sign
    if sign < 0:
        raise NotExported("no certificate of positivity")
    script.bases(first, second)
    top = script.write(above) if found.sign > 0 else f"- ({script.write(above)})"
    proof = [f"assert (above : 0 {'<' if strict else '<='} {top}) by ({script.prove_sign(found, strict=strict)})."]
    goal = f"{script.terms(left)} - ({script.terms(right)})"
    goal = goal if relation in (">", ">=") else f"{script.terms(right)} - ({script.terms(left)})"
    rewrite = f"rewrite {', '.join('?' + w for w in script.rewritten)}; " if script.rewritten else ""
    if not below:
        proof.append(f"assert (same : {goal} = {top}) by ({rewrite}(ring || field)).")
        proof.append("lra.")
        return script.lemma(name, statement, proof)
    factors_ = []
    for factor, k in below.items():
        shown = script.sign(factor)
        minus = shown is not None and shown.sign < 0 and k % 2
        factors_.append(f"({'- ' if minus else ''}({script.write(factor)})) ^ {k}")
    bottom = " * ".join(factors_)
    proof.append(f"assert (under : 0 < {bottom}) by product_positive.")
    proof.append(f"assert (same : {goal} = ({top}) / ({bottom})) by ({rewrite}field; nonzero).")
    lemma = "Rdiv_lt_0_compat" if strict else "Rdiv_le_0_compat"
    proof.append(f"pose proof ({lemma} _ _ above under) as quotient.")
    proof.append("rewrite <- same in quotient; lra.")
    return script.lemma(name, statement, proof)
