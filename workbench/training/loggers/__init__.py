"""Loggers of the bench's runs: Lightning's own, fed with the rows of `metrics.csv`, each in a file of its own."""
