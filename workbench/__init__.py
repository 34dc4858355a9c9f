"""The bench: tasks, data, training of one experiment, comparisons, and the command line."""
