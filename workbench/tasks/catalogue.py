"""Catalogue of tasks: their names, classes and options, and building them by name."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from architectures.limits import quote
from architectures.option_values import UNKNOWN, read_values
from architectures.registry import is_defined, load_class
from architectures.suggest import did_you_mean
from workbench.tasks.file_names import is_file, path_of

if TYPE_CHECKING:
    from workbench.tasks.base import Task

CATALOGUE: Mapping[str, str] = {
    "addition": "workbench.tasks.addition:Addition",
    "classify-length": "workbench.tasks.classify_length:ClassifyLength",
    "copy": "workbench.tasks.copy:Copy",
    "copy-memory": "workbench.tasks.copy_memory:CopyMemory",
    "multicopy": "workbench.tasks.multicopy:MultiCopy",
    "alternation": "workbench.tasks.alternation:Alternation",
    "parity": "workbench.tasks.parity:Parity",
    "word-problem": "workbench.tasks.word_problem:WordProblem",
    "flip-flop": "workbench.tasks.flip_flop:FlipFlop",
    "cycle": "workbench.tasks.cycle:Cycle",
    "even-pairs": "workbench.tasks.even_pairs:EvenPairs",
    "modular": "workbench.tasks.modular:Modular",
    "mqar": "workbench.tasks.mqar:Mqar",
    "forgetting-recall": "workbench.tasks.forgetting_recall:ForgettingRecall",
    "selective-copy": "workbench.tasks.selective_copy:SelectiveCopy",
    "induction": "workbench.tasks.induction:Induction",
    "needle": "workbench.tasks.needle:Needle",
    "agreement": "workbench.tasks.agreement:Agreement",
    "phone": "workbench.tasks.phone:Phone",
    "stills": "workbench.tasks.stills:Stills",
    "translate": "workbench.tasks.translate:Translate",
    "one-to-many": "workbench.tasks.one_to_many:OneToMany",
    "listops": "workbench.tasks.listops:ListOps",
    "digits": "workbench.tasks.digits:Digits",
    "mnist": "workbench.tasks.mnist:Mnist",
    "mnist-permuted": "workbench.tasks.mnist:MnistPermuted",
    "series": "workbench.tasks.series:Series",
    "text": "workbench.tasks.text:NextCharacter",
}
"""The class of each name, which is imported when it is needed."""

QUESTIONS: Mapping[str, str] = {
    "hold": "Can it hold what it saw?",
    "forget": "Can it forget what no longer counts?",
    "track": "Can it track a state that changes with every symbol?",
    "find": "Can it find what belongs to a key?",
    "order": "Can it tell what came when?",
    "align": "Can it find where in a source each part of an answer stands?",
    "language": "Can it follow language?",
    "real": "Can it tell real sequences apart?",
}
"""What tasks ask, each in a sentence."""

QUESTION_OF: Mapping[str, str] = {
    **dict.fromkeys(("addition", "copy", "copy-memory", "needle", "stills"), "hold"),
    **dict.fromkeys(("multicopy", "forgetting-recall", "alternation"), "forget"),
    **dict.fromkeys(("parity", "word-problem", "flip-flop", "cycle", "modular", "listops"), "track"),
    **dict.fromkeys(("mqar", "selective-copy", "induction"), "find"),
    **dict.fromkeys(("classify-length", "even-pairs"), "order"),
    **dict.fromkeys(("translate", "one-to-many"), "align"),
    **dict.fromkeys(("agreement", "phone", "text"), "language"),
    **dict.fromkeys(("digits", "mnist", "mnist-permuted", "series"), "real"),
}
"""The question that each task of the catalogue asks."""

FILE_CLASS = "workbench.tasks.own_data:OwnData"
"""The class of all names file:PATH."""

SUMMARIES: Mapping[str, str] = {
    "addition": "sum of the two marked numbers (RDA table 1)",
    "classify-length": "is the sequence longer than half the longest? (RDA table 2)",
    "copy": "recall the symbols at a random step, when a mark says so (RDA table 5)",
    "copy-memory": "recall the symbols at the end (TCN table 1)",
    "multicopy": "many short copies in one sequence (RDA table 6)",
    "alternation": "change sign at every step (RDA lemma 1)",
    "parity": "have there been an odd number of ones? (Deletang et al. 2023)",
    "word-problem": "product of the elements of a group: Z60, A4xZ5, A5, S3 or S5 (Merrill et al. 2024)",
    "flip-flop": "the bit that was written last, among bits to ignore (Liu et al. 2023)",
    "cycle": "where on a ring does a walk end? (Deletang et al. 2023)",
    "even-pairs": "does the symbol change an even number of times? (Deletang et al. 2023)",
    "modular": "value of a sum of products, modulo 5 (Deletang et al. 2023)",
    "mqar": "the values that were shown with keys (multi-query associative recall, Arora et al. 2024)",
    "forgetting-recall": "the newest values of keys that are written again",
    "selective-copy": "recall symbols at random places among blanks (Mamba table 1)",
    "induction": "what came after this symbol the last time? (Mamba, induction heads)",
    "needle": "one marked vector in noise, anywhere or at a depth",
    "agreement": "verb and pronoun agree with their subject, whatever nouns come between",
    "phone": "a phone number, in chunks with separators or without",
    "stills": "a film whose frames hardly change: which frame came j-th?",
    "translate": "words of a source, translated in another order, word by word",
    "one-to-many": "the name of a handwritten digit, letter by letter (scikit-learn's, 8 x 8)",
    "listops": "value of nested operations on lists of digits (Long Range Arena)",
    "digits": "handwritten digits, pixel by pixel (scikit-learn's, 8 x 8)",
    "mnist": "handwritten digits, pixel by pixel (28 x 28, RDA table 3; files are downloaded, or --data-dir)",
    "mnist-permuted": "the same, in one random order of the pixels (RDA table 4)",
    "series": "classes of real sequences: ACSF1, GunPoint, JapaneseVowels, ... (files of the package aeon)",
    "text": "the next character of enwik8, or of any file (RDA table 7)",
    "file:PATH": "your own sequences (.csv, .parquet, .npz, .pt, .ts): classes, numbers or forecasts (docs/data.md)",
}
"""Each task in one line."""


def question_of(name: str) -> str | None:
    """Returns the question that a task asks: `real` for a file of the user's, `None` for a class of theirs."""
    return "real" if is_file(name) else QUESTION_OF.get(name)


