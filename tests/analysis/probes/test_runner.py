"""Probes on many models: records that are written and read, and failures that leave the others alone."""

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from analysis.probes import models, records, runner
from analysis.probes.errors import OUT_OF_MEMORY
from analysis.probes.parallel import run_all
from analysis.probes.records import ProbeRecord, read_records
from analysis.probes.result import NotAvailableError, ProbeResult
from analysis.probes.runner import ProbeEvent
from tests.analysis.probe_doubles import SETTINGS, CountingProbe, fail_with, failed_jobs, probe_options
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.toy_probe import count_parameters, install_probes
from tests.workbench.experiments import small
from workbench.config import Part
from workbench.errors import UserError
from workbench.files import read_json
from workbench.model import count_trainable_parameters
from workbench.run_folder import run_lock


def event_keys(events: list[ProbeEvent]) -> list[tuple[str, int, str]]:
    return [(event.kind, event.job, event.probe) for event in events]


def test_what_is_found_is_kept_beside_each_run(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs, notes = runner.find_jobs(out)
    assert notes == []
    events: list[ProbeEvent] = []
    records = run_all(jobs, probe_options("toy"), on_event=events.append)
    assert event_keys(events) == [("begun", 0, "toy"), ("done", 0, "toy"), ("begun", 1, "toy"), ("done", 1, "toy")]
    for job, record in zip(jobs, records, strict=True):
        loaded = models.model_of_folder(job.folder)
        plain = read_json(job.folder / "analysis.json")
        assert plain["probes"]["toy"]["numbers"]["parameters"]["value"] == count_trainable_parameters(loaded.model)
        assert plain["probes"]["toy"]["settings"] == asdict(SETTINGS)
        assert plain["probes"]["toy"]["weights"] == loaded.weights_hash
        assert read_records(job.folder) == record
    assert len({record["toy"].weights for record in records}) == 2


def test_what_is_known_is_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting_probe = CountingProbe()
    install_probes(monkeypatch, toy=counting_probe, other=CountingProbe())
    jobs, _ = runner.find_jobs(out)
    first = run_all(jobs, probe_options("toy"))
    events: list[ProbeEvent] = []
    assert run_all(jobs, probe_options("toy"), on_event=events.append) == first
    assert event_keys(events) == [("read", 0, "toy"), ("read", 1, "toy")]
    assert counting_probe.names == ["gru", "rnn"]
    run_all(jobs, probe_options("toy", seed=1))
    assert counting_probe.names == ["gru", "rnn"] * 2
    run_all(jobs, probe_options("toy", seed=1, again=True))
    assert counting_probe.names == ["gru", "rnn"] * 3
    both = run_all(jobs, probe_options("toy", "other", seed=1))
    assert counting_probe.names == ["gru", "rnn"] * 3
    assert [set(record) for record in both] == [{"toy", "other"}] * 2
    assert set(records.read_records(jobs[0].folder)) == {"toy", "other"}


def test_what_an_earlier_revision_of_a_probe_found_is_measured_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting_probe = CountingProbe()
    install_probes(monkeypatch, toy=counting_probe)
    jobs, _ = runner.find_jobs(out)
    run_all(jobs[:1], probe_options("toy"))
    path = jobs[0].folder / records.FILE_NAME
    plain = json.loads(path.read_text())
    assert plain["probes"]["toy"].pop("revision") == 1
    path.write_text(json.dumps(plain))
    # Written before there were revisions.
    run_all(jobs[:1], probe_options("toy"))
    assert counting_probe.names == ["gru"]
    monkeypatch.setattr(sys.modules["analysis.probes.toy"], "REVISION", 2, raising=False)
    assert records.read_records(jobs[0].folder)["toy"].result is not None
    run_all(jobs[:1], probe_options("toy"))
    run_all(jobs[:1], probe_options("toy"))
    assert counting_probe.names == ["gru", "gru"]
    assert records.read_records(jobs[0].folder)["toy"].revision == 2


def test_a_measure_that_an_earlier_revision_lacks_is_not_lost() -> None:
    def record(revision: int, **unavailable: str) -> ProbeRecord:
        result = ProbeResult(unavailable=unavailable)
        return ProbeRecord(settings={}, weights="", result=result, revision=revision)

    assert runner.lost_measures(record(2, held="it has no gates"), record(1)) is None
    assert runner.lost_measures(record(2, held="it has no gates"), record(2)) == "held: it has no gates"
    assert runner.lost_measures(record(2, held=OUT_OF_MEMORY), record(1)) == f"held: {OUT_OF_MEMORY}"


def test_other_weights_are_probed_anew(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting_probe = CountingProbe()
    install_probes(monkeypatch, toy=counting_probe)
    jobs, _ = runner.find_jobs(out)
    run_all(jobs[:1], probe_options("toy"))
    path = jobs[0].folder / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.readout.bias"] += 1
    torch.save(checkpoint, path)
    run_all(jobs[:1], probe_options("toy"))
    assert counting_probe.names == ["gru", "gru"]


def test_what_was_done_before_an_interruption_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters, other=CountingProbe(fail_with(KeyboardInterrupt())))
    jobs, _ = runner.find_jobs(out)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        run_all(jobs, probe_options("toy", "other", threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert set(records.read_records(jobs[0].folder)) == {"toy"}
    assert records.read_records(jobs[1].folder) == {}
    assert not list(out.rglob("*.tmp"))
    # The lock went with it.
    with run_lock(jobs[0].folder):
        pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotAvailableError("it has no gates"), "it has no gates"),
        (NotImplementedError("no trace"), "NotImplementedError: no trace"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
    ],
)
def test_a_model_that_a_probe_cannot_take_costs_nothing_else(
    out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    counting_probe = CountingProbe(fail_with(error, only="gru"))
    install_probes(monkeypatch, toy=counting_probe, other=count_parameters)
    jobs, _ = runner.find_jobs(out)
    records = run_all(jobs, probe_options("toy", "other"))
    assert records[0]["toy"].result is None
    assert records[0]["toy"].reason == reason
    assert all(record.result is not None for record in (records[0]["other"], *records[1].values()))
    assert read_json(jobs[0].folder / "analysis.json")["probes"]["toy"]["status"] == "not available"
    assert run_all(jobs, probe_options("toy", "other")) == records
    assert counting_probe.names == ["gru", "rnn"]


def test_a_users_mistake_is_told_and_not_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(
        monkeypatch, toy=CountingProbe(fail_with(UserError("length is too long"), only="gru")), other=count_parameters
    )
    events: list[ProbeEvent] = []
    jobs, _ = runner.find_jobs(out)
    records = run_all(jobs, probe_options("toy", "other"), on_event=events.append)
    assert [(event.job, event.probe, event.text) for event in events if event.kind == "failed"] == [
        (0, "toy", "length is too long")
    ]
    assert [set(record) for record in records] == [{"other"}, {"toy", "other"}]
    assert set(read_records(jobs[0].folder)) == {"other"}


def test_where_a_model_was_probed_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    job = runner.find_jobs(out)[0][0]
    run_all([job], probe_options("toy"))
    path = job.folder / "analysis.json"
    plain = read_json(path)
    assert plain["probes"]["toy"]["device"] == "cpu"
    plain["probes"]["toy"]["device"] = "cuda"
    path.write_text(json.dumps(plain))
    assert records.read_records(job.folder)["toy"].device == "cuda"
    # Another device gives the same, so it is not probed again; and a record from before there was a choice stays.
    del plain["probes"]["toy"]["device"]
    for text in (path.read_text(), json.dumps(plain)):
        path.write_text(text)
        run_all([job], probe_options("toy"))
        assert path.read_text() == text


def test_a_run_that_is_being_trained_is_left_alone(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs, _ = runner.find_jobs(out)
    (jobs[0].folder / "result.json").unlink()
    (training,), _ = runner.find_jobs(jobs[0].folder)
    with run_lock(jobs[0].folder):
        failures = failed_jobs([training, jobs[1]])
    assert list(failures) == [0]
    assert "another process is at work on" in failures[0]
    assert records.read_records(jobs[1].folder)


def test_a_checkpoint_cut_short_is_not_taken_for_the_end(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs, _ = runner.find_jobs(out)
    last = jobs[0].folder / "last.ckpt"
    whole = last.read_bytes()
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["global_step"] = 1
    torch.save(checkpoint, jobs[0].folder / "previous.ckpt")
    last.write_bytes(whole[: len(whole) // 2])
    assert "last.ckpt cannot be read, and the one before is of step 1 of 3" in failed_jobs(jobs)[0]
    last.unlink()
    (jobs[0].folder / "previous.ckpt").unlink()
    assert "has no checkpoint that can be read" in failed_jobs(jobs)[0]
    assert not (jobs[0].folder / "analysis.json").exists()


def test_findings_that_nobody_here_wrote_are_not_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs, _ = runner.find_jobs(out)
    path = jobs[0].folder / "analysis.json"
    odd = '{"schema": 1, "probes": {"toy": {"settings": "odd", "weights": 1, "status": "x", "reason": ""}}}'
    for text in ("{", "[]", '{"schema": 0, "probes": {}}', '{"schema": 1, "probes": {"toy": 3}}', odd):
        path.write_text(text)
        failures = failed_jobs(jobs)
        assert list(failures) == [0]
        assert "analysis.json" in failures[0]
        assert path.read_text() == text


def test_a_run_that_diverged_or_is_not_finished_is_noted(out: Path) -> None:
    diverged = write_run(out, experiment("lstm"), loss=None, diverged_at=7)
    begun = write_run(out, experiment("tcn"))
    (begun / "result.json").unlink()
    jobs, notes = runner.find_jobs(out)
    assert [job.experiment.architecture.name for job in jobs] == ["gru", "rnn"]
    assert notes == [
        f"{diverged} diverged at step 7: it has no model to probe",
        "not finished, and so left out: 1 of the runs; name the folder of one to probe it",
    ]


@pytest.mark.parametrize("name", ["", "last.ckpt"])
def test_the_folder_of_a_run_and_its_last_checkpoint_are_the_run(
    out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    jobs, _ = runner.find_jobs(out)
    (job,), notes = runner.find_jobs(jobs[1].folder / name)
    assert notes == []
    run_all([job], probe_options("toy"))
    assert [(job.folder / "analysis.json").exists() for job in jobs] == [False, True]


@pytest.mark.parametrize("unfinished", [True, False])
def test_another_checkpoint_has_a_place_of_its_own(
    out: Path, monkeypatch: pytest.MonkeyPatch, unfinished: bool
) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    folder = runner.find_jobs(out)[0][0].folder
    if unfinished:
        (folder / "result.json").unlink()
        (job,), _ = runner.find_jobs(folder)
    else:
        shutil.copy(folder / "last.ckpt", folder / "mine.ckpt")
        (job,), _ = runner.find_jobs(folder / "mine.ckpt")
    run_all([job], probe_options("toy"))
    assert not (folder / "analysis.json").exists()
    assert records.read_records(folder / "step-3")["toy"].result is not None


def test_what_names_no_model_is_refused(out: Path, tmp_path: Path) -> None:
    folder = runner.find_jobs(out)[0][0].folder
    other = runner.find_jobs(out)[0][1].folder
    (tmp_path / "empty").mkdir()
    shutil.copy(folder / "last.ckpt", tmp_path / "lost.ckpt")
    (folder / "notes.txt").write_text("mine")
    shutil.copy(folder / "last.ckpt", other / "foreign.ckpt")
    for path, message in (
        (tmp_path / "absent", "there is no folder"),
        (tmp_path / "empty", "no finished runs in"),
        (tmp_path / "lost.ckpt", "no config.yaml beside"),
        (folder / "notes.txt", "is damaged, or not a checkpoint of this bench"),
        (other / "foreign.ckpt", "foreign.ckpt belongs to"),
    ):
        with pytest.raises(UserError, match=message):
            runner.find_jobs(path)


def test_untrained_models_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters)
    experiments = [small("gru", seed=seed) for seed in (0, 1)]
    jobs = runner.untrained_jobs(tmp_path, experiments)
    records = run_all(jobs, probe_options("toy"))
    folders = sorted((tmp_path / "untrained/addition/gru" / experiments[0].identity).iterdir())
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    assert [read_records(folder) for folder in folders] == records
    assert all((folder / "config.yaml").exists() for folder in folders)
    assert records[0]["toy"].weights != records[1]["toy"].weights
    assert list(tmp_path.iterdir()) == [tmp_path / "untrained"]


def test_code_that_has_changed_since_is_not_taken_for_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
    (tmp_path / "mine_once.py").write_text(text)
    custom = small("mine_once:Mine")
    assert models.untrained_model(custom).name == "mine_once:Mine"
    changed = replace(custom, architecture=replace(custom.architecture, source="0123456789ab"))
    with pytest.raises(UserError, match="the code of architecture mine_once:Mine is not what the model was made with"):
        models.untrained_model(changed)
    gone = replace(custom, architecture=Part(name="absent_module:Mine", options=custom.architecture.options))
    with pytest.raises(UserError, match="no module 'absent_module'"):
        models.untrained_model(gone)


KILLER = """
import os
from multiprocessing import parent_process

from architectures.gru import GRU


class Killer(GRU):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        if parent_process() is not None:
            os._exit(9)
"""


def test_side_by_side_comes_to_the_same_and_outlives_a_process(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer_once.py").write_text(KILLER)
    monkeypatch.syspath_prepend(str(tmp_path))
    names, (jobs, _) = ["discount_dynamics", "memory_length"], runner.find_jobs(out)
    records = run_all(jobs, probe_options(*names))
    dying = runner.untrained_jobs(out, [small("killer_once:Killer")])
    events: list[ProbeEvent] = []
    records_of_all = run_all([*dying, *jobs], probe_options(*names, again=True), workers=2, on_event=events.append)
    assert records_of_all == [{}, *records]
    failed = [(event.job, event.probe, event.text) for event in events if event.kind == "failed"]
    assert failed == [(0, name, "its process ended with status 9") for name in names]
