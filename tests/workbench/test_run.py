"""One experiment from its configuration to its result: saved, resumed, and never lost."""

import math
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch

from tests.architectures.kinds import names_of_each_kind
from tests.workbench.experiments import finish, module_and_data, small
from workbench import checkpoints
from workbench.cli.output import run_summary
from workbench.errors import UserError
from workbench.files import read_json, write_json, write_yaml
from workbench.results import read_run
from workbench.run import run
from workbench.run_folder import run_folder, run_lock
from workbench.training import SequenceModule
from workbench.training.callbacks import checkpoint_file
from workbench.training.callbacks.metrics_file import MetricsFile

FILES = ("result.json", "metrics.csv", "config.yaml")


def load_weights(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(one, other):
    """Checks that two folders of runs hold the same files and the same weights."""
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for (key, weight), other_weight in zip(load_weights(one).items(), load_weights(other).values(), strict=True):
        assert torch.equal(weight, other_weight), key


def stop_after(steps):
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) >= steps


@pytest.mark.parametrize("name", names_of_each_kind())
def test_a_run_stopped_at_every_third_step_ends_with_the_same_bits(name, tmp_path):
    options = {"num_layers": 2, "dropout": 0.3} if name in ("lstm", "rda") else {}
    experiment = small(name, architecture_options=options, schedule="cosine")
    whole = finish(experiment, tmp_path / "whole")
    for _ in range(3):
        assert run(experiment, tmp_path / "parts", stop=stop_after(3)) is None
    parts = finish(experiment, tmp_path / "parts")
    assert_same(whole.folder, parts.folder)


def test_a_result_says_what_the_model_at_the_end_does(tmp_path):
    experiment = small("gru", "copy", task_options={"length": 4, "items": 2}, steps=12)
    finished = finish(experiment, tmp_path)
    module, data = module_and_data(experiment)
    module.load_state_dict(load_weights(finished.folder))
    assert finished.result["test"] == module.evaluate(data.fixed_set("test"))
    rows = finished.metrics()
    assert rows["step"].tolist() == [5, 10, 12]
    last = rows.iloc[-1]
    assert last["val/loss"] == pytest.approx(module.evaluate(data.fixed_set("validation"))["loss"], rel=1e-12)
    assert finished.result["validation"] == module.evaluate(data.fixed_set("validation"))
    assert finished.result["parameters"] == sum(p.numel() for p in module.parameters())
    assert finished.result["state_size"] == 5
    assert finished.result["steps"] == 12
    assert finished.timing["seconds_per_step"] == pytest.approx(finished.timing["seconds"] / 12)


def test_a_row_is_the_mean_over_the_steps_since_the_last(tmp_path):
    coarse = finish(small(steps=12, log_every=4), tmp_path).metrics()
    fine = finish(small(steps=12, log_every=1), tmp_path).metrics()
    expected = fine["train/loss"].to_numpy().reshape(3, 4).mean(1)
    assert coarse["train/loss"].to_numpy() == pytest.approx(expected, rel=1e-12)
    assert coarse["val/loss"].tolist() == fine["val/loss"].tolist()[3::4]


def test_a_finished_run_is_read_not_repeated(tmp_path, monkeypatch):
    experiment = small()
    first = finish(experiment, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    monkeypatch.setattr(SequenceModule, "training_step", lambda *a: pytest.fail("trained again"))
    second = finish(experiment, tmp_path)
    assert second.result == first.result
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def test_a_loss_that_stops_being_a_number_is_a_result(tmp_path):
    experiment = small(
        "rnn", "alternation", task_options={"length": 4}, optimizer="sgd", learning_rate=1e30, clip="none"
    )
    experiment = replace(experiment, budget=replace(experiment.budget, steps=40))
    finished = finish(experiment, tmp_path)
    assert finished.diverged
    assert finished.result["test"] is None
    module, data = module_and_data(experiment)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e30)
    for step in range(40):
        loss = module.compute_scores(data.training_batch(step))[0]["loss"]
        if not math.isfinite(loss.item()):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert finished.result["diverged_at"] == step + 1
    assert finish(experiment, tmp_path).result == finished.result


def test_a_time_limit_ends_a_run_and_it_is_finished(tmp_path):
    experiment = small(steps=1_000_000)
    experiment = replace(experiment, budget=replace(experiment.budget, seconds=0.3))
    finished = finish(experiment, tmp_path)
    assert finished.result["status"] == "finished"
    assert 1 <= finished.result["steps"] < 1_000_000
    assert finished.timing["seconds"] >= 0.3
    assert finished.metrics()["step"].iloc[-1] == finished.result["steps"]


