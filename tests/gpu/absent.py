"""A machine that has PyTorch, and not all that the bench can use."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

ABSENT = (
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
"""What `make test-gpu` does without."""


class Refusal:
    """Finds none of the absent packages, whatever is installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide() -> None:
    """Makes importing any of them fail, in this process."""
    sys.meta_path.insert(0, Refusal())
