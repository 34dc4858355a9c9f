"""A process that is not worth the name. In a module that is imported at once."""

import os


def stillborn(connection, order):
    os._exit(3)
