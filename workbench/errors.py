"""The exception for mistakes of users."""


class UserError(Exception):
    """One line that says what was wrong and what would be right; the command line prints it and exits with status 2."""
