"""Seeds that are trained as one stacked model: each ends as it does alone, and its folder is the same."""

import threading
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from tests.workbench.experiments import finish, small
from tests.workbench.test_run import assert_same, stop_after
from workbench.denormals import are_flushed
from workbench.files import read_json
from workbench.run import run
from workbench.run_folder import run_folder, run_lock
from workbench.run_loggers import LightningLogger
from workbench.run_pool import run_stacked
from workbench.training import SequenceModule, TaskDataModule, lanes, stacked_gradients
from workbench.training.callbacks.record import TrainingClock
from workbench.training.lanes import LaneClock, SharedTime, run_lanes
from workbench.training.stackability import in_double

RECIPES: dict[str, dict[str, Any]] = {
    "value": {"clip": "value", "clip_at": 0.01},
    "norm": {"clip": "norm", "clip_at": 0.05, "schedule": "cosine", "warmup_steps": 3},
    "decay": {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "linear"},
    "momentum": {"optimizer": "rmsprop", "momentum": 0.5, "clip": "none"},
}
TASKS = {"addition": {"length": 8}, "copy": {"length": 4, "items": 2}}
NAMES = ("rnn", "lstm", "gru", "rda", "rwa", "tcn", "transformer", "mingru")


@pytest.fixture
def double(monkeypatch):
    """Has runs computed in double precision, in which the order of sums hardly matters."""
    build, draw, fixed = SequenceModule.from_experiment, TaskDataModule.training_batch, TaskDataModule.fixed_set
    monkeypatch.setattr(SequenceModule, "from_experiment", lambda experiment: build(experiment).double())
    monkeypatch.setattr(TaskDataModule, "training_batch", lambda *args, **named: in_double(draw(*args, **named)))
    monkeypatch.setattr(TaskDataModule, "fixed_set", lambda *args: in_double(fixed(*args)))


def train(experiments, out, stop=lambda: False):
    """Trains experiments as one stack; returns how each has ended, by its place, and what else was told."""
    ends, notes = {}, []

    def send(event):
        if event.kind == "note":
            notes.append((event.place, event.text))
        elif event.kind != "step":
            ends[event.place] = event

    run_stacked(experiments, out, "cpu", 1, send, stop=stop)
    assert all(thread.name != "lane" for thread in threading.enumerate())
    return ends, notes


def test_gradients_of_a_stack_are_computed_without_denormal_numbers(tmp_path, monkeypatch):
    """By a thread that is none of the lanes'."""
    seen = []

    def compute(steps):
        seen.append(are_flushed())
        return stacked_gradients.compute_together(steps)

    monkeypatch.setattr(lanes, "compute_together", compute)
    train(seeds_of(small(steps=2)), tmp_path)
    assert seen == [True, True]
    assert not are_flushed()


def kinds(ends):
    return [ends[place].kind for place in sorted(ends)]


def seeds_of(experiment, count=3):
    return [replace(experiment, seed=seed) for seed in range(count)]


def assert_alike(one, other):
    """Checks that two folders hold the same files, and the same numbers in them up to rounding."""
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    assert (one / "config.yaml").read_bytes() == (other / "config.yaml").read_bytes()
    table, other_table = (pd.read_csv(folder / "metrics.csv") for folder in (one, other))
    pd.testing.assert_frame_equal(table, other_table, check_exact=False, rtol=1e-9, atol=1e-14)
    results = [read_json(folder / "result.json") for folder in (one, other)]
    for part in ("test", "validation"):
        scores = [result.pop(part) for result in results]
        assert scores[0] == (scores[1] if scores[1] is None else pytest.approx(scores[1], rel=1e-9))
    assert results[0] == results[1]
    checkpoints = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (one, other)]
    for checkpoint in checkpoints:
        # Seconds, which differ from run to run.
        del checkpoint["callbacks"]["Recorder"]["seconds"]
    torch.testing.assert_close(*map(numbers, checkpoints), rtol=1e-9, atol=1e-14)


