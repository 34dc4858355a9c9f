"""Splitting a data set into its parts, and cutting long sequences into windows: never shuffled across time."""

from dataclasses import dataclass

import numpy as np

from workbench.data.own.options import BY_FRACTION, BY_TIME, DataOptions, Speaker
from workbench.data.own.raw_data import PARTS, RawData

SHARE = 0.1
"""Share of the data for validation, and again for the test, unless told otherwise."""
WINDOW = 100
"""Steps of a window unless told otherwise, or fewer: so that the shortest part has `WINDOWS` of them."""
WINDOWS = 4


@dataclass(slots=True, kw_only=True, eq=False)
class Examples:
    """Stretches of steps in the flat arrays of a data set: the examples of one part."""

    starts: np.ndarray
    """(examples,) the first step of each."""
    lengths: np.ndarray
    """(examples,) the steps of each."""
    sequences: np.ndarray
    """(examples,) the sequence that each is taken from."""

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, part: np.ndarray) -> "Examples":
        return Examples(starts=self.starts[part], lengths=self.lengths[part], sequences=self.sequences[part])


def whole_sequences(raw: RawData) -> Examples:
    """Returns every sequence as one example."""
    return Examples(starts=raw.starts, lengths=raw.lengths, sequences=np.arange(raw.count))


def split_sequences(
    raw: RawData, way: str, labels: np.ndarray | None, options: DataOptions, speaker: Speaker
) -> dict[str, Examples]:
    """Returns whole sequences by part.

    Args:
        raw: the data.
        way: by fraction, by time, or anything else, by the parts that the file has.
        labels: (count,) the class of each sequence, whose shares are then about the same in all parts; or `None`.
        options: the shares and the seed.
        speaker: the file, for messages.

    Raises:
        UserError: if a part is empty, or the file has no times or no parts to split by.
    """
    sequences = whole_sequences(raw)
    if way == BY_FRACTION:
        parts = parts_by_fraction(raw.count, labels, options)
    elif way == BY_TIME:
        parts = parts_by_time(raw, options, speaker)
    else:
        assert raw.parts is not None
        parts = fill_validation(raw.parts, labels, options)
    chosen = {part: sequences[np.flatnonzero(parts == part)] for part in PARTS}
    for part, examples in chosen.items():
        if not len(examples):
            advice = (
                "the file says so" if way not in (BY_FRACTION, BY_TIME) else f"give {speaker.option(f'{part} 0.3')}"
            )
            raise speaker.error(
                f"the {part} part of {raw.count:,} sequences is empty; {advice}, or bring more sequences"
            )
    return chosen


def parts_by_fraction(count: int, labels: np.ndarray | None, options: DataOptions) -> np.ndarray:
    """Returns the part of each of `count` sequences, at random; the shares of the classes stay about the same."""
    order = np.random.default_rng(0 if options.split_seed is None else options.split_seed).permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    validation, test = shares(options)
    # Every 1/share-th of the sequences that are sorted by class, so that each class gives its share.
    position = np.arange(count)
    parts = np.full(count, "train", dtype=object)
    held_out = take_share(position, validation + test)
    parts[order[held_out]] = "validation"
    among = np.flatnonzero(held_out)
    parts[order[among[take_share(np.arange(len(among)), test / (validation + test))]]] = "test"
    return parts


def take_share(position: np.ndarray, share: float) -> np.ndarray:
    """Returns which of the positions 0, 1, 2, ... are taken: of any first ones, their rounded share."""
    return np.floor((position + 1) * share + 0.5) > np.floor(position * share + 0.5)


def shares(options: DataOptions) -> tuple[float, float]:
    """Returns the shares of validation and test."""
    return (
        SHARE if options.validation is None else options.validation,
        SHARE if options.test is None else options.test,
    )


def fill_validation(parts: np.ndarray, labels: np.ndarray | None, options: DataOptions) -> np.ndarray:
    """Returns the parts that a file has; if it has none for validation, a share of its training part is taken."""
    if "validation" in parts or "train" not in parts:
        return parts
    parts = parts.copy()
    train = np.flatnonzero(parts == "train")
    order = np.random.default_rng(0 if options.split_seed is None else options.split_seed).permutation(len(train))
    if labels is not None:
        order = order[np.argsort(labels[train][order], kind="stable")]
    taken = take_share(np.arange(len(train)), shares(options)[0])
    parts[train[order[taken]]] = "validation"
    return parts


