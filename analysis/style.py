"""Style of all figures: the theme, a line style and a family for each architecture, and saving as SVG, PNG and PDF."""

import hashlib
import io
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from analysis import palettes
from architectures.suggest import did_you_mean
from workbench.errors import UserError
from workbench.files import atomic_path, write_text

DashPattern = tuple[float, tuple[float, ...]]
"""A line style of matplotlib: offset, and lengths of dashes and gaps."""

SOLID: DashPattern = (0, ())
DASHED: DashPattern = (0, (5, 1.6))
DOTTED: DashPattern = (0, (1.2, 1.2))
LONG: DashPattern = (0, (9, 2))
DASH_DOT: DashPattern = (0, (6, 1.6, 1.2, 1.6))

TEXT_COLOR = "#1b1f24"
"""Color of text and axes, on white."""
AID_COLOR = "#6b7280"
"""Color of aids to the eye, such as the lines that lead to labels."""
REFERENCE_COLOR = "#c8cdd4"
"""Color of curves that are there for reference only: lighter than any architecture's."""

THEME: Mapping[str, Any] = {
    "svg.fonttype": "none",
    # TrueType: text in a PDF can be searched and copied, and publishers take it.
    "pdf.fonttype": 42,
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3.5,
    "ytick.major.size": 3.5,
    "ytick.minor.size": 2,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "ytick.minor.width": 0.6,
    "font.family": "sans-serif",
    "text.color": TEXT_COLOR,
    "axes.labelcolor": TEXT_COLOR,
    "axes.edgecolor": AID_COLOR,
    "xtick.color": TEXT_COLOR,
    "ytick.color": TEXT_COLOR,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.markersize": 6,
    "lines.markeredgewidth": 0.7,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
}
"""Settings of matplotlib, over those of seaborn."""
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""Turns off the metadata that matplotlib writes into an SVG: the date alone would make any two files differ."""
NO_PDF_METADATA = {"CreationDate": None, "Creator": None, "Producer": None}
"""The same for a PDF."""

FORMATS = ("svg", "png", "pdf")
"""Formats that figures can be saved in."""
DEFAULT_FORMATS = ("svg", "png")
_formats: ContextVar[tuple[str, ...]] = ContextVar("formats", default=DEFAULT_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStyle:
    """Line and marker of an architecture, distinct in color and in greyscale."""

    color: str
    dash: DashPattern
    marker: str
    hollow: bool = False
    """True for a white marker with a colored edge."""

    def plot_keywords(self) -> dict[str, Any]:
        """Returns the keyword arguments of `Axes.plot`."""
        return {
            "color": self.color,
            "linestyle": self.dash,
            "marker": self.marker,
            "markerfacecolor": "white" if self.hollow else self.color,
            "markeredgecolor": self.color if self.hollow else "white",
        }


LINE_STYLES: Mapping[str, LineStyle] = {
    "rnn": LineStyle(color="#6d6d6d", dash=DOTTED, marker="X"),
    "lstm": LineStyle(color="#003e7f", dash=SOLID, marker="s"),
    "lstm-peephole": LineStyle(color="#003e7f", dash=DASHED, marker="1", hollow=True),
    "lstm-coupled": LineStyle(color="#003e7f", dash=DASH_DOT, marker="2", hollow=True),
    "lstm-layernorm": LineStyle(color="#003e7f", dash=LONG, marker="3", hollow=True),
    "lstm-mi": LineStyle(color="#003e7f", dash=DOTTED, marker="4", hollow=True),
    "depth-gated-lstm": LineStyle(color="#003e7f", dash=SOLID, marker="+", hollow=True),
    "grid-lstm": LineStyle(color="#003e7f", dash=LONG, marker="+", hollow=True),
    "gru": LineStyle(color="#6d7aff", dash=DASHED, marker="D"),
    "mut1": LineStyle(color="#6d7aff", dash=SOLID, marker="1", hollow=True),
    "mut2": LineStyle(color="#6d7aff", dash=SOLID, marker="2", hollow=True),
    "mut3": LineStyle(color="#6d7aff", dash=SOLID, marker="3", hollow=True),
    "rhn": LineStyle(color="#6d7aff", dash=DASH_DOT, marker="+", hollow=True),
    "mrnn": LineStyle(color="#6d6d6d", dash=DASHED, marker="+", hollow=True),
    "clockwork-rnn": LineStyle(color="#6d6d6d", dash=SOLID, marker="4", hollow=True),
    "rwa": LineStyle(color="#14a963", dash=SOLID, marker="^"),
    "rda": LineStyle(color="#af4721", dash=SOLID, marker="o"),
    "rda-exp-tanh": LineStyle(color="#571f07", dash=DASHED, marker="v"),
    "rda-sigmoid-id": LineStyle(color="#c08c00", dash=DASH_DOT, marker="<"),
    "slstm": LineStyle(color="#af4721", dash=DASHED, marker="x", hollow=True),
    "mingru": LineStyle(color="#6d7aff", dash=LONG, marker="x", hollow=True),
    "minlstm": LineStyle(color="#003e7f", dash=DOTTED, marker="x", hollow=True),
    "lru": LineStyle(color="#6d6d6d", dash=SOLID, marker="x", hollow=True),
    "s4d": LineStyle(color="#6d6d6d", dash=DASH_DOT, marker="x", hollow=True),
    "rnn-attention": LineStyle(color="#e05ec4", dash=DOTTED, marker="1", hollow=True),
    "act": LineStyle(color="#6d7aff", dash=LONG, marker="4", hollow=True),
    "ntm": LineStyle(color="#003e7f", dash=DASHED, marker="4", hollow=True),
    "bidirectional": LineStyle(color="#003e7f", dash=DOTTED, marker="+", hollow=True),
    "seq2seq": LineStyle(color="#e05ec4", dash=DOTTED, marker="2", hollow=True),
    "seq2seq-fixed": LineStyle(color="#e05ec4", dash=DOTTED, marker="3", hollow=True),
    "tcn": LineStyle(color="#111111", dash=LONG, marker="P"),
    "han": LineStyle(color="#e05ec4", dash=SOLID, marker="p"),
    "han-memory": LineStyle(color="#e05ec4", dash=DASHED, marker="3", hollow=True),
    "han-bidirectional": LineStyle(color="#5f0cb3", dash=DASH_DOT, marker="h"),
    "transformer": LineStyle(color="#e05ec4", dash=SOLID, marker="|", hollow=True),
    "fox": LineStyle(color="#e05ec4", dash=DASHED, marker="|", hollow=True),
    "linear-attention": LineStyle(color="#1010f0", dash=DOTTED, marker="_", hollow=True),
    "retnet": LineStyle(color="#1010f0", dash=DASH_DOT, marker="_", hollow=True),
    "mlstm": LineStyle(color="#1010f0", dash=LONG, marker="_", hollow=True),
    "mamba2": LineStyle(color="#1010f0", dash=SOLID, marker="_", hollow=True),
    "gated-deltanet": LineStyle(color="#1010f0", dash=DASHED, marker="_", hollow=True),
}
"""The architectures of the catalogue, in its order. Colors are far apart in CIELAB space, also for color-blind people,
and have a contrast of 3:1 or more against white. Relatives of an architecture share its color, and differ in marker
and dash: more colors could not be told apart. Markers of mere lines are hollow, as their edge is all there is."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "recurrent": ("rnn", "mrnn", "clockwork-rnn", "lru", "s4d"),
    "gated": (
        *("lstm", "lstm-peephole", "lstm-coupled", "lstm-layernorm", "lstm-mi", "depth-gated-lstm", "grid-lstm"),
        *("gru", "mut1", "mut2", "mut3", "rhn"),
        *("mingru", "minlstm"),
        *("act", "ntm", "bidirectional"),
    ),
    "averaging": ("rwa", "rda", "rda-exp-tanh", "rda-sigmoid-id", "slstm"),
    "convolutional": ("tcn",),
    "attention": (
        *("rnn-attention", "seq2seq", "seq2seq-fixed", "han", "han-memory", "han-bidirectional", "transformer", "fox"),
        *("linear-attention", "retnet", "mlstm", "mamba2", "gated-deltanet"),
    ),
}
"""The architectures of the catalogue by the mechanism that remembers. A new one has its place here, too."""
CUSTOM_FAMILY = "custom"
"""Family of all architectures that are not in the catalogue."""

