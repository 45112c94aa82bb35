"""Derivations for the kernel: of a rule on one loss, and on every loss; kept on disk, as text with its counts."""

from __future__ import annotations

import contextlib
from typing import Any

from sharpflow.theory import keeping
from sharpflow.theory.errors import NoClosedForm
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.kernel.calculus import flow_section, loss_section
from sharpflow.theory.kernel.export import Export, export
from sharpflow.theory.kernel.oscillator import OSCILLATOR
from sharpflow.theory.kernel.terms import NotExported
from sharpflow.theory.kernel.two_steps import two_steps_section
from sharpflow.theory.limits import ran_out
from sharpflow.theory.loss import Loss
from sharpflow.theory.rule import Rule

__all__ = ["export_derivation", "exported"]


def export_derivation(loss: Loss | None, rule: Rule, /) -> Export:
    """The derivation of a rule's flow on a loss (``None``: on every loss), each proved step a lemma.

    Raises:
        InputError, NoClosedForm: as `sharpflow.theory.derivation.derivation.derive` and
            `sharpflow.theory.derivation.generic.derive_generic` do.

    >>> from sharpflow.theory import rules
    >>> text = export_derivation(None, rules.get("constant-lr")).text
    >>> "Qed." in text, "Admitted" in text
    (True, False)
    """
    from sharpflow.theory.derivation.derivation import derive
    from sharpflow.theory.derivation.generic import generic_derivation

    if loss is None:
        found = generic_derivation(rule)
        sections = [OSCILLATOR] if found.law.smooth else []
        if rule.name == "gd-wd":
            sections.append(two_steps_section(found.law))
        return export(found.title, found.proofs, before=sections)
    derivation = derive(loss, rule)
    before, after = [OSCILLATOR], []
    with contextlib.suppress(NotExported, NoClosedForm):
        before.append(loss_section(loss))
        if loss.minima is not None:
            flow = derivation.flow if rule.name == "gd-wd" else None
            after.append(flow_section(loss, flow))
    return export(derivation.title, derivation.proofs, before=before, after=after)


def exported(loss: Loss | None, rule: Rule, /) -> dict[str, Any]:
    """`export_derivation` as JSON: text, counts, reasons by kind; from disk where it was made before."""
    name = "generic" if loss is None else loss.name
    entry = keeping.entry(f"coq-{name}-{rule.name}", exact_fingerprint(loss), exact_fingerprint(rule))
    content: dict[str, Any] | None = entry.read()
    if content is None:
        content = {"loss": name, "rule": rule.name, **export_derivation(loss, rule).to_json()}
        if not ran_out():
            entry.write(content)
    return content
