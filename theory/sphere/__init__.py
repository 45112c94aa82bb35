"""Exact statements in every dimension: the reduction to the sphere, entering the edge, invariance."""
