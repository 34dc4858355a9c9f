"""What a user may say about a file of sequences, and the errors that name the option to give."""

from dataclasses import dataclass
from typing import Literal, get_args

from workbench.errors import UserError

Answer = Literal["class", "number", "forecast"]
At = Literal["end", "every"]
Rows = Literal["steps", "sequences"]
Inputs = Literal["numbers", "symbols"]
Scale = Literal["standard", "minmax", "none"]
Missing = Literal["refuse", "mean", "previous", "mark"]

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".pt", ".ts")
"""Endings of files of sequences."""
BY_FRACTION, BY_TIME, GIVEN = "fraction", "time", "given"
"""Ways to split; any other word is the name of a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """What is said about a file; `None` stands for what is to be inferred. The fields are those of the task."""

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
        for key, choices in (
            ("rows", Rows),
            ("inputs", Inputs),
            ("answer", Answer),
            ("at", At),
            ("scale", Scale),
            ("missing", Missing),
        ):
            value = getattr(self, key)
            if value is not None and value not in get_args(choices):
                raise UserError(f"{key} must be {' or '.join(get_args(choices))}, not {value!r}")
        for key, least in (("horizon", 1), ("window", 2), ("split_seed", 0)):
            value = getattr(self, key)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise UserError(f"{key} must be a whole number of at least {least}, not {value!r}")
        shares = [getattr(self, key) for key in ("validation", "test")]
        for key, value in zip(("validation", "test"), shares, strict=True):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1
            ):
                raise UserError(f"{key} must be a share between 0 and 1, such as 0.1, not {value!r}")
        if sum(0.1 if value is None else value for value in shares) >= 1:
            raise UserError(f"validation and test take shares of {shares[0]} and {shares[1]}: nothing is left to train")
        for key in ("target", "features", "sequence", "time", "split"):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise UserError(f"{key} must be a name, or names with commas between them, not {value!r}")


@dataclass(frozen=True, slots=True)
class Speaker:
    """The file that messages are about: its name, and the handle by which its options are given."""

    name: str
    """Of the file, as in mydata.csv."""
    handle: str
    """As in --task.HANDLE.target."""

    def option(self, text: str) -> str:
        """Returns an option as it is typed, as in `--task.mydata.target label`."""
        return f"--task.{self.handle}.{text}"

    def error(self, message: str) -> UserError:
        """Returns an error about the file."""
        return UserError(f"{self.name}: {message}")


def split_names(text: str) -> list[str]:
    """Returns the names in a text with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]
