"""From a framework's model, data and loss to an Objective: `from_flax`, `from_equinox`, `from_torch`.

Each needs its framework, an extra of this package: pip install 'sharpflow[flax]', 'sharpflow[equinox]',
'sharpflow[torch]'.
"""

from sharpflow.numerics.adapters.equinox import from_equinox as from_equinox
from sharpflow.numerics.adapters.flax import from_flax as from_flax
from sharpflow.numerics.adapters.torch import from_torch as from_torch