def numbers(tree):
    """Returns all numbers and tensors of a checkpoint, by their places."""
    found, todo = {}, [("", tree)]
    while todo:
        place, value = todo.pop()
        if isinstance(value, dict):
            todo += [(f"{place}/{key}", branch) for key, branch in value.items()]
        elif isinstance(value, list | tuple):
            todo += [(f"{place}/{key}", branch) for key, branch in enumerate(value)]
        elif isinstance(value, torch.Tensor | float | int):
            found[place] = torch.as_tensor(value)
            # A part of a larger tensor is saved with all of it.
            found[f"{place} bytes"] = torch.tensor(found[place].untyped_storage().nbytes())
    return found


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("place", "name", "task"),
    # Every name, recipe and task is in a quick one; the other pairs of name and task are slow tests.
    [
        pytest.param(place, name, task, marks=() if (place + place // 4) % 2 == number else pytest.mark.slow)
        for place, name in enumerate(NAMES)
        for number, task in enumerate(TASKS)
    ],
)
def test_each_seed_ends_as_it_does_alone(place, name, task, tmp_path, monkeypatch):
    recipe = [*RECIPES.values()][(place + 2 * (task == "copy")) % len(RECIPES)]
    experiments = seeds_of(small(name, task, task_options=TASKS[task], steps=10, log_every=4, **recipe))
    sizes = count_stacks(monkeypatch)
    ends, notes = train(experiments, tmp_path / "stacked")
    assert (kinds(ends), notes, sizes) == (["finished"] * 3, [], [3] * 10)
    for experiment in experiments:
        alone = finish(experiment, tmp_path / "alone")
        folder = run_folder(tmp_path / "stacked", experiment)
        assert_alike(folder, alone.folder)
        assert read_json(folder / "timing.json")["seeds_at_once"] == 3
        assert "seeds_at_once" not in alone.timing


def count_stacks(monkeypatch):
    """Returns a list that gets the size of every stack whose forward pass is computed as one."""
    sizes, predict = [], stacked_gradients.predict_stacked

    def counted(steps):
        outputs = predict(steps)
        sizes.append(len(steps))
        return outputs

    monkeypatch.setattr(stacked_gradients, "predict_stacked", counted)
    return sizes


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["lru", "act", "seq2seq"])
def test_rules_for_parameters_and_penalties_hold_for_each_seed(name, tmp_path):
    """The LRU has parameters that are not decayed, the other two a penalty and states of another kind."""
    options = {"num_layers": 2} if name == "lru" else {}
    experiments = seeds_of(small(name, architecture_options=options, steps=4, **RECIPES["decay"]), 2)
    assert kinds(train(experiments, tmp_path / "stacked")[0]) == ["finished"] * 2
    for experiment in experiments:
        assert_alike(run_folder(tmp_path / "stacked", experiment), finish(experiment, tmp_path / "alone").folder)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_states_are_carried_by_each_seed_from_batch_to_batch(name, tmp_path):
    experiments = seeds_of(small(name, "text", task_options={"length": 6}, steps=6, log_every=3), 2)
    assert TaskDataModule.from_experiment(experiments[0]).task.stateful
    assert kinds(train(experiments, tmp_path / "stacked")[0]) == ["finished"] * 2
    for experiment in experiments:
        assert_alike(run_folder(tmp_path / "stacked", experiment), finish(experiment, tmp_path / "alone").folder)


@pytest.mark.usefixtures("double")
def test_a_step_that_fails_in_its_backward_pass_is_made_alone_from_the_same_state(tmp_path, monkeypatch):
    experiments = seeds_of(small("lstm", "text", task_options={"length": 6}, steps=4, log_every=2), 2)
    backward = torch.Tensor.backward
    failures: list[torch.Tensor] = []

    def fail_once(loss, *args, **named):
        # The loss of a stack is the sum of those of its seeds, which is made of a stack of them.
        if len(failures) < 1 and "Sum" in type(loss.grad_fn).__name__:
            failures.append(loss)
            raise RuntimeError("cublas could not allocate")
        return backward(loss, *args, **named)

    monkeypatch.setattr(torch.Tensor, "backward", fail_once)
    ends, notes = train(experiments, tmp_path / "stacked")
    assert kinds(ends) == ["finished"] * 2
    assert failures
    assert "one by one" in notes[0][1]
    for experiment in experiments:
        assert_alike(run_folder(tmp_path / "stacked", experiment), finish(experiment, tmp_path / "alone").folder)


