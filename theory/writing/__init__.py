"""How a derivation is printed: as text, Markdown, LaTeX or JSON."""
