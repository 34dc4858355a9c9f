"""Probes on many models: what is kept, what is read, and what goes on when something fails."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from analysis.probes import models, registry, runner
from analysis.probes.parallel import run_all
from analysis.probes.result import NotAvailableError
from analysis.probes.runner import ProbeEvent
from tests.analysis.probe_doubles import SETTINGS, Counted, asked, failures, raising
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.toy_probe import install, parameters
from tests.workbench.experiments import small
from workbench.config import Part
from workbench.errors import UserError
from workbench.files import read_json
from workbench.model import parameters as size
from workbench.run_folder import run_lock


def heard(listed: list[ProbeEvent]) -> list[tuple[str, int, str]]:
    return [(event.kind, event.job, event.probe) for event in listed]


def test_what_is_found_is_kept_beside_each_run(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    found, notes = runner.jobs_below(out)
    assert notes == []
    events: list[ProbeEvent] = []
    entries = run_all(found, asked("toy"), listen=events.append)
    assert heard(events) == [("begun", 0, "toy"), ("done", 0, "toy"), ("begun", 1, "toy"), ("done", 1, "toy")]
    for job, kept in zip(found, entries, strict=True):
        subject = models.model_of_folder(job.folder)
        plain = read_json(job.folder / "analysis.json")
        assert plain["probes"]["toy"]["numbers"]["parameters"]["value"] == size(subject.model)
        assert plain["probes"]["toy"]["settings"] == asdict(SETTINGS)
        assert plain["probes"]["toy"]["weights"] == subject.weights
        assert registry.read_records(job.folder) == kept
    assert len({kept["toy"].weights for kept in entries}) == 2


def test_what_is_known_is_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    install(monkeypatch, toy=counted, other=Counted())
    found, _ = runner.jobs_below(out)
    first = run_all(found, asked("toy"))
    events: list[ProbeEvent] = []
    assert run_all(found, asked("toy"), listen=events.append) == first
    assert heard(events) == [("read", 0, "toy"), ("read", 1, "toy")]
    assert counted.names == ["gru", "rnn"]
    run_all(found, asked("toy", seed=1))
    assert counted.names == ["gru", "rnn"] * 2
    run_all(found, asked("toy", seed=1, again=True))
    assert counted.names == ["gru", "rnn"] * 3
    both = run_all(found, asked("toy", "other", seed=1))
    assert counted.names == ["gru", "rnn"] * 3
    assert [set(kept) for kept in both] == [{"toy", "other"}] * 2
    assert set(registry.read_records(found[0].folder)) == {"toy", "other"}


def test_other_weights_are_probed_anew(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    install(monkeypatch, toy=counted)
    found, _ = runner.jobs_below(out)
    run_all(found[:1], asked("toy"))
    path = found[0].folder / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.readout.bias"] += 1
    torch.save(checkpoint, path)
    run_all(found[:1], asked("toy"))
    assert counted.names == ["gru", "gru"]


def test_what_was_done_before_an_interruption_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters, other=Counted(raising(KeyboardInterrupt())))
    found, _ = runner.jobs_below(out)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        run_all(found, asked("toy", "other", threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert set(registry.read_records(found[0].folder)) == {"toy"}
    assert registry.read_records(found[1].folder) == {}
    assert not list(out.rglob("*.tmp"))
    # The lock went with it.
    with run_lock(found[0].folder):
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
    counted = Counted(raising(error, only="gru"))
    install(monkeypatch, toy=counted, other=parameters)
    found, _ = runner.jobs_below(out)
    entries = run_all(found, asked("toy", "other"))
    assert entries[0]["toy"].result is None
    assert entries[0]["toy"].reason == reason
    assert all(each.result is not None for each in (entries[0]["other"], *entries[1].values()))
    assert read_json(found[0].folder / "analysis.json")["probes"]["toy"]["status"] == "not available"
    assert run_all(found, asked("toy", "other")) == entries
    assert counted.names == ["gru", "rnn"]


def test_a_users_mistake_is_told_and_not_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=Counted(raising(UserError("length is too long"), only="gru")), other=parameters)
    events: list[ProbeEvent] = []
    found, _ = runner.jobs_below(out)
    entries = run_all(found, asked("toy", "other"), listen=events.append)
    assert [(event.job, event.probe, event.text) for event in events if event.kind == "failed"] == [
        (0, "toy", "length is too long")
    ]
    assert [set(kept) for kept in entries] == [{"other"}, {"toy", "other"}]
    assert set(registry.read_records(found[0].folder)) == {"other"}


def test_where_a_model_was_probed_is_kept(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    job = runner.jobs_below(out)[0][0]
    run_all([job], asked("toy"))
    path = job.folder / "analysis.json"
    plain = read_json(path)
    assert plain["probes"]["toy"]["device"] == "cpu"
    plain["probes"]["toy"]["device"] = "cuda"
    path.write_text(json.dumps(plain))
    assert registry.read_records(job.folder)["toy"].device == "cuda"
    # Elsewhere the same is found, so it is not looked for again; and what was found before there was a choice holds.
    del plain["probes"]["toy"]["device"]
    for text in (path.read_text(), json.dumps(plain)):
        path.write_text(text)
        run_all([job], asked("toy"))
        assert path.read_text() == text


def test_a_folder_in_use_is_left_alone(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    found, _ = runner.jobs_below(out)
    with run_lock(found[0].folder):
        said = failures(found)
    assert list(said) == [0]
    assert "another process is at work on" in said[0]
    assert registry.read_records(found[1].folder)


def test_a_checkpoint_cut_short_is_not_taken_for_the_end(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    found, _ = runner.jobs_below(out)
    last = found[0].folder / "last.ckpt"
    whole = last.read_bytes()
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["global_step"] = 1
    torch.save(checkpoint, found[0].folder / "previous.ckpt")
    last.write_bytes(whole[: len(whole) // 2])
    assert "last.ckpt cannot be read, and the one before is of step 1 of 3" in failures(found)[0]
    last.unlink()
    (found[0].folder / "previous.ckpt").unlink()
    assert "has no checkpoint that can be read" in failures(found)[0]
    assert not (found[0].folder / "analysis.json").exists()


def test_findings_that_nobody_here_wrote_are_not_overwritten(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    found, _ = runner.jobs_below(out)
    path = found[0].folder / "analysis.json"
    odd = '{"schema": 1, "probes": {"toy": {"settings": "odd", "weights": 1, "status": "x", "reason": ""}}}'
    for text in ("{", "[]", '{"schema": 0, "probes": {}}', '{"schema": 1, "probes": {"toy": 3}}', odd):
        path.write_text(text)
        said = failures(found)
        assert list(said) == [0]
        assert "analysis.json" in said[0]
        assert path.read_text() == text


def test_a_run_that_diverged_or_is_not_finished_is_noted(out: Path) -> None:
    diverged = write_run(out, experiment("lstm"), loss=None, diverged_at=7)
    begun = write_run(out, experiment("tcn"))
    (begun / "result.json").unlink()
    found, notes = runner.jobs_below(out)
    assert [job.experiment.architecture.name for job in found] == ["gru", "rnn"]
    assert notes == [
        f"{diverged} diverged at step 7: it has no model to probe",
        "not finished, and so left out: 1 of the runs; name the folder of one to probe it",
    ]


@pytest.mark.parametrize("name", ["", "last.ckpt"])
def test_the_folder_of_a_run_and_its_last_checkpoint_are_the_run(
    out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install(monkeypatch, toy=parameters)
    every, _ = runner.jobs_below(out)
    (job,), notes = runner.jobs_below(every[1].folder / name)
    assert notes == []
    run_all([job], asked("toy"))
    assert [(each.folder / "analysis.json").exists() for each in every] == [False, True]


@pytest.mark.parametrize("unfinished", [True, False])
def test_another_checkpoint_has_a_place_of_its_own(
    out: Path, monkeypatch: pytest.MonkeyPatch, unfinished: bool
) -> None:
    install(monkeypatch, toy=parameters)
    folder = runner.jobs_below(out)[0][0].folder
    if unfinished:
        (folder / "result.json").unlink()
        (job,), _ = runner.jobs_below(folder)
    else:
        shutil.copy(folder / "last.ckpt", folder / "mine.ckpt")
        (job,), _ = runner.jobs_below(folder / "mine.ckpt")
    run_all([job], asked("toy"))
    assert not (folder / "analysis.json").exists()
    assert registry.read_records(folder / "step-3")["toy"].result is not None


def test_what_names_no_model_is_refused(out: Path, tmp_path: Path) -> None:
    folder = runner.jobs_below(out)[0][0].folder
    other = runner.jobs_below(out)[0][1].folder
    (tmp_path / "empty").mkdir()
    shutil.copy(folder / "last.ckpt", tmp_path / "lost.ckpt")
    (folder / "notes.txt").write_text("mine")
    shutil.copy(folder / "last.ckpt", other / "foreign.ckpt")
    for path, message in (
        (tmp_path / "absent", "there is no folder"),
        (tmp_path / "empty", "no finished runs in"),
        (tmp_path / "lost.ckpt", "no config.yaml beside"),
        (folder / "notes.txt", "is damaged, or no checkpoint of this bench"),
        (other / "foreign.ckpt", "foreign.ckpt belongs to"),
    ):
        with pytest.raises(UserError, match=message):
            runner.jobs_below(path)


def test_untrained_models_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, toy=parameters)
    experiments = [small("gru", seed=seed) for seed in (0, 1)]
    made = runner.untrained_jobs(tmp_path, experiments)
    entries = run_all(made, asked("toy"))
    folders = sorted((tmp_path / "untrained/addition/gru" / experiments[0].identity).iterdir())
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    assert [registry.read_records(folder) for folder in folders] == entries
    assert all((folder / "config.yaml").exists() for folder in folders)
    assert entries[0]["toy"].weights != entries[1]["toy"].weights
    assert list(tmp_path.iterdir()) == [tmp_path / "untrained"]


def test_code_that_has_changed_since_is_not_taken_for_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
    (tmp_path / "mine_once.py").write_text(text)
    made = small("mine_once:Mine")
    assert models.untrained_model(made).name == "mine_once:Mine"
    other = replace(made, architecture=replace(made.architecture, source="0123456789ab"))
    with pytest.raises(UserError, match="the code of mine_once:Mine has changed since"):
        models.untrained_model(other)
    gone = replace(made, architecture=Part(name="absent_module:Mine", options=made.architecture.options))
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
    names, (found, _) = ["discount_dynamics", "memory_length"], runner.jobs_below(out)
    alone = run_all(found, asked(*names))
    dying = runner.untrained_jobs(out, [small("killer_once:Killer")])
    events: list[ProbeEvent] = []
    together = run_all([*dying, *found], asked(*names, again=True), workers=2, listen=events.append)
    assert together == [{}, *alone]
    failed = [(event.job, event.probe, event.text) for event in events if event.kind == "failed"]
    assert failed == [(0, name, "its process ended with status 9") for name in names]
