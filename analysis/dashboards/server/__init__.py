"""What `workbench view` serves: a folder of results as pages, read anew from its files whenever somebody looks.

Nothing is written, no lock is taken, and no code that a file names is run.
"""
