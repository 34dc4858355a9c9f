"""Tuning: what may be chosen of each architecture, and one Optuna study for each architecture and task."""
