"""Records, their sources and their sync states, tested without wandb."""

import dataclasses
import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from analysis.dashboards.mirror import mirror, publishing, sources
from analysis.dashboards.mirror.mirror import Mirror, comparison_item, is_current, remove_replaced_records, run_item
from analysis.dashboards.mirror.naming import RunColumns, best_direction, curve_tables, slug
from analysis.dashboards.mirror.record import Record, TrialInfo, run_record
from analysis.dashboards.mirror.state import (
    Destination,
    SyncState,
    iter_states,
    mirrored_destination,
    read_state,
    record_file,
    resolve_destination,
    write_state,
)
from analysis.probes import records
from analysis.probes.records import ProbeRecord
from analysis.probes.result import Curve, Metric, ProbeResult
from tests.analysis.report_runs import experiment, write_run
from tests.analysis.tuning_studies import study, trial
from workbench import study_files
from workbench.cli.output import warn
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.results import Run, finished_runs

DESTINATION = Destination(project="p")
RUN_COLUMNS: RunColumns = {"run": "r", "architecture": "a", "task": "t", "seed": 0}


def write_finished_run(out: Path, **options) -> Run:
    """Writes a finished run, and returns it."""
    write_run(out, experiment("lstm", steps=20), **options)
    (run,) = finished_runs(out)
    return run


def write_run_state(out: Path, run: Run, destination: Destination = DESTINATION, **changed) -> SyncState:
    """Writes the sync state of a run, with an empty record, and returns it."""
    item = run_item(run)
    folder = f"wandb/offline-run-20260101_000000-{item.record.id}"
    (out / folder).mkdir(parents=True, exist_ok=True)
    (out / folder / f"run-{item.record.id}.wandb").touch()
    content, at = item.record.content, str(out.resolve())
    state = SyncState(id=item.record.id, place=destination, folder=folder, content=content, at=at)
    state = dataclasses.replace(state, **changed)
    write_state(item.state_path, state)
    return state


@pytest.mark.parametrize(
    ("metric", "criterion", "best"),
    [
        ("loss", None, "min"),
        ("loss", "loss > 3", "min"),
        ("accuracy", "loss < 0.001", "max"),
        ("bits", "bits < 1.5", "min"),
        ("bits", "bits > 1.5", "max"),
        ("bits", "bits = 1", "max"),
        ("bits", "bits_of_it < 1", None),
        ("b.t", "bit < 1", None),
        ("bits", None, None),
    ],
)
def test_the_best_value_of_a_metric_is_what_the_task_says(metric, criterion, best):
    assert best_direction(metric, criterion) == best


@pytest.mark.parametrize(("unit", "name"), [("1 / step", "1-step"), ("Steps", "steps"), ("%", "x"), ("µs²", "s")])
def test_a_unit_is_part_of_a_name(unit, name):
    assert slug(unit) == name


def test_curves_over_the_same_unit_share_a_table_and_missing_places_are_empty():
    first = Curve(x=(4.0, 1.0), y=(0.5, None), low=(0.4, None), high=(0.6, None), x_unit="steps", y_unit="", what="")
    other = Curve(x=(1.0, 2.0), y=(7.0, 8.0), x_unit="steps", y_unit="", what="")
    other_unit = Curve(x=(9.0,), y=(1.0,), x_unit="share of it", y_unit="", what="")
    tables = curve_tables({"a": first, "b": other, "c": other_unit}, RUN_COLUMNS)
    assert {*tables} == {"by-steps", "by-share-of-it"}
    assert tables["by-steps"].columns == ("x", "a", "a_low", "a_high", "b", "run", "architecture", "task", "seed")
    assert tables["by-steps"].rows == (
        (1.0, None, None, None, 7.0, "r", "a", "t", 0),
        (2.0, None, None, None, 8.0, "r", "a", "t", 0),
        (4.0, 0.5, 0.4, 0.6, None, "r", "a", "t", 0),
    )


def test_a_diverged_run_has_its_last_row_without_what_is_missing(tmp_path):
    run = write_finished_run(tmp_path, loss=None, losses=(0.5, math.nan, math.inf), diverged_at=300)
    record = run_record(run)
    assert [sorted(row) for row in record.history] == [
        ["step", "train/learning_rate", "train/loss", "val/loss"],
        ["step", "train/learning_rate"],
        ["step", "train/learning_rate", "train/loss", "val/loss"],
    ]
    assert record.history[2]["val/loss"] == math.inf
    assert (record.summary["result/status"], record.summary["result/diverged_at"]) == ("diverged", 300)
    assert not [name for name in record.summary if name.startswith("test/")]
    assert record.tags == ("addition", "lstm", "diverged")
    json.loads(json.dumps(record.summary, allow_nan=False))


