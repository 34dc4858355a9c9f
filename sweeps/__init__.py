"""Hyperparameter sweeps: search spaces, and one Optuna study for each architecture and task."""
