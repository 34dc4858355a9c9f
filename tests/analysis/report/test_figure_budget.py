"""Figures within a budget of bytes."""

import base64
import json
import zlib

from markupsafe import Markup

from analysis.report.blocks import Figure
from analysis.report.figure_budget import FigureBudget, pack, place_figures


def figure(name: str, size: int = 400) -> Figure:
    svg = f'<svg viewBox="0 0 1 1"><g id="{name}-figure_1"><text>{"x" * size}</text></g></svg>'
    return Figure(svg=Markup(svg), caption=f"about {name}")


def test_headline_figures_come_first_and_the_rest_is_packed_or_left_in_files() -> None:
    heads, rests = [figure("a"), figure("b")], [figure("c"), figure("d"), figure("e")]
    budget = FigureBudget(plain=1000, packed=1000)
    files = ["a.svg", "a.png", "a.pdf", "e.png", "b.txt"]
    placed = place_figures(heads, rests, files, budget)
    assert [placed[id(each)].svg is not None for each in (*heads, *rests)] == [True, True, False, False, False]
    assert [placed[id(each)].index for each in (*heads, *rests)] == [None, None, 0, 1, None]
    assert placed[id(heads[0])].files == (
        ("SVG", "figures/a.svg"),
        ("PNG", "figures/a.png"),
        ("PDF", "figures/a.pdf"),
    )
    assert placed[id(rests[2])].files == (("PNG", "figures/e.png"),)
    assert placed[id(heads[1])].files == ()
    assert len(budget.drawings) == 2


def test_packed_drawings_are_read_back() -> None:
    texts = ["<svg>\u00b1</svg>", "two"]
    assert json.loads(zlib.decompress(base64.b64decode(pack(texts)), -zlib.MAX_WBITS)) == texts
    assert pack([]) == ""
