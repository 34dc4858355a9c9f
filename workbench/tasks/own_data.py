"""One's own data as a task, without a class: `file:PATH` on the command line, `task_from` for data in memory."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from workbench.data.downloads import data_folder
from workbench.data.own import dataset, memory
from workbench.data.own.dataset import OwnDataset
from workbench.data.own.options import Answer, At, DataOptions, Inputs, Missing, Rows, Scale, Speaker
from workbench.errors import UserError
from workbench.seeding import CPU, make_generator
from workbench.tasks.base import Batch, Split, Task
from workbench.tasks.epochs import batch_indices
from workbench.tasks.file_names import PREFIX, handle, path_of, short_name

MAX_NAMED_ERRORS = 5
"""With more numbers to answer, only the error over all of them is a metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData(Task):
    """Sequences of your own, read from a file: .csv, .tsv, .parquet, .npz, .pt or .ts.

        x_t     = the features, scaled as the training part says, or symbols
        target  = a class or numbers, at the end of a sequence or at every step; or the values to come
        loss    = -ln p(target), or the squared error of the scaled numbers, every sequence counting the same
        trivial = the loss on the test part of the shares of the classes, or of the mean, in the training part; for
                  forecasts that of the present value, unless the mean is better

    What is not said is inferred, and told in a line before anything is trained; where that would be a guess, an error
    names the option to give. docs/data.md describes the files. The content of the file is part of the identity of an
    experiment, the place where it lies is not.

    Args:
        path: the file, as it stands or below --data-dir.
        target: the answer: a column, or several numbers' columns with commas between them; an array.
        features: the columns that are read, with commas between them; by default all others. The array that is read.
        sequence: the column that says which sequence a row belongs to.
        time: the column of the time.
        rows: whether the rows of a table are steps, or whole sequences with a column for each step.
        inputs: whether whole numbers in x are numbers, or symbols.
        answer: class, number, or forecast: the values to come.
        at: whether a forecast is made at the end of a window, or at every step.
        horizon: steps from the present to the value that is forecast; 1 unless told otherwise.
        window: steps of the windows that a series is cut into; 100, or a fourth of the shortest part.
        split: fraction (of the sequences, at random), time, or the column or array that says the part; given, if the
            file is split already.
        validation: share for validation; 0.1 unless told otherwise.
        test: share for the test; 0.1 unless told otherwise.
        split_seed: seed of the split by fraction; 0 unless told otherwise.
        scale: standard (mean 0 and deviation 1 in the training part), minmax (0 to 1 there), or none.
        missing: what stands for missing values: mean, previous (the last known value), or mark (the mean, and a further
            feature that says so); refuse, unless told otherwise.
    """

    path: str
    target: str | None = None
    features: str | None = None
    sequence: str | None = None
    time: str | None = None
    rows: Rows | None = None
    inputs: Inputs | None = None
    answer: Answer | None = None
    at: At | None = None
    horizon: int | None = None
    window: int | None = None
    split: str | None = None
    validation: float | None = None
    test: float | None = None
    split_seed: int | None = None
    scale: Scale | None = None
    missing: Missing | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise TypeError(f"path must be that of a file, not {self.path!r}")
        # What was inferred is stated from here on: nothing in an experiment depends on an inference made later.
        for name, value in asdict(dataset.load(locate(self.path), self._given, self._speaker).options).items():
            object.__setattr__(self, name, value)

    @property
    def _given(self) -> DataOptions:
        return DataOptions(**{item.name: getattr(self, item.name) for item in fields(DataOptions)})

    @property
    def _speaker(self) -> Speaker:
        return Speaker(Path(self.path).name, handle(PREFIX + self.path))

    @property
    def name(self) -> str:
        """The name that it is given on the command line: file:PATH."""
        return PREFIX + self.path

    @property
    def dataset(self) -> OwnDataset:
        """The data, which is read again if the file has changed."""
        return dataset.load(locate(self.path), self._given, self._speaker)

    @property
    def data(self) -> str:
        """A hash of the content of the file."""
        return dataset.digest(locate(self.path), self.split)

    @property
    def summary(self) -> str:
        """What the data was taken for, in one line."""
        return self.dataset.summary

    @property
    def readout(self) -> Literal["last", "every"]:  # type: ignore[override]
        """The last step of a sequence, or every one."""
        return "last" if self.at == "end" else "every"

    @property
    def symbols(self) -> int | None:  # type: ignore[override]
        """The size of the alphabet, if x is symbols."""
        return self.dataset.symbols

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of features, or the size of the alphabet."""
        return self.dataset.symbols or len(self.dataset.features)

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The number of classes, or of numbers to answer."""
        answers = self.dataset.answers
        return len(answers.classes) or len(answers.names)

    @property
    def steps(self) -> int:
        """The number of steps of the longest sequence, or of a window."""
        return self.dataset.steps

    @property
    def trivial_loss(self) -> float:
        """The loss on the test part of the best answer without memory, as fitted on the training part."""
        return self.dataset.trivial_loss

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws `size` examples of the training part with replacement, on the generator's device."""
        count = len(self.dataset.parts["train"])
        # On the CPU, where the lengths of the examples are.
        indices = torch.randint(count, (size,), generator=generator, device=generator.device).cpu().numpy()
        return self.make_batch("train", indices, generator.device)

    def train(self, step: int, size: int, seed: int, device: torch.device) -> Batch:
        """Returns the training batch of a step, a function of (seed, step) alone, in epochs of the training part."""
        indices = batch_indices(len(self.dataset.parts["train"]), step, size, seed)
        return self.make_batch("train", indices.numpy(), device)

    def fixed(self, split: Literal["validation", "test"], size: int, device: torch.device) -> Batch:
        """Returns `size` examples of a part, a random choice that is the same for every run, or all if it has fewer."""
        count = len(self.dataset.parts[split])
        indices = torch.arange(count, device=CPU)
        if size < count:
            indices = torch.randperm(count, generator=make_generator(CPU, "fixed", split), device=CPU)[:size].sort()[0]
        return self.make_batch(split, indices.numpy(), device)

    def make_batch(self, split: Split, indices: np.ndarray, device: torch.device) -> Batch:
        """Returns some examples of a part, padded to the longest of all."""
        data = self.dataset
        examples, flat = data.parts[split][indices], data.on(device)
        step = np.arange(data.steps)
        valid = step < examples.lengths[:, None]
        rows = torch.from_numpy(examples.starts[:, None] + np.where(valid, step, 0)).to(device)
        x = flat.x[rows]
        lengths = None
        if not valid.all():
            behind = torch.from_numpy(~valid).to(device)
            x = x.masked_fill(behind if x.ndim == 2 else behind.unsqueeze(2), 0)
            lengths = torch.from_numpy(examples.lengths).to(device)
        if self.at == "end":
            last = examples.starts + examples.lengths - 1 if data.horizon else examples.sequences
            return Batch(x=x, target=flat.target[torch.from_numpy(last).to(device)], lengths=lengths)
        target, scored = flat.target[rows], None
        if lengths is not None or flat.known is not None:
            scored = torch.from_numpy(valid).to(device)
            if flat.known is not None:
                scored = scored & flat.known[rows]
        return Batch(x=x, target=target, lengths=lengths, recall=scored)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Returns the mean over the sequences of the mean over their steps: cross-entropy, or squared error."""
        if self.answer == "class":
            answers = functional.cross_entropy(prediction.flatten(0, -2), batch.target.flatten(), reduction="none")
            return mean_over_steps(answers.view(batch.target.shape), batch)
        return mean_over_steps((prediction - batch.target).square().mean(-1), batch)

    def metrics(self, prediction: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        """Returns the accuracy, or the mean absolute error of each number in the data's own units."""
        if self.answer == "class":
            return {"accuracy": mean_over_steps((prediction.argmax(-1) == batch.target).float(), batch)}
        data = self.dataset
        assert data.target_scaling is not None
        names, factors = data.answers.names, data.target_scaling.factor.tolist()
        errors = (prediction - batch.target).abs()
        if len(names) > MAX_NAMED_ERRORS:
            return {"absolute_error": mean_over_steps(errors.mean(-1), batch)}
        return {
            name: mean_over_steps(errors[..., column], batch) * factors[column]
            for column, name in enumerate(metric_names(names))
        }