def test_tags_are_no_longer_than_wandb_takes(tmp_path):
    run = write_finished_run(tmp_path)
    named = dataclasses.replace(
        run.experiment, architecture=dataclasses.replace(run.experiment.architecture, name="x" * 65)
    )
    record = run_record(dataclasses.replace(run, experiment=named))
    assert record.tags[1] == "x" * 64
    assert "x" * 65 in record.name


@pytest.mark.parametrize("damage", ["", "step,val/loss\n1,abc\n", "a,b\n1,2,3\n1,2,3,4,5\n", None])
def test_metrics_that_are_no_table_of_numbers_are_one_line(tmp_path, damage):
    run = write_finished_run(tmp_path)
    path = run.folder / "metrics.csv"
    path.unlink() if damage is None else path.write_text(damage)
    with pytest.raises(UserError, match=r"metrics\.csv is not a table of numbers") as refused:
        run_record(run)
    assert "\n" not in str(refused.value)


def test_the_content_changes_with_everything_that_is_shown(tmp_path):
    (page := tmp_path / "page").write_text("a")
    base = Record(id="i", name="n", group="g", job_type="j", tags=("t",), config={"c": 1}, pages={"report/page": page})
    changed: list[dict[str, Any]] = [
        {"id": "x"}, {"name": "x"}, {"group": "x"}, {"job_type": "x"}, {"tags": ("x",)}, {"config": {"c": 2}},
        {"best": {"val/loss": "min"}}, {"history": ({"step": 1.0},)}, {"summary": {"s": 1}}, {"pages": {}},
        {"images": {"figure/x": page}}, {"files": {"last.ckpt": page}},
        {"tables": curve_tables({"a": CURVE}, RUN_COLUMNS)},
    ]  # fmt: skip
    hashes = [base.content, *(dataclasses.replace(base, **change).content for change in changed)]
    page.write_text("b")
    hashes.append(base.content)
    assert len({*hashes}) == len(changed) + 2
    assert {name for change in changed for name in change} == {field.name for field in dataclasses.fields(Record)}


CURVE = Curve(x=(1.0,), y=(2.0,), x_unit="steps", y_unit="", what="")


def test_numbers_of_probes_have_their_intervals_behind_them(tmp_path):
    run = write_finished_run(tmp_path)
    numbers = {
        "a": Metric(value=1.0, unit="", what="", low=0.0, high=2.0),
        "b": Metric(value=None, unit="", what="", censored=True),
    }
    probe_record = ProbeRecord(settings={}, weights="", result=ProbeResult(metrics=numbers, labels={"w": "said"}))
    unavailable = ProbeRecord(settings={}, weights="", result=None, reason="has none")
    records.write_records(run.folder, {"memory_length": probe_record, "gradient_decay": unavailable})
    summary = {name: value for name, value in run_record(run).summary.items() if name.startswith(("probe/", "word/"))}
    assert summary == {
        "probe/memory_length/a": 1.0,
        "probe/memory_length/a/low": 0.0,
        "probe/memory_length/a/high": 2.0,
        "probe/memory_length/b": None,
        "probe/memory_length/b/at_least": True,
        "word/memory_length/w": "said",
    }


@pytest.mark.parametrize(
    ("states", "expected"), [(("pruned", "complete", "complete"), 1), (("complete", "pruned"), 0), (("pruned",) * 2, 0)]
)
def test_of_trials_with_the_same_run_the_first_that_went_to_its_end_is_shown_whoever_asks(tmp_path, states, expected):
    run_config = experiment("gru", seed=TUNING_SEED)
    write_run(tmp_path, run_config)
    trials = [
        dataclasses.replace(trial(number, 0.5, identity=run_config.identity), state=state, values=None)
        for number, state in enumerate(states)
    ]
    study_files.write_study(tmp_path, study("gru", trials))
    ((run, chosen),) = sources.load_runs(tmp_path)
    assert chosen is not None
    assert chosen.trial.number == expected
    assert run.result["status"] == ("pruned" if states[expected] == "pruned" else "finished")


