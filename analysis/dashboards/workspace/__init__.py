"""The W&B workspace and report of a comparison as code: built from its files alone, kept as JSON, pushed on request."""
