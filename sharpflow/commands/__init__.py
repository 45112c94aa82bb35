"""Subcommands, one file each; a file here is found by itself.

Each has a docstring, whose first line is its help, ``add_arguments(parser)`` and ``run(arguments) -> int``, the exit
status. What takes long to import is imported in ``run``.
"""