def metric_names(names: list[str]) -> list[str]:
    """Returns the names of the errors of some numbers: `absolute_error`, or, of several, `absolute_error_NAME`."""
    if len(names) == 1:
        return ["absolute_error"]
    words = ["".join(char if char.isalnum() else "_" for char in name) for name in names]
    unique = [word if words.count(word) == 1 else f"{word}_{index}" for index, word in enumerate(words)]
    return [f"absolute_error_{word}" for word in unique]


def mean_over_steps(values: Tensor, batch: Batch) -> Tensor:
    """Returns the mean over sequences of the mean over their scored steps.

    Args:
        values: (batch,) or (batch, time).
        batch: its `recall` says which steps are scored; all if it is `None`.
    """
    if batch.recall is None:
        return values.mean()
    return ((values * batch.recall).sum(1) / batch.recall.sum(1)).mean()


def locate(path: str) -> Path:
    """Returns the file of a path: as it stands, else below the user's folder of data files.

    Raises:
        UserError: if there is no such file.
    """
    given = Path(path).expanduser()
    folder = data_folder()
    paths = [given, *([] if folder is None else [folder / path, folder / given.name])]
    for candidate in paths:
        if candidate.is_file():
            return candidate
    if given.is_dir():
        raise UserError(f"{path} is a folder; name one file in it")
    raise UserError(f"there is no file {' or '.join(map(str, dict.fromkeys(paths)))}; --data-dir names another folder")


