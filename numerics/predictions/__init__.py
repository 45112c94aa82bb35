"""Predictions beyond the flow: the oscillation itself, its onset, delays, the horizon of tracking."""
