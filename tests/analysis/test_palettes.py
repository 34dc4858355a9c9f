"""Palettes: colors of a report's architectures, which no other report shares."""

from itertools import combinations

import matplotlib as mpl
import pytest

from analysis import palettes
from analysis.palettes import share_colors, use_palette
from analysis.style import LINE_STYLES, line_styles
from workbench.errors import UserError


def test_a_palette_gives_its_own_colors_and_ends() -> None:
    names = [*LINE_STYLES, "my.own:Model"]
    before = line_styles(names)
    with use_palette("tab10"):
        styles = line_styles(names)
        with use_palette("grey"):
            assert {style.color for style in line_styles(["rnn", "lstm"]).values()} <= set(palettes.GREYS)
        assert line_styles(names) == styles
    assert line_styles(names) == before
    tab10 = [mpl.colors.to_hex(color) for color in mpl.color_sequences["tab10"]]
    # There are more in the catalogue than in the palette, whose colors come in its order, again and again.
    assert [styles[name].color for name in LINE_STYLES] == [tab10[index % 10] for index in range(len(LINE_STYLES))]
    for name, style in LINE_STYLES.items():
        assert (styles[name].dash, styles[name].marker) == (style.dash, style.marker)


def test_a_palette_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), use_palette("grey"):
        raise ZeroDivisionError
    assert line_styles(["lstm"]) == {"lstm": LINE_STYLES["lstm"]}


@pytest.mark.parametrize("name", palettes.names())
def test_no_two_architectures_look_alike(name: str) -> None:
    names = [*LINE_STYLES, *(f"my.models:Own{index}" for index in range(12))]
    with use_palette(name):
        styles = line_styles(names)
    assert all(len(style.color) == 7 and style.color.startswith("#") for style in styles.values())
    for one, other in combinations(styles.values(), 2):
        assert (one.color, one.marker) != (other.color, other.marker) or one.dash != other.dash


def test_colors_return_only_when_all_are_used() -> None:
    assert share_colors([0, 1, 5], "abcd") == ["a", "b", "c"]
    assert share_colors([5, 9], "abcd") == ["b", "c"]
    assert share_colors([0, 1, 2, 3, 4], "abcd") == ["a", "b", "c", "d", "a"]


@pytest.mark.parametrize(("wrong", "near"), [("colorblin", "'colorblind'"), ("gray", "'grey'"), ("viridis", "known: ")])
def test_an_unknown_palette_is_one_line_with_near_names(wrong: str, near: str) -> None:
    with pytest.raises(UserError, match="unknown palette") as error, use_palette(wrong):
        pass
    assert near in str(error.value)
    assert "\n" not in str(error.value)
