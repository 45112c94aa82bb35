"""`sharpflow train`: what it refuses, what it writes, what it draws and says, and what a kill leaves."""

import dataclasses
import json
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from sharpflow import cli
from sharpflow.figures.training import against_sharpness, collapse, variants
from sharpflow.figures.training import training as draw
from sharpflow.numerics.results import RESULTS
from sharpflow.numerics.training import trainer as training
from sharpflow.numerics.training.prediction import Prediction
from sharpflow.numerics.training.recipe import Recipe
from sharpflow.numerics.training.run import TrainingRun, read_training
from sharpflow.numerics.training.statistics import mean_interval
from sharpflow.numerics.training.store import TrainingFiles
from sharpflow.numerics.training.trainer import Row, State
from sharpflow.terminal.training_text import prediction_lines, run_lines
from sharpflow.theory.errors import InputError

SMALL = ("breast-cancer", "--examples", "12", "--test-examples", "20", "--size", "widths=6", "--count", "2")
IMAGES = ("--data", "{npz}", "--examples", "40", "--test-examples", "10")
# Wrong calls, and what is said of them.
WRONG = {
    "no name": ((), "what is to be trained"),
    "experiment": (("imagenet",), "no experiment is called 'imagenet'; there are breast-cancer"),
    "network": (("digits", "--network", "transformer"), "no network is called 'transformer'"),
    "misspelt experiment": (("digitz",), "did you mean digits? There are breast-cancer"),
    "norm": (("digits", "--norm", "instance"), "no norm 'instance'; there are batch"),
    "misspelt norm": (("digits", "--norm", "bacth"), "no norm 'bacth'; did you mean batch? There are batch"),
    "misspelt network": (("digits", "--network", "resnett"), "did you mean resnet? There are"),
    "misspelt size": (("digits", "--size", "width=3"), "did you mean widths? There are widths, groups."),
    "head": (("digits", "--head", "none"), "no head 'none'"),
    "activation": (("digits", "--activation", "sine"), "no activation 'sine'"),
    "size": (("digits", "--size", "depth=3"), "no size 'depth'; there are widths, groups"),
    "option as size": (("digits", "--size", "seed=3"), "no size 'seed'"),
    "size of zero": (("digits", "--size", "widths=0"), "no positive whole number"),
    "size without value": (("digits", "--size", "widths"), "not NAME=N"),
    "size in words": (("digits", "--size", "widths=many"), "widths = 'many' is not a list of numbers"),
    "several blocks": (("cifar10", *IMAGES, "--size", "blocks=1,2"), "blocks = (1, 2) is not a number"),
    "pooling": (("cifar10", *IMAGES, "--network", "vgg11", "--size", "pooling=sum"), "mean or max"),
    "stages": (("cifar10", *IMAGES, "--network", "vgg11", "--size", "stages=8/8/8/8/8/8"), "divisible by 64"),
    "pairs": (("digits", "--network", "matrix-completion"), "inputs are pairs (row, column)"),
    "pairs of tumours": (("breast-cancer", "--network", "matrix-completion"), "inputs are pairs (row, column)"),
    "loss": (("digits", "--loss", "hinge"), "squared or cross-entropy"),
    "images": (("breast-cancer", "--network", "resnet"), "images are"),
    "layer head": (("breast-cancer", "--norm", "layer", "--head", "layer"), "take head = batch"),
    "no data": (("cifar10",), "needs --data PLACE"),
    "data": (("cifar10", "--data", "{missing}"), "no-such-file"),
    "own data": (("digits", "--data", "{npz}"), "brings its own data"),
    "few examples": (("digits", "--examples", "5"), "n = 5 must be a whole number, at least 10"),
    "many examples": (
        ("digits", "--examples", "1800"),
        "has 1797 examples: 1800 to train on (--examples) and 500 to test with (--test-examples)",
    ),
    "half an example": (("digits", "--examples", "10.5"), "not a whole number"),
    "wrong labels": (("digits", "--wrong-labels", "1.5"), "must lie in"),
    "negative labels": (("digits", "--wrong-labels", "-0.1"), "must lie in"),
    "label nan": (("digits", "--wrong-labels", "nan"), "not finite"),
    "record times": (
        ("digits", "--record-times", "0.5,4"),
        "record_times: 4 is not between 0 and the end of the run, 3",
    ),
    "record times in words": (("digits", "--record-times", "early"), "not a number"),
    "learning rate": (("digits", "--learning-rate", "0"), "learning_rate = 0.0 must be"),
    "weight decay": (("digits", "--weight-decay", "-1"), "weight_decay = -1.0 must be"),
    "rate": (("digits", "--learning-rate", "10", "--weight-decay", "1"), "must be below 0.1"),
    "float32": (("digits", "--learning-rate", "1e-4", "--weight-decay", "1e-3"), "take --dtype float64"),
    "dtype": (("digits", "--dtype", "float16"), "float32 or float64"),
    "no decay": (("digits", "--weight-decay", "0"), "give the number of steps"),
    "odd steps": (("digits", "--steps", "101"), "must be even"),
    "no steps": (("digits", "--steps", "0"), "must be even, and from 2"),
    "time": (("digits", "--time", "-1"), "time = -1.0 must be positive"),
    "long": (("digits", "--time", "1e9"), "too many; a rate was mistyped"),
    "time and steps": (("digits", "--time", "1", "--steps", "100"), "--steps: not allowed with argument --time"),
    "seeds": (("digits", "--seeds", "0"), "seeds = 0"),
    "records": (("digits", "--records", "0"), "records = 0"),
    "count": ((*SMALL[:-2], "--count", "100"), "100 eigenvalues are too many for 186"),
    "no count": (("digits", "--count", "0"), "count = 0"),
    "pieces": (("digits", "--pieces", "7"), "divides the 100 examples"),
    "resume": (("digits", "--resume"), "--resume needs --out"),
    "nothing to resume": (("digits", "--resume", "--out", "{missing}"), "holds no run"),
    "no status": (("--status", "{missing}"), "holds no run"),
    "plot": (("digits", "--plot", "a.gif"), "must end in"),
    "prediction without norm": (("digits", "--norm", "none", "--predict"), "not scale-invariant"),
    "prediction in pieces": (("digits", "--pieces", "2", "--predict"), "another loss"),
    "completion norm": (("matrix-completion", "--norm", "layer"), "norm batch only"),
    "completion loss": (("matrix-completion", "--loss", "squared"), "no choice of loss"),
    "completion size": (("matrix-completion", "--size", "depth=3"), "no size 'depth'"),
    "completion rows": (("matrix-completion", "--size", "rows=5,5"), "must be a whole number, at least 1"),
}


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    """Images of the shape of CIFAR-10: noise about a colour of the class."""
    path, random = tmp_path_factory.mktemp("data") / "cifar.npz", np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 40), ("test", 20)):
        labels = np.arange(count) % 10
        images = random.integers(0, 120, (count, 32, 32, 3)) + 12 * labels[:, None, None, None]
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_is_told_at_once(case, npz, tmp_path, capsys):
    words, said = WRONG[case]
    names = {"npz": npz, "missing": tmp_path / "no-such-file"}
    assert cli.main(["train", *(word.format(**names) if "{" in word else word for word in words)]) == 2
    complained = capsys.readouterr().err
    assert said in complained
    assert "Traceback" not in complained
    assert not (tmp_path / "no-such-file").exists()


