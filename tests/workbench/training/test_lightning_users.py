"""The module and the data as users of Lightning expect them: any Trainer, loggers, callbacks, loaders and ranks."""

import multiprocessing
import socket
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import wandb
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from tests.workbench.experiments import finish, small
from workbench.config import Experiment
from workbench.errors import UserError
from workbench.run import RunDevice
from workbench.training import SequenceModule, TaskDataModule
from workbench.training.data_module import TrainingLoader

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*",
    "ignore:.*does not have many workers.*",
    "ignore:.*smaller than the logging interval.*",
    "ignore:.*exists and is not empty.*",
    # Lightning says so of every schedule by steps.
    "ignore:SWA is currently only supported every epoch.*",
)

ADDITION: dict[str, Any] = {"task_options": {"length": 8}}
MODULE: dict[str, Any] = {"hidden_size": 5, **ADDITION}
DATA: dict[str, Any] = {"batch_size": 4, "evaluation_size": 12, "batches_per_epoch": 4, **ADDITION}
TRAINER: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def make_module(architecture="gru", task="addition", **more):
    return SequenceModule(architecture, task, **MODULE | more)


def make_data(task="addition", **more):
    return TaskDataModule(task, **DATA | more)


def make_trainer(**options):
    return pl.Trainer(**TRAINER | options)


def assert_close(one, other, tolerance=1e-6):
    for (name, left), right in zip(one.items(), other.values(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=tolerance, msg=name)


def test_any_logger_and_the_usual_callbacks(tmp_path, monkeypatch):
    """Three loggers and four callbacks at once, then test and predict with the best weights."""
    module = make_module("lstm", "copy", task_options={"length": 4, "items": 2})
    data = make_data("copy", task_options={"length": 4, "items": 2})
    best = ModelCheckpoint(tmp_path / "best", monitor="val/loss", save_top_k=2, auto_insert_metric_name=False)
    swa = StochasticWeightAveraging(swa_lrs=1e-3, swa_epoch_start=2)
    csv, board = CSVLogger(tmp_path, "csv"), TensorBoardLogger(tmp_path, "board")
    # A run of W&B that starts no service; what it is given is kept.
    wandb_run, logged = wandb.init(mode="disabled", dir=tmp_path), {}
    monkeypatch.setattr(wandb_run, "log", lambda data, *_, **__: logged.update(data))
    trainer = make_trainer(
        max_epochs=3,
        log_every_n_steps=2,
        logger=[csv, board, WandbLogger(experiment=wandb_run)],
        enable_checkpointing=True,
        callbacks=[best, EarlyStopping("val/loss", patience=5), LearningRateMonitor("step"), swa],
    )
    trainer.fit(module, data)
    assert trainer.global_step == 12
    assert best.best_model_score is not None
    names = {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "lr-Adam"}
    csv.save()
    assert names <= set((tmp_path / "csv" / "version_0" / "metrics.csv").read_text().splitlines()[0].split(","))
    board.experiment.flush()
    (events,) = (tmp_path / "board" / "version_0").glob("events*")
    assert all(name.encode() in events.read_bytes() for name in names)
    assert names <= logged.keys()
    (scores,) = trainer.test(module, data, verbose=False)
    assert scores["test/loss"] == pytest.approx(module.evaluate(data.fixed_set("test"))["loss"], rel=1e-6)
    predictions = torch.cat(trainer.predict(module, data))
    with torch.no_grad():
        torch.testing.assert_close(predictions, module.eval()(data.fixed_set("test").x))
    loaded = SequenceModule.load_from_checkpoint(best.best_model_path)
    (validated,) = trainer.validate(loaded, data, verbose=False)
    assert validated["val/loss"] == pytest.approx(float(best.best_model_score), rel=1e-6)


@pytest.mark.parametrize(("task", "options"), [("addition", {"length": 8}), ("digits", {}), ("text", {"length": 6})])
def test_accumulation_equals_the_larger_batch(task, options):
    """Four batches of 3 examples a step, all different, train as one of 12 does, the state carried over too."""
    weights, seen = [], []
    for size, parts in ((12, 1), (3, 4)):
        module = make_module("gru", task, task_options=options)
        data = make_data(task, task_options=options, batch_size=size, batches_per_epoch=8)
        original = module.training_step
        batches: list[torch.Tensor] = []

        def recorded(batch, batch_idx, original=original, batches=batches):
            batches.append(batch.x.clone())
            return original(batch, batch_idx)

        module.training_step = recorded
        trainer = make_trainer(max_steps=5, accumulate_grad_batches=parts, limit_val_batches=0)
        trainer.fit(module, data)
        weights.append(module.state_dict())
        seen.append(torch.cat(batches))
    assert torch.equal(*seen)
    assert len({tuple(x.flatten().tolist()) for x in seen[1].split(3)}) == 20
    assert_close(*weights)


def test_training_goes_on_where_a_checkpoint_stopped_also_within_an_epoch_and_a_step(tmp_path):
    """Ten steps are ten steps, in one piece or with a checkpoint after the third, of two batches each."""
    options = {"accumulate_grad_batches": 2, "limit_val_batches": 0}
    whole = make_module("lstm", architecture_options={"num_layers": 2, "dropout": 0.5})
    data = {"batches_per_epoch": 5}
    make_trainer(max_steps=10, **options).fit(whole, make_data(**data))
    parts = make_module("lstm", architecture_options={"num_layers": 2, "dropout": 0.5})
    trainer = make_trainer(max_steps=4, **options)
    trainer.fit(parts, make_data(**data))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed = make_module("lstm", architecture_options={"num_layers": 2, "dropout": 0.5})
    make_trainer(max_steps=10, **options).fit(
        resumed, make_data(**data), ckpt_path=tmp_path / "a.ckpt", weights_only=True
    )
    for (name, left), right in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


def test_a_stateful_task_is_resumed_as_it_began_or_not_at_all(tmp_path):
    """Four steps of two batches with a checkpoint after the second; with one batch a step it is refused."""
    text = {"task_options": {"length": 6}}
    options = {"accumulate_grad_batches": 2, "limit_val_batches": 0}
    whole, part = make_module("lstm", "text", **text), make_module("lstm", "text", **text)
    make_trainer(max_steps=4, **options).fit(whole, make_data("text", batches_per_epoch=6, **text))
    trainer = make_trainer(max_steps=2, **options)
    trainer.fit(part, make_data("text", batches_per_epoch=6, **text))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    arguments = {"ckpt_path": tmp_path / "a.ckpt", "weights_only": True}
    resumed = make_module("lstm", "text", **text)
    make_trainer(max_steps=4, **options).fit(resumed, make_data("text", batches_per_epoch=6, **text), **arguments)
    assert_close(whole.state_dict(), resumed.state_dict(), 0)
    with pytest.raises(UserError, match="the same accumulate_grad_batches"):
        make_trainer(max_steps=6, **options | {"accumulate_grad_batches": 3}).fit(
            make_module("lstm", "text", **text), make_data("text", batches_per_epoch=6, **text), **arguments
        )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def train_on_a_rank(rank, port, task, options, folder):
    """Trains two steps with DDP as one of two ranks; the first saves the weights."""
    import os

    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "LOCAL_RANK": str(rank)}

    class TwoRanks(LightningEnvironment):
        creates_processes_externally = True

        def world_size(self):
            return 2

        def global_rank(self):
            return rank

        def set_world_size(self, size):
            pass

        def set_global_rank(self, rank):
            pass

    from lightning.pytorch.strategies import DDPStrategy

    module = make_module("gru", task, task_options=options)
    data = make_data(task, task_options=options, batch_size=3)
    strategy = DDPStrategy(process_group_backend="gloo", cluster_environment=TwoRanks())
    trainer = make_trainer(max_epochs=1, devices=2, strategy=strategy)
    trainer.fit(module, data)
    trainer.save_checkpoint(folder / "two.ckpt")
    if rank == 0:
        torch.save(trainer.callback_metrics["val/loss"], folder / "val.pt")