def test_a_checkpoint_cut_short_falls_back_to_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_file, "CHECKPOINT_SECONDS", 0.0)
    experiment = small()
    whole = finish(experiment, tmp_path / "whole")
    assert run(experiment, tmp_path / "cut", stop=stop_after(7)) is None
    folder = run_folder(tmp_path / "cut", experiment)
    last = folder / checkpoints.LAST
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    notes: list[str] = []
    steps: list[int] = []
    cut = finish(experiment, tmp_path / "cut", log=notes.append, on_progress=steps.append)
    assert [f"{last} is damaged: it is skipped"] == notes
    assert_same(whole.folder, cut.folder)


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path):
    experiment = small("lstm")
    run(experiment, tmp_path, stop=stop_after(5))
    last = run_folder(tmp_path, experiment) / checkpoints.LAST
    content = bytearray(last.read_bytes())
    tensor = load_weights(last.parent)["model.encoder.layers.0.core.weight_hh_l0"].numpy().tobytes()
    content[content.index(tensor) + 7] ^= 1
    last.write_bytes(content)
    assert checkpoints.read_identity(last) is None


def test_without_a_readable_checkpoint_the_run_starts_again_and_says_so(tmp_path):
    experiment = small()
    whole = finish(experiment, tmp_path / "whole")
    run(experiment, tmp_path / "cut", stop=stop_after(7))
    folder = run_folder(tmp_path / "cut", experiment)
    for name in (checkpoints.LAST, checkpoints.PREVIOUS):
        (folder / name).write_bytes(b"PK")
    notes: list[str] = []
    cut = finish(experiment, tmp_path / "cut", log=notes.append)
    assert "starts again" in notes[-1]
    assert_same(whole.folder, cut.folder)


def test_loading_a_checkpoint_executes_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a checkpoint was executed",))

    path = tmp_path / checkpoints.LAST
    torch.save({"state_dict": Trap()}, path)
    assert checkpoints.find_newest(tmp_path, "0" * 12) == (
        None,
        [f"{path} is damaged: it is skipped", f"no checkpoint in {tmp_path} can be read: the run starts again"],
    )


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    one, other = small(steps=12), small(steps=13)
    for experiment in (one, other):
        run(experiment, tmp_path, stop=stop_after(5))
    shutil.copy(run_folder(tmp_path, one) / "last.ckpt", run_folder(tmp_path, other) / "last.ckpt")
    with pytest.raises(UserError, match="belongs to another configuration"):
        run(other, tmp_path)


@pytest.mark.parametrize("finished", [True, False])
def test_a_configuration_edited_by_hand_is_refused_and_nothing_is_written(tmp_path, finished):
    experiment = small()
    run(experiment, tmp_path, stop=(lambda: False) if finished else stop_after(5))
    folder = run_folder(tmp_path, experiment)
    changed = experiment.to_dict()
    changed["optimization"]["learning_rate"] = 0.5
    write_yaml(folder / "config.yaml", changed)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="was changed"):
        run(experiment, tmp_path)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("{"), "not readable JSON"),
        (lambda path: path.write_text("[1]"), "does not hold a JSON object"),
        (lambda path: write_json(path, {"accuracy": 1.0}), "was not written by this bench"),
        (lambda path: write_json(path, read_json(path) | {"test": [1]}), "its test, test is invalid"),
        (lambda path: write_json(path, read_json(path) | {"test": {"loss": "low"}}), "its test is invalid"),
        (lambda path: write_json(path, read_json(path) | {"trivial_loss": "a"}), "its trivial_loss is invalid"),
        (lambda path: write_json(path, read_json(path) | {"identity": "0" * 12}), "belongs to another configuration"),
        (lambda path: write_json(path, read_json(path) | {"seed": 5}), "belongs to another configuration"),
    ],
)
def test_a_foreign_result_is_refused_and_kept(tmp_path, damage, message):
    experiment = small()
    path = finish(experiment, tmp_path).folder / "result.json"
    damage(path)
    before = path.read_bytes()
    for read_again in (lambda: run(experiment, tmp_path), lambda: read_run(path.parent)):
        with pytest.raises(UserError, match=message) as caught:
            read_again()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_two_processes_never_share_a_folder(tmp_path):
    experiment = small()
    with run_lock(run_folder(tmp_path, experiment)), pytest.raises(UserError, match="another process is at work"):
        run(experiment, tmp_path)
    assert run(experiment, tmp_path) is not None


