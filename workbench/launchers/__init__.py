"""Launchers: they start the same command on other machines, which take runs from one folder."""
