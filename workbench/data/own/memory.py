"""Data in memory, written to a file, as every run reads it in a process of its own."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.data.downloads import cache_folder
from workbench.data.own.options import DataOptions, split_names
from workbench.data.own.raw_data import PART_NAMES
from workbench.errors import UserError
from workbench.files import atomic_path, describe_error

FOLDER = "own-data"
"""Folder in the user's cache."""
KINDS = "an array, a list of sequences, a DataFrame, a torch Dataset with items (x, y), or a Hugging Face dataset"


def write(
    data: Any, y: Any, lengths: Any, options: DataOptions, name: str, folder: str | Path | None = None
) -> tuple[Path, DataOptions]:
    """Writes data to a file.

    Returns:
        Its path, FOLDER/HASH/NAME.npz, or .csv for a table; and the options that go with it.

    Args:
        data: as in `workbench.tasks.own_data.task_from`.
        y: as there.
        lengths: as there.
        options: what is said about the data.
        name: of the file, without an ending.
        folder: by default one in the user's cache.

    Raises:
        UserError: if the data is of no known kind, or cannot be written.
    """
    if isinstance(data, pd.DataFrame):
        refuse_answers(y, lengths, "a DataFrame; name its column: target=")
        content, suffix = table_bytes(data), ".csv"
    else:
        found = find_table(data)
        if found is not None:
            refuse_answers(y, lengths, "a dataset; name its column: target=")
            content, suffix = table_bytes(found), ".csv"
        else:
            content, suffix = arrays_bytes(find_arrays(data, y, lengths, options)), ".npz"
            # These were names of columns of a dataset; now they are x and y.
            options = replace(options, features=None, target=None)
    place = cache_folder() / FOLDER if folder is None else Path(folder).expanduser()
    path = place.absolute() / hashlib.sha256(content).hexdigest()[:12] / f"{name}{suffix}"
    if path.is_file() and path.read_bytes() == content:
        return path, options
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(f"the data cannot be written to {path}: {error.strerror or describe_error(error)}") from None
    return path, options


def refuse_answers(y: Any, lengths: Any, what: str) -> None:
    """Raises a `UserError` if y or lengths are given with data that has its own."""
    if y is not None or lengths is not None:
        raise UserError(f"y and lengths go with arrays, not with {what}")


