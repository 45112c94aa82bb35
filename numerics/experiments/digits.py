"""A perceptron 64-64-64-10 with batch norm after every layer on 100 handwritten digits of scikit-learn."""

from sharpflow.numerics.data.examples import digits
from sharpflow.numerics.training.experiment import Experiment, needs_no_place

EXPERIMENT = Experiment(
    name="digits",
    title="100 handwritten digits of scikit-learn, perceptron",
    data=needs_no_place(digits, "digits"),
    sizes={"widths": (64, 64)},
    source="UCI, Optical Recognition of Handwritten Digits; shipped with scikit-learn",
)
