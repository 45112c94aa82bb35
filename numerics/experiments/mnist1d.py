"""A perceptron 40-64-64-10 with batch norm after every layer on 300 curves of the MNIST-1D generator."""

from sharpflow.numerics.data.examples import Examples
from sharpflow.numerics.data.mnist1d import mnist1d
from sharpflow.numerics.training.experiment import Experiment, needs_no_place


def draw(*, n: int = 300, test: int = 1000, seed: int = 0) -> Examples:
    """Fewer examples than the published set has: the network is to interpolate them."""
    return mnist1d(n=n, test=test, seed=seed)


EXPERIMENT = Experiment(
    name="mnist1d",
    title="300 curves of the MNIST-1D generator, perceptron",
    data=needs_no_place(draw, "mnist1d"),
    sizes={"widths": (64, 64)},
    source="Greydanus, Kobak 2024, arXiv:2011.14439",
)
