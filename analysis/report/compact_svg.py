"""Figures of matplotlib, rewritten in a fraction of the bytes for the page that they are inlined in.

The drawing stays the same to a tenth of a point: groups without attributes are dissolved, coordinates are rounded,
polylines lose the points that lie on the line between their neighbours, and styles that many elements share become
classes of one style sheet. The files in `figures/` are left as they are.
"""

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup
from PIL import Image

DECIMALS = 1
"""Decimals of coordinates, in points."""
TOLERANCE = 0.25
"""Points of a line that are closer than this to the line without them are left out; in points."""
BAND_TOLERANCE = 0.5
"""The same for the edges of a band, which are faint."""
FONT_FAMILY = re.compile(r"\s*font-family:[^;]*;?")
NO_ROTATION = re.compile(r"^rotate\(-?0 [^)]*\)$")
PATH_TOKEN = re.compile(r"[MLQCzZ]|-?[0-9.]+(?:e[-+]?[0-9]+)?")
AXIS_LINE = re.compile(r"M ([-0-9.]+) ([-0-9.]+)\s+L (?:\1 [-0-9.]+|[-0-9.]+ \2)")
"""A single line along an axis."""
PNG_DATA = "data:image/png;base64,"
ROOT_GROUP = "-figure_1"
"""End of the identifier of matplotlib's outermost group; what stands before it is the name of the figure."""
MARKER_LINE = "marks"
"""Class of the invisible lines that markers stand on."""
MARKER_RULES = (f".{MARKER_LINE}{{fill:none;stroke:none}}", "marker{overflow:visible}")
COORDINATES = ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "r", "cx", "cy")
STYLED = ("path", "use", "text", "rect", "g", "image", "tspan")

Point = tuple[float, float]


@dataclass(slots=True)
class FigureStyles:
    """The styles of all figures of a page, each with the name of its class."""

    classes: dict[str, str] = field(default_factory=dict)
    num_figures: int = 0

    def compact(self, svg: Markup) -> Markup:
        """Returns a figure (`analysis.report.output_files.inline_svg`) in fewer bytes, to be shown with `css`."""
        root = ElementTree.fromstring(svg)
        prefix = f"f{self.num_figures}-"
        self.num_figures += 1
        dissolve_groups(root, referenced_ids(root))
        merge_strokes(root)
        string_markers(root)
        drop_empty(root)
        shorten_ids(root, prefix)
        for element in root.iter():
            compact_element(element)
            style = element.get("style")
            if style and element is not root and element.tag in STYLED and element.get("class") != MARKER_LINE:
                element.set("class", self.classes.setdefault(style, f"k{len(self.classes)}"))
                del element.attrib["style"]
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    @property
    def css(self) -> Markup:
        """The style sheet of the figures that were compacted so far."""
        # The declarations are matplotlib's own; names of users are texts in a figure, never part of a style.
        rules = (f".{name}{{{style}}}" for style, name in self.classes.items() if not set(style) & set("<>{}"))
        return Markup("\n".join((*MARKER_RULES, *rules)))


def figure_name(svg: str) -> str:
    """Returns the name of a figure's files, which its identifiers begin with; empty if it is none of matplotlib's."""
    found = re.search(rf'id="([^"]*){ROOT_GROUP}"', svg)
    return found[1] if found else ""


