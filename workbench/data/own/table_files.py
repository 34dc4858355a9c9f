"""Tables of sequences: CSV and Parquet files, whose rows are steps, or whole sequences."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from architectures.suggest import did_you_mean
from workbench.data.own.options import BY_FRACTION, BY_TIME, GIVEN, DataOptions, Speaker, split_names
from workbench.data.own.raw_data import PART_NAMES, RawData
from workbench.errors import UserError
from workbench.files import describe_error

SEQUENCE_NAMES = ("id", "sequence", "seq", "series", "sample", "case", "unit", "subject", "unique_id")
TIME_NAMES = ("time", "t", "step", "timestamp", "date", "datetime", "ds", "cycle")
TARGET_NAMES = ("target", "label", "class", "y")
SPLIT_NAMES = ("split", "part", "subset")
"""Names of columns that say what they hold; `sequence_id` and the like are known too."""
DELIMITERS = ",;\t|"
PANDAS = tuple(int(number) for number in pd.__version__.split(".")[:2])
EXACT: Any = {} if PANDAS >= (3, 1) else {"float_precision": "round_trip"}
"""Has pandas read every number as it was written; before 3.1 its default is wrong in the last digit."""
SNIFFED = 1 << 16
"""Bytes in which the delimiter of a CSV file is looked for."""


def read_table(path: Path, speaker: Speaker) -> pd.DataFrame:
    """Returns the table in a CSV or Parquet file.

    Raises:
        UserError: if it cannot be read, has no rows, or its first line does not name its columns.
    """
    try:
        table = read_parquet(path) if path.suffix.lower() == ".parquet" else read_csv(path)
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise speaker.error(f"it is not a text in UTF-8 (byte {error.start:,}); save it as CSV in UTF-8") from None
    except pd.errors.EmptyDataError:
        raise speaker.error("it is empty; its first line has to name its columns") from None
    except Exception as error:
        raise speaker.error(f"it cannot be read as a table: {describe_error(error)}") from None
    table.columns = [str(column).strip() for column in table.columns]
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise speaker.error(f"it has two columns named {twice!r}; name them apart")
    if not len(table):
        raise speaker.error("it has no rows, only the names of columns")
    if all(is_number(column) for column in table.columns):
        raise speaker.error(
            f"its first line is numbers ({', '.join(table.columns[:3])}, ...); it has to name the columns"
        )
    return table


def read_csv(path: Path) -> pd.DataFrame:
    """Returns the table in a CSV file, with commas, semicolons, tabs or bars between its columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = file.read(SNIFFED)
    try:
        delimiter = csv.Sniffer().sniff(lines, DELIMITERS).delimiter
    except csv.Error:
        delimiter = ","
    # A name that is there twice is told, not renamed.
    header = pd.read_csv(path, sep=delimiter, header=None, nrows=1, dtype=str, encoding="utf-8-sig", na_filter=False)
    try:
        table: pd.DataFrame = pd.read_csv(
            path, sep=delimiter, header=None, skiprows=1, encoding="utf-8-sig", low_memory=False, **EXACT
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=header.iloc[0])
    if table.shape[1] != header.shape[1]:
        raise ValueError(f"{header.shape[1]} columns are named, and rows have {table.shape[1]} values")
    table.columns = header.iloc[0]
    return table


def read_parquet(path: Path) -> pd.DataFrame:
    """Returns the table in a Parquet file."""
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise UserError(
            f"{path.name} is a Parquet file, and pyarrow is not installed: pip install 'sequence-workbench[data]'"
        ) from None


