"""A user's data set, ready to be trained on: read, split, scaled and cut, with all that was inferred about it."""

from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workbench.data.content import content_hash, stamp
from workbench.data.own import array_files, table_files, ts_files
from workbench.data.own.answers import Answers, find_answers
from workbench.data.own.description import describe
from workbench.data.own.options import BY_FRACTION, BY_TIME, GIVEN, SUFFIXES, DataOptions, Speaker
from workbench.data.own.raw_data import PARTS, RawData
from workbench.data.own.scaling import Scaling, fill_missing, fit_scaling
from workbench.data.own.splits import (
    Examples,
    choose_window,
    cut_windows,
    shares,
    split_sequences,
    split_series,
)
from workbench.seeding import CPU

HASH_DIGITS = 12


@dataclass(slots=True, kw_only=True, eq=False)
class FlatData:
    """A data set on one device, its sequences one after another; not to be written to."""

    x: Tensor
    """(total, features) float32, or (total,) symbols."""
    target: Tensor
    """Classes or numbers, a row for each step, or for each sequence."""
    known: Tensor | None
    """(total,) the steps whose answer is known; `None` if all are, or answers are at the end."""


@dataclass(slots=True, kw_only=True, eq=False)
class OwnDataset:
    """A data set and all that was inferred about it. Compared by identity, so that it can be a key in a cache."""

    options: DataOptions
    """What was said, completed by what was inferred; `None` where an option does not apply."""
    summary: str
    """The data and what is done with it, in one line."""
    answers: Answers
    horizon: int
    """Steps from an input to the value that is forecast; 0 if nothing is."""
    parts: dict[str, Examples]
    steps: int
    """Steps of the longest example."""
    features: list[str]
    symbols: int | None
    target_scaling: Scaling | None
    """Of numbers; `None` for classes."""
    trivial_loss: float
    trivial_answer: str
    """The answer that has the trivial loss, in words."""
    flat: FlatData
    on_devices: dict[torch.device, FlatData] = field(default_factory=dict)

    def on(self, device: torch.device) -> FlatData:
        """Returns the data on a device, where it is kept."""
        if device not in self.on_devices:
            known = None if self.flat.known is None else self.flat.known.to(device)
            self.on_devices[device] = FlatData(
                x=self.flat.x.to(device), target=self.flat.target.to(device), known=known
            )
        return self.on_devices[device]


def files_of(path: Path, split: str | None) -> list[Path]:
    """Returns the files that a data set is read from: with a training file in .ts format, the test file beside it."""
    other = ts_files.partner(path) if path.suffix.lower() == ".ts" and split in (None, GIVEN) else None
    return [path] if other is None else [path, other]


def digest(path: Path, split: str | None) -> str:
    """Returns a hash of the contents of a data set's files; where they lie, and what they are called, is not in it.

    Raises:
        UserError: if one cannot be read.
    """
    return "".join(content_hash(file)[:HASH_DIGITS] for file in files_of(path, split))


def load(path: Path, options: DataOptions, speaker: Speaker) -> OwnDataset:
    """Returns the data set in a file; one that has not changed is kept in memory.

    Raises:
        UserError: if the file is of no known kind, cannot be read, or does not have what is needed; or if what is in
            it cannot be told, with the option to give.
    """
    stamps = tuple((file.absolute(), *stamp(file)) for file in files_of(path, options.split))
    return _load(path, stamps, options, speaker)


@lru_cache(maxsize=4)
def _load(path: Path, stamps: tuple[tuple[Path, int, int], ...], options: DataOptions, speaker: Speaker) -> OwnDataset:
    return build(read(path, options, speaker), options, speaker)


def read(path: Path, options: DataOptions, speaker: Speaker) -> RawData:
    """Returns what is in a file.

    Raises:
        UserError: as in `load`.
    """
    suffix = path.suffix.lower()
    if path.stat().st_size == 0:
        raise speaker.error("it is empty")
    if suffix in (".csv", ".tsv", ".parquet"):
        return table_files.from_table(table_files.read_table(path, speaker), options, speaker)
    if suffix == ".npz":
        return array_files.from_arrays(array_files.read_npz(path, speaker), options, speaker)
    if suffix == ".pt":
        return array_files.from_arrays(array_files.read_pt(path, speaker), options, speaker)
    if suffix == ".ts":
        return ts_files.read_ts(path, options, speaker)
    raise speaker.error(f"files of sequences end in {', '.join(SUFFIXES)}; a text is read by the task text")


