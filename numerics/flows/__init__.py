"""All flows: in a chart, on Gamma, with several eigenvalues at the edge, away from Gamma."""