DASHES = (SOLID, DASHED, DASH_DOT, LONG, DOTTED)

# For custom architectures; every combination of dash and marker is used before one returns.
CUSTOM_COLORS = ("#00728d", "#ff4b9c", "#744d3a", "#5b31fa", "#9e3ab9", "#2e003a")
CUSTOM_MARKERS = (">", "*", "d", "8", "H")
CUSTOM_CYCLE = len(DASHES) * len(CUSTOM_MARKERS)


def line_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """Returns a line style for each architecture of a report, no two alike (for up to 150 custom architectures).

    Those of the catalogue have fixed styles. A custom one gets the style that the hash of its name selects, or the next
    free one. Another palette than the project's own (`palettes.use_palette`) changes colors only. Pass all names of a
    report together, so that each has the same style in all figures.
    """
    distinct = set(names)
    known = [name for name in LINE_STYLES if name in distinct]
    custom = sorted(distinct - {*known})
    colors = palettes.current_colors()
    if colors is None:
        return {name: LINE_STYLES[name] for name in known} | custom_line_styles(custom, CUSTOM_COLORS)
    order = list(LINE_STYLES)
    shared = palettes.share_colors([order.index(name) for name in known], colors)
    styles = {name: replace(LINE_STYLES[name], color=color) for name, color in zip(known, shared, strict=True)}
    free = [color for color in colors if color not in shared]
    return styles | custom_line_styles(custom, free or colors)


