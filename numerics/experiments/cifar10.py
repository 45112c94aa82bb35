"""A small residual network with batch norm on 500 images of CIFAR-10, from a folder, tar or npz of the user's."""

from sharpflow.numerics.data.cifar10 import cifar10
from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.training.experiment import Experiment
from sharpflow.theory.errors import InputError


def data(n: int | None, test: int | None, seed: int, place: str | None) -> Examples:
    """All seeds train on the same images."""
    if place is None:
        raise InputError(
            "experiment 'cifar10' needs --data PLACE: a folder, tar or npz with CIFAR-10, from "
            "https://www.cs.toronto.edu/~kriz/cifar.html (cifar-10-python.tar.gz). Nothing is downloaded."
        )
    return cifar10(place, n=500 if n is None else n, test=1000 if test is None else test, seed=seed)


EXPERIMENT = Experiment(
    name="cifar10",
    title="500 images of CIFAR-10 (--data), small residual network",
    data=data,
    network="resnet",
    fixed_data=True,
    source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
)
