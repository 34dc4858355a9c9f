"""An experiment's identity, and the values that its configuration refuses."""

import re
from dataclasses import replace

import pytest

from architectures.registry import get_entry
from tests.workbench.experiments import small
from workbench.comparison import Comparison
from workbench.config import SCHEMA, TUNING_SEED, Budget, Experiment, Optimization, Part
from workbench.errors import UserError


def test_the_identity_is_the_same_for_every_seed_and_in_every_process():
    experiment = small()
    assert replace(experiment, seed=7).identity == experiment.identity
    fixed = Experiment(task=Part(name="t", options={"a": 1, "b": 2}), architecture=Part(name="x"))
    other_order = Experiment(task=Part(name="t", options={"b": 2, "a": 1}), architecture=Part(name="x"))
    assert fixed.identity == other_order.identity == "e16543925628"


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, task=replace(e.task, options={"length": 9})),
        lambda e: replace(e, architecture=replace(e.architecture, name="lstm")),
        lambda e: replace(e, architecture=replace(e.architecture, source="abc")),
        lambda e: replace(e, optimization=replace(e.optimization, learning_rate=0.002)),
        lambda e: replace(e, optimization=replace(e.optimization, schedule="cosine")),
        lambda e: replace(e, budget=replace(e.budget, steps=13)),
        lambda e: replace(e, budget=replace(e.budget, evaluation_size=11)),
        lambda e: replace(e, embedding_size=3),
    ],
)
def test_whatever_can_change_a_number_changes_the_identity(change):
    experiment = small()
    assert change(experiment).identity != experiment.identity


def test_a_configuration_survives_being_written_and_read():
    experiment = small(schedule="cosine", warmup_steps=3)
    again = Experiment.from_dict(experiment.to_dict())
    assert again == experiment
    assert again.identity == experiment.identity


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("rnn", "8e5379f1aef1"),
        ("lstm", "c44386d7462a"),
        ("gru", "2a12f87c6d7f"),
        ("rwa", "081e30232cf5"),
        ("rda", "1795709d413f"),
        ("rda-sigmoid-id", "e93c4e49c7db"),
    ],
)
def test_results_from_before_an_option_existed_keep_their_identity(name, identity):
    """An option that came later is part of it where it changes something."""
    experiment = small(name)
    assert experiment.identity == identity
    again = Experiment.from_dict(experiment.to_dict())
    assert again == experiment
    for option, value in get_entry(name).later.items():
        assert option not in experiment.to_dict()["architecture"]["options"]
        assert again.architecture.options[option] == value
    if name == "lstm":
        other = small(name, architecture_options={"coupled": True})
        assert other.identity != identity
        assert Experiment.from_dict(other.to_dict()) == other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": SCHEMA + 1}, "is of schema"),
        ({"bugdet": {}}, "no key 'bugdet'; did you mean 'budget'?"),
        ({"budget": {"stesp": 3}}, "budget has no key 'stesp'; did you mean 'steps'?"),
        ({"budget": 3}, "budget must be a mapping"),
        ({"optimization": {"optimizer": "adm"}}, "optimizer 'adm' is unknown; did you mean 'adam'"),
        ({"task": {}}, "task cannot be read"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": "a"}, "seed must be a whole number"),
    ],
)
def test_a_configuration_edited_wrongly_is_refused_in_one_line(change, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        Experiment.from_dict({**small().to_dict(), **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Budget(steps=0), "steps must be at least 1"),
        (lambda: Budget(steps=True), "steps must be a whole number"),
        (lambda: Budget(batch_size=1.5), "batch_size must be a whole number"),  # type: ignore[arg-type]
        (lambda: Budget(seconds=0), "seconds must be above 0"),
        (lambda: Optimization(learning_rate=float("nan")), "learning_rate must be a number"),
        (lambda: Optimization(learning_rate=-1), "learning_rate must be above 0"),
        (lambda: Optimization(clip_at=0), "clip_at must be above 0"),
        (lambda: Optimization(clip="both"), "clip 'both' is unknown"),  # type: ignore[arg-type]
        (lambda: Optimization(warmup_steps=-1), "warmup_steps must be at least 0"),
    ],
)
def test_impossible_values_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_the_seeds_that_a_sweep_tunes_with_are_in_no_comparison():
    Comparison(tasks=("addition",), architectures=("rnn",), seeds=TUNING_SEED)
    with pytest.raises(UserError, match="seeds must be at most 1000000, not 1000001"):
        Comparison(tasks=("addition",), architectures=("rnn",), seeds=TUNING_SEED + 1)
