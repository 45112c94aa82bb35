"""Comparisons over grids of losses, rates and starts, kept on disk."""
