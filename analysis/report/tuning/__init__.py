"""Chapters on tuning: how each architecture was tuned, and what tuning changed."""
