"""Real regression data, small enough that the centred features interpolate the target: n examples, D >= n features."""

from __future__ import annotations

import numpy as np

from sharpflow.numerics.numbers import check_whole, generator
from sharpflow.theory.errors import InputError, known_names

__all__ = ["NAMES", "regression_data"]

NAMES = ("breast-cancer", "diabetes")
_DEFAULT_SIZE = 8


def regression_data(name: str, /, *, n: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X_c (n, D) and y_c (n,), both with mean zero over the n examples; the rank of X_c is n - 1 < D.

    The features are standardised over the whole data set, then n rows are drawn by the seed and centred.
    breast-cancer has 30 features (target: malignant or benign), diabetes 10 (target: progression, in units of its
    standard deviation).

    Args:
        name: one of `NAMES`, both shipped with scikit-learn.
        n: examples; default 8. The sharpness of the regression grows with it, and with that the error at a given rate.
        seed: which rows.

    Raises:
        InputError: there is no such data set, or n does not fit its features.
    """
    if name not in NAMES:
        raise InputError(f"no data set is called {name!r}; {known_names(name, NAMES)}")
    from sklearn import datasets

    loaded = (datasets.load_breast_cancer if name == "breast-cancer" else datasets.load_diabetes)()
    features, target = np.asarray(loaded.data, dtype=float), np.asarray(loaded.target, dtype=float)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    target = (target - target.mean()) / target.std()
    size = _DEFAULT_SIZE if n is None else n
    why = f", the features of {name}: with more examples the centred features do not interpolate the target"
    size = check_whole("n", size, least=3, most=features.shape[1], hint=why)
    random = generator(seed)
    # A draw whose target is constant, or whose features are dependent, is drawn again.
    for _ in range(100):
        rows = random.choice(len(target), size=size, replace=False)
        x, y = features[rows], target[rows]
        x, y = x - x.mean(axis=0), y - y.mean()
        if np.any(np.abs(y) > 1e-12) and np.linalg.matrix_rank(x) == size - 1:
            return x, y
    raise InputError(f"{name} with n = {size} and seed = {seed}: no draw of rows has rank n - 1; choose another seed.")
