"""A checked step as a lemma of Coq: its hypotheses, its statement, and a proof that the kernel checks.

    Lemma step_12 (p : R) (d1 : 2 * cos p ^ 2 + 1 <> 0) : lhs = rhs.

Hypotheses are what a reader of the equation supposes without saying so: symbols that are declared positive,
denominators that do not vanish, radicands that are not negative. Those that this program can show are proved and not
supposed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sympy as sp

from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.kernel.script import Lemma, Script
from sharpflow.theory.kernel.signs import Positive
from sharpflow.theory.kernel.terms import NotExported, plain
from sharpflow.theory.limits import TimeLimitExceeded, time_limit
from sharpflow.theory.proving.proof import Step

__all__ = ["Lemma", "both", "lemma_of", "theorem"]

# Finding a certificate for a step of the built-in families takes a tenth of it.
SECONDS = 20.0
# Characters of a lemma: longer ones take the kernel minutes.
LONGEST = 60_000


def lemma_of(step: Step, name: str, /) -> Lemma:
    """The lemma of a proved step.

    Raises:
        NotExported: it is not restated; the message is the kind of reason.
    """
    if step.sides is None:
        # The procedure by name, without its numbers.
        raise NotExported(f"checked by another procedure, {re.split(r'[,:]| at ', step.method)[0]}")
    try:
        with time_limit(SECONDS):
            sides = step.sides() if callable(step.sides) else step.sides
            found = _equation(sides, name) if step.relation == "=" else _inequality(step.relation, sides, name)
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


def _equation(sides: tuple[object, object], name: str) -> Lemma:
    pairs = _pairs(sides)
    if not pairs:
        raise NotExported("nothing to state")
    if any(e in (sp.oo, -sp.oo, sp.zoo, sp.nan) or e.has(sp.oo, sp.zoo, sp.nan) for pair in pairs for e in pair):
        raise NotExported("an infinite number")
    script = Script(*(e for pair in pairs for e in pair))
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
    script = Script(*(e for pair in pairs for e in pair), *divisors)
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


def _residual(a: sp.Expr, b: sp.Expr, script: Script, closing: str = "") -> str:
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


def _inequality(relation: str, sides: tuple[object, object], name: str) -> Lemma:
    left, right = _pairs(sides)[0]
    script = Script(left, right)
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
