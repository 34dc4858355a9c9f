"""What is to be answered: a class, numbers, or the values to come; told from the data where that is no guess."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.data.own.options import Answer, At, DataOptions, Speaker
from workbench.data.own.raw_data import RawData

CLASS_NAMES = ("label", "class")
"""Names of answers that are classes, also if they are written as numbers."""
MAX_CLASSES = 100
"""Whole numbers are taken for classes only if there are fewer, and they have no gaps."""


@dataclass(slots=True, kw_only=True, eq=False)
class Answers:
    """The answers to a data set's sequences, encoded."""

    kind: Answer
    at: At
    names: list[str]
    """Of the numbers to be answered, or of the one class."""
    classes: list[str]
    """Names of the classes, in the order of their numbers; empty for numbers."""
    values: np.ndarray
    """Classes, (rows,) int64, -1 where the answer is not known; or numbers, (rows, targets) float64, NaN where one is
    not known. A row for each step, or, at the end, for each sequence. For forecasts those of the step itself."""
    columns: list[int]
    """For forecasts the features that are forecast; empty for others."""


def find_answers(raw: RawData, options: DataOptions, speaker: Speaker) -> Answers:
    """Returns what is to be answered.

    Raises:
        UserError: if it cannot be told, with the option to give, or the answers are not fit to be learned.
    """
    kind = options.answer
    if kind is None and (options.horizon is not None or (raw.target is not None and not stands_beside(raw))):
        kind = "forecast"
    if kind is None and raw.is_series and raw.target is not None and not holds_classes(raw):
        name = ",".join(raw.target_names)
        raise speaker.error(
            f"is {name} to be forecast ({speaker.option('answer forecast')}), or answered at each step from the other "
            f"columns ({speaker.option('answer number')})?"
        )
    if kind is None and raw.target is None:
        if not raw.is_series:
            raise speaker.error(
                f"which column is the answer? Give {speaker.option('target COLUMN')}, or, to forecast the next values, "
                f"{speaker.option('answer forecast')}"
            )
        kind = "forecast"
    if kind == "forecast":
        return find_forecast(raw, options, speaker)
    if raw.target is None:
        raise speaker.error(
            f"answer is {kind}, and no column is named to be answered: {speaker.option('target COLUMN')}"
        )
    if kind is None:
        kind = infer_kind(raw, speaker)
    at: At = "every" if raw.per_step else "end"
    if options.at is not None and options.at != at:
        have = "one for each step" if raw.per_step else "one for each sequence"
        raise speaker.error(f"at is {options.at}, but the answers are {have}")
    names = raw.target_names
    if kind == "class":
        if len(names) > 1:
            raise speaker.error(
                f"{len(names)} columns are named to be answered ({', '.join(names[:4])}); a class is one"
            )
        classes, values = encode_classes(raw.target[:, 0], names[0], speaker)
    else:
        classes, values = [], read_numbers(raw.target, names, speaker)
    unknown = values < 0 if kind == "class" else np.isnan(values).any(1)
    if at == "end" and unknown.any():
        raise speaker.error(
            f"the answer is missing for {int(unknown.sum()):,} of {len(values):,} sequences (the first is number "
            f"{int(np.argmax(unknown)):,}, counted from 0); leave these out"
        )
    return Answers(kind=kind, at=at, names=names, classes=classes, values=values, columns=[])


def find_forecast(raw: RawData, options: DataOptions, speaker: Speaker) -> Answers:
    """Returns the values to come of some features, all unless some are named."""
    features = list(raw.features)
    names = raw.target_names if raw.target is not None and not stands_beside(raw) else features
    if raw.target is not None and stands_beside(raw):
        raise speaker.error("answer is forecast, but it has y; take y out, or drop the option")
    for name in names:
        if name not in features:
            # It may be forecast though it is not read.
            raise speaker.error(
                f"column {name!r} is to be forecast, but is not among the features that are read; add it"
            )
    columns = [features.index(name) for name in names]
    return Answers(
        kind="forecast",
        at=options.at or "every",
        names=names,
        classes=[],
        values=raw.values[:, columns],
        columns=columns,
    )


