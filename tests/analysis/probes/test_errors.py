"""Probes that fail: what the machine is to blame for is told and not kept, and takes nothing away."""

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.probes import registry, runner
from analysis.probes.base import run_measures
from analysis.probes.errors import LACKING, BrokenError, reason
from analysis.probes.models import LoadedModel
from analysis.probes.parallel import run_all
from analysis.probes.result import Metric, ProbeResult
from analysis.probes.runner import ProbeEvent, ran_out_of_memory
from analysis.probes.settings import ProbeSettings
from tests.analysis.probe_doubles import SETTINGS, Counted, asked, failures, raising
from tests.analysis.toy_probe import install, parameters
from tests.workbench.experiments import small
from workbench.cli.analyze_output import labels, notes
from workbench.files import read_json
from workbench.process_pool import start_process

SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_want_of_memory_is_told_and_not_kept(out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    install(monkeypatch, toy=Counted(raising(error, only="gru")), other=parameters)
    found, _ = runner.jobs_below(out)
    assert failures(found, ["toy", "other"]) == {0: LACKING}
    assert [set(registry.read_records(job.folder)) for job in found] == [{"other"}, {"toy", "other"}]


def test_a_measure_that_lacks_memory_leaves_the_others_and_is_tried_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        if short:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return parameters(subject, settings)

    def both(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        return run_measures({"large_part": large, "small": parameters}, subject, settings)

    install(monkeypatch, toy=both, all=lambda *given: run_measures({"large": large}, *given))
    found = runner.jobs_below(out)[0][:1]
    short = True
    entries = run_all(found, asked("toy"))
    findings = entries[0]["toy"].result
    assert findings is not None
    assert list(findings.metrics) == ["parameters"]
    assert findings.unavailable == {"large_part": LACKING}
    assert registry.read_records(found[0].folder) == entries[0]
    assert ran_out_of_memory(entries) == {("toy", ("large_part",)): [0]}
    (line,) = notes(found, entries, {})
    assert line == f"toy of {labels(found)[0]} is without large part: {LACKING}"
    # Where nothing at all is found, nothing is kept.
    assert failures(found, ["all"]) == {0: LACKING}
    assert set(registry.read_records(found[0].folder)) == {"toy"}
    short = False
    entries = run_all(found, asked("toy"))
    findings = entries[0]["toy"].result
    assert findings is not None
    assert not findings.unavailable
    # And once it is there, a failure does not take it away.
    short = True
    events: list[ProbeEvent] = []
    assert run_all(found, asked("toy", again=True), listen=events.append) == entries
    assert (events[-1].kind, events[-1].text) == ("failed", f"large part: {LACKING}; what was found before stays")
    assert registry.read_records(found[0].folder) == entries[0]


def test_a_failure_takes_no_findings_away(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    found = runner.jobs_below(out)[0][:1]
    entries = run_all(found, asked("toy"))
    install(monkeypatch, toy=Counted(raising(RuntimeError("on two devices"))))
    events: list[ProbeEvent] = []
    assert run_all(found, asked("toy", again=True), listen=events.append) == entries
    assert events[-1].text == "RuntimeError: on two devices; what was found before stays"
    assert registry.read_records(found[0].folder) == entries[0]
    # Probed otherwise, it is another finding.
    run_all(found, asked("toy", seed=1))
    assert registry.read_records(found[0].folder)["toy"].result is None


def test_one_measure_more_that_fails_takes_no_numbers_away(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another has lacked memory from the start, and is looked for at every run."""
    failing: dict[str, Exception] = {"a": MemoryError()}

    def measure(name: str) -> Callable[[LoadedModel, ProbeSettings], ProbeResult]:
        def part(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
            if name in failing:
                raise failing[name]
            return ProbeResult(metrics={name: Metric(value=1.0, unit="1", what="one")})

        return part

    def toy(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        return run_measures({name: measure(name) for name in ("a", "b", "c")}, subject, settings)

    install(monkeypatch, toy=toy)
    found = runner.jobs_below(out)[0][:1]
    entries = run_all(found, asked("toy"))
    for error, why in ((MemoryError(), LACKING), (RuntimeError("x"), "RuntimeError: x")):
        failing["b"] = error
        events: list[ProbeEvent] = []
        assert run_all(found, asked("toy"), listen=events.append) == entries
        assert events[-1].text == f"b: {why}; what was found before stays"
        assert registry.read_records(found[0].folder) == entries[0]
    failing.clear()
    (entry,) = run_all(found, asked("toy"))
    assert entry["toy"].result is not None
    assert set(entry["toy"].result.metrics) == {"a", "b", "c"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_failure_elsewhere_is_looked_at_again_here(out: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    counted = Counted(raising(RuntimeError("on two devices")))
    install(monkeypatch, toy=counted)
    (job,) = runner.jobs_below(out)[0][:1]
    run_all([job], asked("toy"))
    plain = read_json(job.folder / "analysis.json")
    plain["probes"]["toy"]["device"] = device
    (job.folder / "analysis.json").write_text(json.dumps(plain))
    run_all([job], asked("toy"))
    assert len(counted.names) == (1 if device == "cpu" else 2)


class SpeechlessError(Exception):
    """Has nothing to say, and fails at that."""

    def __str__(self) -> str:
        raise ValueError


def test_a_gpu_that_has_failed_ends_the_model_there(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = runner.jobs_below(out)[0][0].load()[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.probes.errors.working", lambda device: False)
        install(patch, toy=Counted(raising(SpeechlessError())), other=parameters)
        with pytest.raises(BrokenError, match="the GPU failed: SpeechlessError"):
            registry.analyze(subject, "toy", SETTINGS)
        illegal = Counted(raising(RuntimeError("an illegal access")))
        with pytest.raises(BrokenError, match="the GPU failed: an illegal access"):
            run_measures({"small": parameters, "broken": illegal}, subject, SETTINGS)
        # One that was noticed further within is told as it is.
        with pytest.raises(BrokenError, match=r"^the GPU failed: x$"):
            run_measures({"broken": Counted(raising(BrokenError("the GPU failed: x")))}, subject, SETTINGS)
    assert reason(SpeechlessError(), torch.device("cpu")) == "SpeechlessError"


def test_a_probe_is_made_in_full_float32(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(subject: LoadedModel, settings: ProbeSettings) -> ProbeResult:
        precision = torch.get_float32_matmul_precision()
        return ProbeResult(labels={"products": f"{precision}, {torch.backends.cudnn.allow_tf32}"})

    before = torch.get_float32_matmul_precision()
    install(monkeypatch, toy=told)
    torch.set_float32_matmul_precision("medium")
    try:
        entry = registry.analyze(runner.jobs_below(out)[0][0].load()[0], "toy", SETTINGS)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert entry.result is not None
    assert entry.result.labels == {"products": "highest, False"}


def test_what_was_taken_is_given_back_after_the_model(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[weakref.ref[Any]] = []
    left = []

    def release(device: str) -> None:
        left.append((device, [each() for each in models]))

    install(monkeypatch, toy=Counted(lambda subject: models.append(weakref.ref(subject.model))))
    monkeypatch.setattr("analysis.probes.runner.release", release)
    run_all(runner.jobs_below(out)[0], asked("toy"))
    assert left == [("cpu", [None]), ("cpu", [None, None])]


GPU = """
import analysis.probes.runner, analysis.probes.errors
from multiprocessing import parent_process

from architectures.gru import GRU


class {name}(GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        if parent_process() is not None:
            # As on a GPU, of which there is none here.
            analysis.probes.runner.move_to = lambda model, device: None
            analysis.probes.errors.working = lambda device: {working}

    def encode(self, x, state, lengths):
        if {working}:
            return super().encode(x, state, lengths)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a GPU that fails")
def test_a_process_that_failed_on_a_gpu_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hired = []

    def counting(*args: Any, **options: Any) -> Any:
        hired.append(args)
        return start_process(*args, **options)

    monkeypatch.setattr("analysis.probes.parallel.start_process", counting)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_once.py").write_text(GPU.format(name="Failing", working=False))
    (tmp_path / "sound_once.py").write_text(GPU.format(name="Sound", working=True))
    names = ("memory_length", "gradient_decay")
    kinds = ("sound_once:Sound", "failing_once:Failing", "sound_once:Sound")
    made = runner.untrained_jobs(tmp_path, [small(name, seed=seed) for seed, name in enumerate(kinds)])
    events: list[ProbeEvent] = []
    entries = run_all(made, replace(asked(*names), device="cuda"), listen=events.append)
    told = [(event.kind, event.job, event.probe) for event in events if event.kind != "begun"]
    assert told == [(kind, job, name) for job, kind in enumerate(("done", "failed", "done")) for name in names]
    assert {event.text for event in events if event.kind == "failed"} == {
        "the GPU failed: CUDA error: an illegal memory access was encountered"
    }
    assert [set(each) for each in entries] == [set(names), set(), set(names)]
    # One for what is sound and the first failure, one for the second, one for what comes after.
    assert len(hired) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a GPU that is not there")
def test_what_is_known_is_read_where_there_is_no_such_device(out: Path) -> None:
    found, _ = runner.jobs_below(out)
    entries = run_all(found, asked("memory_length"))
    events: list[ProbeEvent] = []
    assert run_all(found, replace(asked("memory_length"), device="cuda"), listen=events.append) == entries
    assert {event.kind for event in events} == {"read"}