def custom_line_styles(names: Sequence[str], colors: Sequence[str]) -> dict[str, LineStyle]:
    """Returns a line style for each custom architecture; all colors are used before any returns with another marker.

    Args:
        names: the architectures, sorted.
        colors: the colors to choose from.
    """
    styles: dict[str, LineStyle] = {}
    used_slots: set[int] = set()
    for name in names:
        start = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") % len(colors)
        slots = (
            len(colors) * lap + (start + shift) % len(colors)
            for lap in range(CUSTOM_CYCLE)
            for shift in range(len(colors))
        )
        slot = next((slot for slot in slots if slot not in used_slots), start)
        used_slots.add(slot)
        lap, color = divmod(slot, len(colors))
        styles[name] = LineStyle(
            color=colors[color],
            dash=DASHES[(lap + 1) % len(DASHES)],
            marker=CUSTOM_MARKERS[(lap + lap // len(DASHES)) % len(CUSTOM_MARKERS)],
        )
    return styles


def family(name: str) -> str:
    """Returns the family of an architecture: one of `FAMILIES`, or `CUSTOM_FAMILY`."""
    return next((family for family, members in FAMILIES.items() if name in members), CUSTOM_FAMILY)


def in_family_order(families: Collection[str]) -> list[str]:
    """Returns each of some families once, in the order of `FAMILIES`."""
    return [name for name in (*FAMILIES, CUSTOM_FAMILY) if name in families]


def restyled(style: LineStyle, index: int, colors: Sequence[str] = ()) -> LineStyle:
    """Returns a variant of a style, for other options of the same architecture.

    Args:
        style: the architecture's style, whose marker the variant keeps, and its color, unless there are others.
        index: number of the variant; 0 is the style itself, odd ones have hollow markers.
        colors: those of the variants, see `variant_colors`.
    """
    dash = DASHES[(DASHES.index(style.dash) + index) % len(DASHES)]
    color = colors[index % len(colors)] if colors else style.color
    # A marker without a face, such as +, is seen by its edge alone.
    return replace(style, color=color, dash=dash, hollow=style.hollow or index % 2 == 1)


def variant_colors(style: LineStyle) -> tuple[str, ...]:
    """Returns colors for the variants of an architecture that no other one is beside: its own, then all others."""
    colors = palettes.current_colors() or tuple(style.color for style in LINE_STYLES.values())
    return tuple(dict.fromkeys((style.color, *colors)))


@contextmanager
def theme() -> Iterator[None]:
    """Applies the theme; wraps all code that draws a figure."""
    with mpl.rc_context(), warnings.catch_warnings():
        # A user's name may be in a script that the font lacks; the SVG has the text anyway.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # A personal matplotlibrc must not change the figures.
        mpl.rcdefaults()
        settings: dict[Any, Any] = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **THEME}
        mpl.rcParams.update(settings)
        yield


def parse_formats(text: str) -> tuple[str, ...]:
    """Returns formats of figures from a text such as `svg,pdf`, in the order of `FORMATS`.

    Raises:
        UserError: if one is unknown, or none is named.
    """
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in wanted:
        if name not in FORMATS:
            raise UserError(f"unknown format {name!r}{did_you_mean(name, FORMATS)}")
    if not wanted:
        raise UserError(f"name a format of figures: {', '.join(FORMATS)}, or several with commas between them")
    return tuple(name for name in FORMATS if name in wanted)


@contextmanager
def use_formats(formats: Sequence[str]) -> Iterator[None]:
    """Saves every figure within in these of `FORMATS`, instead of SVG and PNG."""
    token = _formats.set(tuple(formats))
    try:
        yield
    finally:
        _formats.reset(token)


def current_formats() -> tuple[str, ...]:
    """Returns the formats that figures are saved in."""
    return _formats.get()


def save_figure(figure: Figure, folder: Path, name: str) -> str:
    """Writes `folder/name.svg` and `folder/name.png`, or what `use_formats` says; creates the folder if needed.

    Each file is written atomically.

    Returns:
        The SVG, written or not: the same figure gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    formats = current_formats()
    for suffix in formats:
        if suffix != "svg":
            with theme(), atomic_path(folder / f"{name}.{suffix}") as temporary:
                metadata = NO_PDF_METADATA if suffix == "pdf" else None
                figure.savefig(temporary, format=suffix, dpi=200, metadata=metadata)
    return save_svg(figure, folder, name) if "svg" in formats else render_svg(figure, name)


def save_svg(figure: Figure, folder: Path, name: str) -> str:
    """Writes `folder/name.svg`, atomically; the folder has to exist.

    Returns:
        The SVG: the same figure gives the same bytes.
    """
    text = render_svg(figure, name)
    write_text(folder / f"{name}.svg", text)
    return text


def render_svg(figure: Figure, name: str) -> str:
    """Returns a figure as SVG; the name keeps its identifiers apart from those of other figures."""
    svg = io.StringIO()
    with theme(), mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(svg, format="svg", metadata=NO_METADATA)
    return svg.getvalue()
