"""Names and options of tasks, and the errors for wrong ones."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.tasks import CATALOGUE, SUMMARIES, build, load, names, options
from workbench.tasks.copy import Copy

OWN = """
from dataclasses import dataclass, field
import torch
from workbench.tasks import Batch, Task

@dataclass(frozen=True, kw_only=True)
class Own(Task):
    readout = "last"
    input_size = 1
    output_size = 1
    width: int
    name: str = "none"
    seen: list[int] = field(default_factory=list)
    area: int = field(init=False, default=4)
    steps = 3
    trivial_loss = 1.0
    def sample(self, size, generator):
        return Batch(x=torch.zeros(size, 3, 1), target=torch.zeros(size, 1))
    def loss(self, prediction, batch):
        return prediction.sum()

class Unfinished(Task):
    steps = 3
    trivial_loss = 1.0

class Plain(Own):
    pass

class Undeclared(Task):
    steps, trivial_loss, sample, loss = 3, 1.0, None, None

NotAClass = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with custom tasks."""
    (tmp_path / "own_tasks.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_tasks"
    sys.modules.pop("own_tasks", None)


def test_every_name_has_a_class_and_a_summary() -> None:
    assert names() == tuple(CATALOGUE)
    assert tuple(SUMMARIES) == (*CATALOGUE, "file:PATH")
    assert len({load(name) for name in names()}) == len(names())


def test_options_are_the_fields_of_the_class() -> None:
    assert {key: field.default for key, field in options("copy").items()} == {
        "length": 100,
        "items": 10,
        "categories": 8,
    }
    assert options("digits") == {}


@pytest.mark.parametrize("name", names())
def test_every_option_is_described(name: str) -> None:
    texts = (load(name).__doc__ or "").partition("Args:")[2]
    for key in options(name):
        assert f"\n        {key}: " in texts


def test_build_passes_the_options_on() -> None:
    assert build("copy", length=7, items=2) == Copy(length=7, items=2)


def test_a_custom_task(own: str) -> None:
    task = build(f"{own}:Own", width=3, name="mine")
    assert dataclasses.asdict(task) == {"width": 3, "name": "mine", "seen": [], "area": 4}  # type: ignore[call-overload]
    assert list(options(f"{own}:Own")) == ["width", "name", "seen"]
    assert load(f"{own}:Plain").__name__ == "Plain"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "adition",
            "'adition' (a custom task is named package.module:Class); did you mean 'addition' or 'induction'?",
        ),
        ("zzz", "package.module:Class); known: addition, classify-length, copy"),
        ("no_such_module:Task", "no module 'no_such_module'"),
        ("workbench.no_such:Task", "no module 'workbench.no_such'"),
        ("workbench.tasks.copy.deeper:Copy", "no module 'workbench.tasks.copy.deeper'"),
        (":Copy", "'' is not a module name"),
        (".copy:Copy", "'.copy' is not a module name"),
        ("workbench.tasks.copy:Copi", "has no class 'Copi'; did you mean 'Copy'"),
        ("workbench.tasks.copy:", "has no class ''"),
        ("workbench.tasks.base:Batch", "is not a subclass of workbench.tasks.Task"),
        ("workbench.tasks.base:Task", "does not implement loss, sample, steps, trivial_loss"),
        ("own_tasks:Unfinished", "does not implement loss, sample"),
        ("own_tasks:Undeclared", "is not a dataclass"),
        ("own_tasks:NotAClass", "has no class 'NotAClass'"),
    ],
)
def test_a_wrong_name(own: str, name: str, message: str) -> None:
    for use in (load, options, build):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            use(name)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_a_custom_task_lacks_is_not_taken_for_a_wrong_name(own: str) -> None:
    with pytest.raises(ValueError, match="cannot be imported: it needs surely_not_installed"):
        load("own_broken:Task")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("addition", {"lenght": 5}, "addition has no option 'lenght'; did you mean 'length'?"),
        ("copy", {"symbols": 5}, "copy has no option 'symbols'; known: length, items, categories"),
        ("digits", {"length": 5}, "digits has no option 'length'"),
        ("own_tasks:Own", {}, "needs width="),
        ("own_tasks:Own", {"width": 1, "area": 2}, "no option 'area'"),
    ],
)
def test_a_wrong_option(own: str, name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        build(name, **arguments)
    assert message in str(caught.value)


SIZES = [
    ("addition", "length", 2),
    ("classify-length", "length", 2),
    ("alternation", "length", 2),
    ("copy", "length", 1),
    ("copy", "items", 1),
    ("copy", "categories", 2),
    ("copy-memory", "length", 1),
    ("copy-memory", "items", 1),
    ("copy-memory", "categories", 2),
    ("mnist", "pool", 1),
    ("mnist-permuted", "pool", 1),
    ("mnist-permuted", "order", 1),
    ("text", "length", 1),
    ("multicopy", "copies", 1),
    ("multicopy", "items", 1),
    ("multicopy", "gap", 1),
    ("multicopy", "categories", 2),
    ("parity", "length", 2),
    ("word-problem", "length", 2),
    ("flip-flop", "length", 3),
    ("cycle", "length", 2),
    ("cycle", "places", 3),
    ("even-pairs", "length", 2),
    ("modular", "length", 4),
    ("modular", "modulus", 2),
    ("mqar", "length", 4 * 8),
    ("mqar", "pairs", 1),
    ("mqar", "vocabulary", 2 * 8 + 2),
    ("mqar", "noise", 0),
    ("forgetting-recall", "length", 2 * 4 * 3),
    ("forgetting-recall", "keys", 1),
    ("forgetting-recall", "writes", 2),
    ("forgetting-recall", "vocabulary", 2 * 4 * 2 + 2),
    ("selective-copy", "length", 16),
    ("selective-copy", "items", 1),
    ("selective-copy", "categories", 2),
    ("induction", "length", 3),
    ("induction", "vocabulary", 3),
    ("needle", "length", 2),
    ("needle", "features", 1),
    ("agreement", "length", 2 * (9 + 3 * 3)),
    ("agreement", "attractors", 0),
    ("agreement", "sentences", 1),
    ("phone", "length", 1),
    ("listops", "length", 8),
    ("listops", "arguments", 2),
    ("translate", "length", 1),
    ("translate", "shortest", 1),
    ("translate", "words", 4),
    ("translate", "fertility", 1),
    ("translate", "distance", 1),
    ("stills", "length", 8),
    ("stills", "frames", 2),
    ("stills", "features", 1),
    ("series", "split_seed", 0),
]
CHOICES = [
    ("classify-length", "elements"),
    ("parity", "readout"),
    ("word-problem", "group"),
    ("word-problem", "letters"),
    ("word-problem", "readout"),
    ("cycle", "readout"),
    ("phone", "recall"),
    ("translate", "order"),
    ("series", "dataset"),
    ("series", "scale"),
]
NUMBERS = [
    ("alternation", "amplitude", "lie between 0 and 1, both excluded", [0, 1, 0.0, 1.0, -0.5, 1.5]),
    ("flip-flop", "ignore", "be at least 0 and below 1", [-0.1, 1, 1.5]),
    ("mqar", "power", "be above 0 and at most 1", [0, -1, 1.01]),
    ("forgetting-recall", "power", "be above 0 and at most 1", [0, -1, 1.01]),
    ("needle", "depth", "lie between 0 and 1", [-0.01, 1.5]),
    ("series", "validation", "be above 0 and at most 0.5", [0, -0.1, 0.51]),
    ("stills", "noise", "lie between 0 and 1,000", [-0.1, 1e308, 10**400]),
]
FLAGS = [("mqar", "random_non_queries"), ("phone", "separators")]


def test_every_option_is_tried_with_wrong_values() -> None:
    tried = {(name, key) for name, key, *_ in [*SIZES, *NUMBERS, *CHOICES, *FLAGS]}
    tried |= {("text", "file"), ("phone", "segments"), ("listops", "depth")}
    assert tried == {(name, key) for name in names() for key in options(name)}


@pytest.mark.parametrize(("name", "key", "least"), SIZES)
def test_a_wrong_size(name: str, key: str, least: int) -> None:
    assert getattr(build(name, **{key: least}), key) == least
    for value in (least - 1, min(least - 1, 0), -3):
        with pytest.raises(ValueError, match=f"^{key} must be at least {least}, not {value}$"):
            build(name, **{key: value})
    for bad_value in (True, "5", 5.0, None, float("nan")):
        with pytest.raises(TypeError, match=f"^{key} must be a whole number, not {bad_value!r}$"):
            build(name, **{key: bad_value})


@pytest.mark.parametrize(("name", "key", "bounds", "values"), NUMBERS)
def test_a_wrong_number(name: str, key: str, bounds: str, values: list[float]) -> None:
    for value in (*values, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"^{key} must {bounds}, not "):
            build(name, **{key: value})
    for bad_value in (True, "0.5", [0.5]):
        with pytest.raises(TypeError, match=f"^{key} must be a number, not "):
            build(name, **{key: bad_value})


@pytest.mark.parametrize(("name", "key"), CHOICES)
def test_a_wrong_choice(name: str, key: str) -> None:
    for value in ("none of them", 3, None, ["every"]):
        with pytest.raises(ValueError, match=f"^{key} must be one of "):
            build(name, **{key: value})


@pytest.mark.parametrize(("name", "key"), FLAGS)
def test_a_wrong_flag(name: str, key: str) -> None:
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match=f"^{key} must be true or false, not "):
            build(name, **{key: value})


@pytest.mark.parametrize("value", [(), 3, "3-3", (3, 0), (3, "3"), (2.0,), None])
def test_wrong_segments(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^segments must be "):
        build("phone", segments=value)


def test_a_depth_that_no_tree_has() -> None:
    assert build("listops", depth=1, length=8).steps == 8
    with pytest.raises(ValueError, match=r"^no tree of depth 1 with up to 5 arguments has 25 symbols, a quarter of"):
        build("listops", depth=1)
    for value in (0, -3, 21):
        with pytest.raises(ValueError, match=r"^depth must be at (least 1|most 20), not "):
            build("listops", depth=value)
    for bad_value in (True, "5", 5.0, None):
        with pytest.raises(TypeError, match=r"^depth must be a whole number, not "):
            build("listops", depth=bad_value)


def test_a_task_whose_table_would_be_too_large() -> None:
    for name, key in (("cycle", "places"), ("modular", "modulus")):
        with pytest.raises(ValueError, match=f"^{key} must be at most "):
            build(name, **{key: 10**5})
