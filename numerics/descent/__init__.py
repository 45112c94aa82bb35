"""The discrete iterates of an update rule, and the law they are compared with."""
