"""Fixtures that several files share: the small training run, compiled once for each file."""

import pytest


@pytest.fixture(scope="module")
def tasks():
    """Two seeds of `tests.numerics.training.small_training`."""
    from sharpflow.numerics import experiments
    from tests.numerics.training.small_training import SMALL

    return experiments.get("breast-cancer").tasks(2, SMALL)


@pytest.fixture(scope="module")
def trainer(tasks):
    """Its programs."""
    from sharpflow.numerics.training.trainer import Trainer
    from tests.numerics.training.small_training import RECIPE

    return Trainer(tasks, RECIPE)
