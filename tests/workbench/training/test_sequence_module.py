"""Training of an experiment: the loop, the optimiser, the schedule, clipping and evaluation."""

import math
from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from torch.nn.functional import mse_loss

from tests.workbench.experiments import finish, module_and_data, small
from workbench.config import Optimization
from workbench.run import run
from workbench.training.optimizers import learning_rate_factor

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*")


def fit(experiment, *callbacks, **options):
    module, data = module_and_data(experiment)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=experiment.budget.steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(module, data)
    return module


def test_the_same_experiment_starts_from_the_same_weights_and_another_seed_from_others():
    first, same, other = (module_and_data(small(seed=seed))[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_training_is_the_textbook_loop():
    """Lightning, clipping, schedule and all equal a loop written out by hand."""
    experiment = small(steps=6, learning_rate=0.05, clip="value", clip_at=0.01, schedule="linear", warmup_steps=2)
    by_hand, _ = module_and_data(experiment)
    rates = []

    class RecordLearningRates(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    module = fit(experiment, RecordLearningRates())
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.05)
    expected = [0.025, 0.05, 0.05, 0.05 * 3 / 4, 0.05 * 2 / 4, 0.05 * 1 / 4]
    assert rates == pytest.approx(expected)
    for step, rate in enumerate(expected):
        batch = by_hand.task.train(step, 4, 0, torch.device("cpu"))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        mse_loss(by_hand(batch.x, batch.lengths), batch.target).backward()
        for parameter in by_hand.parameters():
            assert parameter.grad is not None
            parameter.grad.clamp_(-0.01, 0.01)
        optimizer.step()
    for parameter, expected_parameter in zip(module.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected_parameter)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_the_learning_rate_follows_its_schedule(schedule, expected):
    options = Optimization(schedule=schedule, warmup_steps=2)
    assert [learning_rate_factor(options, step, 6) for step in range(6)] == pytest.approx(expected)


def test_the_table_shows_the_learning_rate_that_was_used(tmp_path):
    finished = finish(small(steps=4, log_every=1, schedule="linear", learning_rate=1.0, clip="norm"), tmp_path)
    assert finished.metrics()["learning_rate"].tolist() == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_moves_every_parameter(optimizer):
    experiment = small(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1, momentum=0.5)
    before = module_and_data(experiment)[0].state_dict()
    after = fit(experiment).state_dict()
    assert all(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("clip", ["value", "norm", "none"])
def test_gradients_are_clipped_as_configured(clip, tmp_path, monkeypatch):
    """The gradients that the optimiser sees, with a bound that they would exceed."""
    seen = []
    original = torch.optim.SGD.step

    def step(self, *args, **kwargs):
        result = original(self, *args, **kwargs)
        seen.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return result

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    run(small(optimizer="sgd", clip=clip, clip_at=1e-3, steps=3), tmp_path)
    largest = max(float(g.abs().max()) for grads in seen for g in grads)
    norm = max(float(torch.cat([g.flatten() for g in grads]).norm()) for grads in seen)
    assert len(seen) == 3
    if clip == "value":
        assert largest == pytest.approx(1e-3)
        assert norm > 1.5e-3
    elif clip == "norm":
        assert norm == pytest.approx(1e-3, rel=1e-3)
    else:
        assert norm > 2e-3


def test_evaluation_is_the_mean_over_the_whole_set_and_leaves_no_trace():
    experiment = small("lstm", "digits", architecture_options={"num_layers": 2, "dropout": 0.5})
    experiment = replace(experiment, budget=replace(experiment.budget, evaluation_size=230))
    module, data = module_and_data(experiment)
    state = torch.get_rng_state()
    whole = data.fixed_set("validation")
    scores = module.train().evaluate(whole)
    assert torch.equal(state, torch.get_rng_state())
    assert module.training
    module.eval()
    assert len(whole.x) == 230
    with torch.no_grad():
        answers = module(whole.x)
    assert scores["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(answers, whole.target)), rel=1e-6)
    assert scores["accuracy"] == pytest.approx(float((answers.argmax(1) == whole.target).double().mean()))
