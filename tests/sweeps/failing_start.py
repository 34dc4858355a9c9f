"""A process that dies as soon as it starts, in a module that is quick to import."""

import os


def die_at_start(connection, config):
    os._exit(3)
