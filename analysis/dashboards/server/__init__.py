"""Local server of `workbench view`: pages of a folder of results, read from its files at every request.

Nothing is written, no lock is kept, and no code that a file names is run.
"""
