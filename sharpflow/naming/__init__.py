"""From the words of a user to a loss or a rule: SPECs, formulas, files."""
