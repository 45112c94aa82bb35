"""Random members of the built-in families, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from sharpflow.theory import families
from sharpflow.theory.chart.geometry import geometry_of
from sharpflow.theory.loss import Loss

# All have a simple lambda_1 at the start of their chart; `crossing` loses it further on.
CHARTED = families.names()


@st.composite
def members(draw: st.DrawFn, *names: str) -> Loss:
    """A member of one of the families: every parameter is drawn by its index, so that it shrinks to the low end."""
    family = families.get(draw(st.sampled_from(names or CHARTED)))
    values = {
        name: parameter.value(draw(st.integers(0, parameter.count - 1)))
        for name, parameter in family.parameters.items()
    }
    return family.member(**values)


def chart_values(loss: Loss) -> dict:
    """The default start of the chart, as exact numbers."""
    return geometry_of(loss).start
