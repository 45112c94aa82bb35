"""Errors that a user can act on."""

__all__ = ["InputError", "NoClosedForm"]


class InputError(ValueError):
    """The input was wrong; the message says what, where, and what to do.

    Every mistake that can be seen without running anything raises this at once. The command line turns it into one line
    on standard error and exit status 2.
    """


class NoClosedForm(ArithmeticError):
    """A quantity exists, but this program finds no closed form for it (say, the roots of an irreducible cubic).

    Not a mistake of the user's: the claims that need the closed form are undecided, the numeric checks go on.
    """
