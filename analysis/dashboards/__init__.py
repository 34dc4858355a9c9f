"""Dashboards of a folder of results: W&B mirror, W&B workspace, and a local server.

The files of the runs remain the source of truth; everything in this package is built from them and can be rebuilt.
"""
