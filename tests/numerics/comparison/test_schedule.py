"""A schedule of the learning rate or the weight decay: the flow is that of gradient descent at another pace.

By hand, in the clock d tau' = eta lambda dt of the moment: log effective_lr = log eta - 2 log|w| + ... grows by
d log eta + 2 d tau', and falls by 4 x^2 - on the other side lambda_1 falls by K^2 x^2 -, so that

    <x^2> = (2 + d log eta/d tau') eta lambda/(4 + K^2),    d zeta/d tau' = -(2 + d log eta/d tau')/(4 + K^2) g;

how lambda moves enters the clock alone. With d log eta/d tau' = s, d log lambda/d tau' = w and tau = eta_0 lambda_0 t:
eta lambda = eta_0 lambda_0/(1 - (s + w) tau), tau' = -log(1 - (s + w) tau)/(s + w).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from sharpflow.numerics.comparison.compare import compare
from sharpflow.numerics.descent.law import law_of
from sharpflow.theory import families, rules
from sharpflow.theory.edge.edge_law import K2, edge_law
from sharpflow.theory.errors import InputError


def scheduled(slope, wd_slope):
    return replace(rules.get("gd-scheduled"), name="planned", constants={"slope": slope, "wd_slope": wd_slope})


def test_the_law_of_a_schedule_is_the_one_by_hand():
    law = edge_law(rules.get("gd-scheduled"))
    slope, wd_slope = sp.symbols("slope wd_slope", positive=True)
    assert sp.simplify(law.drift - (2 + slope) / (4 + K2)) == 0
    assert sp.simplify(law.mean_square - (2 + slope) / (4 + K2)) == 0
    ratios = {symbol.name: symbol for symbol in law.single.slow}
    eta, decay = ratios["learning_rate_ratio"], ratios["weight_decay_ratio"]
    assert law.pace == eta * decay
    assert {s: sp.simplify(e) for s, e in law.single.slow.items()} == {
        eta: slope * eta * decay, decay: wd_slope * eta * decay
    }  # fmt: skip
    assert edge_law(rules.get("gd-wd")).pace == 1


# The law of each is derived anew.
SOME = (0.7, 0.2)
OTHERS = [pytest.param(*slopes, marks=pytest.mark.deep) for slopes in ((0.0, 1.0), (-0.5, -0.3))]


@pytest.mark.parametrize(("slope", "wd_slope"), [SOME, *OTHERS])
def test_the_clock_of_a_schedule(slope, wd_slope):
    times = np.linspace(0, 0.5, 7)
    law, both = law_of(scheduled(slope, wd_slope)), slope + wd_slope
    # linear interpolation between 4000 nodes: (0.5/4000)^2/8 times s'' < 8
    assert law.clock(times) == pytest.approx(-np.log(1 - both * times) / both, abs=2e-8)
    assert law.pace(times) == pytest.approx(1 / (1 - both * times), abs=1e-6)


def test_no_schedule_has_the_clock_of_flow_time():
    times = np.linspace(0, 2, 5)
    assert np.array_equal(law_of(rules.get("gd-wd")).clock(times), times)
    assert law_of(rules.get("gd-scheduled")).clock(times) == pytest.approx(times, abs=1e-12)  # 0.5 - 0.5 = 0
    with pytest.raises(InputError, match="grows without bound at flow time 1"):
        law_of(scheduled(0.5, 0.5)).clock(np.array([0.0, 1.2]))


@pytest.mark.parametrize(("slope", "wd_slope"), [SOME, OTHERS[0]])
def test_iterates_follow_it(slope, wd_slope):
    """On Gamma within a twentieth of intrinsic_lr; at the pace of the start they are off by 13 and more."""
    ridge, rule, law = families.get("ridge").default(), scheduled(slope, wd_slope), law_of(scheduled(slope, wd_slope))
    run = compare(ridge, rule=rule, rate=1e-5, time=0.5)
    assert run.max_distance_on_minima < 0.05 * run.intrinsic_lr
    plain = compare(ridge, rule=rule, rate=1e-5, time=0.5, law=replace(law, _slow=None))
    assert plain.max_distance_on_minima > 10 * run.intrinsic_lr
