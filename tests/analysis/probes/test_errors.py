"""Probes that fail: failures of the machine are reported, but not kept, and replace no results."""

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.probes import records, runner
from analysis.probes.base import run_measures
from analysis.probes.errors import OUT_OF_MEMORY, BrokenGpuError, failure_reason
from analysis.probes.models import LoadedModel
from analysis.probes.parallel import run_all
from analysis.probes.progress import describe_problems, model_labels
from analysis.probes.records import read_records
from analysis.probes.result import Metric, ProbeResult
from analysis.probes.runner import ProbeEvent, out_of_memory_measures
from analysis.probes.settings import ProbeSettings
from tests.analysis.probe_doubles import SETTINGS, CountingProbe, fail_with, failed_jobs, probe_options
from tests.analysis.toy_probe import count_parameters, install_probes
from tests.fork_server import start_process
from tests.workbench.experiments import small
from workbench.files import read_json

OUT_OF_MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY_ERRORS, ids=repr)
def test_want_of_memory_is_told_and_not_kept(out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    install_probes(monkeypatch, toy=CountingProbe(fail_with(error, only="gru")), other=count_parameters)
    jobs, _ = runner.find_jobs(out)
    assert failed_jobs(jobs, ["toy", "other"]) == {0: OUT_OF_MEMORY}
    assert [set(records.read_records(job.folder)) for job in jobs] == [{"other"}, {"toy", "other"}]


def test_a_measure_that_lacks_memory_leaves_the_others_and_is_tried_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        if is_short:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return count_parameters(loaded, settings)

    def measure_both(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        return run_measures({"large_part": large, "small": count_parameters}, loaded, settings)

    install_probes(monkeypatch, toy=measure_both, all=lambda *arguments: run_measures({"large": large}, *arguments))
    jobs = runner.find_jobs(out)[0][:1]
    is_short = True
    records = run_all(jobs, probe_options("toy"))
    result = records[0]["toy"].result
    assert result is not None
    assert list(result.metrics) == ["parameters"]
    assert result.unavailable == {"large_part": OUT_OF_MEMORY}
    assert read_records(jobs[0].folder) == records[0]
    assert out_of_memory_measures(records) == {("toy", ("large_part",)): [0]}
    (line,) = describe_problems(jobs, records, {})
    assert line == f"toy of {model_labels(jobs)[0]} is without large part: {OUT_OF_MEMORY}"
    # Where there is no result at all, no record is written.
    assert failed_jobs(jobs, ["all"]) == {0: OUT_OF_MEMORY}
    assert set(read_records(jobs[0].folder)) == {"toy"}
    is_short = False
    records = run_all(jobs, probe_options("toy"))
    result = records[0]["toy"].result
    assert result is not None
    assert not result.unavailable
    # And once it is there, a failure does not take it away.
    is_short = True
    events: list[ProbeEvent] = []
    assert run_all(jobs, probe_options("toy", again=True), on_event=events.append) == records
    assert (events[-1].kind, events[-1].text) == ("failed", f"large part: {OUT_OF_MEMORY}; the previous result stays")
    assert read_records(jobs[0].folder) == records[0]


def test_a_failure_takes_no_findings_away(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs = runner.find_jobs(out)[0][:1]
    records = run_all(jobs, probe_options("toy"))
    install_probes(monkeypatch, toy=CountingProbe(fail_with(RuntimeError("on two devices"))))
    events: list[ProbeEvent] = []
    assert run_all(jobs, probe_options("toy", again=True), on_event=events.append) == records
    assert events[-1].text == "RuntimeError: on two devices; the previous result stays"
    assert read_records(jobs[0].folder) == records[0]
    # Probed otherwise, it is another finding.
    run_all(jobs, probe_options("toy", seed=1))
    assert read_records(jobs[0].folder)["toy"].result is None


def test_one_measure_more_that_fails_takes_no_numbers_away(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another has lacked memory from the start, and is looked for at every run."""
    failing: dict[str, Exception] = {"a": MemoryError()}

    def measure(name: str) -> Callable[[LoadedModel, ProbeSettings], ProbeResult]:
        def part(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
            if name in failing:
                raise failing[name]
            return ProbeResult(metrics={name: Metric(value=1.0, unit="1", what="one")})

        return part

    def toy(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        return run_measures({name: measure(name) for name in ("a", "b", "c")}, loaded, settings)

    install_probes(monkeypatch, toy=toy)
    jobs = runner.find_jobs(out)[0][:1]
    records = run_all(jobs, probe_options("toy"))
    for error, why in ((MemoryError(), OUT_OF_MEMORY), (RuntimeError("x"), "RuntimeError: x")):
        failing["b"] = error
        events: list[ProbeEvent] = []
        assert run_all(jobs, probe_options("toy"), on_event=events.append) == records
        assert events[-1].text == f"b: {why}; the previous result stays"
        assert read_records(jobs[0].folder) == records[0]
    failing.clear()
    (by_name,) = run_all(jobs, probe_options("toy"))
    assert by_name["toy"].result is not None
    assert set(by_name["toy"].result.metrics) == {"a", "b", "c"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_failure_elsewhere_is_looked_at_again_here(out: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    counting_probe = CountingProbe(fail_with(RuntimeError("on two devices")))
    install_probes(monkeypatch, toy=counting_probe)
    (job,) = runner.find_jobs(out)[0][:1]
    run_all([job], probe_options("toy"))
    plain = read_json(job.folder / "analysis.json")
    plain["probes"]["toy"]["device"] = device
    (job.folder / "analysis.json").write_text(json.dumps(plain))
    run_all([job], probe_options("toy"))
    assert len(counting_probe.names) == (1 if device == "cpu" else 2)


class SpeechlessError(Exception):
    """Has nothing to say, and fails at that."""

    def __str__(self) -> str:
        raise ValueError


def test_a_gpu_that_has_failed_ends_the_model_there(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = runner.find_jobs(out)[0][0].load()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.probes.errors.is_working", lambda device: False)
        install_probes(patch, toy=CountingProbe(fail_with(SpeechlessError())), other=count_parameters)
        with pytest.raises(BrokenGpuError, match="the GPU failed: SpeechlessError"):
            runner.run_probe(loaded, "toy", SETTINGS)
        illegal_access = CountingProbe(fail_with(RuntimeError("an illegal access")))
        with pytest.raises(BrokenGpuError, match="the GPU failed: an illegal access"):
            run_measures({"small": count_parameters, "broken": illegal_access}, loaded, SETTINGS)
        # One that was noticed further within is told as it is.
        with pytest.raises(BrokenGpuError, match=r"^the GPU failed: x$"):
            run_measures({"broken": CountingProbe(fail_with(BrokenGpuError("the GPU failed: x")))}, loaded, SETTINGS)
    assert failure_reason(SpeechlessError(), torch.device("cpu")) == "SpeechlessError"


def test_a_probe_is_made_in_full_float32(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure_precision(loaded: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        precision = torch.get_float32_matmul_precision()
        return ProbeResult(labels={"products": f"{precision}, {torch.backends.cudnn.allow_tf32}"})

    before = torch.get_float32_matmul_precision()
    install_probes(monkeypatch, toy=measure_precision)
    torch.set_float32_matmul_precision("medium")
    try:
        record = runner.run_probe(runner.find_jobs(out)[0][0].load()[0], "toy", SETTINGS)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert record.result is not None
    assert record.result.labels == {"products": "highest, False"}


def test_what_was_taken_is_given_back_after_the_model(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[weakref.ref[Any]] = []
    calls = []

    def release_memory(device: str) -> None:
        calls.append((device, [reference() for reference in models]))

    install_probes(monkeypatch, toy=CountingProbe(lambda loaded: models.append(weakref.ref(loaded.model))))
    monkeypatch.setattr("analysis.probes.runner.release_memory", release_memory)
    run_all(runner.find_jobs(out)[0], probe_options("toy"))
    assert calls == [("cpu", [None]), ("cpu", [None, None])]


ENCODER_CODE = """
import analysis.probes.runner, analysis.probes.errors
from multiprocessing import parent_process

from architectures.gru import GRU


class {name}(GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        if parent_process() is not None:
            # As on a GPU, of which there is none here.
            analysis.probes.runner.move_model = lambda model, device: None
            analysis.probes.errors.is_working = lambda device: {working}

    def encode(self, x, state, lengths):
        if {working}:
            return super().encode(x, state, lengths)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a GPU that fails")
def test_a_process_that_failed_on_a_gpu_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def count_start(*args: Any, **options: Any) -> Any:
        starts.append(args)
        return start_process(*args, **options)

    monkeypatch.setattr("workbench.process_pool.start_process", count_start)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_once.py").write_text(ENCODER_CODE.format(name="Failing", working=False))
    (tmp_path / "sound_once.py").write_text(ENCODER_CODE.format(name="Sound", working=True))
    names = ("memory_length", "gradient_decay")
    kinds = ("sound_once:Sound", "failing_once:Failing", "sound_once:Sound")
    jobs = runner.untrained_jobs(tmp_path, [small(name, seed=seed) for seed, name in enumerate(kinds)])
    events: list[ProbeEvent] = []
    records = run_all(jobs, replace(probe_options(*names), device="cuda"), on_event=events.append)
    endings = [(event.kind, event.job, event.probe) for event in events if event.kind != "begun"]
    assert endings == [(kind, job, name) for job, kind in enumerate(("done", "failed", "done")) for name in names]
    assert {event.text for event in events if event.kind == "failed"} == {
        "the GPU failed: CUDA error: an illegal memory access was encountered"
    }
    assert [set(by_name) for by_name in records] == [set(names), set(), set(names)]
    # One for what is sound and the first failure, one for the second, one for what comes after.
    assert len(starts) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a GPU that is not there")
def test_what_is_known_is_read_where_there_is_no_such_device(out: Path) -> None:
    jobs, _ = runner.find_jobs(out)
    records = run_all(jobs, probe_options("memory_length"))
    events: list[ProbeEvent] = []
    assert run_all(jobs, replace(probe_options("memory_length"), device="cuda"), on_event=events.append) == records
    assert {event.kind for event in events} == {"read"}
