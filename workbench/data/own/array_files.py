"""Arrays of sequences: .npz files of NumPy and .pt files of PyTorch, neither of which can execute code here."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from workbench.data.own.options import BY_FRACTION, BY_TIME, GIVEN, DataOptions, Speaker
from workbench.data.own.raw_data import PART_NAMES, PARTS, RawData
from workbench.errors import UserError
from workbench.files import describe_error

X_NAMES = ("x", "inputs", "input", "data", "features", "sequences")
Y_NAMES = ("y", "targets", "target", "labels", "label", "classes")
LENGTH_NAMES = ("lengths", "length", "lens", "seq_lengths")
SPLIT_NAMES = ("split", "part", "parts")
"""Names of arrays that say what they hold, in small letters."""
SAVE_AS = "save x as (sequences, steps, features) with lengths, or all steps one after another with lengths"

Arrays = Mapping[str, np.ndarray | list[np.ndarray]]


def read_npz(path: Path, speaker: Speaker) -> Arrays:
    """Returns the arrays in a .npz file by name.

    Raises:
        UserError: if it is no such file, or holds Python objects, which could execute code.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise speaker.error("it holds one array without a name; save x and y: numpy.savez(path, x=x, y=y)")
            return {name: file[name] for name in file.files}
    except UserError:
        raise
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise speaker.error(f"it holds Python objects, which could execute code; {SAVE_AS}") from None
        raise speaker.error(f"it cannot be read as .npz: {describe_error(error)}") from None
    except (OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise speaker.error(f"it cannot be read as .npz: {describe_error(error)}") from None


def read_pt(path: Path, speaker: Speaker) -> Arrays:
    """Returns the tensors in a .pt file as arrays by name: of a mapping, or of a tuple (x, y) or (x, y, lengths).

    Raises:
        UserError: if it is no such file, or holds anything but tensors in lists, tuples and mappings.
    """
    wanted = "a .pt file holds tensors by name, torch.save({'x': x, 'y': y}, path)"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise speaker.error(f"it holds Python objects, which could execute code; {wanted}") from None
    except Exception as error:
        raise speaker.error(f"it cannot be read as .pt: {describe_error(error)}") from None
    if isinstance(content, list | tuple) and 1 <= len(content) <= 3:
        content = dict(zip(("x", "y", "lengths"), content, strict=False))
    if not isinstance(content, Mapping):
        raise speaker.error(f"it holds a {type(content).__name__}; {wanted}")
    arrays: dict[str, np.ndarray | list[np.ndarray]] = {}
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            arrays[str(name)] = to_array(value)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, torch.Tensor) for item in value):
            arrays[str(name)] = [to_array(item) for item in value]
        elif isinstance(value, list | tuple):
            arrays[str(name)] = np.asarray(value)
    return arrays


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Returns a tensor as an array; bfloat16, which NumPy does not have, as float32."""
    plain = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    return np.asarray(plain.numpy())


def from_arrays(arrays: Arrays, options: DataOptions, speaker: Speaker) -> RawData:
    """Returns the sequences in arrays.

    Raises:
        UserError: if x is missing, or shapes do not fit each other.
    """
    for key in ("sequence", "time", "rows"):
        if getattr(options, key) is not None:
            raise speaker.error(f"{key} is an option of tables; arrays have the axes (sequences, steps, features)")
    if by_part := find_parts(arrays):
        return from_parts(arrays, by_part, options, speaker)
    x_name = pick_array(arrays, options.features, X_NAMES, "features", speaker)
    if x_name is None:
        raise speaker.error(
            f"no array is named x; it has {', '.join(arrays) or 'none'}: give {speaker.option('features NAME')}"
        )
    y_name = pick_array(arrays, options.target, Y_NAMES, "target", speaker)
    if y_name is None and options.answer != "forecast":
        raise speaker.error(
            f"no array is named y; give {speaker.option('target NAME')}, or, to forecast the next values of x, "
            f"{speaker.option('answer forecast')}"
        )
    length_name = pick_array(arrays, None, LENGTH_NAMES, "lengths", speaker)
    split_name = pick_split(arrays, options, speaker)
    lengths = None if length_name is None else arrays[length_name]
    raw = from_xy(arrays[x_name], None if y_name is None else arrays[y_name], lengths, options, speaker)
    raw.said |= {"features": x_name} | ({} if y_name is None else {"target": y_name})
    if split_name is not None:
        raw.said["split"] = split_name
        raw.parts = read_parts(np.asarray(arrays[split_name]), raw.count, split_name, speaker)
    return raw


def pick_array(arrays: Arrays, given: str | None, known: tuple[str, ...], key: str, speaker: Speaker) -> str | None:
    """Returns the array that an option names, or that is called so; `None` if there is none.

    Raises:
        UserError: if there is no such array, or several are called so.
    """
    if given is not None:
        if given not in arrays:
            raise speaker.error(f"there is no array {given!r}, given as {key}; it has {', '.join(arrays)}")
        return given
    found = [name for name in arrays if name.lower() in known]
    if len(found) > 1:
        raise speaker.error(
            f"{key} may be {' or '.join(found)}; give {speaker.option(f'{key} {found[0]}')}, or the other"
        )
    return found[0] if found else None


def pick_split(arrays: Arrays, options: DataOptions, speaker: Speaker) -> str | None:
    """Returns the array that says the part of each sequence; `None` if there is none."""
    if options.split in (BY_FRACTION, BY_TIME):
        return None
    if options.split == GIVEN:
        raise speaker.error("split is given, but it has no x_train, y_train, x_test and y_test")
    if options.split is not None:
        return pick_array(arrays, options.split, (), "split (which is fraction, time, or an array)", speaker)
    return next((name for name in arrays if name.lower() in SPLIT_NAMES), None)


def read_parts(values: np.ndarray, count: int, name: str, speaker: Speaker) -> np.ndarray:
    """Returns the part of each sequence, (count,), from words, or from 0, 1 and 2."""
    if values.shape != (count,):
        raise speaker.error(f"{name} is of shape {values.shape}; it takes one part for each of {count:,} sequences")
    words = [PARTS[value] if value in (0, 1, 2) else str(value).strip().lower() for value in values.tolist()]
    for word in words:
        if word not in PART_NAMES:
            raise speaker.error(f"{name} has the part {word!r}; parts are train, validation and test")
    return np.array([PART_NAMES[word] for word in words], dtype=object)


def find_parts(arrays: Arrays) -> dict[str, str]:
    """Returns the ends of names such as x_train and x_test, by part; empty unless there are x_train and x_test."""
    found = {}
    for name in arrays:
        stem, _, end = name.lower().rpartition("_")
        if stem in X_NAMES and end in PART_NAMES:
            found[PART_NAMES[end]] = name.rpartition("_")[2]
    return found if {"train", "test"} <= found.keys() else {}


def from_parts(arrays: Arrays, ends: dict[str, str], options: DataOptions, speaker: Speaker) -> RawData:
    """Returns the sequences in arrays that are split already: x_train, y_train, x_test and so on."""
    if options.split not in (None, GIVEN):
        raise speaker.error(f"it is split already (x_train, x_test), and split is {options.split}; drop one")
    raws = []
    for part in [part for part in PARTS if part in ends]:
        own = {
            name.rpartition("_")[0]: value for name, value in arrays.items() if name.rpartition("_")[2] == ends[part]
        }
        x_name = pick_array(own, None, X_NAMES, "features", speaker)
        y_name = pick_array(own, None, Y_NAMES, "target", speaker)
        length_name = pick_array(own, None, LENGTH_NAMES, "lengths", speaker)
        if y_name is None and options.answer != "forecast":
            raise speaker.error(f"x_{ends[part]} is there without y_{ends[part]}")
        raw = from_xy(
            own[str(x_name)],
            None if y_name is None else own[y_name],
            None if length_name is None else own[length_name],
            options,
            speaker,
        )
        raw.parts = np.full(raw.count, part, dtype=object)
        raws.append(raw)
    joined = join(raws, speaker)
    joined.said["split"] = GIVEN
    return joined


def join(raws: Sequence[RawData], speaker: Speaker) -> RawData:
    """Returns several parts of a data set as one.

    Raises:
        UserError: if they do not have the same features and answers.
    """
    first = raws[0]
    for other in raws[1:]:
        if other.values.shape[1] != first.values.shape[1] or (
            first.target is not None and other.target is not None and other.target.shape[1] != first.target.shape[1]
        ):
            raise speaker.error("its training and its test part do not have the same numbers of features and answers")
        if other.per_step != first.per_step:
            raise speaker.error("one part has an answer for each step, another one for each sequence")
    return RawData(
        values=np.concatenate([raw.values for raw in raws]),
        features=first.features,
        lengths=np.concatenate([raw.lengths for raw in raws]),
        target=None if first.target is None else np.concatenate([raw.target for raw in raws if raw.target is not None]),
        target_names=first.target_names,
        per_step=first.per_step,
        parts=np.concatenate([raw.parts for raw in raws if raw.parts is not None]),
        whole_integers=all(raw.whole_integers for raw in raws),
        said=dict(first.said),
    )


def from_xy(
    x: np.ndarray | Sequence[np.ndarray],
    y: np.ndarray | Sequence[np.ndarray] | None,
    lengths: Any,
    options: DataOptions,
    speaker: Speaker,
) -> RawData:
    """Returns sequences and their answers without padding.

    Args:
        x: (sequences, steps, features) or (sequences, steps); (total steps, features) or (total steps,) if the lengths
            add up to its rows; or a list of (steps, features) or (steps,).
        y: (sequences,), (sequences, targets), or as x with targets in place of features.
        lengths: (sequences,) the steps of each sequence, or `None`.
        options: what is said about the data.
        speaker: the file, for messages.

    Raises:
        UserError: if the shapes do not fit each other, or x is not numbers.
    """
    if isinstance(x, np.ndarray):
        check_numbers(x, "x", speaker)
    else:
        x, lengths = flatten_list(x, lengths, speaker)
    plain_axis = x.ndim == 1
    if lengths is None:
        if x.ndim not in (2, 3):
            raise speaker.error(f"x is of shape {x.shape}; it has to be (sequences, steps, features), or have lengths")
        counts, padded = np.full(x.shape[0], x.shape[1]), True
    else:
        counts = np.asarray(lengths)
        if counts.ndim != 1 or counts.dtype.kind not in "iu":
            raise speaker.error(
                f"lengths are of shape {counts.shape}, {counts.dtype}; they are whole numbers, one each"
            )
        # The rows of x are sequences if there is a length for each; otherwise they are steps.
        padded = len(x) == len(counts) and x.ndim >= 2 and not (x.ndim == 2 and counts.sum() == len(x))
    if not counts.size or not x.size:
        raise speaker.error("x is empty: it has no sequences, no steps or no features")
    plain_axis = plain_axis or (padded and x.ndim == 2)
    if counts.min() < 1 or (padded and counts.max() > x.shape[1]):
        most = f" .. {x.shape[1]}" if padded else " or more"
        raise speaker.error(f"lengths lie in {counts.min()} .. {counts.max()}; they have to lie in 1{most}")
    if not padded and counts.sum() != len(x):
        raise speaker.error(
            f"x has {len(x):,} rows; lengths are {len(counts):,} and add up to {counts.sum():,}: one has to fit"
        )
    values = strip_padding(x, counts) if padded else x
    whole = plain_axis and values.dtype.kind in "iu" and values.min() >= 0
    flat = values.reshape(len(values), -1).astype(np.float64)
    if (infinite := np.argwhere(np.isinf(flat))).size:
        sequence = int(np.searchsorted(np.cumsum(counts), infinite[0, 0], side="right"))
        raise speaker.error(f"x is infinite in sequence {sequence:,}, counted from 0; no architecture can read that")
    target, per_step = (None, False) if y is None else read_y(y, counts, x, padded, options, speaker)
    names = [""] if target is None or target.shape[1] == 1 else [str(index) for index in range(target.shape[1])]
    return RawData(
        values=flat,
        features=[f"x{index}" for index in range(flat.shape[1])],
        lengths=counts.astype(np.int64),
        target=target,
        target_names=[] if target is None else [f"y{name}" for name in names],
        per_step=per_step,
        whole_integers=bool(whole),
    )


def flatten_list(x: Sequence[np.ndarray], lengths: Any, speaker: Speaker) -> tuple[np.ndarray, np.ndarray]:
    """Returns a list of sequences one after another, and their lengths."""
    if lengths is not None:
        raise speaker.error("x is a list of sequences, which have their lengths; drop lengths")
    arrays = [np.asarray(item) for item in x]
    for index, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.shape[1:] != arrays[0].shape[1:]:
            raise speaker.error(
                f"sequence {index} is of shape {array.shape}, the first {arrays[0].shape}; all are (steps, features)"
            )
        check_numbers(array, f"sequence {index}", speaker)
    if not arrays:
        raise speaker.error("x is empty: it has no sequences")
    return np.concatenate(arrays), np.array([len(array) for array in arrays])


def check_numbers(x: np.ndarray, name: str, speaker: Speaker) -> None:
    """Raises a `UserError` if an array is not of numbers."""
    if x.dtype.kind == "O":
        raise speaker.error(f"{name} holds Python objects; {SAVE_AS}")
    if x.dtype.kind not in "iufb":
        raise speaker.error(f"{name} is of type {x.dtype}; it has to be numbers")


def strip_padding(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the steps of values (sequences, steps, ...) up to each length, one after another."""
    return values[np.arange(values.shape[1]) < lengths[:, None]]


