"""The one look of every figure: theme, a fixed colour, line and marker for each architecture, and how one is saved."""

import hashlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from workbench.files import atomic_path, write_text

Dash = tuple[float, tuple[float, ...]]

SOLID: Dash = (0, ())
DASHED: Dash = (0, (5, 1.6))
DOTTED: Dash = (0, (1.2, 1.2))
LONG: Dash = (0, (9, 2))
DASH_DOT: Dash = (0, (6, 1.6, 1.2, 1.6))

INK = "#1b1f24"
"""Of text and axes, on white."""
FAINT = "#6b7280"
"""Of what is only an aid: grids, leaders."""

THEME: Mapping[str, Any] = {
    "svg.fonttype": "none",
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
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
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
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""What matplotlib would write into an SVG; the date alone makes any two differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStyle:
    """How an architecture is drawn, in colour and in grey."""

    colour: str
    dash: Dash
    marker: str
    hollow: bool = False

    def line(self) -> dict[str, Any]:
        """The keywords of `Axes.plot`."""
        return {
            "color": self.colour,
            "linestyle": self.dash,
            "marker": self.marker,
            "markerfacecolor": "white" if self.hollow else self.colour,
            "markeredgecolor": self.colour if self.hollow else "white",
        }


LINE_STYLES: Mapping[str, LineStyle] = {
    "rnn": LineStyle(colour="#6d6d6d", dash=DOTTED, marker="X"),
    "lstm": LineStyle(colour="#003e7f", dash=SOLID, marker="s"),
    "gru": LineStyle(colour="#6d7aff", dash=DASHED, marker="D"),
    "rwa": LineStyle(colour="#14a963", dash=SOLID, marker="^"),
    "rda": LineStyle(colour="#af4721", dash=SOLID, marker="o"),
    "rda-exp-tanh": LineStyle(colour="#571f07", dash=DASHED, marker="v"),
    "rda-sigmoid-id": LineStyle(colour="#c08c00", dash=DASH_DOT, marker="<"),
    "tcn": LineStyle(colour="#111111", dash=LONG, marker="P"),
    "han": LineStyle(colour="#e05ec4", dash=SOLID, marker="p"),
    "han-bidirectional": LineStyle(colour="#5f0cb3", dash=DASH_DOT, marker="h"),
}
"""In the catalogue's order. Far apart in the CIELAB space, for the colour-blind too; 3:1 or more against white."""

DASHES = (SOLID, DASHED, DASH_DOT, LONG, DOTTED)
CUSTOM_COLORS = ("#00728d", "#ff4b9c", "#744d3a", "#5b31fa", "#9e3ab9", "#2e003a")
CUSTOM_MARKERS = (">", "*", "d", "8", "H")
CUSTOM_CYCLE = len(DASHES) * len(CUSTOM_MARKERS)


def line_styles(names: Iterable[str]) -> dict[str, LineStyle]:
    """A look for each architecture of a report, no two alike (up to 150 of the user's own).

    Those of the catalogue have their own. One brought by the user gets what the hash of its name points at, or the next
    that is free; all names of a report have to be given together, so that each looks the same in all its figures.
    """
    made: dict[str, LineStyle] = {}
    taken: set[int] = set()
    for name in sorted(set(names)):
        if name in LINE_STYLES:
            made[name] = LINE_STYLES[name]
            continue
        colours = len(CUSTOM_COLORS)
        start = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") % colours
        # Every colour is used before one is used again with another dash and marker.
        order = (colours * lap + (start + shift) % colours for lap in range(CUSTOM_CYCLE) for shift in range(colours))
        slot = next((number for number in order if number not in taken), start)
        taken.add(slot)
        lap, colour = divmod(slot, colours)
        made[name] = LineStyle(
            colour=CUSTOM_COLORS[colour],
            dash=DASHES[(lap + 1) % len(DASHES)],
            marker=CUSTOM_MARKERS[(lap + lap // len(DASHES)) % len(CUSTOM_MARKERS)],
        )
    return made


def restyled(look: LineStyle, index: int) -> LineStyle:
    """The look of the same architecture with other options: its colour and marker, with another dash and filling."""
    dash = DASHES[(DASHES.index(look.dash) + index) % len(DASHES)]
    return replace(look, dash=dash, hollow=index % 2 == 1)


@contextmanager
def theme() -> Iterator[None]:
    """The theme, for as long as the context lasts; to be on while a figure is drawn."""
    with mpl.rc_context(), warnings.catch_warnings():
        # A user's name may be in a script that the font lacks; the SVG has it all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # A personal matplotlibrc must not change the figures.
        mpl.rcdefaults()
        chosen: dict[Any, Any] = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **THEME}
        mpl.rcParams.update(chosen)
        yield


def save(figure: Figure, folder: Path, name: str) -> str:
    """Writes `folder/name.svg` and `folder/name.png`, each whole or not at all.

    Returns:
        The SVG: the same figure gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with theme(), atomic_path(folder / f"{name}.png") as aside:
        figure.savefig(aside, format="png", dpi=200)
    return save_svg(figure, folder, name)


def save_svg(figure: Figure, folder: Path, name: str) -> str:
    """Writes `folder/name.svg`, whole or not at all, in a folder that is there.

    Returns:
        The SVG: the same figure gives the same bytes.
    """
    svg = io.StringIO()
    with theme(), mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(svg, format="svg", metadata=NO_METADATA)
    write_text(folder / f"{name}.svg", svg.getvalue())
    return svg.getvalue()