def test_a_trial_is_not_shown_by_the_run_of_another(tmp_path):
    run_config, other = experiment("gru", seed=TUNING_SEED), experiment("gru", seed=TUNING_SEED, learning_rate=0.5)
    folder = write_run(tmp_path, run_config)
    folder.parent.rename(folder.parent.with_name(other.identity))
    study_files.write_study(tmp_path, study("gru", [trial(0, 0.5, identity=other.identity)]))
    assert list(sources.load_runs(tmp_path)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"folder": 3}, {"folder": "a\0b"}, {"id": [1]}, {"place": {"project": 5, "entity": None}}, {"content": None},
        {"place": {"project": "p", "entity": 7}}, {"at": 0}, {"sent": "no"}, {"checkpoint": 1}, {"place": None},
        {"more": 1}, {"id": "i", "project": "p", "folder": "wandb/x", "place": "p"},
    ],
)  # fmt: skip
def test_a_sync_state_with_other_types_is_not_read(tmp_path, change):
    good = dataclasses.asdict(SyncState(id="i", place=DESTINATION, folder="wandb/x", content="c", at="/"))
    path = tmp_path / "wandb.json"
    path.write_text(json.dumps(good))
    assert read_state(path) is not None
    path.write_text(json.dumps(good | change))
    assert read_state(path) is None


def test_a_folder_is_mirrored_for_what_its_report_is(tmp_path):
    run = write_finished_run(tmp_path)
    assert (mirrored_destination(tmp_path), resolve_destination(tmp_path).project) == (None, "sequence-workbench")
    state = write_run_state(tmp_path, run, Destination(project="old", entity="e"))
    assert resolve_destination(tmp_path) == Destination(project="old", entity="e")
    write_state(tmp_path / "wandb/comparison.json", dataclasses.replace(state, place=Destination(project="new")))
    assert mirrored_destination(tmp_path) == Destination(project="new")
    assert resolve_destination(tmp_path, "q", "x") == Destination(project="q", entity="x")
    assert [path.name for path, _ in iter_states(tmp_path)] == ["wandb.json", "comparison.json"]


def test_a_record_is_current_while_it_is_there_or_has_been_sent(tmp_path):
    run = write_finished_run(tmp_path)
    item = run_item(run)
    assert not is_current(tmp_path, item, DESTINATION)
    state = write_run_state(tmp_path, run)
    assert is_current(tmp_path, item, DESTINATION)
    assert not is_current(tmp_path, item, Destination(project="p", entity="e"))
    write_run_state(tmp_path, run, at="/elsewhere")
    assert not is_current(tmp_path, item, DESTINATION)
    write_run_state(tmp_path, run, at="/elsewhere", sent=True)
    assert is_current(tmp_path, item, DESTINATION)
    write_run_state(tmp_path, run, content="other", sent=True)
    assert not is_current(tmp_path, item, DESTINATION)
    write_run_state(tmp_path, run)
    file = record_file(tmp_path, state)
    assert file is not None
    file.unlink()
    assert not is_current(tmp_path, item, DESTINATION)


def test_what_changes_while_it_is_written_is_written_again(tmp_path, monkeypatch):
    write_finished_run(tmp_path)
    (page := tmp_path / "report.html").write_text("before")

    def write(record, out, destination):
        page.write_text("after")
        return Path("wandb/offline-run-x")

    monkeypatch.setattr("analysis.dashboards.mirror.offline_run.write_offline_run", write)
    item = comparison_item(tmp_path)
    assert item is not None
    state = mirror.write_record(tmp_path, item, DESTINATION)
    assert state.content != item.record.content


