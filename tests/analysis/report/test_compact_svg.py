"""Figures in fewer bytes: what is drawn stays where it was."""

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure as Drawing
from PIL import Image

from analysis import style
from analysis.report.compact_svg import (
    PNG_DATA,
    FigureStyles,
    compact_image,
    compact_path,
    figure_name,
    format_coordinate,
    simplify,
)
from analysis.report.output_files import inline_svg


def read_path(path: str) -> list[list[tuple[float, float]]]:
    """Returns the corners of the polylines of path data, read by the rules of SVG."""
    lines: list[list[tuple[float, float]]] = []
    x = y = 0.0
    for command, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(text) for text in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", rest)]
        if command == "M":
            x, y = numbers[:2]
            lines.append([(x, y)])
            numbers = numbers[2:]
        while numbers:
            if command in "lML":
                x, y = (x + numbers[0], y + numbers[1]) if command == "l" else (numbers[0], numbers[1])
            elif command == "h":
                x += numbers[0]
            elif command == "v":
                y += numbers[0]
            numbers = numbers[2:] if command in "lML" else numbers[1:]
            lines[-1].append((x, y))
    return lines


def test_a_path_keeps_its_corners() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-300, 500, (60, 2))
    path = "M " + " L ".join(f"{x:.6f} {y:.6f}" for x, y in points) + " z"
    compact = compact_path(path, 1, 0.0)
    (line,) = read_path(compact)
    # Rounding does not add up along the line.
    np.testing.assert_allclose(line, points, atol=0.0501)
    assert compact.endswith("z")
    assert len(compact) < 0.6 * len(path)


def test_steps_along_an_axis_and_dots_are_kept() -> None:
    assert compact_path("M 0 0 \nL 440 0 \nL 440 226.04 \nL 0.5 .25 \nz\n", 1, 0.0) == "M0 0h440v226l-439.5-225.8z"
    assert compact_path("M 1 1 L 1 1", 1, 0.2) == "M1 1h0"
    assert compact_path("M 1 1 L 1 1 L 2 1", 1, 0.0, keep_points=True) == "M1 1h0h1"


def test_curves_keep_their_commands() -> None:
    assert compact_path("M 0 3 C 0.7956 3 1.5587 2.6839 2.1213 2.1213", 2, 0.0) == "M0 3C.8 3 1.56 2.68 2.12 2.12"


def test_a_polyline_stays_within_the_tolerance() -> None:
    x = np.linspace(0, 400, 1000)
    points = list(zip(x.tolist(), (50 * np.sin(x / 30)).tolist(), strict=True))
    kept = simplify(points, 0.25)
    assert len(kept) < 150
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    between = np.interp(x, [point[0] for point in kept], [point[1] for point in kept])
    # The vertical distance is at most the distance over the cosine of the steepest slope.
    assert np.abs(between - 50 * np.sin(x / 30)).max() <= 0.25 * math.hypot(1, 50 / 30) + 1e-9


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0"), (-0.04, "0"), (0.25, ".2"), (-0.5, "-.5"), (12.0, "12"), (100.0, "100")]
)
def test_coordinates(value: float, text: str) -> None:
    assert format_coordinate(value) == text


def draw(name: str = "a-figure") -> tuple[Markup, str]:
    """Returns a figure with markers, a band, ticks, a heat map and a user's text, as it was inlined and compacted."""
    with style.theme():
        drawing = Drawing(figsize=(4, 3))
        axes = drawing.add_subplot()
        x = np.arange(8.0)
        axes.plot(x, x**2, marker="o", label="curve")
        axes.fill_between(x, x**2 - 1, x**2 + 1, alpha=0.2)
        axes.set_ylabel("<b>name & co</b>")
        drawing.add_axes((0.6, 0.2, 0.2, 0.2)).imshow(np.eye(9), interpolation="nearest")
    inlined = inline_svg(style.render_svg(drawing, name), name, 'what "it" shows')
    styles = FigureStyles()
    compact = styles.compact(inlined)
    return inlined, f"{compact}{styles.css}"


def test_a_figure_keeps_its_texts_and_needs_fewer_bytes() -> None:
    inlined, compact = draw()
    assert figure_name(inlined) == "a-figure"
    assert len(compact) < 0.5 * len(inlined)
    before, after = (ElementTree.fromstring(text[: text.rindex("</svg>") + 6]) for text in (inlined, compact))
    texts = [[element.text for element in root.iter("text")] for root in (before, after)]
    assert texts[0] == texts[1]
    assert "<b>name & co</b>" in texts[1]
    assert after.get("aria-label") == 'what "it" shows'
    assert after.get("viewBox") == before.get("viewBox")


def test_markers_stand_where_they_stood() -> None:
    inlined, compact = draw()
    before = ElementTree.fromstring(inlined)
    shape = next(path.get("id") for path in before.iter("path") if "C" in path.get("d", ""))
    uses = [use for use in before.iter("use") if use.get("href") == f"#{shape}"]
    after = ElementTree.fromstring(compact[: compact.rindex("</svg>") + 6])
    lines = [path for path in after.iter("path") if path.get("class") == "marks"]
    points = [point for line in lines for part in read_path(line.get("d", "")) for point in part]
    expected = [(float(use.get("x", 0)), float(use.get("y", 0))) for use in uses]
    assert len(expected) == 8
    np.testing.assert_allclose(points, expected, atol=0.051)
    names = {marker.get("id") for marker in after.iter("marker")}
    assert {re.findall(r"#([^)]*)", line.get("style", ""))[0] for line in lines} == names


def test_every_reference_is_found() -> None:
    _, compact = draw()
    root = ElementTree.fromstring(compact[: compact.rindex("</svg>") + 6])
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    used = set(re.findall(r"url\(#([^)]*)\)", compact)) | set(re.findall(r'href="#([^"]*)"', compact))
    assert len(identifiers) == len(set(identifiers))
    assert used == set(identifiers)
    classes = {element.get("class") for element in root.iter() if element.get("class")}
    assert all(f".{name}{{" in compact for name in classes)


def test_several_figures_share_styles_but_no_identifiers() -> None:
    inlined, _ = draw()
    styles = FigureStyles()
    first, second = styles.compact(inlined), styles.compact(inlined)
    found = [set(re.findall(r' id="([^"]*)"', text)) for text in (first, second)]
    assert not found[0] & found[1]
    assert set(re.findall(r'class="([^"]*)"', first)) == set(re.findall(r'class="([^"]*)"', second))


def test_a_picture_keeps_its_colors() -> None:
    colors = np.zeros((16, 16, 4), dtype=np.uint8)
    colors[..., 0], colors[..., 3] = np.arange(256).reshape(16, 16), 255
    written = io.BytesIO()
    Image.fromarray(np.kron(colors, np.ones((8, 8, 1), dtype=np.uint8))).save(written, format="png", compress_level=0)
    data = PNG_DATA + base64.b64encode(written.getvalue()).decode()
    smaller = compact_image(data)
    assert len(smaller) < 0.5 * len(data)
    picture = Image.open(io.BytesIO(base64.b64decode(smaller.removeprefix(PNG_DATA)))).convert("RGB")
    np.testing.assert_array_equal(np.asarray(picture)[::8, ::8, 0], colors[..., 0])
    assert compact_image("#elsewhere") == "#elsewhere"
