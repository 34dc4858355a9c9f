"""Comparison of architectures: intervals, tests between rows, times until solved, and scores over several tasks."""