def referenced_ids(root: Element) -> set[str]:
    """Returns the identifiers that something in a figure refers to."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    values += [f"url(#{element.get('data-marker')})" for element in root.iter() if element.get("data-marker")]
    return {name for value in values for name in re.findall(r"url\(#([^)]*)\)", value)} | {
        value[1:] for element in root.iter() if (value := element.get("href", "")).startswith("#")
    }


def dissolve_groups(parent: Element, kept: set[str]) -> None:
    """Removes identifiers that nothing refers to, blank text, and groups that then have no attribute."""
    children: list[Element] = []
    for child in list(parent):
        dissolve_groups(child, kept)
        child.tail = None
        if child.get("id") is not None and child.get("id") not in kept:
            del child.attrib["id"]
        if len(child) and not (child.text or "").strip():
            child.text = None
        if child.tag == "g" and not child.attrib:
            children += list(child)
        elif child.tag != "g" or len(child):
            children.append(child)
    for child in list(parent):
        parent.remove(child)
    parent.extend(children)
    if len(parent) and not (parent.text or "").strip():
        parent.text = None


def shorten_ids(root: Element, prefix: str) -> None:
    """Renames the identifiers of a figure to a prefix and a number."""
    names = [element.get("id", "") for element in root.iter() if element.get("id")]
    new = {name: f"{prefix}{index}" for index, name in enumerate(names)}
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id" or key == "data-marker":
                element.set(key, new[value])
            elif key == "href" and value.startswith("#"):
                element.set(key, f"#{new.get(value[1:], value[1:])}")
            elif "url(#" in value:
                element.set(
                    key, re.sub(r"url\(#([^)]*)\)", lambda found: f"url(#{new.get(found[1], found[1])})", value)
                )


def merge_strokes(root: Element) -> None:
    """Merges what is drawn stroke by stroke: the ticks of an axis, and grid lines of the same style.

    A tick is a `use` of an open line. All of a kind become one path, in the place of the first.
    """
    ticks = {
        f"#{path.get('id')}": path.get("d", "")
        for path in root.iter("path")
        if path.get("id") and re.fullmatch(r"M 0 0 L [-0-9. ]+", " ".join(path.get("d", "").split()))
    }
    merged: dict[tuple[str, ...], Element] = {}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "use" and child.get("href") in ticks:
                stroke = shift_path(ticks[child.get("href", "")], float(child.get("x", 0)), float(child.get("y", 0)))
                key = ("tick", child.get("href", ""), child.get("style", ""))
            elif child.tag == "path" and AXIS_LINE.fullmatch(child.get("d", "").strip()) and not child.get("id"):
                stroke = child.get("d", "")
                key = ("line", child.get("clip-path", ""), child.get("style", ""))
            else:
                continue
            if key in merged:
                merged[key].set("d", f"{merged[key].get('d')} {stroke}")
                parent.remove(child)
            else:
                child.tag = "path"
                for name in ("x", "y", "href"):
                    child.attrib.pop(name, None)
                child.set("d", stroke)
                merged[key] = child


def string_markers(root: Element) -> None:
    """Draws the markers of a curve as those of one invisible line, a point each, instead of an element each.

    A run of `use` elements with the same shape and style becomes a path whose vertices all have an SVG `marker`. A
    shape that is used only once, such as the band of a curve, is drawn in its place.
    """
    shapes = {f"#{path.get('id')}": path for path in root.iter("path") if path.get("id")}
    uses = Counter(element.get("href", "") for element in root.iter("use"))
    names: dict[tuple[str, str], str] = {}
    for parent in list(root.iter()):
        children: list[Element] = []
        run: tuple[str, str] | None = None
        for child in list(parent):
            parent.remove(child)
            key = (child.get("href", ""), child.get("style", ""))
            if child.tag != "use" or key[0] not in shapes:
                run = None
                children.append(child)
            elif uses[key[0]] == 1:
                run = None
                x, y = float(child.get("x", 0)), float(child.get("y", 0))
                style = merge_styles(key[1], shapes[key[0]].get("style", ""))
                children.append(Element("path", {"d": shift_path(shapes[key[0]].get("d", ""), x, y), "style": style}))
            elif key == run:
                children[-1].set("d", f"{children[-1].get('d')} L {child.get('x', '0')} {child.get('y', '0')}")
            else:
                run = key
                if key not in names:
                    names[key] = f"{key[0][1:]}-{len(names)}"
                    children.append(define_marker(shapes[key[0]], key[1], names[key]))
                start = f"M {child.get('x', '0')} {child.get('y', '0')}"
                children.append(Element("path", {"d": start, "data-marker": names[key]}))
        parent.extend(children)
    kept = referenced_ids(root)
    for definitions in list(root.iter("defs")):
        for shape in list(definitions):
            if shape.tag == "path" and shape.get("id") not in kept:
                definitions.remove(shape)


def define_marker(shape: Element, style: str, name: str) -> Element:
    """Returns the definition of a marker that has a shape, with the style that a `use` of it has."""
    marker = Element("marker", {"id": name})
    merged = merge_styles(style, shape.get("style", ""))
    marker.append(Element("path", {"d": shape.get("d", ""), "style": merged, "data-fine": "1"}))
    return marker


def merge_styles(inherited: str, own: str) -> str:
    """Returns the style of a shape that inherits another one: its own declarations win."""
    pairs = (part.partition(":") for part in f"{inherited};{own}".split(";") if part.strip())
    return "; ".join(
        f"{name}: {value}" for name, value in {key.strip(): text.strip() for key, _, text in pairs}.items()
    )


def shift_path(path: str, x: float, y: float) -> str:
    """Returns a path of absolute commands, moved."""
    shifted, index = [], 0
    for token in PATH_TOKEN.findall(path):
        if token.isalpha():
            shifted.append(token)
        else:
            shifted.append(f"{float(token) + (y if index % 2 else x):.6f}")
            index += 1
    return " ".join(shifted)


def drop_empty(root: Element) -> None:
    """Removes definitions that nothing is left of."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "defs" and not len(child):
                parent.remove(child)