def test_records_that_others_have_replaced_are_removed_and_nothing_else(tmp_path):
    run = write_finished_run(tmp_path)
    state = write_run_state(tmp_path, run)
    wandb = tmp_path / "wandb"
    left = [f"offline-run-20250101_000000-{state.id}", f"offline-run-20260101_000000-{state.id}-1"]
    others = [
        Path(state.folder).name, f"offline-run-20250101_000000-{state.id}0", "offline-run-20250101_000000-mine",
        f"run-20250101_000000-{state.id}", f"offline-run-2025-{state.id}", f"offline-run-20250101_000000-{'0' * 16}",
    ]  # fmt: skip
    for name in (*left, *others):
        (wandb / name).mkdir(exist_ok=True)
        (wandb / "staged" / name).mkdir(parents=True)
    remove_replaced_records(tmp_path)
    for parent in (wandb, wandb / "staged"):
        assert {path.name for path in parent.iterdir() if "run-" in path.name} == {*others}
    remove_replaced_records(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_mirror_that_breaks_for_all_says_so_twice_at_most(tmp_path, monkeypatch):
    run = write_finished_run(tmp_path)

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr("analysis.dashboards.mirror.mirror.find_spec", lambda name: True)
    monkeypatch.setattr("analysis.dashboards.mirror.offline_run.write_offline_run", broken)
    log: list[str] = []
    with Mirror(tmp_path, "offline", DESTINATION, log.append) as breaking:
        for _ in range(5):
            breaking.add(run)
    assert len(log) == 2
    assert "disk full" in log[0]
    assert log[1] == f"W&B could not mirror 4 more; workbench sync {tmp_path} tries again"


def test_after_ctrl_c_the_mirror_does_not_wait_for_records_that_it_has_not_begun(tmp_path, monkeypatch):
    run = write_finished_run(tmp_path)
    begun: list[str] = []
    holding, free = threading.Event(), threading.Event()

    def hold(*args: object, **more: object) -> None:
        begun.append("x")
        holding.set()
        free.wait(10)

    monkeypatch.setattr("analysis.dashboards.mirror.mirror.find_spec", lambda name: True)

    def stop() -> None:
        with Mirror(tmp_path, "offline", DESTINATION, begun.append) as stopped:
            monkeypatch.setattr(mirror, "run_item", hold)
            for _ in range(50):
                stopped.add(run)
            holding.wait(10)
            threading.Timer(0.2, free.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert begun.count("x") == 1


def test_what_waits_goes_where_it_was_written_for_and_trouble_is_one_line(tmp_path, monkeypatch, capsys):
    for seed in range(3):
        write_run(tmp_path, experiment("lstm", seed=seed, steps=20))
    first, second, third = finished_runs(tmp_path)
    write_run_state(tmp_path, first, Destination(project="old"))
    write_run_state(tmp_path, second, Destination(project="new"))
    write_run_state(tmp_path, third, at="/elsewhere")
    uploads: list[tuple[str, list[Path]]] = []
    monkeypatch.setattr("analysis.dashboards.mirror.account.fetch_account", lambda: "me")
    monkeypatch.setattr(
        "analysis.dashboards.mirror.sync.upload",
        lambda out, paths, destination, account: uploads.append((destination.project, paths)),
    )
    publishing.send_pending(tmp_path, warn)
    assert sorted(uploads) == [("new", [second.folder / "wandb.json"]), ("old", [first.folder / "wandb.json"])]

    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr("analysis.dashboards.mirror.sync.upload", full)
    publishing.send_pending(tmp_path, warn)
    assert capsys.readouterr().err == (
        f"workbench: no space left; nothing is lost: workbench sync {tmp_path} sends what is left\n"
    )


def test_a_trial_says_its_state_and_its_study_and_the_best_is_that_of_the_validation(tmp_path):
    run = write_finished_run(tmp_path, accuracy=0.5, accuracies=(0.1, 0.2, 0.3))
    untuned = run_record(run)
    assert untuned.best == {"val/accuracy": "max", "val/loss": "min"}
    assert (untuned.group, untuned.summary["result/phase"]) == (run.experiment.identity, "run")
    trial_info = TrialInfo(study="s/t", objectives=("loss",), trial=trial(3, 0.5, state="diverged"))
    record = run_record(run, trial_info)
    assert record.tags == ("addition", "lstm", "diverged", "trial")
    assert (record.name, record.group, record.summary["result/phase"]) == ("s/t/trial-3", "s/t", "trial")
    assert record.id == untuned.id


def test_weights_go_along_where_there_are_any(tmp_path):
    run = write_finished_run(tmp_path)
    assert run_record(run, checkpoint=True).files == {}
    (run.folder / "last.ckpt").touch()
    assert run_record(run, checkpoint=True).files == {"last.ckpt": run.folder / "last.ckpt"}
    assert run_record(run).files == {}


def test_the_report_keeps_its_id(tmp_path):
    (tmp_path / "report.html").write_text("x")
    write_finished_run(tmp_path)
    first, other = comparison_item(tmp_path), comparison_item(tmp_path)
    assert first is not None
    assert other is not None
    assert first.record.id != other.record.id
    write_state(
        first.state_path, SyncState(id=first.record.id, place=DESTINATION, folder="wandb/x", content="", at="/")
    )
    again = comparison_item(tmp_path)
    assert again is not None
    assert again.record.id == first.record.id
