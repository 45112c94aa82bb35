"""The small training run of the tests: what is trained, and how."""

from sharpflow.numerics.training.experiment import Choices
from sharpflow.numerics.training.recipe import Recipe

SMALL = Choices(examples=12, test_examples=20, sizes={"widths": (6,)})
RECIPE = Recipe(0.05, 2e-3, steps=400, records=8, count=3, dtype="float64")