def test_a_seed_whose_code_ends_the_process_fails_and_leaves_the_others(tmp_path, monkeypatch):
    experiments = seeds_of(small("gru", steps=4), 3)
    draw = TaskDataModule.training_batch

    def leave(data, step, **options):
        if data.seed == 1 and step == 2:
            raise SystemExit("enough")
        return draw(data, step, **options)

    monkeypatch.setattr(TaskDataModule, "training_batch", leave)
    ends, _ = train(experiments, tmp_path)
    assert kinds(ends) == ["finished", "failed", "finished"]
    assert "enough" in ends[1].text
    assert "enough" in (run_folder(tmp_path, experiments[1]) / "error.log").read_text()


@pytest.mark.usefixtures("double")
def test_a_stack_that_was_interrupted_is_resumed_alone_and_the_other_way_round(tmp_path, monkeypatch):
    experiments = seeds_of(small("gru", steps=12, log_every=4, **RECIPES["norm"]))
    for experiment in experiments:
        finish(experiment, tmp_path / "alone")
    ends, _ = train(experiments, tmp_path / "first stacked", stop=stop_after(11))
    # The eleventh question is that of the second seed after its fourth step.
    assert kinds(ends) == ["stopped"] * 3
    steps = [
        torch.load(run_folder(tmp_path / "first stacked", one) / "last.ckpt")["global_step"] for one in experiments
    ]
    assert steps == [5, 4, 4]
    for experiment in experiments:
        finish(experiment, tmp_path / "first stacked")
    # Then seeds that stand at different steps, of which one is finished.
    for experiment, stopped_at in zip(experiments[:2], (3, 7), strict=True):
        assert run(experiment, tmp_path / "then stacked", stop=stop_after(stopped_at)) is None
    finish(experiments[2], tmp_path / "then stacked")
    sizes = count_stacks(monkeypatch)
    ends, _ = train(experiments, tmp_path / "then stacked")
    assert (kinds(ends), sizes) == (["finished"] * 3, [2] * 5)
    for experiment in experiments:
        whole = run_folder(tmp_path / "alone", experiment)
        for way in ("first stacked", "then stacked"):
            resumed = run_folder(tmp_path / way, experiment)
            (resumed / "previous.ckpt").unlink(missing_ok=True)
            assert_alike(resumed, whole)


@pytest.mark.usefixtures("double")
def test_a_seed_that_reaches_its_goal_leaves_the_others(tmp_path, monkeypatch):
    experiment = small("rnn", steps=12, log_every=1, learning_rate=0.05)
    losses = {}
    for one in seeds_of(experiment):
        losses[one.seed] = finish(one, tmp_path / "free").metrics()["train/loss"]
    bound = sorted(float(series.min()) for series in losses.values())[1]
    until = f"train/loss <= {bound!r}"
    experiments = seeds_of(replace(experiment, budget=replace(experiment.budget, until=until)))
    alone = [finish(one, tmp_path / "alone") for one in experiments]
    made = [one.result["steps"] for one in alone]
    assert len(set(made)) > 1, "the seeds have to end at different steps"
    sizes = count_stacks(monkeypatch)
    assert kinds(train(experiments, tmp_path / "stacked")[0]) == ["finished"] * 3
    # The last one is alone again, without a stack.
    expected = [sum(steps > step for steps in made) for step in range(max(made))]
    assert sizes == [size for size in expected if size > 1]
    for one, other in zip(experiments, alone, strict=True):
        assert_alike(run_folder(tmp_path / "stacked", one), other.folder)


@pytest.mark.usefixtures("double")
def test_a_seed_that_diverges_leaves_the_numbers_of_the_others_as_they_are(tmp_path, monkeypatch):
    build = SequenceModule.from_experiment

    def with_huge_weights(experiment):
        module = build(experiment)
        if experiment.seed == 1:
            module.model.readout.weight.data *= 1e200
        return module

    monkeypatch.setattr(SequenceModule, "from_experiment", with_huge_weights)
    experiments = seeds_of(small("lstm", **RECIPES["norm"]))
    assert kinds(train(experiments, tmp_path / "stacked")[0]) == ["finished"] * 3
    for experiment in experiments:
        alone, folder = finish(experiment, tmp_path / "alone"), run_folder(tmp_path / "stacked", experiment)
        assert alone.diverged == (experiment.seed == 1)
        if not alone.diverged:
            assert_alike(folder, alone.folder)
        else:
            assert read_json(folder / "result.json") == alone.result
            assert not (folder / "last.ckpt").exists()


