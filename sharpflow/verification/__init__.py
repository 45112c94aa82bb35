"""Claims run on losses and rules: the verdicts, their text and their page."""
