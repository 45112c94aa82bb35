"""Examples to train on and examples to test with: inputs (n, ...), and labels (n,) or real targets (n, k)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sharpflow.numerics.numbers import check_seed, check_whole, generator
from sharpflow.theory.errors import InputError

__all__ = ["Examples", "breast_cancer", "digits", "mislabel", "split"]


@dataclass(frozen=True, eq=False)
class Examples:
    """A data set, copied and checked.

    Attributes:
        inputs: (n, ...) floats, n >= 3.
        targets: labels (n,), whole numbers from 0 on, or real targets (n, k).
        test_inputs, test_targets: (m, ...) and (m,) or (m, k), if there are any.
        classes: how many, for labels; by default the largest label that occurs, plus 1.
        name: a short name, used in tables and file names.

    Raises:
        InputError: shapes do not fit, a number is not finite, a label is no class, or a class or a target does not
            vary over the examples.
    """

    inputs: Any
    targets: Any
    test_inputs: Any = None
    test_targets: Any = None
    classes: int | None = None
    name: str = "examples"

    def __post_init__(self) -> None:
        inputs = self._numbers(self.inputs, "inputs")
        if inputs.ndim < 2 or len(inputs) < 3:
            raise InputError(
                f"{self.name}: inputs must be (n, ...) with n >= 3 examples (two, normalised, are 1 and -1 whatever "
                f"the weights), not {inputs.shape}."
            )
        targets = self._numbers(self.targets, "targets")
        if targets.ndim not in (1, 2) or len(targets) != len(inputs):
            raise InputError(
                f"{self.name}: targets must be labels (n,) or real targets (n, k) for the n = {len(inputs)} inputs; "
                f"their shape is {targets.shape}."
            )
        if (self.test_inputs is None) != (self.test_targets is None):
            raise InputError(f"{self.name}: test_inputs and test_targets come together or not at all.")
        object.__setattr__(self, "inputs", inputs)
        if targets.ndim == 1 and self.classes is None:
            object.__setattr__(self, "classes", int(targets.max()) + 1)
        object.__setattr__(self, "targets", self._labels(targets, "targets"))
        if self.test_inputs is not None:
            test_inputs = self._numbers(self.test_inputs, "test_inputs")
            test_targets = self._numbers(self.test_targets, "test_targets")
            if test_inputs.shape[1:] != inputs.shape[1:] or test_targets.shape[1:] != targets.shape[1:]:
                raise InputError(
                    f"{self.name}: test examples of shapes {test_inputs.shape} and {test_targets.shape} do not go with "
                    f"training examples of shapes {inputs.shape} and {targets.shape}."
                )
            if len(test_inputs) != len(test_targets) or not len(test_inputs):
                raise InputError(f"{self.name}: {len(test_inputs)} test inputs, {len(test_targets)} test targets.")
            object.__setattr__(self, "test_inputs", test_inputs)
            object.__setattr__(self, "test_targets", self._labels(test_targets, "test_targets"))
        if self.classes is None and np.any(np.ptp(self.targets, axis=0) == 0):
            raise InputError(f"{self.name}: a target is the same for all examples; there is nothing to learn in it.")
        if self.classes is not None and (counts := np.bincount(self.targets, minlength=self.classes)).min() == 0:
            missing = np.flatnonzero(counts == 0)
            raise InputError(
                f"{self.name}: no training example of class {', '.join(map(str, missing[:10]))}; take more examples."
            )

    def _numbers(self, value: Any, what: str) -> np.ndarray:
        try:
            array = np.array(value)
            # Images stay what they are, at an eighth of the memory, until they are standardised.
            array = array if array.dtype in (np.float32, np.uint8) else array.astype(float)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name}: {what} are not an array of real numbers: {error}.") from error
        if not np.all(np.isfinite(array)):
            raise InputError(f"{self.name}: {what} are not all finite.")
        array.setflags(write=False)
        return array

    def _labels(self, targets: np.ndarray, what: str) -> np.ndarray:
        if self.classes is None or targets.ndim == 2:
            if self.classes is not None:
                raise InputError(f"{self.name}: classes goes with labels (n,), not with real targets (n, k).")
            return targets
        labels = targets.astype(int)
        if self.classes < 2 or np.any(labels != targets) or labels.min() < 0 or labels.max() >= self.classes:
            raise InputError(
                f"{self.name}: {what} must be labels 0, ..., {max(self.classes, 2) - 1} of at least two classes; they "
                f"run from {targets.min():g} to {targets.max():g}."
            )
        labels.setflags(write=False)
        return labels

    @property
    def outputs(self) -> int:
        """k, the columns of targets: one for two classes, whose indicators are opposite after centring."""
        if self.classes is not None:
            return 1 if self.classes == 2 else self.classes
        return int(self.targets.shape[1])

    def columns(self, targets: np.ndarray, /) -> np.ndarray:
        """Labels (m,) as indicators (m, k) of the classes, real targets as they are."""
        if self.classes is None:
            return targets
        indicators: np.ndarray = np.eye(self.classes)[targets]
        return indicators[:, 1:] if self.classes == 2 else indicators


def split(
    inputs: np.ndarray, labels: np.ndarray, /, *, n: int, test: int, seed: int = 0, classes: int, name: str
) -> Examples:
    """``n`` examples to train on and ``test`` others, drawn by the seed, as equally many of each class as there are.

    Raises:
        InputError: there are fewer examples than asked for, or fewer than one of a class.
    """
    check_whole(f"{name}: n", n, least=classes)
    check_whole(f"{name}: test", test, least=0)
    if n + test > len(labels):
        raise InputError(
            f"{name} has {len(labels)} examples: {n} to train on (--examples) and {test} to test with "
            "(--test-examples) are too many."
        )
    random = generator(seed)
    order = random.permutation(len(labels))
    # By how many of its class came before: the first n hold each class equally often, as long as it lasts.
    rank = np.zeros(len(labels), dtype=int)
    for label in range(classes):
        of_class = order[labels[order] == label]
        rank[of_class] = np.arange(len(of_class))
    order = order[np.argsort(rank[order], kind="stable")]
    train, rest = order[:n], order[n : n + test]
    return Examples(
        inputs[train],
        labels[train],
        inputs[rest] if test else None,
        labels[rest] if test else None,
        classes=classes,
        name=name,
    )


def mislabel(data: Examples, share: float, /, *, seed: int = 0) -> Examples:
    """``data`` with another class than its own for a ``share`` of the training examples, drawn by the seed.

    The wrong class is any other with equal chance; test examples keep theirs.

    Raises:
        InputError: the share is not in [0, 1), or there are no classes.
    """
    if not 0 <= share < 1:
        raise InputError(f"share of wrong labels = {share} must lie in [0, 1).")
    if share == 0:
        return data
    if data.classes is None:
        raise InputError(f"{data.name} has real targets: there are no labels to make wrong.")
    random = np.random.default_rng([check_seed(seed), 1])
    chosen = random.permutation(len(data.targets))[: round(share * len(data.targets))]
    labels = np.array(data.targets)
    labels[chosen] = (labels[chosen] + random.integers(1, data.classes, len(chosen))) % data.classes
    return replace(data, targets=labels, name=f"{data.name}-{share:g}-mislabelled")


def digits(*, n: int = 100, test: int = 500, seed: int = 0) -> Examples:
    """Handwritten digits, x (n, 8, 8, 1) with mean 0 and variance 1 over the whole set of 1797; ten classes.

    Source: shipped with scikit-learn (test part of the UCI set "Optical Recognition of Handwritten Digits").
    """
    from sklearn import datasets

    loaded = datasets.load_digits()
    images = np.asarray(loaded.images, dtype=float)[..., None]
    images = (images - images.mean()) / images.std()
    return split(images, np.asarray(loaded.target), n=n, test=test, seed=seed, classes=10, name="digits")


def breast_cancer(*, n: int = 100, test: int = 400, seed: int = 0) -> Examples:
    """Measurements of tumours, x (n, 30), each with mean 0 and variance 1 over the whole set of 569; two classes.

    Source: shipped with scikit-learn (UCI set "Breast Cancer Wisconsin (Diagnostic)"); class 1 is benign.
    """
    from sklearn import datasets

    loaded = datasets.load_breast_cancer()
    features = np.asarray(loaded.data, dtype=float)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return split(features, np.asarray(loaded.target), n=n, test=test, seed=seed, classes=2, name="breast-cancer")
