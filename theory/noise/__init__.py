"""Noise: the stationary moments of a rule's linearised step, and the flow and the equilibria that follow from them."""