def compact_image(data: str) -> str:
    """Returns a PNG picture, as the address that holds its data, with a palette if it is opaque.

    A heat map has the 256 colors of its color map, so that nothing is lost.
    """
    if not data.startswith(PNG_DATA):
        return data
    picture = Image.open(io.BytesIO(base64.b64decode(data.removeprefix(PNG_DATA))))
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
        return data
    written = io.BytesIO()
    picture.convert("RGB").quantize(256).save(written, format="png", optimize=True)
    smaller = PNG_DATA + base64.b64encode(written.getvalue()).decode("ascii")
    return min(smaller, data, key=len)


def compact_element(element: Element) -> None:
    """Rounds the coordinates of an element, and drops what has no effect on it."""
    for key in COORDINATES:
        value = element.get(key)
        if value is not None and re.fullmatch(r"-?[0-9.]+(?:e[-+]?[0-9]+)?", value):
            element.set(key, format_coordinate(float(value)))
    if (path := element.get("d")) is not None:
        # Markers are a few points wide, and need one more decimal.
        is_shape = element.get("id") is not None or element.attrib.pop("data-fine", None) is not None
        name = element.attrib.pop("data-marker", None)
        tolerance = TOLERANCE if "fill:none" in element.get("style", "").replace(" ", "") else BAND_TOLERANCE
        decimals, tolerance = (DECIMALS + 1, 0.0) if is_shape else (DECIMALS, 0.0 if name else tolerance)
        element.set("d", compact_path(path, decimals, tolerance, keep_points=name is not None))
        if name is not None:
            element.attrib |= {"style": f"marker:url(#{name})", "class": MARKER_LINE}
    if element.tag == "image":
        element.set("href", compact_image("".join(element.get("href", "").split())))
    if NO_ROTATION.match(element.get("transform", "")):
        del element.attrib["transform"]
    if (style := element.get("style")) is not None and element.tag != "svg":
        element.set("style", re.sub(r"\s*([:;])\s*", r"\1", FONT_FAMILY.sub("", style)).strip(";"))


