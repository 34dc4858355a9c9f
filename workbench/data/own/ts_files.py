"""The time series format of the UEA and UCR archives, .ts."""

from pathlib import Path

import numpy as np

from workbench.data.own.options import GIVEN, DataOptions, Speaker
from workbench.data.own.raw_data import RawData

MISSING_MARKS = ("?", "nan", "")
"""What stands for a missing value, in small letters."""


def partner(path: Path) -> Path | None:
    """Returns the test file beside a training file, NAME_TEST.ts beside NAME_TRAIN.ts; `None` if there is none."""
    for train, test in (("_TRAIN", "_TEST"), ("_train", "_test")):
        if path.stem.endswith(train):
            other = path.with_name(path.stem.removesuffix(train) + test + path.suffix)
            if other.is_file():
                return other
    return None


def read_ts(path: Path, options: DataOptions, speaker: Speaker) -> RawData:
    """Returns the sequences in a .ts file, and in the test file beside it if it is a training file.

    Raises:
        UserError: if one of them is not of this format, or the options do not fit it.
    """
    from workbench.data.own.array_files import join

    for key in ("sequence", "time", "rows", "features", "target"):
        if getattr(options, key) is not None:
            raise speaker.error(f"{key} is an option of tables; a .ts file says what it holds")
    test = partner(path) if options.split in (None, GIVEN) else None
    if options.split == GIVEN and test is None:
        raise speaker.error("split is given, but it is no NAME_TRAIN.ts with a NAME_TEST.ts beside it")
    if test is None:
        return read_one(path, speaker)
    raws = [read_one(path, speaker), read_one(test, Speaker(test.name, speaker.handle))]
    for raw, part in zip(raws, ("train", "test"), strict=True):
        raw.parts = np.full(raw.count, part, dtype=object)
    joined = join(raws, speaker)
    joined.said["split"] = GIVEN
    joined.notes.append(f"tested on {test.name}")
    return joined


def read_one(path: Path, speaker: Speaker) -> RawData:
    """Returns the sequences in one .ts file.

    Raises:
        UserError: if it is not of this format; the message has the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise speaker.error("it cannot be read as a .ts file, which is text in UTF-8") from None
    tags: dict[str, list[str]] = {}
    rows: list[tuple[int, str]] = []
    in_data = False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if in_data:
            rows.append((number, text))
        elif text.startswith("@"):
            tag, *words = text[1:].split()
            tags[tag.lower()] = words
            in_data = tag.lower() == "data"
        else:
            raise speaker.error(f"line {number} comes before @data, and does not begin with @ or #")
    if not in_data or not rows:
        raise speaker.error("it has no sequences behind a line @data, as a .ts file has")
    if (tags.get("timestamps") or ["false"])[0].lower() == "true":
        raise speaker.error("its values have time stamps (@timeStamps true), which are not read; write values alone")
    labelled = any((tags.get(tag) or ["false"])[0].lower() == "true" for tag in ("classlabel", "targetlabel"))
    is_class = (tags.get("classlabel") or ["false"])[0].lower() == "true"
    known = tags.get("classlabel", [])[1:]
    values: list[np.ndarray] = []
    lengths: list[int] = []
    labels: list[str] = []
    for number, text in rows:
        dimensions = text.split(":")
        if labelled:
            label = dimensions.pop().strip()
            if known and label not in known:
                raise speaker.error(f"line {number} has the class {label!r}, which @classLabel does not name")
            labels.append(label)
        sequence = read_dimensions(dimensions, number, speaker)
        if values and sequence.shape[1] != values[0].shape[1]:
            raise speaker.error(f"line {number} has {sequence.shape[1]} dimensions, the first one {values[0].shape[1]}")
        values.append(sequence)
        lengths.append(len(sequence))
    target = None
    if labelled:
        # A class may be written as a number, and is a class all the same.
        target = np.array(labels, dtype=object)[:, None] if is_class else read_targets(labels, speaker)
    flat = np.concatenate(values)
    return RawData(
        values=flat,
        features=[f"dimension {index}" for index in range(flat.shape[1])],
        lengths=np.array(lengths),
        target=target,
        target_names=["class" if is_class else "target"] if labelled else [],
    )


def read_dimensions(dimensions: list[str], number: int, speaker: Speaker) -> np.ndarray:
    """Returns the values of one sequence, (steps, dimensions).

    Raises:
        UserError: if a value is no number, or the dimensions are of different lengths.
    """
    columns = [[word.strip() for word in dimension.split(",")] for dimension in dimensions]
    if len({len(column) for column in columns}) != 1:
        raise speaker.error(f"the dimensions in line {number} are of different lengths; a step has a value of each")
    try:
        values = np.array(
            [[np.nan if word.lower() in MISSING_MARKS else float(word) for word in column] for column in columns]
        ).T
    except ValueError as error:
        raise speaker.error(f"line {number} has a value that is no number: {error}") from None
    if np.isinf(values).any():
        raise speaker.error(f"line {number} has an infinite value; no architecture can read that")
    return values


def read_targets(labels: list[str], speaker: Speaker) -> np.ndarray:
    """Returns numbers to be answered, (count, 1)."""
    try:
        return np.array([[float(label)] for label in labels])
    except ValueError as error:
        raise speaker.error(f"a target (@targetLabel true) is no number: {error}") from None