def stands_beside(raw: RawData) -> bool:
    """Returns whether the answers stand beside the features, and are not some of them."""
    return any(name not in raw.features for name in raw.target_names)


def holds_classes(raw: RawData) -> bool:
    """Returns whether the answers are texts, truth values, or called classes."""
    assert raw.target is not None
    values = raw.target[:, 0]
    if raw.target.shape[1] > 1:
        return False
    if raw.target_names and raw.target_names[0].lower() in CLASS_NAMES:
        return True
    if values.dtype.kind in "bUS":
        return True
    return values.dtype.kind == "O" and any(isinstance(value, str | bool | np.bool_) for value in values)


def infer_kind(raw: RawData, speaker: Speaker) -> Answer:
    """Returns whether the answers are classes or numbers.

    Raises:
        UserError: if they may be both.
    """
    assert raw.target is not None
    if holds_classes(raw):
        return "class"
    if raw.target.shape[1] > 1:
        return "number"
    values = raw.target[:, 0]
    numbers = pd.to_numeric(pd.Series(values.tolist()), errors="coerce").dropna().to_numpy(dtype=np.float64)
    if np.any(numbers != np.round(numbers)):
        return "number"
    distinct = np.unique(numbers)
    integers = values.dtype.kind in "iu" or all(
        isinstance(value, int | np.integer) or value is None or value != value for value in values
    )
    gapless = (
        distinct.size > 0 and distinct[0] in (0, 1) and np.array_equal(distinct, distinct[0] + np.arange(distinct.size))
    )
    if integers and gapless and 2 <= distinct.size <= MAX_CLASSES and numbers.size >= 3 * distinct.size:
        return "class"
    raise speaker.error(
        f"the answers are whole numbers, {distinct.size:,} different ones in {distinct.min():g} .. {distinct.max():g}: "
        f"give {speaker.option('answer class')} or {speaker.option('answer number')}"
    )


def encode_classes(values: np.ndarray, name: str, speaker: Speaker) -> tuple[list[str], np.ndarray]:
    """Returns the names of the classes, and the class of each value, -1 where it is missing.

    Raises:
        UserError: if there is only one class.
    """
    missing = np.asarray(pd.isna(values))
    texts = np.array([format_class(value) for value in values], dtype=object)
    distinct = sorted({*texts[~missing]}, key=class_sort_key)
    if len(distinct) < 2:
        what = f"only one class, {distinct[0]!r}" if distinct else "no value at all"
        raise speaker.error(f"the answer{name_in_words(name)} has {what}; there is nothing to tell apart")
    if len(distinct) > len(texts) // 2 and len(distinct) > MAX_CLASSES:
        raise speaker.error(
            f"the answer{name_in_words(name)} has {len(distinct):,} classes in {len(texts):,} answers; if they are "
            f"numbers, give {speaker.option('answer number')}"
        )
    index = {text: number for number, text in enumerate(distinct)}
    encoded = [-1 if lacks else index[text] for text, lacks in zip(texts, missing, strict=True)]
    return distinct, np.array(encoded, dtype=np.int64)


def name_in_words(name: str) -> str:
    """Returns the name of an answer as part of a sentence; empty if it has none of its own."""
    return "" if name in ("", "y") else f" {name!r}"


def format_class(value: object) -> str:
    """Returns a class as text; 1.0, which a missing value makes of 1, is 1."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def class_sort_key(text: str) -> tuple[bool, float, str]:
    """Returns a key that sorts classes that are numbers by their size, before all others."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def read_numbers(target: np.ndarray, names: list[str], speaker: Speaker) -> np.ndarray:
    """Returns answers as numbers, (rows, targets) float64.

    Raises:
        UserError: if one is a text, or infinite.
    """
    try:
        values = np.array(target, dtype=np.float64)
    except (ValueError, TypeError):
        text = next((value for value in target.flat if isinstance(value, str)), "")
        raise speaker.error(
            f"the answer{name_in_words(names[0])} holds text ({text[:20]!r}), which is no number; "
            f"{speaker.option('answer class')} takes it for a class"
        ) from None
    if np.isinf(values).any():
        raise speaker.error(
            f"the answer{name_in_words(names[0])} is infinite somewhere; no loss can be computed for that"
        )
    return values