NAN_TASK = """
import torch
from dataclasses import dataclass, replace

from workbench.tasks.addition import Addition


@dataclass(frozen=True, kw_only=True)
class Broken(Addition):
    \"\"\"Addition with a hole in it.

    Args:
        length: steps.
        where: train from step 7 on, or a fixed set's name.
    \"\"\"

    where: str = "train"

    def train(self, step, size, seed, device):
        batch = super().train(step, size, seed, device)
        return hole(batch) if self.where == "train" and step >= 6 else batch

    def fixed(self, split, size, device):
        batch = super().fixed(split, size, device)
        return hole(batch) if self.where == split else batch


def hole(batch):
    x = batch.x.clone()
    x[0, 0, 0] = float("nan")
    return replace(batch, x=x)
"""


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("train", "the training batch of step 7 of Broken holds NaN"),
        ("validation", "the validation set of Broken holds NaN"),
        ("test", "the test set of Broken holds NaN"),
    ],
)
def test_data_that_is_no_number_is_the_datas_fault(tmp_path, on_path, where, message):
    name = on_path("broken_task", NAN_TASK) + ":Broken"
    experiment = small(task=name, task_options={"length": 8, "where": where})
    with pytest.raises(UserError, match=message):
        run(experiment, tmp_path)
    assert not (run_folder(tmp_path, experiment) / "result.json").exists()


def test_metrics_are_numbers_that_pandas_reads_back_exactly(tmp_path):
    finished = finish(small(), tmp_path)
    rows = torch.load(finished.folder / "last.ckpt", weights_only=True)["callbacks"]["Recorder"]["rows"]
    assert pd.read_csv(finished.folder / "metrics.csv").to_dict("records") == rows


def test_every_row_is_reported_those_of_a_checkpoint_first(tmp_path):
    experiment = small(steps=12, log_every=3)
    rows: list[dict[str, float]] = []
    assert run(experiment, tmp_path, on_row=rows.append, stop=lambda: len(rows) == 2) is None
    assert [row["step"] for row in rows] == [3, 6], "it was not asked to stop right after a row"
    again: list[dict[str, float]] = []
    finished = finish(experiment, tmp_path, on_row=again.append)
    assert again[:2] == rows
    assert again == finished.metrics().to_dict("records")
    read_only: list[dict[str, float]] = []
    finish(experiment, tmp_path, on_row=read_only.append)
    assert read_only == []


def test_metrics_are_the_same_bytes_whether_rows_are_appended_or_written_whole(tmp_path, monkeypatch):
    experiment = small(log_every=1)
    finish(experiment, tmp_path / "appended")
    writes = []
    whole = MetricsFile.write_row

    def write_whole(self, row):
        self._columns = []
        writes.append(row["step"])
        whole(self, row)

    monkeypatch.setattr(MetricsFile, "write_row", write_whole)
    finish(experiment, tmp_path / "whole")
    assert len(writes) == 12
    appended, rewritten = (run_folder(tmp_path / name, experiment) / "metrics.csv" for name in ("appended", "whole"))
    assert appended.read_bytes() == rewritten.read_bytes()


def test_rows_behind_the_checkpoint_are_written_anew(tmp_path):
    experiment = small(log_every=1)
    whole = finish(experiment, tmp_path / "whole").folder
    rows: list[object] = []
    assert run(experiment, tmp_path / "cut", stop=lambda: len(rows) == 6, on_row=rows.append) is None
    path = run_folder(tmp_path / "cut", experiment) / "metrics.csv"
    path.write_text(path.read_text() + "7,0.1,0.2\n8,0.")
    finish(experiment, tmp_path / "cut")
    assert path.read_bytes() == (whole / "metrics.csv").read_bytes()


def test_a_checkpoint_that_cannot_be_read_back_is_said_at_once(tmp_path, on_path):
    name = on_path(
        "keeps_numpy",
        """
import numpy as np
from architectures.gru import GRU


class Keeps(GRU):
    def get_extra_state(self):
        return {"scale": np.float64(0.5)}

    def set_extra_state(self, state):
        pass
""",
    )
    lines: list[str] = []
    finish(small(f"{name}:Keeps"), tmp_path, log=lines.append)
    (line,) = lines
    assert line.startswith(
        "warning: its checkpoint cannot be read back, so once interrupted it starts again: it holds "
    )
    assert "numpy" in line
    lines.clear()
    finish(small(), tmp_path, log=lines.append)
    assert not lines


def test_a_metric_without_a_value_is_undefined(tmp_path, on_path, capsys):
    name = on_path(
        "asks_nothing",
        """
import torch
from workbench.tasks.addition import Addition


class Nothing(Addition):
    def metrics(self, prediction, batch):
        return {"share": torch.zeros(()) / torch.zeros(())}


class Lossy(Addition):
    def metrics(self, prediction, batch):
        return {"loss": torch.zeros(())}
""",
    )
    finished = finish(small(task=f"{name}:Nothing", task_options={"length": 6}), tmp_path)
    assert finished.result["test"]["share"] is None
    assert run_summary(finished).endswith("share undefined")
    with pytest.raises(UserError, match="Lossy has a metric named loss, which is the name of what is trained on"):
        finish(small(task=f"{name}:Lossy", task_options={"length": 6}), tmp_path)
