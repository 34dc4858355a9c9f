"""Table, roofline and files of a profile, from invented times."""

import csv
import io
import re
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import architectures
from analysis.profile import machine, output, roofline
from analysis.profile.cases import BASELINE
from analysis.profile.flops import PassCost
from analysis.profile.machine import Peak
from analysis.profile.profiler import Profile, ProfileRow, Timing
from analysis.profile.settings import ProfileSettings
from analysis.statistics import median_interval, paired_ratio
from workbench.errors import UserError
from workbench.files import read_json, write_json

STEPS, BATCH = 200, 20
BASE = [0.004, 0.005, 0.0045, 0.006, 0.0041, 0.0042, 0.0052]


def example_timing(slower: float, amount: PassCost | None) -> Timing:
    seconds = [slower * second for second in BASE]
    return Timing(
        cost=amount,
        seconds=tuple(seconds),
        median_seconds=median_interval(seconds),
        ratio_to_baseline=paired_ratio(seconds, BASE),
    )


def example_row(name: str, index: int, length: int = STEPS, known: bool = True) -> ProfileRow:
    amount = PassCost(multiply_adds=50_000.0, numbers_moved=3000.0 * (1 + index % 3)) if known else None
    return ProfileRow(
        architecture=name,
        options={"hidden_size": 64},
        length=length,
        batch=BATCH,
        parameters=1_234_567,
        state_size=128,
        cost_source="formula" if known else None,
        # Neighbours differ by half a per cent: their labels would lie on top of one another.
        forward=example_timing(0.3 * (1 + 0.005 * index), amount),
        forward_backward=example_timing(1 + 0.005 * index, amount),
        peak_memory=(index + 1) * 2**20 if known else None,
        dtype="float32",
    )


def example_profile(lengths: tuple[int, ...] = (STEPS,), known: bool = True) -> Profile:
    names = [BASELINE, *architectures.names()]
    return Profile(
        settings=ProfileSettings(lengths=lengths, repeats=len(BASE)),
        machine={**machine.machine_info("cpu", ProfileSettings()), "processor": "A processor", "cores": 2},
        peak=Peak(gflops=180.0, memory=40.0, cache=150.0),
        memory_definition="bytes",
        rows=tuple(example_row(name, index, length, known) for length in lengths for index, name in enumerate(names)),
    )


def test_the_table_has_every_row_and_fits_into_a_hundred_columns() -> None:
    text = output.format_profile(example_profile((200, 1000)))
    assert max(map(len, text.splitlines())) <= 100
    for name in (BASELINE, *architectures.names()):
        # Three tables for each of two lengths.
        assert len(re.findall(rf"^{re.escape(name)}\s", text, re.MULTILINE)) == 6
    assert "A processor, 2 threads on 2 cores" in text
    assert "peak: 180 GFLOP/s (product), 40 GB/s (memory), 150 GB/s (cache)" in text
    assert "7 rounds" in text


def test_the_table_says_what_the_times_come_to() -> None:
    lines = output.format_profile(example_profile()).splitlines()
    both = lines[lines.index("200 steps: forward + backward") :]
    rnn = next(line for line in both if line.startswith("rnn"))
    # The median of BASE is 4.5 ms; of seven values, the first and the last are the ends of the 95 % interval.
    assert "4.52 [4.02, 6.03]" in rnn
    assert "22.6" in rnn  # µs a step
    assert "1.00 [1.00, 1.00]" in rnn  # 1.005 of the baseline, in every round
    # 2 x 50,000 x 200 x 20 operations in 4.5225 ms, and of 180 GFLOP/s.
    assert re.search(r"88\.4 +49 %$", rnn)


def test_unknown_values_are_left_out() -> None:
    unknown = example_profile(known=False)
    text = output.format_profile(unknown)
    assert "nan" not in text.lower()
    assert "None" not in text
    assert roofline.draw_roofline(unknown) is None


def test_an_interval_needs_six_rounds() -> None:
    assert output.format_median(median_interval([0.001, 0.002, 0.003]), 1e3) == "2.00"
    assert output.format_median(median_interval([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])) == "1.25 [1.00, 1.50]"


