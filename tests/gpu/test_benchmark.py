"""Tests of the benchmark's own code, on the CPU at small sizes."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

import architectures
from analysis.profile import timing
from analysis.profile.cases import BASELINE
from tests.architectures.cases import assert_close, noise
from tests.gpu import benchmark, report_table
from tests.gpu.benchmark import Limits, wait_for_process
from tests.gpu.devices import GPU
from tests.gpu.measurement import Configuration, measure
from tests.gpu.naive import NaiveAverage

TINY = Configuration(batch_size=2, hidden_size=4, length=8, naive_length=2, backends=("eager", "graphs"))


@pytest.fixture(autouse=True)
def short_timings(monkeypatch):
    monkeypatch.setattr(timing, "MIN_SECONDS", 1e-5)


@pytest.mark.parametrize("name", ["rwa", "rda-exp-tanh", "rda-sigmoid-id"])
def test_the_naive_loop_computes_what_its_encoder_does(name):
    torch.manual_seed(0)
    encoder = architectures.build(name, 2, hidden_size=5).double()
    x = noise(3, 9, 2)
    assert_close(NaiveAverage(encoder)(x)[0], encoder(x)[0])


@pytest.mark.parametrize("name", [configuration.name for configuration in benchmark.default_configurations()])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_all_configurations_of_the_benchmark_work(name, device):
    """At sixteen steps. Triton caches the kernels that it compiles here, so that the benchmark need not wait."""
    (configuration,) = (item for item in benchmark.default_configurations() if item.name == name)
    short = replace(configuration, length=16, naive_length=0, backends=("triton",))
    assert [row.get("error") for row in measure(short, device, timing.wall_clock(), 1)] == [None] * 3


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_every_case_has_a_row_and_ratios_are_per_step(precision):
    configuration = replace(TINY, precision=precision)
    # Every run takes a second by this meter.
    rows = measure(configuration, "cpu", lambda run: (run(), 1.0)[1], 2)
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
    has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert by_label[BASELINE, None]["dtype"] == ("bfloat16" if precision == "bf16" and has_bfloat16 else "float32")


@pytest.mark.slow
def test_a_crash_fails_only_the_case_that_caused_it(tmp_path):
    """Another process measures the other cases, and the next configurations."""
    good = replace(TINY, backends=("eager",), architectures=("rwa",))
    broken = replace(good, naive_length=0, architectures=("tests.gpu.broken_encoder:DyingEncoder", "rwa"))
    report = benchmark.run([broken, good], "cpu", tmp_path, Limits(total=120), repeats=1)
    assert report["not_reached"] == []
    outcomes = [(row["architecture"], row.get("error")) for row in report["rows"]]
    died = "the process ended with status 7"
    dying = "tests.gpu.broken_encoder:DyingEncoder"
    assert outcomes == [(BASELINE, None), (dying, died), ("rwa", None), (BASELINE, None), ("rwa", None), ("rwa", None)]
    text = report_table.format_report({"benchmark": report})
    assert f"{dying} eager: {died}" in text


def test_a_hanging_worker_and_a_late_one_are_told_apart(tmp_path):
    endless = SimpleNamespace(poll=lambda: None)
    path, log = tmp_path / "progress.jsonl", list[str]()
    path.write_text(json.dumps({"begins": "it"}) + "\n" + '{"cut sh')
    assert wait_for_process(endless, path, float("inf"), 0.1, log.append) == "the process gave no sign for 0.1 seconds"
    assert log == ["it"]
    assert wait_for_process(endless, path, 0.0, 60, log.append) == benchmark.LATE


def test_without_time_nothing_is_reached(tmp_path):
    report = benchmark.run([TINY], "cpu", tmp_path, Limits(total=0))
    assert report["not_reached"] == [TINY.name]
    assert f"not reached: {TINY.name}" in report_table.format_report({"benchmark": report})


def test_default_configurations_have_every_size_and_precision_and_the_slow_ones_first():
    configurations = benchmark.default_configurations()
    names = {configuration.name for configuration in configurations}
    assert len(names) == len(configurations) == len(benchmark.PAIRS) * len(benchmark.ARITHMETIC)
    assert all(configuration.naive_length for configuration in configurations[: len(benchmark.ARITHMETIC)])
