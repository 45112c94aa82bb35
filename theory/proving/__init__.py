"""How one line is checked: proofs and their steps, zero tests, the second checker, positivity."""
