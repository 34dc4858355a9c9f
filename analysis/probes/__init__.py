"""Probes: what a trained model does with its past, measured on the model itself."""
