"""What is costly to make and never changed, made by one of pytest's processes for all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Returns a folder that is made by the first process that asks for it, while the others wait.

    Args:
        factory: the session's `tmp_path_factory`.
        name: the name of the folder, which is one for all tests.
        make: makes the folder.
    """
    base = factory.getbasetemp()
    # The processes of pytest-xdist have folders of their own in one that is the session's.
    shared = (base.parent if base.name.startswith("popen-") else base) / name
    with FileLock(f"{shared}.lock"):
        if not shared.with_suffix(".made").exists():
            make(shared)
            shared.with_suffix(".made").touch()
    return shared