def data_hash(path: str, split: Any) -> str:
    """Returns the hash of the content of a file, without reading what is in it.

    Args:
        path: as in `OwnData`.
        split: as in `OwnData`, which tells whether a .ts file has another one beside it.

    Raises:
        UserError: if there is no such file.
    """
    return dataset.digest(locate(path), split)


def task_from(
    data: Any,
    y: Any = None,
    *,
    lengths: Any = None,
    name: str = "data",
    folder: str | Path | None = None,
    target: str | None = None,
    features: str | None = None,
    sequence: str | None = None,
    time: str | None = None,
    rows: Rows | None = None,
    inputs: Inputs | None = None,
    answer: Answer | None = None,
    at: At | None = None,
    horizon: int | None = None,
    window: int | None = None,
    split: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    split_seed: int | None = None,
    scale: Scale | None = None,
    missing: Missing | None = None,
) -> OwnData:
    """Returns a task on one's own data.

    Data in memory is written to a file first, since every run reads it in a process of its own, and later commands
    read it again. The same data is written once: its folder is called by the hash of its content.

    Args:
        data: the path of a file; or x, an array or a tensor (sequences, steps, features) or (sequences, steps), or a
            list of (steps, features) of unequal length; or a pandas DataFrame; or a torch Dataset with items (x, y); or
            a Hugging Face dataset, or a mapping of train, validation and test to arrays or datasets.
        y: the answers that go with x: (sequences,), (sequences, targets), or with the steps as the second axis; for
            sequences of unequal length with an answer for each step, a list.
        lengths: (sequences,) the valid steps of a padded x.
        name: of the data, in reports and folders.
        folder: where data in memory is written; by default in the user's cache.
        target: the answer: a column, or several numbers' columns with commas between them; an array.
        features: the columns that are read, with commas between them; by default all others. The array that is read.
        sequence: the column that says which sequence a row belongs to.
        time: the column of the time.
        rows: whether the rows of a table are steps, or whole sequences with a column for each step.
        inputs: whether whole numbers in x are numbers, or symbols.
        answer: class, number, or forecast: the values to come.
        at: whether a forecast is made at the end of a window, or at every step.
        horizon: steps from the present to the value that is forecast; 1 unless told otherwise.
        window: steps of the windows that a series is cut into; 100, or a fourth of the shortest part.
        split: fraction (of the sequences, at random), time, or the column or array that says the part; given, if the
            file is split already.
        validation: share for validation; 0.1 unless told otherwise.
        test: share for the test; 0.1 unless told otherwise.
        split_seed: seed of the split by fraction; 0 unless told otherwise.
        scale: standard (mean 0 and deviation 1 in the training part), minmax (0 to 1 there), or none.
        missing: what stands for missing values: mean, previous (the last known value), or mark (the mean, and a further
            feature that says so); refuse, unless told otherwise.

    Raises:
        UserError: if the data is of no known kind, or what is in it cannot be told; the message names the option to
            give.

    Example:
        >>> task = task_from([[0.1, 0.2, 0.3], [0.5, 0.4]] * 20, ["up", "down"] * 20, name="trends")
        >>> task.summary[:71]
        'trends.npz: 40 sequences of 2 to 3 steps, 1 feature, 2 classes at the end'
    """
    options = DataOptions(
        target=target,
        features=features,
        sequence=sequence,
        time=time,
        rows=rows,
        inputs=inputs,
        answer=answer,
        at=at,
        horizon=horizon,
        window=window,
        split=split,
        validation=validation,
        test=test,
        split_seed=split_seed,
        scale=scale,
        missing=missing,
    )
    if isinstance(data, str | Path):
        if y is not None or lengths is not None:
            raise UserError("y and lengths go with arrays; a file has its own")
        path = path_of(str(data))
    else:
        file_name = path_of(short_name(PREFIX + name))
        written, options = memory.write(data, y, lengths, options, file_name, folder)
        path = str(written)
    return OwnData(path=path, **asdict(options))
