"""Scatter of cost against result, as the page shows it without a script."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from analysis.report.first_screen.axis import Axis, fit_axis
from analysis.report.first_screen.screen import Screen, ScreenRow

WIDTH, HEIGHT = 440.0, 312.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 10.0, 10.0, 38.0
"""Margins of the drawing, in its own units."""
LETTER_WIDTH, LINE_HEIGHT = 6.1, 13.0
"""About what a letter of a label takes; labels that would overlap are moved."""
SHIFTS = (0, 13, -13, 26, -26, 39, -39, 52, -52)
"""Vertical shifts of a label that are tried in turn."""

DODGES = (0, 8, -8, 16, -16, 24, -24, 32, -32)
"""Horizontal shifts that are tried in turn for dots that would lie on those of another row of about the same cost."""
DOT = 4.0
"""Half of what a dot takes, with some room."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A row in the scatter: a dot for each seed, and a label where there is room."""

    row: ScreenRow
    x: float
    dots: tuple[float, ...]
    """Vertical positions of the seeds."""
    label_x: float | None
    """`None` if there is no room for the label."""
    label_y: float
    anchor: str
    """`start` or `end`: the end of the label that is at its position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """The drawing, in units of its own."""

    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    trivial: float | None
    """Vertical position of the loss of the best answer without memory."""
    floors: tuple[tuple[str, float], ...]
    """Names of cheap strategies, and the vertical positions of their losses."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def draw_scatter(screen: Screen) -> Scatter:
    """Returns the scatter of a task's rows: test loss against the number of parameters.

    Args:
        screen: a task with at least one row.
    """
    x_axis, y_axis = fit_axis([row.parameters for row in screen.rows]), screen.axis
    return Scatter(
        marks=tuple(place_marks(screen.rows, x_axis, y_axis)),
        x_ticks=tuple((place_x(x_axis, value), text) for value, text in x_axis.ticks()),
        y_ticks=tuple((place_y(y_axis, value), text) for value, text in y_axis.ticks()),
        trivial=None if screen.trivial is None else place_y(y_axis, screen.trivial),
        floors=tuple((name, place_y(y_axis, loss)) for name, loss in screen.floors),
    )


def place_x(axis: Axis, value: float) -> float:
    """Returns the horizontal position of a value."""
    return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 1)


def place_y(axis: Axis, value: float) -> float:
    """Returns the vertical position of a value."""
    return round(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - BOTTOM - TOP), 1)


def place_marks(rows: Sequence[ScreenRow], x_axis: Axis, y_axis: Axis) -> list[Mark]:
    """Returns the marks of all rows, with labels that overlap neither each other nor a dot."""
    dots = {row.label: tuple(place_y(y_axis, seed.loss) for seed in row.seeds) for row in rows}
    taken: list[Box] = []
    places: dict[str, float] = {}
    for row in rows:
        ys = dots[row.label]
        places[row.label] = find_place(place_x(x_axis, row.parameters), min(ys), max(ys), taken)
        taken.append(dot_box(places[row.label], min(ys), max(ys)))
    marks = []
    for row in rows:
        x, y = places[row.label], place_y(y_axis, row.center)
        place = find_label_place(row.label, x, y, taken)
        if place is not None:
            taken.append(label_box(row.label, *place))
        label_x, label_y, anchor = place or (None, y, "start")
        marks.append(Mark(row=row, x=x, dots=dots[row.label], label_x=label_x, label_y=label_y, anchor=anchor))
    return marks


def find_place(x: float, top: float, bottom: float, taken: Sequence[Box]) -> float:
    """Returns where the dots of a row stand, beside those that are there already; at `x` if there is no room."""
    shifts = (x + dodge for dodge in DODGES if LEFT + DOT <= x + dodge <= WIDTH - RIGHT - DOT or not dodge)
    free = (place for place in shifts if not any(overlap(dot_box(place, top, bottom), other) for other in taken))
    return round(next(free, x), 1)


def dot_box(x: float, top: float, bottom: float) -> Box:
    """Returns the box of a row's dots."""
    return x - DOT, top - DOT, x + DOT, bottom + DOT


def find_label_place(text: str, x: float, y: float, taken: Sequence[Box]) -> tuple[float, float, str] | None:
    """Returns a position for a label beside a point, and which end of it is there; `None` if there is no room."""
    for shift, (offset, anchor) in product(SHIFTS, ((8, "start"), (-8, "end"))):
        box = label_box(text, x + offset, y + shift, anchor)
        inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM + 4
        if inside and not any(overlap(box, other) for other in taken):
            return x + offset, y + shift, anchor
    return None


def label_box(text: str, x: float, y: float, anchor: str) -> Box:
    """Returns the box of a label at a position."""
    width = LETTER_WIDTH * len(text)
    left = x if anchor == "start" else x - width
    return left, y - LINE_HEIGHT / 2, left + width, y + LINE_HEIGHT / 2


def overlap(first: Box, second: Box) -> bool:
    """Returns whether two boxes have a point in common."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
