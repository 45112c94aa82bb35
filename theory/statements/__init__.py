"""Statements that a reader brings: what the names in them mean, whether they hold, and which slip explains one."""