def build(raw: RawData, options: DataOptions, speaker: Speaker) -> OwnDataset:
    """Returns a data set from what was read.

    Raises:
        UserError: as in `load`.
    """
    answers = find_answers(raw, options, speaker)
    if answers.kind != "forecast" and options.horizon is not None:
        raise speaker.error(f"horizon is for forecasts, and answer is {answers.kind}; drop one")
    horizon = (options.horizon or 1) if answers.kind == "forecast" else 0
    way = choose_split(raw, answers, options)
    stretches, parts, window = cut(raw, answers, way, horizon, options, speaker)
    symbols = count_symbols(raw, answers, options, speaker)
    train = covered(stretches["train"], len(raw.values))
    scale = options.scale or "standard"
    if symbols is None:
        values, features = fill_missing(raw, train, options.missing or "refuse", speaker)
        x = torch.tensor(fit_scaling(values[train], scale)(values), dtype=torch.float32, device=CPU)
    else:
        values, features = raw.values, raw.features
        x = torch.tensor(raw.values[:, 0], dtype=torch.int64, device=CPU)
    check_classes(raw, answers, parts, speaker)
    parts = drop_unknown(raw, answers, parts, horizon, speaker)
    target_scaling = None
    target_values = answers.values
    if answers.kind != "class":
        chosen = train if answers.kind == "forecast" or answers.at == "every" else parts["train"].sequences
        target_scaling = fit_scaling(answers.values[chosen], scale)
        target_values = target_scaling(answers.values)
    known = known_steps(answers)
    present = None
    if answers.kind == "forecast":
        assert target_scaling is not None
        # At each step the value of the step itself, to compare a forecast with.
        present = target_scaling(values[:, answers.columns])
        target_values, known = shift(target_values, known, horizon)
    trivial_loss, trivial_answer = find_trivial_loss(answers, parts, target_values, known, present)
    if answers.kind == "class":
        target = torch.tensor(np.maximum(target_values, 0), dtype=torch.int64, device=CPU)
    else:
        target = torch.tensor(np.nan_to_num(target_values), dtype=torch.float32, device=CPU)
    all_known = known is None or all(known[covered(part, len(known))].all() for part in parts.values())
    resolved = complete(raw, answers, way, window, symbols, options)
    return OwnDataset(
        options=resolved,
        summary=describe(raw, answers, parts, resolved, horizon, features, symbols, trivial_answer, speaker),
        answers=answers,
        horizon=horizon,
        parts=parts,
        steps=max(int(part.lengths.max()) for part in parts.values()),
        features=features,
        symbols=symbols,
        target_scaling=target_scaling,
        trivial_loss=trivial_loss,
        trivial_answer=trivial_answer,
        flat=FlatData(
            x=x, target=target, known=None if all_known or known is None else torch.tensor(known, device=CPU)
        ),
    )


def choose_split(raw: RawData, answers: Answers, options: DataOptions) -> str:
    """Returns the way to split: as given, or as the file says, or by time for series and forecasts, or by fraction."""
    if raw.parts is not None:
        return str(options.split or raw.said["split"])
    if options.split is not None:
        return options.split
    return BY_TIME if raw.is_series or (answers.kind == "forecast" and raw.times is not None) else BY_FRACTION


