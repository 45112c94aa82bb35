"""Inspect a network: which of its weights are scale-invariant, and what follows from it."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from sharpflow.terminal.arguments import add_seed
from sharpflow.terminal.output import Output, add_json
from sharpflow.terminal.tables import aligned

if TYPE_CHECKING:
    from sharpflow.numerics.weights.grouping import Groups


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The objective, and the place to write to."""
    parser.add_argument("spec", metavar="SPEC", help="an objective or a loss: file.py:attribute, a module's, built-in")
    add_seed(parser, "random points")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0; what is not invariant is no fault."""
    output = Output(arguments.json)

    from sharpflow.naming.specs import resolve_loss

    subject = resolve_loss(arguments.spec)

    from sharpflow.numerics.objective import as_objective
    from sharpflow.numerics.weights.grouping import groups

    found = groups(subject, seed=arguments.seed)
    output.say(*_table(found), "", *_words(found, float((as_objective(subject).start ** 2).sum())))
    output.write_json(found.to_json())
    return 0


def _table(found: Groups) -> list[str]:
    rows = [("leaf", "shape", "|w|^2", "kind", "", "epsilon")]
    for leaf in found.leaves:
        group = found.groups[leaf.group] if leaf.group is not None else None
        others = [name for name in group.leaves if name != leaf.path] if group else []
        more = f"with {', '.join(others)}" if others else f"each of its {leaf.units}" if leaf.units else ""
        more = f"degree {leaf.degree:g}" if leaf.kind == "homogeneous" else more
        effect = f"{leaf.epsilon_effect:.1e}" if leaf.epsilon_effect else ""
        shape = "x".join(map(str, leaf.shape)) or "1"
        rows.append((leaf.path, shape, f"{100 * leaf.share:.1f} %", leaf.kind, more, effect))
    return [f"{found.name}: {len(found.leaves)} leaves", *aligned(rows, indent="  ")]


def _words(found: Groups, squared: float) -> list[str]:
    """The consequences, a sentence or two for each fact."""
    size = sum(math.prod(leaf.shape) for leaf in found.leaves)
    sphere = [leaf for leaf in found.leaves if leaf.kind == "invariant"]
    free = [leaf.path for leaf in found.leaves if leaf.kind in ("free", "homogeneous")]
    dead = [leaf.path for leaf in found.leaves if leaf.kind == "dead"]
    words = []
    if sphere:
        count, norm = sum(math.prod(leaf.shape) for leaf in sphere), squared * sum(leaf.share for leaf in sphere)
        proof = "proved" if found.proved else "measured"
        words.append(
            f"{count} of {size} weights are scale-invariant ({proof}): only their direction matters. With one learning "
            f"rate eta and one weight decay for all of them they live on one sphere, where gradient descent sees the "
            f"effective learning rate eta/|w|^2 = {1 / norm:.3g} eta at this norm; weight decay makes it grow up to "
            "the edge 2/sharpness."
        )
    if effect := max((group.epsilon_effect for group in found.groups), default=0.0):
        words.append(
            f"An epsilon in a normalization breaks this by up to {effect:.1e} at this norm; the share falls as 1/|w|^2 "
            "and grows as weight decay shrinks |w|."
        )
    if free:
        words.append(f"Not invariant, and seeing the learning rate itself: {', '.join(free)}.")
    if dead:
        words.append(
            f"Without any effect on the loss (zero gradient; weight decay alone moves them): {', '.join(dead)}."
        )
    for up, down in found.rescaled:
        words.append(
            f"{' and '.join(up)} rescale against {' and '.join(down)}: one times c and the other over c is the same "
            "network, along which sharpness changes and the loss does not."
        )
    if found.whole:
        words.append("The whole theory of the sphere applies: `sharpflow check SPEC`, `sharpflow compare SPEC`.")
    elif sphere:
        words.append(
            "The flow takes both kinds, the sphere with effective_lr and the rest with eta: `sharpflow compare SPEC "
            "--learning-rate ETA`."
        )
    else:
        words.append(
            "Nothing here lives on a sphere: this is gradient descent with weight decay at the edge 2/eta, `sharpflow "
            "compare SPEC --learning-rate ETA`."
        )
    return words