def parts_by_time(raw: RawData, options: DataOptions, speaker: Speaker) -> np.ndarray:
    """Returns the part of each sequence: the earliest to train, the latest to test.

    A sequence that reaches over a boundary belongs to no part, so that nothing trained on lies later than what is
    validated or tested.

    Raises:
        UserError: if there is no time.
    """
    if raw.times is None:
        raise speaker.error(f"split is time, but no column is the time; give {speaker.option('time COLUMN')}")
    first = raw.times[raw.starts]
    last = raw.times[raw.starts + raw.lengths - 1]
    bounds = time_bounds(first, options)
    parts = np.full(raw.count, "test", dtype=object)
    parts[(first >= bounds[0]) & (last < bounds[1])] = "validation"
    parts[last < bounds[0]] = "train"
    over = ((first < bounds[0]) & (last >= bounds[0])) | ((first < bounds[1]) & (last >= bounds[1]))
    parts[over] = None
    if over.any():
        raw.notes.append(f"{int(over.sum()):,} sequences that reach over a boundary are left out")
    return parts


def time_bounds(times: np.ndarray, options: DataOptions) -> tuple[float, float]:
    """Returns the times at which validation and test begin."""
    validation, test = shares(options)
    ordered = np.sort(times)
    count = len(ordered)
    begin_test = min(count - 1, round(count * (1 - test)))
    begin_validation = min(begin_test, round(count * (1 - test - validation)))
    return float(ordered[begin_validation]), float(ordered[begin_test])


def split_series(raw: RawData, way: str, options: DataOptions) -> dict[str, Examples]:
    """Returns stretches of series by part, cut in the order of time: no step is in two parts.

    Series with times are cut at the same times; those without, each at its own shares. If the file has a part for
    each step, it is cut there.
    """
    count = len(raw.values)
    if way not in (BY_FRACTION, BY_TIME):
        assert raw.parts is not None
        parts = raw.parts if len(raw.parts) == count else np.repeat(raw.parts, raw.lengths)
        if "validation" not in parts:
            train = np.flatnonzero(parts == "train")
            parts = parts.copy()
            parts[train[len(train) - round(len(train) * shares(options)[0]) :]] = "validation"
    elif raw.times is not None:
        bounds = time_bounds(np.unique(raw.times), options)
        parts = np.array(PARTS, dtype=object)[np.searchsorted(bounds, raw.times, side="right")]
    else:
        parts = np.concatenate([parts_of_series(int(length), options) for length in raw.lengths])
    sequence = np.repeat(np.arange(raw.count), raw.lengths)
    begins = np.flatnonzero(np.r_[True, (parts[1:] != parts[:-1]) | (sequence[1:] != sequence[:-1])])
    stretches = Examples(starts=begins, lengths=np.diff(np.r_[begins, count]), sequences=sequence[begins])
    return {part: stretches[np.flatnonzero(parts[begins] == part)] for part in PARTS}


def parts_of_series(length: int, options: DataOptions) -> np.ndarray:
    """Returns the part of each step of a series of `length` steps, (length,), cut at its shares."""
    validation, test = shares(options)
    bounds = [round(length * (1 - test - validation)), round(length * (1 - test))]
    return np.array(PARTS, dtype=object)[np.searchsorted(bounds, np.arange(length), side="right")]


def choose_window(stretches: dict[str, Examples], horizon: int, options: DataOptions, speaker: Speaker) -> int:
    """Returns the number of steps of a window.

    Raises:
        UserError: if a part has no stretch that is long enough.
    """
    longest = {part: int(examples.lengths.max(initial=0)) for part, examples in stretches.items()}
    part = min(longest, key=lambda name: longest[name])
    most = longest[part] - horizon
    window = options.window or min(WINDOW, max(2, most // WINDOWS))
    if window > most or most < 2:
        what = f"windows of {window} steps" if options.window else "a window of 2 steps"
        ahead = f" and {horizon} ahead" if horizon else ""
        raise speaker.error(
            f"the {part} part has stretches of at most {longest[part]:,} steps, too short for {what}{ahead}; a smaller "
            f"window, larger shares ({speaker.option('test 0.2')}) or more rows would do"
        )
    return window


def cut_windows(stretches: Examples, window: int, horizon: int, *, stride: int) -> Examples:
    """Returns the windows in stretches whose steps, and the steps that they forecast, all lie within the stretch.

    Args:
        stretches: of one part.
        window: steps of a window.
        horizon: steps from an input to the value that is forecast; 0 if nothing is.
        stride: steps from one window to the next.
    """
    starts, sequences = [], []
    for start, length, sequence in zip(stretches.starts, stretches.lengths, stretches.sequences, strict=True):
        offsets = np.arange(0, max(0, length - window - horizon + 1), stride)
        starts.append(start + offsets)
        sequences.append(np.full(len(offsets), sequence))
    joined = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)
    return Examples(
        starts=joined.astype(np.int64),
        lengths=np.full(len(joined), window, dtype=np.int64),
        sequences=np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int64),
    )
