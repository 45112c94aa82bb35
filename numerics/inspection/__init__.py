"""Measurements for the referee: a loss's and a rule's own properties."""
