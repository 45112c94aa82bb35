"""The judgements of an ablation on runs written down, right and wrong, and rank correlations of known values."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.rank_correlation import rank_correlation, within
from benchmarks.variants import COLLAPSED, HELD, SAME, VARIANTS, at_the_end, problem_of, run_variants
from sharpflow.numerics import experiments
from sharpflow.numerics.training.experiment import Choices
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import TrainingRun
from sharpflow.numerics.training.trainer import Row, State
from sharpflow.theory.errors import InputError
from tests.numerics.training.small_training import SMALL

JUDGES = {variant.name: variant.judge for variant in VARIANTS}
STEPS = np.arange(0, 2001, 100)
ENTRY = 400


def made(sharpness, edge, *, entry=ENTRY, alive=2000, seeds=2):
    """A run with this lambda_1 and effective_lr*lambda_1 (N,) in every seed, flow time 2."""
    n = len(STEPS)
    columns = {name: np.zeros((n, seeds)) for name in Row._fields}
    lambda_1 = np.tile(np.asarray(sharpness, float)[:, None], (1, seeds))
    columns |= {
        "step": STEPS, "spectrum": lambda_1[..., None], "norm_squared": np.ones((n, seeds)),
        "effective_lr": np.asarray(edge, float)[:, None] / lambda_1,
    }  # fmt: skip
    zeros = np.zeros((seeds, 3))
    state = State(2000, zeros, np.full(seeds, alive), zeros[..., None], np.full(seeds, entry), zeros)
    return TrainingRun(Recipe(1.0, 1e-3, steps=2000), ("made",) * seeds, columns, state, 0.0, 0.0, True)


TIMES = STEPS * 1e-3
FALLS = 100 * np.exp(-2 * np.maximum(TIMES - 0.4, 0))
AT_EDGE = np.minimum(2.0, 1 + TIMES / 0.4)
BASE = made(FALLS, AT_EDGE)
RESTS = made(np.full(len(STEPS), 100.0), np.full(len(STEPS), 0.6), entry=-1)


def one_seed(edge, others):
    """Two seeds, of which one has another effective_lr*lambda_1."""
    run = made(FALLS, edge)
    run.columns["effective_lr"][:, 1] = others / FALLS
    return run


def shrinking(run):
    """The same with |w|^2 falling."""
    columns = run.columns | {"norm_squared": run.columns["norm_squared"] * np.exp(-TIMES)[:, None]}
    return dataclasses.replace(run, columns=columns)


@pytest.mark.parametrize(
    ("variant", "run", "came_out"),
    [
        ("baseline", BASE, True),
        ("baseline", RESTS, False),
        ("baseline", made(np.full(len(STEPS), 100.0), AT_EDGE), False),  # at the edge, and no sharpness falls
        ("baseline", made(FALLS, 0.8 * AT_EDGE), False),  # sharpness falls, and not at the edge
        ("no weight decay", RESTS, True),
        ("no weight decay", BASE, False),
        ("no normalization", RESTS, True),
        ("no normalization", BASE, False),
        ("no normalization", made(FALLS, AT_EDGE, alive=700), False),  # diverged: nothing that was foretold
        ("no normalization", made(FALLS, 1.3 * AT_EDGE), False),  # beyond an edge is not below it
        ("no normalization", one_seed(AT_EDGE, 0.3 * AT_EDGE), False),  # one seed at the edge is one too many
        ("no weight decay", made(RESTS.sharpness[:, 0], np.full(len(STEPS), 2.1), entry=-1), False),
        ("no weight decay", shrinking(RESTS), False),
        ("baseline", made(FALLS, np.where(TIMES > 1.5, 2.0, 0.3)), False),  # at the edge in the last quarter only
        ("baseline", made(np.where(TIMES == 1.0, 400.0, FALLS), AT_EDGE), False),  # not all along
        ("baseline", made(FALLS, AT_EDGE, entry=-1), False),
        ("rate / 4", made(FALLS, AT_EDGE, entry=2000), False),  # nothing in common to compare
        ("wrong labels", made(0.5 * FALLS, AT_EDGE), False),  # a flatter Gamma
        ("rate / 4", BASE, True),
        ("rate / 4", made(FALLS * np.exp(-0.5 * TIMES), AT_EDGE), False),  # a curve of its own
        ("rate / 4", RESTS, False),
        ("wrong labels", made(2 * FALLS, AT_EDGE), True),
        ("wrong labels", BASE, False),  # no sharper
        ("wrong labels", RESTS, False),
    ],
)
def test_judgements(variant, run, came_out):
    assert JUDGES[variant](run, BASE).came_out is came_out


@pytest.mark.parametrize(("part", "came_out"), [(0.9, True), (1.1, False)])
def test_tolerances(part, came_out):
    """Each decides, and at the number it says."""
    assert JUDGES["baseline"](made(FALLS, AT_EDGE * (1 + part * HELD / 2)), BASE).came_out is came_out
    assert JUDGES["baseline"](made(FALLS, AT_EDGE * (1 - part * HELD / 2)), BASE).came_out is came_out
    drift = 100 * np.exp(part * SAME * np.clip((TIMES - 0.5) / 1.5, 0, 1))
    assert JUDGES["no weight decay"](made(drift, np.full(len(STEPS), 0.6), entry=-1), BASE).came_out is came_out
    apart = made(FALLS * np.exp(part * COLLAPSED * (TIMES > 1)), AT_EDGE)
    assert JUDGES["rate / 4"](apart, BASE).came_out is came_out


def test_the_curve_is_compared_at_equal_time_since_the_entry():
    """The same curve, entered 0.2 later: one, where the clock begins at the entry; two, where it does not."""
    later = made(100 * np.exp(-2 * np.maximum(TIMES - 0.6, 0)), np.minimum(2.0, 1 + TIMES / 0.6), entry=600)
    assert JUDGES["rate / 4"](later, BASE).came_out
    assert not JUDGES["rate / 4"](made(later.sharpness[:, 0], AT_EDGE), BASE).came_out


def test_a_run_may_begin_at_the_edge():
    begun = made(FALLS, AT_EDGE, entry=0)
    assert JUDGES["rate / 4"](begun, begun).came_out


def test_the_end_is_the_last_quarter():
    values = np.zeros((len(STEPS), 2))
    values[15:] = 1.0
    assert at_the_end(BASE, values).tolist() == [1.0, 1.0]
    values[15:] = 0.0
    values[:15] = 1.0
    assert at_the_end(BASE, values).tolist() == [0.0, 0.0]


def test_variants_change_what_they_say():
    experiment, base = experiments.get("digits"), Recipe(0.05, 2e-3, time=0.2)
    for variant in VARIANTS:
        choices, recipe = problem_of(experiment, variant, base, Choices())
        same_time = recipe.rate * recipe.steps == pytest.approx(0.2)
        assert same_time if recipe.rate else recipe.steps == base.steps
        changed = choices != Choices() or (recipe.learning_rate, recipe.weight_decay) != (0.05, 2e-3)
        assert changed == (variant.name != "baseline")
        assert variant.predicted
    split = problem_of(experiment, next(v for v in VARIANTS if v.name.startswith("learning")), base, Choices())[1]
    assert split.rate == pytest.approx(base.rate)


def test_variants_are_kept_and_not_run_twice(tmp_path):
    experiment, base = experiments.get("breast-cancer"), Recipe(0.05, 2e-3, steps=40, records=2, count=2)
    about = {"command": ["made"], "git": "abc"}
    first = run_variants(experiment, base, SMALL, 1, out=str(tmp_path), variants=VARIANTS[:2], about=about)
    manifest = json.loads((tmp_path / "no-weight-decay" / "manifest.json").read_text())
    assert {**about, "variant": "no weight decay"}.items() <= manifest.items()
    again = run_variants(experiment, base, SMALL, 1, out=str(tmp_path), variants=VARIANTS[:2])
    assert list(first) == ["baseline", "no weight decay"]
    for name, (run, _) in first.items():
        assert np.array_equal(run.columns["spectrum"], again[name][0].columns["spectrum"])
        assert again[name][0].compile_seconds == 0.0
    assert first["no weight decay"][0].recipe.rate == 0


def test_rank_correlations():
    x = np.arange(8.0)
    assert rank_correlation(x, x**3).rho == pytest.approx(1)
    assert rank_correlation(x, -np.exp(x)).rho == pytest.approx(-1)
    # 1 - 6 sum d^2/(n (n^2 - 1)), two neighbours exchanged: d^2 = 2.
    y = x.copy()
    y[[2, 3]] = y[[3, 2]]
    found = rank_correlation(x, y)
    assert found.rho == pytest.approx(1 - 6 * 2 / (8 * 63))
    assert found.low <= found.rho <= found.high
    assert found.count == 8
    assert rank_correlation([*x, np.nan], [*x, 1.0]).count == 8


def test_what_shares_its_data_is_resampled_together():
    """Eight copies of each of three pairs say no more than three."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal(24), random.standard_normal(24)
    groups = np.repeat(np.arange(3), 8)
    x, y = x[:3][groups] + 1e-6 * x, y[:3][groups] + 1e-6 * y
    together, apart = rank_correlation(x, y, groups), rank_correlation(x, y)
    assert together.rho == apart.rho
    assert together.high - together.low > apart.high - apart.low


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [([1, 2, 3], [1, 2, 3], "four pairs"), ([1, 1, 1, 1], [1, 2, 3, 4], "constant"), ([1, 2], [1, 2, 3], "one length")],
)
def test_what_has_no_rank_correlation(x, y, said):
    with pytest.raises(InputError, match=said):
        rank_correlation(x, y)


