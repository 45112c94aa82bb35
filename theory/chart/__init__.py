"""One loss in a chart of its minimizers: geometry, assumptions, the flow and the checks of it."""
