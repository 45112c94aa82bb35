"""Gradient descent against the flow."""