def test_what_holds_within_groups_is_not_hidden_by_their_levels():
    """Five seeds, falling in each of three groups whose levels rise together: rho is positive over all, -1 within."""
    seeds = np.arange(5.0)
    x = 10.0 * np.arange(3)[:, None] + seeds
    y = 10.0 * np.arange(3)[:, None] - seeds
    found = within(x, y)
    assert rank_correlation(x.ravel(), y.ravel()).rho > 0.5
    assert found.rhos == pytest.approx([-1, -1, -1])
    # Of the 120 orders only this and the reverse are as extreme, in however many groups.
    assert found.orders == 120
    assert found.p == pytest.approx(2 / 120)


def test_the_permutation_test_is_of_its_level():
    """Without any correlation p is below 0.1 in a tenth of the cases."""
    random = np.random.default_rng(0)
    small = [within(random.standard_normal((3, 5)), random.standard_normal((3, 5))).p <= 0.1 for _ in range(400)]
    # Within 4 standard deviations of the binomial, 0.015 each; discrete, so a little less often.
    assert 0.03 < np.mean(small) < 0.16
    many = within(random.standard_normal((2, 9)), random.standard_normal((2, 9)))
    assert many.orders == 2001
    assert 0 < many.p <= 1


def test_what_has_no_correlation_within():
    with pytest.raises(InputError, match="four seeds"):
        within(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="constant"):
        within(np.ones((2, 5)), np.arange(10.0).reshape(2, 5))
