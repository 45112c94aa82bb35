"""A derivation as `derive` prints it, kept on disk: it depends on loss, rule and this program, and takes seconds.

The texts are those of `sharpflow.theory.writing.document.STYLES`, and ``ascii``; the JSON content is beside them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sharpflow.terminal.output import to_json
from sharpflow.theory import keeping
from sharpflow.theory.fingerprint import exact_fingerprint
from sharpflow.theory.limits import ran_out, time_limit

if TYPE_CHECKING:
    from sharpflow.theory.loss import Loss
    from sharpflow.theory.rule import Rule
    from sharpflow.theory.writing.document import Document

__all__ = ["derived"]


def derived(loss: Loss | None, rule: Rule, /, *, time: float, limit: float) -> dict[str, Any]:
    """The JSON content of a derivation, and the four texts under ``"texts"``.

    Args:
        loss: ``None`` for the generic loss, of which all times are the same.
        rule: the update rule.
        time: flow time for which tracking is asked.
        limit: processor seconds for each part, and on the generic loss for all of it.

    Raises:
        TimeLimitExceeded: the law of the rule on the generic loss took longer.
    """
    label = f"derive-{'generic' if loss is None else loss.name}-{rule.name}"
    entry = keeping.entry(
        label,
        exact_fingerprint(loss),
        exact_fingerprint(rule),
        "" if loss is None else repr(time),
        sources=(__file__,),
    )
    content: dict[str, Any] | None = entry.read()
    if content is None:
        content = _derive(loss, rule, time, limit)
        # What was left open, or not found, after a limit ran out might be closed on a machine that is less busy.
        if not ran_out():
            entry.write(content)
    return content


def _derive(loss: Loss | None, rule: Rule, time: float, limit: float) -> dict[str, Any]:
    from sharpflow.theory.derivation.derivation import derive
    from sharpflow.theory.derivation.generic import derive_generic
    from sharpflow.theory.writing.document import STYLES

    if loss is None:
        with time_limit(limit):
            result: Document = derive_generic(rule)
    else:
        result = derive(loss, rule, time=time, limit=limit)
    texts = {style: result.render(style) for style in STYLES} | {"ascii": result.render(unicode=False)}
    content: dict[str, Any] = json.loads(to_json(result.to_json() | {"texts": texts}))
    return content
