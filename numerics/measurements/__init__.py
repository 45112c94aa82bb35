"""The numbers that claims are measured by."""
