"""Precision, and the device that data is drawn on: they change the numbers, and old results keep their folders."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import mse_loss

from tests.architectures.kinds import names_of_each_kind
from tests.workbench.experiments import finish, module_and_data, small
from tests.workbench.test_run import assert_same, load_weights, stop_after
from workbench import tasks
from workbench.cli.train import build_experiment, build_parser
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment, Numerics, Part
from workbench.errors import UserError
from workbench.files import read_json, read_yaml, write_yaml
from workbench.run import run
from workbench.run_folder import run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")


def with_numerics(experiment, **chosen):
    return replace(experiment, numerics=Numerics(**chosen))


def test_configurations_from_before_there_was_a_choice_keep_their_identity():
    """The hashes are those of the previous version."""
    plain = Experiment(task=Part(name="t", options={"a": 1, "b": 2}), architecture=Part(name="x"))
    assert plain.identity == "e16543925628"
    assert replace(plain, budget=Budget(until="val/loss < 0.1")).identity == "66d34fa2a766"
    assert "numerics" not in plain.to_dict()


def test_whatever_is_not_usual_is_another_experiment():
    plain = small()
    others = [{"precision": "bf16"}, {"draw": "device"}, {"precision": "bf16", "draw": "device"}]
    experiments = [with_numerics(plain, **other) for other in others]
    assert len({experiment.identity for experiment in (plain, *experiments)}) == 4
    assert [experiment.to_dict()["numerics"] for experiment in experiments] == others
    for experiment in experiments:
        assert Experiment.from_dict(experiment.to_dict()) == experiment


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"precision": "16"}, "precision '16' is unknown"),
        ({"precision": True}, "precision True is unknown"),
        ({"draw": "cuda"}, "draw 'cuda' is unknown"),
    ],
)
def test_impossible_values_are_refused(chosen, message):
    with pytest.raises(UserError, match=message):
        Numerics(**chosen)


def test_comparisons_and_the_command_line_take_them(tmp_path):
    comparison = Comparison(
        tasks=("addition",), architectures=("gru",), numerics=Numerics(precision="bf16", draw="device")
    )
    write_yaml(tmp_path / "comparison.yaml", comparison.to_dict())
    written = read_yaml(tmp_path / "comparison.yaml")
    assert (written["precision"], written["draw"]) == ("bf16", "device")
    assert Comparison.from_dict(written) == comparison
    assert {experiment.numerics for experiment in comparison.experiments()} == {comparison.numerics}
    assert Comparison.from_dict({**written, "precision": "float32"}).numerics == Numerics(draw="device")
    arguments = ["--task", "addition", "--architecture", "gru", "--precision", "bf16", "--draw", "device"]
    values = build_parser().parse_args(arguments).as_dict()
    settings = {key: value for key, value in values.items() if key in {"task", "architecture", "seed", *written}}
    assert build_experiment(settings, {}).numerics == comparison.numerics


def test_training_in_bf16_is_the_textbook_loop_under_autocast(tmp_path):
    experiment = with_numerics(small(steps=3, optimizer="sgd", learning_rate=0.1, clip="none"), precision="bf16")
    finished = finish(experiment, tmp_path)
    by_hand, _ = module_and_data(experiment)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    losses = []
    for step in range(3):
        batch = by_hand.task.train(step, 4, 0, torch.device("cpu"))
        with torch.autocast("cpu", torch.bfloat16):
            answers, _ = by_hand.model(batch.x, batch.lengths)
        assert answers.dtype == torch.bfloat16
        loss = mse_loss(answers.float(), batch.target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert finished.metrics()["train/loss"].tolist() == [pytest.approx(math.fsum(losses) / 3, rel=1e-12)]
    for key, weight in load_weights(finished.folder).items():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, by_hand.state_dict()[key])


@pytest.mark.parametrize("name", names_of_each_kind())
def test_every_architecture_trains_in_bf16_and_is_tested_as_it_was_trained(name, tmp_path):
    plain = small(name, "copy", task_options={"length": 4, "items": 2}, steps=6)
    experiment = with_numerics(plain, precision="bf16")
    finished, whole = finish(experiment, tmp_path), finish(plain, tmp_path)
    assert finished.result["status"] == "finished"
    assert finished.folder != whole.folder
    weights, whole_weights = load_weights(finished.folder), load_weights(whole.folder)
    assert not all(torch.equal(weight, whole_weights[key]) for key, weight in weights.items())
    module, data = module_and_data(experiment)
    module.load_state_dict(load_weights(finished.folder))
    assert finished.result["test"] == module.evaluate(data.fixed_set("test"))
    # The same weights in float32 have other losses, and not by much.
    exactly, _ = module_and_data(plain)
    exactly.load_state_dict(load_weights(finished.folder))
    loss = exactly.evaluate(data.fixed_set("test"))["loss"]
    assert finished.result["test"]["loss"] != loss
    assert finished.result["test"]["loss"] == pytest.approx(loss, rel=0.02)


@pytest.mark.parametrize("name", ["lstm", "rda", "tcn"])
def test_a_run_in_bf16_that_was_stopped_ends_with_the_same_bits(name, tmp_path):
    experiment = with_numerics(small(name), precision="bf16")
    whole = finish(experiment, tmp_path / "whole")
    for _ in range(3):
        assert run(experiment, tmp_path / "parts", stop=stop_after(3)) is None
    assert_same(whole.folder, finish(experiment, tmp_path / "parts").folder)


@pytest.mark.parametrize("name", ["lstm", "rda"])
def test_what_is_carried_over_in_bf16_is_kept_too(name, tmp_path):
    experiment = with_numerics(small(name, "text", steps=6, task_options={"length": 20}), precision="bf16")
    whole = finish(experiment, tmp_path / "whole")
    assert run(experiment, tmp_path / "parts", stop=stop_after(3)) is None
    assert_same(whole.folder, finish(experiment, tmp_path / "parts").folder)


def test_without_a_gpu_data_drawn_on_the_device_is_the_same_in_a_folder_of_its_own(tmp_path):
    plain = small(steps=6)
    drawn = with_numerics(plain, draw="device")
    for experiment in (plain, drawn):
        finish(experiment, tmp_path)
    one, other = run_folder(tmp_path, plain), run_folder(tmp_path, drawn)
    assert one != other
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    assert read_yaml(other / "config.yaml")["numerics"] == {"draw": "device"}


@pytest.mark.parametrize("draw", ["cpu", "device"])
def test_training_data_is_drawn_where_it_was_requested_and_fixed_sets_on_the_cpu(draw, monkeypatch):
    # The only other device that every machine has.
    device = torch.device("meta")
    _, data = module_and_data(with_numerics(small(), draw=draw))
    calls = []
    kind = type(data.task)
    train, fixed = kind.train, kind.fixed

    def recorded(name, original):
        def call(self, *arguments):
            calls.append((name, arguments[-1]))
            return original(self, *arguments[:-1], torch.device("cpu"))

        return call

    monkeypatch.setattr(kind, "train", recorded("train", train))
    monkeypatch.setattr(kind, "fixed", recorded("fixed", fixed))
    assert data.training_batch(3, device=device).to(device).x.device == device
    assert data.fixed_set("test", device).x.device == device
    cpu = torch.device("cpu")
    assert calls == [("train", device if draw == "device" else cpu), ("fixed", cpu)]


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist-permuted", "series", "text"])
def test_data_that_is_stored_is_read_where_it_is_wanted(name):
    """The order is drawn on the CPU, so that it is the same everywhere; the batch is on the device."""
    task, meta = tasks.build(name), torch.device("meta")
    for batch in (task.train(5, 3, 0, meta), task.fixed("validation", 3, meta)):
        assert batch.x.device == batch.target.device == meta


def test_the_time_says_in_what_precision_it_was_taken(tmp_path):
    finished = finish(with_numerics(small(steps=2), precision="bf16"), tmp_path)
    timing = read_json(finished.folder / "timing.json")
    assert timing["precision"] == "bf16"
    # Only a GPU has it.
    assert "matmul_precision" not in timing
