"""Line styles that can be told apart, and figures that are reproducible."""

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis import palettes
from analysis.style import (
    CUSTOM_COLORS,
    CUSTOM_FAMILY,
    DASHES,
    FAMILIES,
    LINE_STYLES,
    family,
    line_styles,
    parse_formats,
    restyled,
    save_figure,
    theme,
    use_formats,
    variant_colors,
)
from architectures.registry import ARCHITECTURES
from workbench.errors import UserError

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.95047, 1, 1.08883])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    scaled = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_architecture_of_the_catalogue_has_a_look() -> None:
    assert list(LINE_STYLES) == list(ARCHITECTURES)


def test_every_architecture_of_the_catalogue_has_one_family() -> None:
    assert sorted(name for members in FAMILIES.values() for name in members) == sorted(ARCHITECTURES)
    assert (family("gru"), family("rda-exp-tanh"), family("my.own:GRU")) == ("gated", "averaging", CUSTOM_FAMILY)


@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["normal", "deuteranopia", "protanopia"])
def test_colours_are_far_apart(seen: list[list[float]]) -> None:
    colours = {color: lab(np.array(seen) @ linear(color)) for color in {style.color for style in LINE_STYLES.values()}}
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(colours[one] - colours[other]) > 20, (one, other)


def test_colours_stand_out_on_white() -> None:
    for colour in [*(style.color for style in LINE_STYLES.values()), *CUSTOM_COLORS]:
        luminance = TO_XYZ[1] @ linear(colour)
        assert 1.05 / (luminance + 0.05) >= 2.95, colour


def test_only_relatives_share_a_colour() -> None:
    for color in {style.color for style in LINE_STYLES.values()}:
        assert len({family(name) for name, style in LINE_STYLES.items() if style.color == color}) == 1


def test_in_grey_marker_and_dash_tell_them_apart() -> None:
    """The marker alone, except among relatives of others, whose markers are mere lines."""
    assert len({(style.marker, style.dash) for style in LINE_STYLES.values()}) == len(LINE_STYLES)
    full = [style.marker for style in LINE_STYLES.values() if not style.hollow]
    assert len(set(full)) == len(full)


def test_own_architectures_collide_with_none() -> None:
    names = [f"my.models:Own{index}" for index in range(40)]
    styles = line_styles([*LINE_STYLES, *names])
    assert {name: styles[name] for name in LINE_STYLES} == dict(LINE_STYLES)
    assert len({(style.color, style.dash, style.marker) for style in styles.values()}) == len(styles)
    assert not {style.marker for name, style in styles.items() if name in names} & {
        style.marker for style in LINE_STYLES.values()
    }
    # The first six differ in colour.
    assert len({style.color for style in line_styles(names[:6]).values()}) == 6


def test_own_looks_do_not_depend_on_the_order() -> None:
    names = [f"my.models:Own{index}" for index in range(9)]
    assert line_styles(names) == line_styles(reversed(names))
    # Nor on those of the catalogue that are in the same report.
    assert line_styles(names)[names[0]] == line_styles([*names, "lstm"])[names[0]]


def test_variants_of_one_architecture_differ_and_keep_its_colour() -> None:
    styles = [restyled(LINE_STYLES["lstm"], index) for index in range(2 * len(DASHES))]
    assert len(set(styles)) == len(styles)
    assert {style.color for style in styles} == {LINE_STYLES["lstm"].color}
    assert styles[0] == LINE_STYLES["lstm"]
    # A marker without a face keeps its coloured edge: with a white one it would not be seen.
    assert {restyled(LINE_STYLES["transformer"], index).hollow for index in range(4)} == {True}
    assert restyled(LINE_STYLES["transformer"], 0) == LINE_STYLES["transformer"]


def test_variants_have_colours_of_their_own_where_the_architecture_is_alone() -> None:
    for palette in ("workbench", "colorblind"):
        with palettes.use_palette(palette):
            (own,) = line_styles(["rda"]).values()
            styles = [restyled(own, index, variant_colors(own)) for index in range(8)]
            assert styles[0] == own
            assert len({style.color for style in styles}) == 8
            assert [(style.dash, style.hollow) for style in styles] == [
                (style.dash, style.hollow) for style in (restyled(own, index) for index in range(8))
            ]


def example_figure() -> Figure:
    with theme():
        figure = Figure()
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], label="<a & b>", **LINE_STYLES["rwa"].plot_keywords())
        axes.set_title("<a & b>")
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (save_figure(example_figure(), tmp_path / name, "figure") for name in ("one", "other"))
    assert one == other
    assert (tmp_path / "one/figure.svg").read_text(encoding="utf-8") == one
    assert (tmp_path / "one/figure.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["figure.png", "figure.svg"]


def test_a_figure_is_xml_with_text_and_without_a_date(tmp_path: Path) -> None:
    svg = save_figure(example_figure(), tmp_path, "figure")
    root = ElementTree.fromstring(svg)
    assert any(element.text == "<a & b>" for element in root.iter())
    assert "date" not in svg
    assert "metadata" not in svg


def test_formats_are_those_that_were_asked_for(tmp_path: Path) -> None:
    with use_formats(parse_formats("pdf")):
        svg = save_figure(example_figure(), tmp_path / "one", "figure")
    save_figure(example_figure(), tmp_path / "default", "figure")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["figure.pdf"]
    assert sorted(path.name for path in (tmp_path / "default").iterdir()) == ["figure.png", "figure.svg"]
    assert (tmp_path / "default/figure.svg").read_text(encoding="utf-8") == svg
    pdf = (tmp_path / "one/figure.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"CreationDate" not in pdf
    # Lines, not an image of them, and fonts that publishers take.
    assert b"/Subtype /Image" not in pdf
    assert b"/Type3" not in pdf
    with use_formats(["pdf"]):
        save_figure(example_figure(), tmp_path / "again", "figure")
    assert (tmp_path / "again/figure.pdf").read_bytes() == pdf


@pytest.mark.parametrize(
    ("text", "formats"), [("pdf,svg", ("svg", "pdf")), (" PNG ", ("png",)), ("svg,svg,", ("svg",))]
)
def test_formats_as_they_are_typed(text: str, formats: tuple[str, ...]) -> None:
    assert parse_formats(text) == formats


@pytest.mark.parametrize(
    ("text", "message"), [("svg,pfd", "did you mean 'pdf'"), ("", "name a format"), (",", "name a")]
)
def test_unknown_formats_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        parse_formats(text)
    assert "\n" not in str(error.value)
