"""sharpflow: a symbolic-plus-numeric verifier of the theory of sharpness reduction."""

__version__ = "0.1.0"
