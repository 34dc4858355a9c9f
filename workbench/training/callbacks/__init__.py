"""Callbacks of a run, each of one purpose, over one record of the run that they share."""