def cut(
    raw: RawData, answers: Answers, way: str, horizon: int, options: DataOptions, speaker: Speaker
) -> tuple[dict[str, Examples], dict[str, Examples], int | None]:
    """Returns the stretches of each part, the examples that are cut from them, and the steps of a window, if any.

    Raises:
        UserError: if a part is too short, or the options do not fit the data.
    """
    if raw.is_series and way == BY_FRACTION:
        raise speaker.error(f"it is one series, which is split in the order of time: {speaker.option('split time')}")
    per_step = answers.kind == "forecast" or answers.at == "every"
    if raw.is_series or (way == BY_TIME and per_step):
        stretches = split_series(raw, way, options)
        empty = next((part for part in PARTS if not len(stretches[part])), None)
        if empty is not None:
            raise speaker.error(f"the {empty} part is empty; larger shares, or more rows, would do")
    else:
        labels = answers.values if answers.kind == "class" and answers.at == "end" else None
        stretches = split_sequences(raw, way, labels, options, speaker)
    if options.window is not None and not per_step:
        raise speaker.error(
            "window is for answers at every step and for forecasts; here each sequence has one at its end"
        )
    if not raw.is_series and options.window is None:
        examples = {part: stretch[stretch.lengths > horizon] for part, stretch in stretches.items()}
        for part, some in examples.items():
            if not len(some):
                raise speaker.error(f"the {part} part has no sequence of more than {horizon} steps, the horizon")
            some.lengths = some.lengths - horizon
        return stretches, examples, None
    window = choose_window(stretches, horizon, options, speaker)
    apart = window if answers.at == "every" else 1
    examples = {
        part: cut_windows(stretch, window, horizon, stride=1 if part == "train" else apart)
        for part, stretch in stretches.items()
    }
    return stretches, examples, window


def covered(examples: Examples, total: int) -> np.ndarray:
    """Returns which of `total` steps lie in an example, (total,)."""
    change = np.zeros(total + 1, dtype=np.int64)
    np.add.at(change, examples.starts, 1)
    np.add.at(change, examples.starts + examples.lengths, -1)
    return np.cumsum(change)[:-1] > 0


def count_symbols(raw: RawData, answers: Answers, options: DataOptions, speaker: Speaker) -> int | None:
    """Returns the size of the alphabet if x is symbols; `None` if it is numbers.

    Raises:
        UserError: if x may be both, or is said to be symbols and is not.
    """
    if options.inputs == "numbers":
        return None
    if options.inputs is None:
        if not raw.whole_integers or answers.kind == "forecast":
            return None
        raise speaker.error(
            f"x is whole numbers from {raw.values.min():g} to {raw.values.max():g}: give "
            f"{speaker.option('inputs symbols')} or {speaker.option('inputs numbers')}"
        )
    values = raw.values
    if values.shape[1] != 1 or np.isnan(values).any() or (values != np.round(values)).any() or values.min() < 0:
        raise speaker.error("inputs is symbols, but x is not one whole number of 0 or more at each step")
    if answers.kind == "forecast":
        raise speaker.error("inputs is symbols, which cannot be forecast as numbers; give y, the symbol that follows")
    return int(values.max()) + 1


def check_classes(raw: RawData, answers: Answers, parts: dict[str, Examples], speaker: Speaker) -> None:
    """Raises a `UserError` if validation or test have a class that the training part does not have."""
    if answers.kind != "class":
        return
    seen: dict[str, set[int]] = {}
    for part, examples in parts.items():
        rows = covered(examples, len(raw.values)) if answers.at == "every" else examples.sequences
        seen[part] = {*answers.values[rows].tolist()} - {-1}
    for part in ("validation", "test"):
        if unseen := seen[part] - seen["train"]:
            raise speaker.error(
                f"the {part} part has the class {answers.classes[min(unseen)]!r}, which the training part lacks: "
                f"no model can know it; leave it out, or split otherwise ({speaker.option('split ...')})"
            )
    if len(seen["train"]) < len(answers.classes):
        # A class of sequences that are in no part.
        absent = next(index for index in range(len(answers.classes)) if index not in seen["train"])
        raise speaker.error(f"no sequence of any part has the class {answers.classes[absent]!r}; leave it out")


def known_steps(answers: Answers) -> np.ndarray | None:
    """Returns the rows whose answer is known, (rows,); `None` if it is for answers at the end of sequences."""
    if answers.at == "end" and answers.kind != "forecast":
        return None
    return answers.values >= 0 if answers.kind == "class" else ~np.isnan(answers.values).any(1)


