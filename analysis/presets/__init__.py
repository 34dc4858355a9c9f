"""Settings of a task at several scales, the choice of their learning rates, and how far their runs are."""
