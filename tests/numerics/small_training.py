"""The small training run of the tests: what is trained, and how."""

from numerics.experiment import Choices
from numerics.training import Recipe

SMALL = Choices(examples=12, test_examples=20, sizes={"widths": (6,)})
RECIPE = Recipe(0.05, 2e-3, steps=400, records=8, count=3, dtype="float64")
