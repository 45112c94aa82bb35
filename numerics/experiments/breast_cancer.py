"""A perceptron 30-32-32-1 with batch norm after every layer on 100 tumours of scikit-learn."""

from sharpflow.numerics.data.examples import breast_cancer
from sharpflow.numerics.training.experiment import Experiment, needs_no_place

EXPERIMENT = Experiment(
    name="breast-cancer",
    title="100 tumours of scikit-learn, two classes, perceptron",
    data=needs_no_place(breast_cancer, "breast-cancer"),
    sizes={"widths": (32, 32)},
    source="UCI, Breast Cancer Wisconsin (Diagnostic); shipped with scikit-learn",
)
