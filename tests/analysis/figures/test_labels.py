"""Labels: positions without overlap, and wrapped text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.labels import spread_boxes, wrap_text

boxes = st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.2)), min_size=1, max_size=15)


@given(boxes)
def test_boxes_never_overlap_and_keep_their_order(positions: list[tuple[float, float]]) -> None:
    wanted, heights = zip(*sorted(positions), strict=True)
    centres = spread_boxes(wanted, heights)
    for index in range(len(centres) - 1):
        assert centres[index + 1] - centres[index] >= (heights[index] + heights[index + 1]) / 2 - 1e-9
    if sum(heights) <= 1:
        assert centres[0] - heights[0] / 2 >= -1e-9
        assert centres[-1] + heights[-1] / 2 <= 1 + 1e-9


def test_boxes_with_room_stay_where_they_are_wanted() -> None:
    assert spread_boxes([0.2, 0.5, 0.8], [0.1, 0.1, 0.1]) == pytest.approx([0.2, 0.5, 0.8])


def test_boxes_at_one_place_are_centred_on_it() -> None:
    assert spread_boxes([0.5, 0.5, 0.5], [0.1, 0.1, 0.1]) == pytest.approx([0.4, 0.5, 0.6])


@given(st.text(alphabet="abc.:_ ", max_size=120))
def test_no_line_is_too_long_and_nothing_is_lost(text: str) -> None:
    lines = wrap_text(text, 20)
    assert all(len(line) <= 20 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_dotted_paths_break_at_their_joints() -> None:
    assert wrap_text("mypackage.models.memory:Network", 28) == ["mypackage.models.memory:", "Network"]
