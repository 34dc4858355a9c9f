"""Measures of memory: pure mathematics on encoders and tensors, without tasks, runs or files."""