def read_y(
    y: np.ndarray | Sequence[np.ndarray],
    lengths: np.ndarray,
    x: np.ndarray,
    padded: bool,
    options: DataOptions,
    speaker: Speaker,
) -> tuple[np.ndarray, bool]:
    """Returns answers (count, targets), or (total, targets) if there is one for each step; and which of them it is.

    Raises:
        UserError: if the shape is neither, or may be both.
    """
    if not isinstance(y, np.ndarray):
        parts = [np.atleast_1d(np.asarray(item)) for item in y]
        if len(parts) == len(lengths) and [len(part) for part in parts] == lengths.tolist() and lengths.max() > 1:
            joined = np.concatenate(parts)
            return joined.reshape(len(joined), -1), True
        try:
            y = np.stack(parts)
        except ValueError:
            raise speaker.error("the answers in y are of different lengths, which are not those of x") from None
    count, total = len(lengths), int(lengths.sum())
    if y.dtype.kind == "O":
        raise speaker.error("y holds Python objects; save numbers or texts")
    # As many answers as steps, hardly by chance, are one for each step; the line about the data says so.
    if (
        padded
        and y.ndim in (2, 3)
        and y.shape[:2] == x.shape[:2]
        and x.shape[1] > 1
        and (y.ndim, options.at) != (2, "end")
    ):
        steps = strip_padding(y, lengths)
        return steps.reshape(len(steps), -1), True
    if y.ndim in (1, 2) and len(y) == count and (count != total or options.at != "every"):
        return y.reshape(count, -1), False
    if y.ndim in (1, 2) and len(y) == total:
        return y.reshape(total, -1), True
    raise speaker.error(
        f"y is of shape {y.shape}, and there are {count:,} sequences of {describe_range(lengths)} steps: it takes one "
        "answer for each sequence, or one for each step"
    )


def describe_range(lengths: np.ndarray) -> str:
    """Returns the least and the greatest of some lengths, as in `40 to 96`."""
    low, high = int(lengths.min()), int(lengths.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