def table_bytes(table: pd.DataFrame) -> bytes:
    """Returns a table as CSV, numbers with all their digits; an index with a name is a column."""
    named = table.reset_index() if any(name is not None for name in table.index.names) else table
    return named.to_csv(index=False, lineterminator="\n").encode()


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns arrays as a .npz file, the same bytes for the same arrays."""
    if name := next((name for name, array in arrays.items() if array.dtype.kind == "O"), None):
        raise UserError(f"{name} holds Python objects; it takes numbers, or texts for classes")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def find_table(data: Any) -> pd.DataFrame | None:
    """Returns a Hugging Face dataset of plain columns as a table; `None` if the data is anything else."""
    if not is_hugging_face(data) or any(is_sequence(data[0][name]) for name in data.column_names):
        return None
    return pd.DataFrame({name: list(data[name]) for name in data.column_names})


def is_hugging_face(data: Any) -> bool:
    """Returns whether data is a Hugging Face dataset, or behaves like one."""
    return hasattr(data, "column_names") and hasattr(data, "__getitem__") and not isinstance(data.column_names, Mapping)


def is_sequence(value: Any) -> bool:
    """Returns whether a value is a list, an array or a tensor of some values."""
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim > 0)


def find_arrays(data: Any, y: Any, lengths: Any, options: DataOptions) -> dict[str, np.ndarray]:
    """Returns data as arrays without padding: x, y, lengths, and split if it has parts.

    Raises:
        UserError: if it is of no known kind.
    """
    if isinstance(data, Mapping):
        return join_parts(data, y, lengths, options)
    if is_hugging_face(data):
        refuse_answers(y, lengths, "a dataset, which has its own")
        data, y = columns_of(data, options)
    elif isinstance(data, np.ndarray | torch.Tensor):
        pass
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, list | tuple):
        refuse_answers(y, lengths, "a dataset, whose items are (x, y)")
        data, y = items_of(data)
    elif not isinstance(data, list | tuple):
        raise UserError(f"data is a {type(data).__name__}; it takes {KINDS}")
    arrays: dict[str, np.ndarray] = {}
    if isinstance(data, list | tuple):
        sequences = [to_array(item) for item in data]
        if not sequences:
            raise UserError("data is an empty list; it takes at least three sequences")
        if lengths is not None:
            raise UserError("data is a list of sequences, which have their lengths; drop lengths")
        shapes = {sequence.shape[1:] for sequence in sequences if sequence.ndim}
        if len(shapes) != 1 or any(sequence.ndim not in (1, 2) for sequence in sequences):
            raise UserError("the sequences in the list are not all (steps, features) with the same features")
        arrays["lengths"] = np.array([len(sequence) for sequence in sequences])
        arrays["x"] = np.concatenate(sequences)
    else:
        arrays["x"] = to_array(data)
        if lengths is not None:
            arrays["lengths"] = to_array(lengths)
    if y is not None:
        arrays["y"] = join_answers(y, arrays.get("lengths"))
    return arrays


def join_answers(y: Any, lengths: np.ndarray | None) -> np.ndarray:
    """Returns answers as one array; those for each step of sequences of unequal length one after another."""
    if isinstance(y, list | tuple) and any(is_sequence(item) for item in y):
        parts = [np.atleast_1d(to_array(item)) for item in y]
        if lengths is not None and [len(part) for part in parts] == lengths.tolist():
            return np.concatenate(parts)
        if len({part.shape for part in parts}) > 1:
            raise UserError("the answers in y are of different lengths, which are not those of the sequences")
        return np.stack(parts)
    return to_array(y)


def items_of(data: Any) -> tuple[list[Any], list[Any]]:
    """Returns the sequences and the answers of a torch Dataset.

    Raises:
        UserError: if its items are not (x, y).
    """
    xs, ys = [], []
    for index in range(len(data)):
        item = data[index]
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise UserError(f"item {index} of the dataset is a {type(item).__name__}; it takes pairs (x, y)")
        xs.append(to_array(item[0]))
        ys.append(to_array(item[1]))
    return xs, [y.item() for y in ys] if all(y.ndim == 0 for y in ys) else ys


def columns_of(data: Any, options: DataOptions) -> tuple[list[Any], list[Any] | None]:
    """Returns the sequences and the answers of a Hugging Face dataset whose rows are sequences.

    Raises:
        UserError: if the columns to read and to answer cannot be told.
    """
    names, first = list(data.column_names), data[0]
    targets = (
        [options.target] if options.target else [n for n in names if n.lower() in ("label", "labels", "target", "y")]
    )
    wanted = split_names(options.features or "") or [n for n in names if n not in targets and is_sequence(first[n])]
    for name in (*targets, *wanted):
        if name not in names:
            raise UserError(f"the dataset has no column {name!r}; it has {', '.join(names)}")
    if len(targets) > 1 or not wanted:
        raise UserError(f"name the columns of the dataset, {', '.join(names)}: features= and target=")
    columns = [[to_array(value) for value in data[name]] for name in wanted]
    rows = list(zip(*columns, strict=True))
    if any(len({len(value) for value in row}) > 1 for row in rows):
        raise UserError(f"{' and '.join(wanted)} are of different lengths in a row; name those to read: features=")
    xs = [row[0] if len(row) == 1 else np.column_stack(row) for row in rows]
    return xs, list(data[targets[0]]) if targets else None


def join_parts(data: Mapping[Any, Any], y: Any, lengths: Any, options: DataOptions) -> dict[str, np.ndarray]:
    """Returns the parts of a data set as one, with an array `split` that says the part of each sequence.

    Args:
        data: by part, (x, y) or a dataset each.
        y: refused.
        lengths: refused.
        options: what is said about the data.

    Raises:
        UserError: if a name is that of no part.
    """
    refuse_answers(y, lengths, "parts, each of which has its own: {'train': (x, y), 'test': (x, y)}")
    joined: dict[str, list[np.ndarray]] = {"x": [], "y": [], "lengths": [], "split": []}
    for word, part in data.items():
        if str(word).lower() not in PART_NAMES:
            raise UserError(f"data has the part {word!r}; parts are train, validation and test")
        x, own_y = part if isinstance(part, tuple) and len(part) == 2 else (part, None)
        arrays = find_arrays(x, own_y, None, options)
        if "lengths" not in arrays:
            shape = arrays["x"].shape
            if len(shape) < 2:
                raise UserError(
                    f"x of the part {word!r} is of shape {shape}; it has to be (sequences, steps, features)"
                )
            arrays["lengths"] = np.full(shape[0], shape[1])
            arrays["x"] = arrays["x"].reshape(shape[0] * shape[1], *shape[2:])
            if "y" in arrays and arrays["y"].ndim > 1 and arrays["y"].shape[:2] == shape[:2]:
                arrays["y"] = arrays["y"].reshape(shape[0] * shape[1], *arrays["y"].shape[2:])
        arrays["split"] = np.full(len(arrays["lengths"]), PART_NAMES[str(word).lower()])
        for name, values in arrays.items():
            joined[name].append(values)
    return {name: np.concatenate(values) for name, values in joined.items() if values}


def to_array(value: Any) -> np.ndarray:
    """Returns a list or a tensor as an array, of texts where it holds texts.

    Raises:
        UserError: if it is ragged, or holds anything else.
    """
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        return np.asarray((plain.float() if plain.dtype == torch.bfloat16 else plain).numpy())
    try:
        array = np.asarray(value)
    except ValueError:
        raise UserError("a sequence holds lists of unequal length; each is (steps, features)") from None
    if array.dtype.kind == "O" and array.ndim == 1 and all(isinstance(item, str) for item in array):
        return array.astype(str)
    return array