@pytest.mark.parametrize(("task", "options"), [("text", {"length": 6}), ("addition", {"length": 8})])
def test_two_ranks_equal_one_with_twice_the_batch(task, options, tmp_path):
    context, port = multiprocessing.get_context("fork"), free_port()
    ranks = [context.Process(target=train_on_a_rank, args=(rank, port, task, options, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(120)
    assert [process.exitcode for process in ranks] == [0, 0]
    module = make_module("gru", task, task_options=options)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, make_data(task, task_options=options, batch_size=6))
    assert trainer.global_step == 4
    two = torch.load(tmp_path / "two.ckpt", weights_only=True)
    assert_close(two["state_dict"], module.state_dict())
    torch.testing.assert_close(
        torch.load(tmp_path / "val.pt", weights_only=True), trainer.callback_metrics["val/loss"], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["pair", "mapping"])
def test_fit_trains_on_the_batches_of_any_loader(kind):
    """It equals a loop written out by hand over the same loader."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((12, 8, 2), generator=generator)
    target = x[:, 0, :1] * 3
    pairs = TensorDataset(x, target)
    loader = DataLoader(pairs, batch_size=4)
    batches = [(x, target) for x, target in loader]
    mappings: Any = [{"x": x, "target": target} for x, target in batches]
    module, by_hand = make_module(), make_module()
    trainer = make_trainer(max_epochs=2)
    trainer.fit(module, loader if kind == "pair" else DataLoader(mappings, batch_size=None), loader)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.001)
    for x_batch, wanted in batches * 2:
        optimizer.zero_grad()
        mse_loss(by_hand(x_batch), wanted).backward()
        torch.nn.utils.clip_grad_value_(by_hand.parameters(), 1.0)
        optimizer.step()
    assert trainer.global_step == 6
    assert_close(module.state_dict(), by_hand.state_dict())
    expected = mse_loss(by_hand(x), target)
    torch.testing.assert_close(trainer.callback_metrics["val/loss"], expected.detach(), rtol=1e-5, atol=1e-6)
    (predictions,) = trainer.predict(module, DataLoader(TensorDataset(x), batch_size=12))
    torch.testing.assert_close(predictions, by_hand(x).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(4, 8, 3), torch.zeros(4, 1)), r"x of a batch for Addition has to be \(batch, time, 2\)"),
        ((torch.zeros(4, 8, 2), torch.zeros(4)), r"the targets of Addition are of shape \(4,\) where the predictions"),
        ((torch.zeros(4, 8, 2), torch.zeros(3, 1)), "as target a tensor of shape"),
        ({"x": torch.zeros(4, 8, 2), "targets": torch.zeros(4, 1)}, "it has no 'targets'; did you mean 'target'"),
        (torch.zeros(4, 8, 2), "a batch is a workbench.tasks.Batch, .* not a tensor of shape"),
    ],
)
def test_a_foreign_batch_that_does_not_fit_is_refused_in_one_line(batch, message):
    module = make_module()
    module.logs_steps = False
    module.trainer = make_trainer()
    with pytest.raises(UserError, match=message) as caught:
        module.training_step(batch, 0)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_alone_brings_back_module_and_data(tmp_path):
    module = make_module("tcn", "classify-length", task_options={"length": 9}, learning_rate=0.01)
    data = make_data("classify-length", task_options={"length": 9}, seed=3)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = SequenceModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.hparams == module.hparams
    assert loaded.hparams["architecture_options"]["reach"] == 9
    batch = data.fixed_set("test")
    assert torch.equal(loaded.eval()(batch.x, batch.lengths), module.eval()(batch.x, batch.lengths))
    again = TaskDataModule.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(again.training_batch(5).x, data.training_batch(5).x)
    with pytest.raises(UserError, match="weights_only=True alone"):
        SequenceModule.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=False)


def test_the_checkpoint_of_a_run_is_loaded_alone_and_one_of_an_earlier_version_with_its_configuration(tmp_path):
    experiment = small("rda", "copy", task_options={"length": 4, "items": 2})
    folder = finish(experiment, tmp_path, machine=RunDevice()).folder
    loaded = SequenceModule.load_from_checkpoint(folder / "last.ckpt")
    content = torch.load(folder / "last.ckpt", weights_only=True)
    for key in ("hyper_parameters", "hparams_name", "datamodule_hyper_parameters", "datamodule_hparams_name"):
        content.pop(key)
    torch.save(content, folder / "earlier.ckpt")
    earlier = SequenceModule.load_from_checkpoint(folder / "earlier.ckpt")
    assert earlier.hparams == loaded.hparams
    for module in (loaded, earlier):
        assert all(torch.equal(value, content["state_dict"][key]) for key, value in module.state_dict().items())
    (tmp_path / "alone").mkdir()
    torch.save(content, tmp_path / "alone" / "earlier.ckpt")
    with pytest.raises(UserError, match="does not say what it holds"):
        SequenceModule.load_from_checkpoint(tmp_path / "alone" / "earlier.ckpt")


def test_code_that_only_a_checkpoint_names_is_not_imported(tmp_path):
    module = make_module()
    trainer = make_trainer(max_epochs=1)
    trainer.fit(module, make_data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["hyper_parameters"]["architecture"] = "this_module_would_be_imported:Cell"
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="code that a file alone does not import; name it"):
        SequenceModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert torch.equal(
        SequenceModule.load_from_checkpoint(tmp_path / "a.ckpt", architecture="gru").model.readout.weight,
        module.model.readout.weight,
    )


def test_lightning_cli_takes_both_classes(monkeypatch):
    trainer = {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    arguments = [
        "fit",
        "--seed_everything=1",
        "--model.architecture=lstm",
        "--model.task=addition",
        "--model.task_options.length=8",
    ]
    arguments += ["--model.hidden_size=5", "--model.learning_rate=0.01", "--data.task=addition"]
    arguments += ["--data.task_options.length=8", "--data.batch_size=4", "--data.batches_per_epoch=3"]
    arguments += ["--data.evaluation_size=10"]
    monkeypatch.setattr("sys.argv", ["train.py", *arguments])
    # They are about how Lightning uses jsonargparse.
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    cli = LightningCLI(
        SequenceModule,
        TaskDataModule,
        save_config_callback=None,
        trainer_defaults={**trainer, "enable_progress_bar": False, "enable_model_summary": False},
    )
    assert cli.trainer.global_step == 3
    by_hand = SequenceModule("lstm", "addition", task_options={"length": 8}, hidden_size=5, learning_rate=0.01)
    make_trainer(max_epochs=1).fit(by_hand, make_data(batches_per_epoch=3, evaluation_size=10))
    assert_close(cli.model.state_dict(), by_hand.state_dict(), 0)


def test_the_experiment_of_a_run_in_a_users_trainer_gives_the_same_weights(tmp_path):
    """The loop of the bench and Lightning's own are the same to the last bit, and so are their checkpoints' counts."""
    options = {"num_layers": 2, "dropout": 0.3}
    experiment = small("lstm", architecture_options=options, schedule="cosine", warmup_steps=2, clip="norm")
    folder = finish(experiment, tmp_path).folder
    run = torch.load(folder / "last.ckpt", weights_only=True)
    module, data = SequenceModule.from_experiment(experiment), TaskDataModule.from_experiment(experiment)
    trainer = make_trainer(max_steps=12, max_epochs=-1, limit_val_batches=0)

    class SaveAtEnd(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 12:
                trainer.save_checkpoint(tmp_path / "users.ckpt")

    trainer.callbacks.append(SaveAtEnd())
    trainer.fit(module, data)
    users = torch.load(tmp_path / "users.ckpt", weights_only=True)
    for key, value in run["state_dict"].items():
        assert torch.equal(value, users["state_dict"][key]), key
    assert users["loops"] == run["loops"]
    assert users["lr_schedulers"] == run["lr_schedulers"]


def test_a_falling_schedule_needs_a_last_step():
    module = make_module(schedule="cosine")
    with pytest.raises(UserError, match="falls to 0 at the last step, and there is none"):
        make_trainer(max_epochs=-1).fit(module, make_data(batches_per_epoch=None))
    rates = []

    class Rates(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    make_trainer(max_epochs=1, callbacks=[Rates()]).fit(make_module(schedule="linear"), make_data())
    assert rates == pytest.approx([0.001, 0.00075, 0.0005, 0.00025])


def test_the_trainers_clipping_takes_the_place_of_the_modules():
    module = make_module(clip_at=0.5)
    seen = []

    class Norms(pl.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            grads = [p.grad for p in pl_module.parameters() if p.grad is not None]
            seen.extend([torch.cat([grad.flatten() for grad in grads]).norm().item()] if grads else [])

    make_trainer(max_epochs=1, gradient_clip_val=1e-3, callbacks=[Norms()]).fit(module, make_data())
    assert len(seen) == 3
    assert seen == pytest.approx([1e-3] * 3, rel=1e-3)


def test_a_loader_outside_of_a_trainer_yields_the_batches_of_a_run():
    data = make_data(batches_per_epoch=3)
    batches = list(data.train_dataloader())
    assert len(data.train_dataloader()) == len(batches) == 3
    for step, batch in enumerate(batches):
        assert torch.equal(batch.x, data.task.train(step, 4, 0, torch.device("cpu")).x)
    assert type(make_data(batches_per_epoch=None).train_dataloader()) is TrainingLoader


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_module("gruu"), "unknown architecture 'gruu'"),
        (lambda: make_module(task="additoin"), "unknown task 'additoin'"),
        (lambda: make_module(optimizer="adamm"), "optimizer 'adamm' is unknown"),
        (lambda: make_module(hidden_size=0), "hidden_size must be at least 1, not 0"),
        (lambda: make_module(embedding_size=3), "embedding_size is for tasks of symbols"),
        (lambda: make_data(batch_size=0), "batch_size must be at least 1, not 0"),
        (lambda: make_data(draw="gpu"), "draw 'gpu' is unknown"),
        (lambda: make_data(batches_per_epoch=0), "batches_per_epoch must be at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_one_line(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_module_and_data_of_an_experiment_are_those_of_its_fields():
    experiment = small("gru", "addition", seed=3, learning_rate=0.01)
    assert isinstance(experiment, Experiment)
    module, data = SequenceModule.from_experiment(experiment), TaskDataModule.from_experiment(experiment)
    assert module.optimization == experiment.optimization
    assert module.hparams["architecture_options"] == experiment.architecture.options
    assert (data.batch_size, data.seed, data.hparams["task_options"]) == (4, 3, experiment.task.options)
    other = SequenceModule.from_experiment(replace(experiment, seed=4))
    assert not torch.equal(module.model.readout.weight, other.model.readout.weight)