@pytest.mark.parametrize("lengths", [(200,), (200, 1000)])
def test_the_roofline_names_every_architecture_and_no_label_overlaps(lengths: tuple[int, ...]) -> None:
    profile = example_profile(lengths)
    figure = roofline.draw_roofline(profile)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    frame = figure.bbox
    assert len(figure.axes) == len(lengths)
    for axes in figure.axes:
        texts = [text for text in axes.texts if text.get_text()]
        names = {text.get_text() for text in texts}
        assert names >= {BASELINE, *architectures.names()}
        assert {"memory 40 GB/s", "cache 150 GB/s", "products 180 GFLOP/s"} <= names
        boxes = [text.get_window_extent() for text in texts]
        for one, other in combinations(boxes, 2):
            assert not one.overlaps(other)
        for box in [*boxes, axes.title.get_window_extent(), axes.xaxis.label.get_window_extent()]:
            assert frame.x0 <= box.x0
            assert box.x1 <= frame.x1
            assert frame.y0 <= box.y0
            assert box.y1 <= frame.y1


def test_every_point_of_the_roofline_is_inside_and_where_it_belongs() -> None:
    profile = example_profile()
    figure = roofline.draw_roofline(profile)
    assert figure is not None
    (axes,) = figure.axes
    points = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))  # type: ignore[index,arg-type]
        for line in axes.lines
        if len(line.get_xdata()) == 1  # type: ignore[arg-type]
    ]
    assert len(points) == len(profile.rows)
    for row, (x, y) in zip(profile.rows, points, strict=True):
        amount = row.forward_backward.cost
        assert amount is not None
        assert amount.numbers_moved is not None
        assert x == pytest.approx(2 * amount.multiply_adds / (4 * amount.numbers_moved))
        median = row.forward_backward.median_seconds.median
        assert y == pytest.approx(2 * amount.multiply_adds * STEPS * BATCH / median / 1e9)
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def test_the_files_hold_the_measurements(tmp_path) -> None:
    profile = example_profile((200, 1000))
    output.write_profile(profile, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"profile.json", *output.OTHER_FILES}
    content = read_json(tmp_path / "profile.json")
    first = content["rows"][0]
    assert first["forward_backward"]["seconds_by_round"] == pytest.approx(BASE)
    assert first["forward_backward"]["milliseconds"]["median"] == pytest.approx(4.5)
    assert first["forward_backward"]["ratio_to_baseline"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert content["peak"] == {"gflops": 180.0, "memory": 40.0, "cache": 150.0}
    assert content["settings"]["lengths"] == [200, 1000]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "profile.csv").read_text(encoding="utf-8"))))
    assert len(lines) == len(profile.rows)
    assert float(lines[0]["forward_backward.milliseconds.median"]) == pytest.approx(4.5)
    svg = (tmp_path / "roofline.svg").read_text(encoding="utf-8")
    assert all(f">{name}<" in svg for name in architectures.names())


def test_only_an_earlier_profile_is_replaced(tmp_path) -> None:
    path = tmp_path / "profile.json"
    output.check_file(path)
    for text in ("mine", "[]", "{}", '{"kind": "other"}'):
        path.write_text(text)
        with pytest.raises(UserError, match="is not overwritten"):
            output.check_file(path)
        with pytest.raises(UserError, match="is not overwritten"):
            output.check_folder(tmp_path)
        assert path.read_text() == text
    write_json(path, example_profile().to_dict())
    output.check_file(path)
    output.check_folder(tmp_path)
    (tmp_path / "roofline.svg").write_text("of this profile")
    output.check_folder(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"roofline\.svg does not belong to an earlier profile"):
        output.check_folder(tmp_path)
    with pytest.raises(UserError, match="is a folder"):
        output.check_file(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        output.check_folder(tmp_path / "roofline.svg")


def test_the_peak_is_that_of_the_fastest_round() -> None:
    peak = machine.compute_peak(
        {machine.MATRIX_PRODUCT: [2.0, 1.0], machine.MEMORY: [1.0, 4.0], machine.CACHE: [0.5, 0.5]}, "cpu"
    )
    assert peak.gflops == pytest.approx(2 * 2048**3 / 1e9)
    assert peak.memory == pytest.approx(3 * 4 * 2**24 / 1e9)
    assert peak.cache == pytest.approx(2 * 3 * 4 * 2**19 / 1e9)
