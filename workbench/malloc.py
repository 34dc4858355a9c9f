"""Keeping the memory that training gives back: every step takes the same again."""

import ctypes

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""The names that glibc's <malloc.h> has for these settings."""
MAX_INT = 2**31 - 1
"""Bytes at the top of the heap that are kept: the most that the setting takes."""


kept = False
"""Whether this process keeps its memory."""


def keep_memory() -> bool:
    """Has glibc keep large blocks instead of returning each to the system.

    By default it maps every block beyond some size anew and unmaps it when it is freed; the system hands out each of
    its pages as zeros at the first touch, at a cost like that of the arithmetic. To be called once, before the process
    allocates much. Its peak grows a little (by a tenth, where it was measured), and in between it holds on to it.

    Returns:
        Whether it did; other allocators have other ways, and are left as they are.
    """
    global kept
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    kept = bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, MAX_INT))
    return kept