def compact_path(path: str, decimals: int, tolerance: float, keep_points: bool = False) -> str:
    """Returns the data of a path with relative, rounded coordinates; polylines lose points within the tolerance.

    Curves and unknown commands are kept, with rounded coordinates.

    Args:
        path: the data, of absolute commands.
        decimals: decimals of the coordinates.
        tolerance: how far a polyline may be from what it was.
        keep_points: whether every point is kept, even one that is the same as the one before.
    """
    tokens = PATH_TOKEN.findall(path)
    if set(re.findall(r"[A-Za-z]", re.sub(r"e[-+]?[0-9]+", "", path))) - set("MLz"):
        return join_tokens(
            [token if token.isalpha() else format_coordinate(float(token), decimals) for token in tokens]
        )
    lines: list[tuple[list[Point], bool]] = []
    numbers: list[float] = []
    for token in tokens:
        if token == "M":
            lines.append(([], False))
        elif token == "z":
            lines[-1] = (lines[-1][0], True)
        elif token != "L":
            numbers.append(float(token))
            if len(numbers) == 2:
                lines[-1][0].append((numbers[0], numbers[1]))
                numbers = []
    return "".join(
        format_polyline(simplify(points, tolerance), closed, decimals, keep_points) for points, closed in lines
    )


def simplify(points: Sequence[Point], tolerance: float) -> list[Point]:
    """Returns the points of a polyline that it needs to stay within a tolerance (Ramer, Douglas and Peucker)."""
    if tolerance <= 0 or len(points) < 3:
        return list(points)
    keep = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        distances = [distance(points[index], points[first], points[last]) for index in range(first + 1, last)]
        if distances and max(distances) > tolerance:
            farthest = first + 1 + distances.index(max(distances))
            keep.add(farthest)
            spans += [(first, farthest), (farthest, last)]
    return [points[index] for index in sorted(keep)]


def distance(point: Point, start: Point, end: Point) -> float:
    """Returns the distance of a point from the line between two others."""
    (x, y), (x0, y0), (x1, y1) = point, start, end
    length = math.hypot(x1 - x0, y1 - y0)
    if length == 0:
        return math.hypot(x - x0, y - y0)
    share = min(1.0, max(0.0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length**2))
    return math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0))


def format_polyline(points: Sequence[Point], closed: bool, decimals: int, keep_points: bool = False) -> str:
    """Returns a polyline as path data: its start in absolute coordinates, each further point as a step."""
    if not points:
        return ""
    scale = 10**decimals
    # Steps are taken between rounded points, so that rounding does not add up along the line.
    rounded = [(round(x * scale), round(y * scale)) for x, y in points]
    texts = [
        f"M{format_coordinate(rounded[0][0] / scale, decimals)}",
        format_coordinate(rounded[0][1] / scale, decimals),
    ]
    steps = [(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise(rounded)]
    # A line of no length is kept: it is a dot where line ends are round.
    if not keep_points:
        steps = [step for step in steps if step != (0, 0)] or steps[:1]
    for x, y in steps:
        if y == 0:
            texts.append(f"h{format_coordinate(x / scale, decimals)}")
        elif x == 0:
            texts.append(f"v{format_coordinate(y / scale, decimals)}")
        else:
            texts += [f"l{format_coordinate(x / scale, decimals)}", format_coordinate(y / scale, decimals)]
    return join_tokens(texts) + ("z" if closed else "")


def join_tokens(texts: Sequence[str]) -> str:
    """Joins tokens of path data, with a space only where a number would otherwise run into the one before."""
    joined, command = "", ""
    for text in texts:
        if text[0] == command == "l":
            text = text[1:]
        elif text[0].isalpha():
            command = text[0]
        joined += f" {text}" if joined and joined[-1].isdigit() and text[0] in "0123456789." else text
    return joined


def format_coordinate(value: float, decimals: int = DECIMALS) -> str:
    """Returns a coordinate with at most this many decimals, without zeros that say nothing."""
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    text = re.sub(r"^(-?)0\.", r"\1.", text)
    return "0" if text in ("-0", "", "-") else text
