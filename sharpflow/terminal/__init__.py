"""Options, lines, tables and files of the commands."""
