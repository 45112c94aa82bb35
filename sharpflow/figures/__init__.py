"""Figures, in one style, whatever the settings of matplotlib are: none is shown in a window."""

import contextlib
import os

# Where MPLBACKEND names nothing that matplotlib knows, it ends its own import.
_backend = os.environ.pop("MPLBACKEND", None)
import matplotlib  # noqa: E402

if _backend:
    os.environ["MPLBACKEND"] = _backend
    with contextlib.suppress(ValueError):
        matplotlib.rcParams["backend"] = _backend
