"""Imported last by the server that processes are forked from: what `tests.conftest` does to pytest's own processes."""

import gc
import os

# No test cuts the power.
os.fsync = lambda fd: None
# Processes do not look for cycles in what they share.
gc.freeze()
