"""Heat maps: images of the right values, with nothing cut off."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import style
from analysis.figures.heatmaps import ColorScale, HeatmapRow, draw_heatmaps
from analysis.probes.result import Heatmap
from analysis.report import output_files

SCALES = (ColorScale(label="retention", low=0, high=1), ColorScale(label="write", low=1e-3, high=1, log=True))


def example_heatmap(rows: int = 48, columns: int = 160) -> Heatmap:
    # Similar to gates: a periodic pattern that differs between units, and some noise.
    noise = np.random.default_rng(0).random((rows, columns))
    values = 0.9 * (np.outer(1 + np.arange(rows) % 7, np.arange(columns)) % 20) / 20 + 0.1 * noise
    values[0, 0] = np.nan
    return Heatmap.from_arrays(
        values,
        rows=np.arange(1, rows + 1),
        columns=np.arange(1, columns + 1),
        row_name="unit, by mean retention",
        column_name="step",
        unit="share",
        what="a pattern",
    )


def visible_texts(figure: Figure) -> list[Text]:
    """Returns all texts that are drawn; of ticks, those within the limits of their axis."""
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [axes.title, getattr(axes, "_left_title"), axes.xaxis.label, axes.yaxis.label]  # noqa: B009
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
    return [text for text in texts if text.get_text()]


def test_nothing_overlaps_and_nothing_is_cut_off() -> None:
    figure = draw_heatmaps(
        [HeatmapRow(title=f"row {number}", heatmaps=(example_heatmap(), example_heatmap())) for number in range(6)],
        SCALES,
    )
    FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in visible_texts(figure)]
    assert {"row 0", "row 5", "step", "retention", "write", "unit, by mean retention", "0.001"} < {n for n, _ in boxes}
    for index, (name, box) in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, name
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, name
        for other, second in boxes[index + 1 :]:
            assert not box.overlaps(second), (name, other)
    for axes in figure.axes:
        for name, box in boxes:
            assert not box.shrunk(0.8, 0.8).overlaps(axes.get_window_extent()), name


def test_six_rows_stay_small_and_are_images(tmp_path: Path) -> None:
    figure = draw_heatmaps(
        [HeatmapRow(title=f"row {number}", heatmaps=(example_heatmap(), example_heatmap())) for number in range(6)],
        SCALES,
    )
    text = style.save_figure(figure, tmp_path, "heat")
    assert len(text) < 300_000
    inline = str(output_files.inline_svg(text, "heat", "a pattern"))
    assert inline.count("<image") == 14
    assert inline.count(' href="data:image/png') == 14
    assert "ns0:" not in inline
    assert style.save_figure(figure, tmp_path, "heat") == text


def test_values_have_their_places_and_colours() -> None:
    heatmap = Heatmap.from_arrays(
        [[0.0, 1.0], [0.5, 2.0]],
        rows=[1, 2],
        columns=[1.5, 3.5],
        row_name="unit",
        column_name="step",
        unit="share",
        what="four values",
    )
    figure = draw_heatmaps([HeatmapRow(title="one", heatmaps=(heatmap,))], SCALES[:1])
    image = figure.axes[0].images[0]
    assert list(image.get_extent()) == [0.5, 4.5, 0.5, 2.5]
    assert image.origin == "lower"
    colours = image.to_rgba(heatmap.to_array())
    assert colours[1, 1].tolist() == colours[0, 1].tolist() != colours[0, 0].tolist()


@pytest.mark.parametrize("missing", [0, 1])
def test_a_map_that_is_not_there_leaves_its_place_empty(missing: int) -> None:
    heatmaps = tuple(None if column == missing else example_heatmap(3, 4) for column in range(2))
    figure = draw_heatmaps([HeatmapRow(title="one", heatmaps=heatmaps)], SCALES)
    assert sum(bool(axes.images) for axes in figure.axes) == 1
    assert figure.axes[0].get_title(loc="left") == "one"