def test_a_seed_that_another_process_has_or_that_fails_leaves_the_others(tmp_path, monkeypatch):
    experiments = seeds_of(small("gru", steps=4), 4)
    draw = TaskDataModule.training_batch

    def broken(data, step, **options):
        batch = draw(data, step, **options)
        if data.seed == 1 and step == 2:
            batch = replace(batch, target=batch.target[:, :0])
        return batch

    monkeypatch.setattr(TaskDataModule, "training_batch", broken)
    with run_lock(run_folder(tmp_path, experiments[3])):
        ends, _ = train(experiments, tmp_path)
    assert kinds(ends) == ["finished", "refused", "finished", "busy"]
    assert "target" in ends[1].text


def test_batches_of_different_shapes_are_different_stacks(tmp_path, monkeypatch):
    experiments = seeds_of(small("gru", steps=3))
    draw = TaskDataModule.training_batch

    def cut(data, step, **options):
        batch = draw(data, step, **options)
        return replace(batch, x=batch.x[:, :5]) if data.seed == 2 and step == 1 else batch

    monkeypatch.setattr(TaskDataModule, "training_batch", cut)
    sizes = count_stacks(monkeypatch)
    assert kinds(train(experiments, tmp_path)[0]) == ["finished"] * 3
    assert sizes == [3, 2, 3]


def test_seeds_that_cannot_be_stacked_after_all_go_on_one_by_one_after_a_line(tmp_path, monkeypatch):
    experiments = seeds_of(small("lstm", steps=4, architecture_options={"num_layers": 2, "dropout": 0.5}), 2)
    tried, predict = [], stacked_gradients.predict_stacked

    def counted(steps):
        tried.append(len(steps))
        return predict(steps)

    monkeypatch.setattr(stacked_gradients, "predict_stacked", counted)
    ends, notes = train(experiments, tmp_path / "stacked")
    assert (kinds(ends), tried) == (["finished"] * 2, [2])
    ((place, line),) = notes
    assert place == 0
    assert line.startswith("these seeds are trained one by one from here on: it draws random numbers")
    for experiment in experiments:
        alone = finish(experiment, tmp_path / "alone").folder
        assert_same(run_folder(tmp_path / "stacked", experiment), alone)
        assert "seeds_at_once" not in read_json(run_folder(tmp_path / "stacked", experiment) / "timing.json")


def test_each_seed_has_logs_of_its_own(tmp_path):
    experiments = seeds_of(small("gru", steps=4, log_every=2), 2)
    loggers = (LightningLogger(name="csv"), LightningLogger(name="tensorboard"))
    run_stacked(experiments, tmp_path, "cpu", 1, lambda event: None, stop=lambda: False, loggers=loggers)
    for experiment in experiments:
        folder = run_folder(tmp_path, experiment)
        logged, rows = pd.read_csv(folder / "csv" / "metrics.csv"), pd.read_csv(folder / "metrics.csv")
        assert logged["val/loss"].dropna().tolist() == rows["val/loss"].tolist()
        assert len([*(folder / "tensorboard").glob("events.*")]) >= 1


def test_a_leader_that_is_interrupted_leaves_no_lane_and_no_lock(tmp_path, monkeypatch):
    experiments = seeds_of(small("gru", steps=6), 2)

    def interrupt(steps):
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.training.lanes.compute_together", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(experiments, tmp_path)
    assert all(thread.name != "lane" for thread in threading.enumerate())
    for experiment in experiments:
        with run_lock(run_folder(tmp_path, experiment)):
            pass


def test_lanes_move_one_at_a_time_and_in_their_order():
    moves = []

    def work(number):
        def move(lane):
            moves.append(number)

        return move

    run_lanes([work(number) for number in range(3)])
    assert moves == [0, 1, 2]


def test_the_time_of_a_stack_is_shared_by_its_lanes():
    seconds = [0.0]
    shared = SharedTime(2, now=lambda: seconds[0])
    first, second = LaneClock(shared), LaneClock(shared)
    assert isinstance(first, TrainingClock)
    first.start()
    second.start()
    seconds[0] = 10.0
    assert (first.seconds, second.seconds) == (5.0, 5.0)
    # While one of them validates, no time passes for either.
    first.stop()
    seconds[0] = 100.0
    first.start()
    seconds[0] = 104.0
    assert (first.seconds, second.seconds) == (7.0, 7.0)
    second.stop()
    shared.share(1)
    shared.run()
    seconds[0] = 105.0
    assert (first.seconds, second.seconds) == (8.0, 7.0)
