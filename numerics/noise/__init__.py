"""Measurements of noisy iterates on small losses, and the edges of mini-batches."""
