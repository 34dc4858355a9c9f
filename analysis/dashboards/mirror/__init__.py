"""W&B mirror: records of runs, trials and comparisons, kept as offline W&B runs and sent on request."""