def shift(values: np.ndarray, known: np.ndarray | None, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns at each step the value, and whether it is known, of `horizon` steps later.

    The last steps of all have none; no example reaches them.
    """
    assert known is not None
    later = np.vstack([values[horizon:], np.zeros((min(horizon, len(values)), values.shape[1]))])
    return later, np.r_[known[horizon:], np.zeros(min(horizon, len(values)), dtype=bool)]


def drop_unknown(
    raw: RawData, answers: Answers, parts: dict[str, Examples], horizon: int, speaker: Speaker
) -> dict[str, Examples]:
    """Returns the examples that have an answer; how many have none is noted.

    Raises:
        UserError: if a part has none left.
    """
    known = known_steps(answers)
    if known is None or known.all():
        return parts
    if horizon:
        _, known = shift(raw.values[:, :1], known, horizon)
    count = np.r_[0, np.cumsum(known)]
    kept = {}
    for part, examples in parts.items():
        ends = examples.starts + examples.lengths
        have = known[ends - 1] if answers.at == "end" else count[ends] > count[examples.starts]
        if not have.any():
            raise speaker.error(f"the {part} part has no answer at all: its column is empty there")
        kept[part] = examples[np.flatnonzero(have)]
    raw.notes.append(f"{int((~known).sum()):,} steps without an answer are read, but not scored")
    return kept


def find_trivial_loss(
    answers: Answers,
    parts: dict[str, Examples],
    target: np.ndarray,
    known: np.ndarray | None,
    present: np.ndarray | None,
) -> tuple[float, str]:
    """Returns the loss on the test part of the best answer without memory, fitted on the training part; and its name.

    For classes it is the cross-entropy of the shares that the classes have in training; for numbers the squared error
    of their mean in training; for forecasts that of the present value, unless that of the mean is smaller.

    Args:
        answers: the answers.
        parts: the examples.
        target: encoded or scaled answers, a row for each step or each sequence.
        known: the rows whose answer is known.
        present: (total, targets) for forecasts the scaled values of each step itself.
    """
    weights = {part: weigh_rows(answers, parts[part], known, len(target)) for part in ("train", "test")}
    train, test = (weights[part] / weights[part].sum() for part in ("train", "test"))
    if answers.kind == "class":
        share = np.bincount(np.maximum(target, 0), weights=train, minlength=len(answers.classes))
        return -float(test @ np.log(share)[np.maximum(target, 0)]), "the shares of the classes"
    target = np.nan_to_num(target)
    constant = float(test @ ((target - train @ target) ** 2).mean(1))
    if present is None:
        return constant, "the mean"
    persistence = float(test @ ((target - present) ** 2).mean(1))
    return (persistence, "the present value") if persistence <= constant else (constant, "the mean")


def weigh_rows(answers: Answers, examples: Examples, known: np.ndarray | None, rows: int) -> np.ndarray:
    """Returns how much each row of the answers counts in a part, (rows,): every example counts the same."""
    weights = np.zeros(rows)
    if answers.at == "end":
        index = examples.sequences if answers.kind != "forecast" else examples.starts + examples.lengths - 1
        np.add.at(weights, index, 1.0)
        return weights
    assert known is not None
    count = np.r_[0, np.cumsum(known)]
    share = 1 / (count[examples.starts + examples.lengths] - count[examples.starts])
    change = np.zeros(rows + 1)
    np.add.at(change, examples.starts, share)
    np.add.at(change, examples.starts + examples.lengths, -share)
    return np.where(known, np.maximum(np.cumsum(change)[:-1], 0), 0)


def complete(
    raw: RawData, answers: Answers, way: str, window: int | None, symbols: int | None, options: DataOptions
) -> DataOptions:
    """Returns the options with all that was inferred; those that do not apply are `None`."""
    said = dict(raw.said)
    if answers.kind == "forecast" and raw.said.get("rows") == "steps":
        said["target"] = ",".join(answers.names)
    held_out = way in (BY_FRACTION, BY_TIME)
    filled = held_out or (raw.parts is not None and "validation" not in raw.parts)
    validation, test = shares(options)
    values: dict[str, object] = {
        **{name: value for name, value in asdict(options).items() if value is not None},
        **said,
        "inputs": "symbols" if symbols is not None else "numbers",
        "answer": answers.kind,
        "at": answers.at,
        "horizon": (options.horizon or 1) if answers.kind == "forecast" else None,
        "window": window,
        "split": way,
        "validation": validation if filled else None,
        "test": test if held_out else None,
        "split_seed": (options.split_seed or 0) if way == BY_FRACTION or (filled and not held_out) else None,
        "scale": None if symbols is not None else options.scale or "standard",
        "missing": None if symbols is not None else options.missing or "refuse",
    }
    return replace(DataOptions(), **values)  # type: ignore[arg-type]
