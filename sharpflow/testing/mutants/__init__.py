"""Wrong losses and wrong rules, and the table of which check catches which."""
