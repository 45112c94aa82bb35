"""What the referee looks at: a loss's and a rule's own properties."""
