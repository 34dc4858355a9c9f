"""Options in their written form: what a class declares comes back from a file as it was, or is refused."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from architectures.option_values import UNKNOWN, read_value, write_value, write_values


class Kind(Enum):
    """An enumeration of values that are no strings."""

    WIDE = (1, 2)
    NARROW = "narrow"


class Shape(str, Enum):  # noqa: UP042 (as many people write them)
    """An enumeration whose members are strings."""

    ROUND = "round"
    FLAT = "flat"


class Level(IntEnum):
    """An enumeration whose members are numbers."""

    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Block:
    """A nested configuration."""

    width: int
    taps: tuple[int, ...] = (3, 5)
    shape: Shape = Shape.ROUND


CASES: list[tuple[Any, Any, Any]] = [
    # Annotation, value, written form.
    (tuple[int, int], (1, 2), [1, 2]),
    (tuple[int, ...], (1, 2, 3), [1, 2, 3]),
    (tuple[float, Shape], (1.0, Shape.FLAT), [1.0, "flat"]),
    (Sequence[int], [1, 2], [1, 2]),
    (list[tuple[int, int]], [(1, 2), (3, 4)], [[1, 2], [3, 4]]),
    (Shape, Shape.FLAT, "flat"),
    (Kind, Kind.WIDE, [1, 2]),
    (Level, Level.HIGH, 2),
    (dict[int, float], {0: 0.5}, {"0": 0.5}),
    (Mapping[str, Shape], {"a": Shape.ROUND}, {"a": "round"}),
    (dict[bool, int], {True: 1, False: 0}, {"True": 1, "False": 0}),
    (Block, Block(width=4), {"width": 4, "taps": [3, 5], "shape": "round"}),
    (float, math.inf, "inf"),
    (float, -math.inf, "-inf"),
    (float | None, None, None),
    (tuple[int, ...] | None, (1,), [1]),
    (int | tuple[int, int], (1, 2), [1, 2]),
    (int | tuple[int, int], 3, 3),
    (Literal["a", "b"], "b", "b"),
    (Annotated[tuple[int, int], "a note"], (1, 2), [1, 2]),
    (str, "inf", "inf"),
    (bool, True, True),
]


@pytest.mark.parametrize(("hint", "value", "written"), CASES)
def test_a_value_is_written_and_read_back_as_it_is_declared(hint: Any, value: Any, written: Any) -> None:
    assert write_value(value) == written
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    again = read_value(written, hint)
    assert again == value
    assert type(again) is type(value)
    assert read_value(value, hint) == value


@pytest.mark.parametrize("value", [(1, 2), ((1, 2), "a"), Shape.FLAT, {0: 0.5}, {1: (2, 3)}, Block(width=1), math.inf])
def test_without_an_annotation_the_default_says_what_it_is(value: Any) -> None:
    again = read_value(json.loads(json.dumps(write_value(value))), UNKNOWN, value)
    assert again == value
    assert type(again) is type(value)


def test_an_annotation_without_its_parts_is_completed_by_the_default() -> None:
    assert read_value({"0": 1.0}, dict, {3: 0.5}) == {0: 1.0}
    assert read_value([1, 2, 3], tuple, (1,)) == (1, 2, 3)
    assert read_value({"a": 1.0}, dict) == {"a": 1.0}
    assert read_value([1, 2], Sequence[int], (3,)) == (1, 2)
    assert read_value([1, 2], Sequence[int], [3]) == [1, 2]


@pytest.mark.parametrize("value", [math.nan, object(), len, {1, 2}, b"x", {(1, 2): 3}, {1: "a", "1": "b"}, 1j])
def test_what_no_file_can_hold_has_no_written_form(value: Any) -> None:
    with pytest.raises(ValueError, match="plain value"):
        write_value(value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert write_value([np.int64(3), np.float64(0.5)]) == [3, 0.5]
    assert [type(value) for value in write_value([np.int64(3), np.float64(0.5)])] == [int, float]


@dataclass
class Options:
    """Options of which some do not come back as they are."""

    free: Any = field(default_factory=dict)
    number: float = 1.0


@pytest.mark.parametrize(("key", "value"), [("free", (1, 2)), ("free", Shape.FLAT), ("free", {0: 0.5})])
def test_what_would_come_back_as_something_else_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{key} is .*it would come back as .*; annotate the option"):
        write_values({key: value}, Options, {"free": UNKNOWN, "number": 1.0})
    assert write_values({"number": 2.0, "free": {"a": [1]}}, Options, {}) == {"number": 2.0, "free": {"a": [1]}}


def test_a_member_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="must be one of round, flat, not 'oval'"):
        read_value("oval", Shape)
    with pytest.raises(ValueError, match="shape must be one of round, flat, not 'oval'"):
        read_value({"width": 3, "shape": "oval"}, Block)