def names() -> tuple[str, ...]:
    """Returns every name of the catalogue; `build` also takes a dotted path "package.module:Class"."""
    return tuple(CATALOGUE)


def load(name: str) -> "type[Task]":
    """Returns the class of a task.

    Args:
        name: one of `names()`, file:PATH, or a dotted path "package.module:Class" to a subclass of `Task`.

    Raises:
        ValueError: if there is no such name, module or class, or the class does not implement the interface.
    """
    if not isinstance(name, str):
        raise TypeError(f"a task is named by a text, not {quote(name)}")
    if name not in CATALOGUE and ":" not in name and not is_defined("task", name):
        raise ValueError(
            f"unknown task {quote(name)} (a custom task is named package.module:Class){did_you_mean(name, CATALOGUE)}"
        )
    path = FILE_CLASS if is_file(name) else CATALOGUE.get(name, name)
    # It imports torch.
    from workbench.tasks.base import Task

    cls: type[Task] = load_class(path, "task", Task)
    if not dataclasses.is_dataclass(cls):
        raise ValueError(f"{quote(name)} is not a dataclass, so its options are not known")
    return cls


def options(name: str) -> dict[str, dataclasses.Field[Any]]:
    """Returns the options of a task by name: the fields of its dataclass that its constructor takes."""
    cls = load(name)
    assert dataclasses.is_dataclass(cls)
    # The path of a file is part of its name.
    return {
        item.name: item for item in dataclasses.fields(cls) if item.init and not (is_file(name) and item.name == "path")
    }


def build(name: str, /, **arguments: Any) -> "Task":
    """Builds a task.

    Args:
        name: one of `names()`, file:PATH, or a dotted path "package.module:Class" to a subclass of `Task`.
        arguments: the task's options, such as `length`, also in their written form: a list for a tuple; and for a file
            `path`, if it does not lie where its name says.

    Raises:
        ValueError, TypeError: if the name or an option is unknown, or a value is invalid.

    Example:
        >>> build("copy", length=1000).steps
        1020
    """
    fields, path = options(name), {}
    if is_file(name):
        path = {"path": arguments.pop("path", path_of(name))}
    for key in arguments:
        if key not in fields:
            raise ValueError(f"{name} has no option {quote(key)}{did_you_mean(key, fields)}")
    for key, field in fields.items():
        if field.default is field.default_factory is dataclasses.MISSING and key not in arguments:
            raise ValueError(f"{name} needs {key}=")
    cls = load(name)
    return cls(**path, **read_values(arguments, cls, defaults(name)))


def defaults(name: str) -> dict[str, Any]:
    """Returns the defaults of a task's options; `UNKNOWN` for those that have none."""
    values = {}
    for key, field in options(name).items():
        if field.default is not dataclasses.MISSING:
            values[key] = field.default
        else:
            values[key] = UNKNOWN if field.default_factory is dataclasses.MISSING else field.default_factory()
    return values