# End to end


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A small run of two seeds: its folder, with all that was asked for."""
    folder = tmp_path_factory.mktemp("train")
    files = ("--out", str(folder / "run"), "--json", str(folder / "run.json"), "--plot", str(folder / "run.png"))
    assert cli.main(["train", *SMALL, "--steps", "400", "--records", "5", "--seeds", "2", *files]) == 0
    return folder


def test_a_run_writes_what_it_measures(out, capsys):
    found = json.loads((out / "run.json").read_text())
    kept = read_training(str(out / "run"))
    assert found["complete"]
    assert found["recipe"]["steps"] == 400
    assert found["step"] == [0, 16, 64, 144, 256, 400]
    np.testing.assert_allclose(found["spectrum"], kept.columns["spectrum"])
    np.testing.assert_array_equal(found["entry_step"], kept.state.entry)
    assert (out / "run.png").read_bytes()[:4] == b"\x89PNG"
    manifest = json.loads((out / "run" / "manifest.json").read_text())
    assert manifest["experiment"] == "breast-cancer"
    assert {"jax", "numpy", "python"} <= set(manifest["versions"])
    assert cli.main(["train", "--status", str(out / "run")]) == 0
    assert "400 iterations" in capsys.readouterr().out
    # The directory is not overwritten, and another recipe does not go on with it.
    again = ("--records", "5", "--seeds", "2", "--out", str(out / "run"))
    assert cli.main(["train", *SMALL, "--steps", "400", *again]) == 2
    assert cli.main(["train", *SMALL, "--steps", "402", *again, "--resume"]) == 2
    assert "go on with --resume" in (complained := capsys.readouterr().err)
    assert "another run: steps 400 against 402; repeat" in complained


def test_a_run_without_a_name_is_told_what_began_it(tmp_path, capsys):
    folder = tmp_path / "run"
    TrainingFiles.create(folder, "0", {"command": ["sharpflow", "train", "digits", "--out", "my run"]})
    assert cli.main(["train", "--out", str(folder), "--resume"]) == 2
    assert "repeat the command, with --resume. It was: sharpflow train digits --out 'my run'" in capsys.readouterr().err
    assert cli.main(["train", "--out", str(tmp_path), "--resume"]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_run_that_diverges_ends_with_one_and_nulls(tmp_path, capsys):
    words = ("--norm", "none", "--learning-rate", "90", "--weight-decay", "0", "--steps", "100", "--records", "4")
    files = ("--json", str(tmp_path / "run.json"), "--plot", str(tmp_path / "run.png"))
    assert cli.main(["train", *SMALL, *words, *files]) == 1
    said = capsys.readouterr().out
    assert "seed 0 is not finite from iteration" in said
    assert "--resume" not in said
    found = json.loads((tmp_path / "run.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert found["failed_at"][0] > 0
    assert found["train_loss"][-1] == [None]
    assert not found["complete"]


@pytest.mark.longest  # compiles a convolutional network
@pytest.mark.parametrize("size", [("--size", "channels=4"), ()], ids=str)
def test_cifar10_from_a_file(npz, size, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "MAX_PRODUCTS", 40)  # a rough sharpness will do
    words = (*(word.format(npz=npz) for word in IMAGES), *size, "--steps", "2", "--records", "1", "--count", "1")
    assert cli.main(["train", "cifar10", *words, "--json", str(tmp_path / "run.json")]) == 0
    found = json.loads((tmp_path / "run.json").read_text())
    assert found["networks"] == ["resnet-batch-norm-cifar10"]
    assert np.isfinite(np.array(found["train_loss"] + found["test_loss"] + found["norm_squared"])).all()
    assert found["train_loss"][1] != found["train_loss"][0]


# Killed

LONG = (*SMALL, "--steps", "60000", "--records", "60", "--seeds", "2")


def kill_at_random_moments(folder, count, random):
    """Each process is killed some time after it is at work, and the next one goes on; the first before any record."""
    for kill in range(count):
        more = ("--resume",) if kill else ()
        call = [sys.executable, "-m", "sharpflow", "train", *LONG, "--out", str(folder), *more]
        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = len(list(folder.glob("rows/*.npz")))
        # The manifest is there before anything is compiled: the first kill falls between it and record 0.
        target = before + int(random.integers(1, max(2, 60 // count))) if kill else 0
        deadline = time.monotonic() + 240
        while process.poll() is None and (
            len(list(folder.glob("rows/*.npz"))) < min(target, 61) or not (folder / "manifest.json").exists()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(float(random.uniform(0, 0.2)))
        process.kill()
        complained = process.communicate()[1]
        assert process.returncode in (-9, 0), complained


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long") / "run"
    assert cli.main(["train", *LONG, "--out", str(folder)]) == 0
    return read_training(str(folder))


@pytest.mark.parametrize(
    "count", [pytest.param(2, marks=pytest.mark.deep), pytest.param(20, marks=pytest.mark.longest)]
)
def test_killed_and_resumed(long_run, count, tmp_path):
    seed = int(np.random.default_rng().integers(1 << 30))
    print(f"moments from seed {seed}")
    kill_at_random_moments(tmp_path / "run", count, np.random.default_rng(seed))
    TrainingFiles.open(tmp_path / "run")
    assert cli.main(["train", *LONG, "--out", str(tmp_path / "run"), "--resume"]) == 0
    found = read_training(str(tmp_path / "run"))
    assert not found.notes
    for name in Row._fields:
        np.testing.assert_array_equal(found.columns[name], long_run.columns[name], err_msg=name)
    for one, two in zip(found.state, long_run.state, strict=True):
        np.testing.assert_array_equal(one, two)


# Figures and words


def made(*, classes=True, tested=True, diverged=(), seeds=3, decay=2e-3, count=9):
    """A run by hand: sharpness falls from 900 to 100 after record 3, test error from 20 % to 10 %, seeds 1 % apart."""
    steps = 2 * np.arange(count) ** 2
    share = np.clip((np.arange(count) - 3) / max(count - 4, 1), 0, 1)[:, None]
    off = 1 + np.arange(seeds) / 100
    sharpness = 900 * (1 / 9) ** share * off
    edge = np.where(share > 0, 2.0, 1.5) + 0 * sharpness
    nothing = np.full_like(sharpness, np.nan)
    columns = {
        "train_loss": 1e-3 * sharpness, "test_loss": 1e-2 * sharpness if tested else nothing,
        "train_error": 0 * sharpness if classes else nothing,
        "test_error": (0.2 - 0.1 * share) * off if classes and tested else nothing,
        "norm_squared": sharpness / 100, "effective_lr": edge / sharpness,
        "spectrum": np.stack([sharpness, sharpness / 2], axis=-1), "spectrum_residual": 1e-5 + 0 * sharpness,
        "mean_loss": 1e-3 * sharpness, "mean_gradient_squared": sharpness,
    }  # fmt: skip
    for column in columns.values():
        for seed in diverged:
            column[count // 2 :, seed] = np.nan
    alive = np.array([steps[count // 2] - 1 if s in diverged else steps[-1] for s in range(seeds)])
    entry = np.full(seeds, steps[min(3, count - 1)])
    zeros = np.zeros((seeds, 4))
    state = State(int(steps[-1]), zeros, alive, np.zeros((seeds, 4, 2)), entry, zeros)
    recipe = Recipe(0.05, decay, steps=max(2, int(steps[-1])), records=count)
    return TrainingRun(recipe, ("made",) * seeds, {"step": steps, **columns}, state, 1.0, 1.0, True)


def beside(run):
    """A flow of the sharpness of seed 0."""
    begin, ones = int(run.entry[0]), np.ones(len(run.times) - int(run.entry[0]), int)
    sharpness = run.sharpness[begin:, 0]
    spectrum = np.stack([sharpness, sharpness / 2], axis=-1)
    return Prediction(
        0, run.times[begin:], 1.1 * sharpness, sharpness, ones, ones, [1.1, 1.2] * spectrum, spectrum, 0.01 * sharpness,
        run.columns["test_error"][begin:, 0], None, RESULTS.SUCCESSFUL,
    )  # fmt: skip


KINDS = {
    "classes": {}, "no classes": {"classes": False}, "no test": {"tested": False}, "one seed": {"seeds": 1},
    "no decay": {"decay": 0.0}, "one diverged": {"diverged": (1,)}, "all diverged": {"diverged": (0, 1, 2)},
    "first diverged": {"diverged": (0,)}, "first record": {"count": 1}, "short": {"count": 4},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_drawn_without_a_warning(kind, tmp_path):
    run = made(**KINDS[kind])
    figures, one = [draw(run), variants({"one": run, "two": made()})], {"one": run}
    if "diverged" not in kind:
        figures += [against_sharpness(one), collapse(one)]
    if run.entry[0] < len(run.times) - 1:
        figures += [draw(run, beside(run)), collapse({"one": run, "two": run}, beside(run))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index, figure in enumerate(figures):
            figure.savefig(tmp_path / f"{index}.png", dpi=50)
    words = [text.get_text() for axes in figures[0].axes for text in (axes.title, axes.yaxis.label)]
    words += [text.get_text() for axes in figures[1].legends for text in axes.get_texts()]
    assert sum("diverged" in word for word in words) == (2 if run.failures() else 0)
    # A mean is over the same seeds from the first to the last record.
    (mean,) = [line for line in figures[0].axes[0].lines if line.get_label() == "gradient descent"]
    finite = np.isfinite(mean.get_ydata())
    assert finite.all() or kind == "all diverged"


def test_a_run_of_nothing_finite_is_not_drawn():
    run = made()
    run.columns["spectrum"][:] = np.nan
    with pytest.raises(InputError, match="nothing to draw"):
        draw(run)
    assert run_lines(run)


def test_the_lines_state_intervals():
    run = made()
    change = run.change()
    np.testing.assert_allclose(change.sharpness_ratio, 9)
    np.testing.assert_allclose(change.test_error_fall, [0.1, 0.101, 0.102])
    # Student's quantile for two degrees of freedom is 4.303; the deviation of the three is 0.1 points.
    mean, low, high = mean_interval(change.test_error_fall)
    assert (mean, high - mean, mean - low) == pytest.approx((0.101, *(4.303 * 0.001 / 3**0.5,) * 2), rel=1e-3)
    said = "\n".join(run_lines(run))
    assert "falls by a factor of  9 [9, 9]" in said
    assert "test error falls by            10.1 [9.85, 10.3] points" in said
    assert "largest training error of a record: 0 %" in said
    assert "falls by a factor of  9\n" in "\n".join(run_lines(made(seeds=1)))
    assert "seed 1 is not finite from iteration" in "\n".join(run_lines(made(diverged=(1,))))
    assert "test loss falls by" in "\n".join(run_lines(made(classes=False)))
    assert all("nan" not in line for line in run_lines(made()))


def test_the_lines_of_a_prediction():
    run = made()
    said = "\n".join(prediction_lines(beside(run)))
    assert "sharpness at the end  110, gradient descent 100, largest factor 1.1" in said
    assert "(of the 2 recorded), largest factor between eigenvalues 1.2" in said
    none, empty = np.zeros(0), np.zeros((0, 0))
    nothing = Prediction(
        0, none, none, none, none, none, empty, empty, none, none, None, RESULTS.OFF_EDGE, "it did not enter"
    )
    assert "No flow beside seed 0: it did not enter" in prediction_lines(nothing)[0]
    # What was not on Gamma is no prediction: no number of it is printed.
    off = dataclasses.replace(beside(run), result=RESULTS.LEFT_MINIMA, message="off by 0.3")
    assert prediction_lines(off) == ["  No flow beside seed 0: off by 0.3"]
