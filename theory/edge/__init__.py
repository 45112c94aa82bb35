"""The law of a rule at the edge, on the generic loss: two-step map, averages, energy."""
