"""W&B workspace and report of a comparison: built from its files alone, kept as JSON, sent to W&B on request."""
