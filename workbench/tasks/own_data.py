"""One's own data as a task, without a class: `file:PATH` on the command line, `task_from` for data in memory."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from workbench.data.downloads import data_folder
from workbench.data.own import dataset, memory
from workbench.data.own.dataset import OwnDataset
from workbench.data.own.options import Answer, At, DataOptions, Inputs, Missing, Rows, Scale, Speaker
from workbench.errors import UserError
from workbench.tasks.file_names import PREFIX, handle, path_of, short_name
from workbench.tasks.file_task import FileTask


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData(FileTask):
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
    def loaded(self) -> OwnDataset:
        """The data, which is read again if the file has changed."""
        return dataset.load(locate(self.path), self._given, self._speaker)

    @property
    def data(self) -> str:
        """A hash of the content of the file."""
        return dataset.digest(locate(self.path), self.split)


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