def is_number(text: str) -> bool:
    """Returns whether a text can be read as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def from_table(table: pd.DataFrame, options: DataOptions, speaker: Speaker) -> RawData:
    """Returns the sequences in a table.

    Raises:
        UserError: if a column is missing or holds what it must not, or what the columns are cannot be told.
    """
    if options.rows == "sequences":
        return from_rows(table, options, speaker)
    sequence = pick_column(table, options.sequence, SEQUENCE_NAMES, "sequence", speaker)
    time = pick_column(table, options.time, TIME_NAMES, "time", speaker)
    if sequence is None and time is None:
        raise speaker.error(
            f"no column says which sequence a row belongs to, or its time: give {speaker.option('sequence COLUMN')} or "
            f"{speaker.option('time COLUMN')}, or, if each row is a whole sequence, {speaker.option('rows sequences')}"
        )
    split = pick_split(table, options, speaker)
    said: dict[str, object] = {"rows": "steps", "sequence": sequence, "time": time}
    if split is not None:
        said["split"] = split
    times, notes = None, []
    if time is not None:
        times = read_times(table[time], speaker)
    keys = np.zeros(len(table), dtype=np.int64) if sequence is None else read_sequences(table[sequence], speaker)
    order = np.lexsort((np.arange(len(table)) if times is None else times, keys))
    if not np.array_equal(order, np.arange(len(table))):
        if times is not None and np.any(np.diff(times)[np.diff(keys) == 0] < 0):
            notes.append(f"rows put in the order of {time}")
        table, keys = table.iloc[order], keys[order]
        times = None if times is None else times[order]
    if times is not None:
        refuse_equal_times(table, keys, times, str(time), sequence, speaker)
    lengths = np.unique(keys, return_counts=True)[1]
    targets, features = pick_columns(table, options, [sequence, time, split], speaker)
    said |= {"features": ",".join(features)}
    values = np.column_stack([read_numbers(table[name], speaker) for name in features])
    target, per_step = None, False
    if targets:
        said["target"] = ",".join(targets)
        target = table[targets].to_numpy(dtype=object)
        per_step = sequence is None or not is_constant(target, lengths)
        if sequence is not None and per_step and is_at_end_alone(target, lengths):
            target, per_step = target[np.cumsum(lengths) - 1], False
        elif not per_step:
            target = target[np.cumsum(lengths) - lengths]
    parts = None if split is None else read_parts(table[split], speaker)
    if parts is not None and sequence is not None:
        parts = parts[:, None]
        if not is_constant(parts, lengths):
            raise speaker.error(f"column {split!r} has two parts within one sequence; each belongs to one")
        parts = parts[np.cumsum(lengths) - lengths, 0]
    elif parts is not None:
        refuse_unordered(parts, str(split), speaker)
    return RawData(
        values=values,
        features=features,
        lengths=lengths,
        target=target,
        target_names=targets,
        per_step=per_step,
        times=times,
        parts=parts,
        is_series=sequence is None,
        notes=notes,
        said=said,
    )


def from_rows(table: pd.DataFrame, options: DataOptions, speaker: Speaker) -> RawData:
    """Returns the sequences in a table whose rows are whole sequences of one feature, a column for each step."""
    for key in ("sequence", "time"):
        if (name := getattr(options, key)) is not None:
            raise speaker.error(f"{key} is given as {name!r}, but rows are sequences; drop one")
    split = pick_split(table, options, speaker)
    targets, steps = pick_columns(table, options, [split], speaker)
    values = np.column_stack([read_numbers(table[name], speaker) for name in steps])
    # Missing values at the end of a row are no steps; all others are missing.
    lengths = values.shape[1] - np.argmin(np.isnan(values[:, ::-1]), axis=1)
    lengths[np.isnan(values).all(1)] = 0
    if not lengths.all():
        raise speaker.error(f"row {int(np.argmin(lengths)) + 1:,} has no values")
    said: dict[str, object] = {"rows": "sequences", "features": ",".join(steps)}
    if split is not None:
        said["split"] = split
    if targets:
        said["target"] = ",".join(targets)
    return RawData(
        values=values[np.arange(values.shape[1]) < lengths[:, None]][:, None],
        features=["value"],
        lengths=lengths,
        target=table[targets].to_numpy(dtype=object) if targets else None,
        target_names=targets,
        parts=None if split is None else read_parts(table[split], speaker),
        said=said,
    )


def pick_column(
    table: pd.DataFrame, given: str | None, known: tuple[str, ...], key: str, speaker: Speaker
) -> str | None:
    """Returns the column that an option names, or that is called so; `None` if there is none.

    Raises:
        UserError: if there is no such column, or several are called so.
    """
    if given is not None:
        check_columns(table, [given], key, speaker)
        return given
    names = {*known, *(f"{name}_id" for name in known), *(f"{name}id" for name in known)}
    found = [column for column in table.columns if column.lower() in names]
    if len(found) > 1:
        raise speaker.error(
            f"{key} may be column {' or '.join(map(repr, found))}; give {speaker.option(f'{key} {found[0]}')}, or the "
            "other"
        )
    return found[0] if found else None


def check_columns(table: pd.DataFrame, names: list[str], key: str, speaker: Speaker) -> None:
    """Raises a `UserError` if an option names a column that the table does not have."""
    for name in names:
        if name not in table.columns:
            raise speaker.error(f"there is no column {name!r}, given as {key}{did_you_mean(name, list(table.columns))}")


def pick_split(table: pd.DataFrame, options: DataOptions, speaker: Speaker) -> str | None:
    """Returns the column that says which part a row belongs to; `None` if there is none.

    Raises:
        UserError: if an option names one that is not there.
    """
    if options.split in (BY_FRACTION, BY_TIME):
        return None
    if options.split == GIVEN:
        raise speaker.error(f"a table says its parts in a column: {speaker.option('split COLUMN')}")
    if options.split is not None:
        check_columns(table, [options.split], "split (which is fraction, time, or a column)", speaker)
        return options.split
    for column in table.columns:
        if column.lower() in SPLIT_NAMES:
            words = {str(value).strip().lower() for value in table[column].unique()}
            if words <= PART_NAMES.keys():
                return str(column)
    return None


def pick_columns(
    table: pd.DataFrame, options: DataOptions, others: list[str | None], speaker: Speaker
) -> tuple[list[str], list[str]]:
    """Returns the columns of the answer, and those that are read.

    Args:
        table: the table.
        options: what is said about it.
        others: columns that are neither.
        speaker: the file, for messages.

    Raises:
        UserError: if one is not there, or is read though it is something else.
    """
    taken = {name for name in others if name is not None}
    if options.target is not None:
        targets = [options.target] if options.target in table.columns else split_names(options.target)
        check_columns(table, targets, "target", speaker)
    else:
        targets = [column for column in table.columns if column.lower() in TARGET_NAMES and column not in taken]
        if len(targets) > 1:
            raise speaker.error(
                f"the answer may be column {' or '.join(map(repr, targets))}; give "
                f"{speaker.option(f'target {targets[0]}')}, or the other"
            )
    # A column that is both read and answered is one to forecast.
    read = set() if options.features is None else {options.features, *split_names(options.features)}
    is_open = options.answer is None and (options.horizon is not None or (bool(targets) and read >= {*targets}))
    forecast = options.answer == "forecast" or is_open
    if options.features is not None:
        features = [options.features] if options.features in table.columns else split_names(options.features)
        check_columns(table, features, "features", speaker)
        if not forecast and (both := next((name for name in features if name in targets), None)):
            raise speaker.error(f"column {both!r} is both read and to be answered; take it out of features or target")
    else:
        features = [column for column in table.columns if column not in taken and (forecast or column not in targets)]
    if commas := next((name for name in (*features, *targets) if "," in name), None):
        raise speaker.error(f"column {commas!r} has a comma in its name; rename it")
    for name in features:
        if not is_numeric(table[name]):
            numeric = ",".join([column for column in features if is_numeric(table[column])][:6]) or "A,B"
            sample = next((value for value in table[name] if isinstance(value, str) and not is_number(value)), "text")
            raise speaker.error(
                f"column {name!r} holds text ({sample[:20]!r}), which is no feature; name the columns to read: "
                f"{speaker.option(f'features {numeric}')}"
            )
    if not features:
        raise speaker.error("no column is left to be read: all are the answer, the sequence, the time or the part")
    return targets, features


def is_numeric(column: "pd.Series[Any]") -> bool:
    """Returns whether a column holds numbers, or nothing."""
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column) or column.isna().all())


def read_numbers(column: "pd.Series[Any]", speaker: Speaker) -> np.ndarray:
    """Returns a column of numbers, (rows,), with NaN where a value is missing.

    Raises:
        UserError: if a value is infinite.
    """
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if (infinite := np.flatnonzero(np.isinf(values))).size:
        row = int(column.index[infinite[0]]) + 2
        raise speaker.error(f"column {column.name!r} is infinite in line {row:,}; no architecture can read that")
    return values


def read_sequences(column: "pd.Series[Any]", speaker: Speaker) -> np.ndarray:
    """Returns the number of the sequence of each row, (rows,), in the order in which sequences first appear."""
    if column.isna().any():
        line = int(np.argmax(column.isna())) + 2
        raise speaker.error(f"column {column.name!r}, which says the sequence, is empty in line {line:,}")
    return np.asarray(pd.factorize(column)[0])


def read_times(column: "pd.Series[Any]", speaker: Speaker) -> np.ndarray:
    """Returns times as numbers, (rows,): numbers as they are, dates in seconds.

    Raises:
        UserError: if one is missing or is neither a number nor a date.
    """
    if column.isna().any():
        line = int(np.argmax(column.isna())) + 2
        raise speaker.error(f"column {column.name!r}, the time, is empty in line {line:,}")
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64)
    try:
        dates = pd.to_datetime(column, utc=True)
    except (ValueError, TypeError):
        value = str(column.iloc[0])[:30]
        raise speaker.error(
            f"column {column.name!r}, the time, is neither numbers nor dates as 2024-01-31 (it begins with {value!r})"
        ) from None
    return dates.astype("datetime64[ns, UTC]").astype(np.int64).to_numpy() / 1e9


def refuse_equal_times(
    table: pd.DataFrame, keys: np.ndarray, times: np.ndarray, time: str, sequence: str | None, speaker: Speaker
) -> None:
    """Raises a `UserError` if two steps of a sequence have the same time."""
    equal = np.flatnonzero((np.diff(times) == 0) & (np.diff(keys) == 0))
    if not equal.size:
        return
    value = table[time].iloc[equal[0]]
    if sequence is None:
        raise speaker.error(
            f"{time} {value} is there twice; if the table has several sequences, say which column tells them apart: "
            f"{speaker.option('sequence COLUMN')}"
        )
    raise speaker.error(f"{time} {value} is there twice in {sequence} {table[sequence].iloc[equal[0]]}")


def read_parts(column: "pd.Series[Any]", speaker: Speaker) -> np.ndarray:
    """Returns the part of each row, (rows,): train, validation or test.

    Raises:
        UserError: if a value is none of these.
    """
    words = column.astype(str).str.strip().str.lower()
    if (unknown := ~words.isin(list(PART_NAMES))).any():
        value = column[unknown].iloc[0]
        raise speaker.error(f"column {column.name!r} has the part {value!r}; parts are train, validation and test")
    return words.map(PART_NAMES).to_numpy(dtype=object)


def refuse_unordered(parts: np.ndarray, split: str, speaker: Speaker) -> None:
    """Raises a `UserError` if the parts of one series do not follow one another in time."""
    order = [part for before, part in zip([None, *parts], parts, strict=False) if part != before]
    if order not in (["train", "validation", "test"], ["train", "test"]):
        raise speaker.error(
            f"column {split!r} mixes the parts of a series in time ({', '.join(order[:5])}): train has to come first, "
            "then validation, then test"
        )


def is_constant(values: np.ndarray, lengths: np.ndarray) -> bool:
    """Returns whether the rows of values (total, columns) are the same all along each sequence."""
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    same = (values == values[first]) | (pd.isna(values) & pd.isna(values[first]))
    return bool(same.all())


def is_at_end_alone(values: np.ndarray, lengths: np.ndarray) -> bool:
    """Returns whether values (total, columns) are there at the last step of each sequence, and at no other."""
    known = ~pd.isna(values).any(1)
    last = np.zeros(len(values), dtype=bool)
    last[np.cumsum(lengths) - 1] = True
    return bool(np.array_equal(known, last))
