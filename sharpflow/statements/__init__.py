"""Statements and derivations of a reader's own: read from text and LaTeX, checked, measured and shown."""
