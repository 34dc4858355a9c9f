"""Simulation of a machine that has PyTorch, but not all packages that the bench can use."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MISSING = (
    "jsonargparse",
    "optuna",
    "optuna_dashboard",
    "playwright",
    "pooch",
    "psycopg",
    "ray",
    "sqlalchemy",
    "wandb",
    "wandb_workspaces",
)
"""Packages that `make test-gpu` must not need."""


class ImportBlocker:
    """An import hook that finds none of the missing packages, even if they are installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def block_imports() -> None:
    """Makes importing any of the missing packages fail, in this process."""
    sys.meta_path.insert(0, ImportBlocker())
