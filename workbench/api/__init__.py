"""The Python API: functions that take objects or names, and return DataFrames, Axes and paths.

Its names are attributes of `workbench`. It calls what the command line calls; a mistake is a `UserError`.
"""
