"""The benchmark's own code, on the CPU at sizes that take no time."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import architectures
from analysis.profile import timing
from analysis.profile.cases import BASELINE
from tests.architectures.cases import close, noise
from tests.gpu import benchmark, table
from tests.gpu.benchmark import Limits, watched
from tests.gpu.devices import GPU
from tests.gpu.measured import Configuration, measured
from tests.gpu.naive import Naive

TINY = Configuration(batch_size=2, hidden_size=4, length=8, naive_length=2, backends=("eager", "graphs"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(timing, "LEAST", 1e-5)


@pytest.mark.parametrize("name", ["rwa", "rda-exp-tanh", "rda-sigmoid-id"])
def test_the_naive_loop_computes_what_its_encoder_does(name):
    torch.manual_seed(0)
    encoder = architectures.build(name, 2, hidden_size=5).double()
    x = noise(3, 9, 2)
    close(Naive(encoder)(x)[0], encoder(x)[0])


@pytest.mark.parametrize("name", [each.name for each in benchmark.grid()])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_what_the_benchmark_runs_works(name, device):
    """At sixteen steps. Triton keeps what it compiles here, so that the benchmark need not wait for it."""
    (configuration,) = (each for each in benchmark.grid() if each.name == name)
    short = replace(configuration, length=16, naive_length=0, backends=("triton",))
    assert [row.get("error") for row in measured(short, device, timing.wall(), 1)] == [None] * 3


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_every_way_has_a_row_and_ratios_are_per_step(precision):
    configuration = replace(TINY, precision=precision)
    # Whatever runs takes a second.
    rows = measured(configuration, "cpu", lambda run: (run(), 1.0)[1], 2)
    labels = [(row["architecture"], row["backend"]) for row in rows]
    ways = itertools.product(("rwa", "rda-exp-tanh"), ("eager", "graphs", "naive"))
    assert labels == [(BASELINE, None), *ways]
    by_label = dict(zip(labels, rows, strict=True))
    assert "CUDA graphs" in by_label["rwa", "graphs"]["error"]
    eager, naive = by_label["rwa", "eager"], by_label["rwa", "naive"]
    for kind in ("forward", "forward_backward"):
        assert eager[kind]["milliseconds_a_step"]["median"] == pytest.approx(1000 / 8)
        assert eager[kind]["ratio_to_lstm"]["median"] == pytest.approx(1)
        # As long for two steps as the others for eight.
        assert naive[kind]["ratio_to_lstm"]["median"] == pytest.approx(4)
        assert eager[kind]["naive_to_this"]["median"] == pytest.approx(4)
    assert by_label[BASELINE, None]["dtype"] == ("bfloat16" if precision == "bf16" else "float32")


@pytest.mark.slow
def test_a_process_that_dies_costs_what_it_was_at_alone(tmp_path):
    """The others are measured by another, and what comes after them, too."""
    good = replace(TINY, backends=("eager",), architectures=("rwa",))
    broken = replace(good, naive_length=0, architectures=("tests.gpu.broken:Dies", "rwa"))
    found = benchmark.run([broken, good], "cpu", tmp_path, Limits(all=120), repeats=1)
    assert found["not_reached"] == []
    told = [(row["architecture"], row.get("error")) for row in found["rows"]]
    died = "the process ended with status 7"
    lost = "tests.gpu.broken:Dies"
    assert told == [(BASELINE, None), (lost, died), ("rwa", None), (BASELINE, None), ("rwa", None), ("rwa", None)]
    text = table.text({"benchmark": found})
    assert f"{lost} eager: {died}" in text


def test_what_hangs_and_what_is_late_is_told_apart(tmp_path):
    never = SimpleNamespace(poll=lambda: None)
    path, told = tmp_path / "found.jsonl", list[str]()
    path.write_text(json.dumps({"begins": "it"}) + "\n" + '{"cut sh')
    assert watched(never, path, float("inf"), 0.1, told.append) == "the process gave no sign for 0.1 seconds"
    assert told == ["it"]
    assert watched(never, path, 0.0, 60, told.append) == benchmark.LATE


def test_without_time_everything_is_told_not_reached(tmp_path):
    found = benchmark.run([TINY], "cpu", tmp_path, Limits(all=0))
    assert found["not_reached"] == [TINY.name]
    assert f"not reached: {TINY.name}" in table.text({"benchmark": found})


def test_the_grid_begins_with_the_slow_ones_and_has_every_size_and_precision():
    made = benchmark.grid()
    assert len({each.name for each in made}) == len(made) == len(benchmark.PAIRS) * len(benchmark.ARITHMETIC)
    assert all(each.naive_length for each in made[: len(benchmark.ARITHMETIC)])
