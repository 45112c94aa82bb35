"""A lemma as it is built up: names, hypotheses, facts that its proof begins with, and what is rewritten."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sympy as sp

from sharpflow.theory.kernel.field import Atoms, Relation, Rewriting, factors
from sharpflow.theory.kernel.signs import Positive, positive
from sharpflow.theory.kernel.terms import NotExported, Terms

__all__ = ["Lemma", "Script"]


@dataclass(frozen=True)
class Lemma:
    """Text of a lemma, with its proof.

    Attributes:
        name: its identifier.
        text: statement and proof.
        hollow: both sides are the same expression, so that the kernel learns nothing that the reader did not see.
    """

    name: str
    text: str
    hollow: bool = False


class Script:
    """Names, hypotheses and facts of one lemma."""

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
        rewritings = list(self.atoms.rewritings.values())
        # Before a veil is laid over the logarithms that they speak of.
        for rewriting in rewritings:
            if isinstance(rewriting.node, sp.log):
                self._rewrite(rewriting)
        for atom in self.atoms.veiled:
            node = self.atoms.node[atom]
            if isinstance(node, sp.Pow):
                self._root(atom, node)
            self.facts.append(f"set ({self.terms.name(atom)} := {self.terms(node)}) in *.")
            self.facts.append(f"clearbody {self.terms.name(atom)}.")
        for rewriting in rewritings:
            if not isinstance(rewriting.node, sp.log):
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
        if isinstance(node, sp.log):
            (x,) = node.args[0].free_symbols if node.args[0].base.is_Symbol else (None,)
            if x is None:
                raise NotExported("the logarithm of a power")
            proof = f"apply (ln_square {self.terms(x)}); assumption"
            self.facts.append(
                f"assert ({name} : ln ({self.terms(node.args[0])}) = 2 * ln {self.terms(x)}) by ({proof})."
            )
        elif not rewriting.parts:  # a power of a sine
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
        """One more hypothesis."""
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
        """A certificate of its sign, looked for once."""
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
        """Divisors that are written as sums and are products: they do not vanish as their factors do not."""
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
        """The lemma: variables, hypotheses, statement, facts and proof."""
        symbols = [(i, s) for s, i in self.terms.names.items() if s not in self.atoms.veiled]
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
