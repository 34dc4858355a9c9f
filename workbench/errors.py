"""The one way to tell users of their mistake."""


class UserError(Exception):
    """What was wrong, and what would be right, in one line. The command line prints it and exits with status 2."""
