"""Files of sequences for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.tasks.own_data import OwnData

COUNT = 60
"""Sequences of a table."""


def long_table(count: int = COUNT, *, least: int = 6, most: int = 11, seed: int = 0) -> pd.DataFrame:
    """Returns sequences of unequal length, a row for each step, with one of three classes each."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        for step in range(rng.integers(least, most + 1)):
            u, v = rng.normal(size=2) + index % 3
            rows.append((f"s{index}", step, u, v, "abc"[index % 3]))
    return pd.DataFrame(rows, columns=["id", "time", "u", "v", "label"])


def series(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Returns one series, hour by hour: a price that wanders, and a volume of noise."""
    rng = np.random.default_rng(seed)
    date = pd.date_range("2024-01-01", periods=rows, freq="h")
    return pd.DataFrame({"date": date, "price": 100 + rng.normal(size=rows).cumsum(), "volume": rng.uniform(size=rows)})


def write_csv(folder: Path, table: pd.DataFrame, name: str = "mydata.csv") -> str:
    """Writes a table as CSV; returns its path."""
    table.to_csv(folder / name, index=False)
    return str(folder / name)


def write_npz(folder: Path, name: str = "mydata.npz", **arrays: Any) -> str:
    """Writes arrays as .npz; returns the path."""
    np.savez(folder / name, **arrays)
    return str(folder / name)


def write_text(folder: Path, text: str, name: str = "mydata.csv") -> str:
    """Writes a text; returns its path."""
    (folder / name).write_text(text)
    return str(folder / name)


def own(path: str, **options: object) -> OwnData:
    """Returns the task of a file."""
    return OwnData(path=path, **options)  # type: ignore[arg-type]


TRAIN = [
    *("--architecture", "gru", "--hidden-size", "3", "--steps", "4", "--batch-size", "3", "--log-every", "2"),
    *("--evaluation-size", "5", "--wandb", "off"),
]
"""Further arguments of `workbench train` for a run that takes a moment."""
