"""Every check of the losses and rules that the command line names: ``pytest --pyargs sharpflow.testing.suite``."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.sharpflow


def test_check(sharpflow_check: Any) -> None:
    """One check of one loss or rule."""
    sharpflow_check()
