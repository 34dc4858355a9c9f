"""Studies in a store: created once, and never mistaken for another."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import create_trial

from sweeps.samplers import SlotSampler
from sweeps.studies import NUM_TRIALS, SPEC, VERSIONS, create_studies, load_studies, refresh
from sweeps.trial_budget import SlotOrderedStudy
from tests.sweeps.small_sweeps import narrow_space, small_sweep
from workbench.config import Optimization
from workbench.errors import UserError


@pytest.fixture
def storage():
    return InMemoryStorage()


def create_study(storage, num_trials=4, **changes):
    (study,) = create_studies(storage, small_sweep(**changes).specs(), num_trials)
    return study


def test_a_study_is_loaded_as_it_was_created(storage):
    created = create_study(storage)
    again = create_study(storage)
    (loaded,) = load_studies(storage, ("addition/rnn",))
    assert created.spec == again.spec == loaded.spec == small_sweep().specs()[0]
    assert created.num_trials == again.num_trials == loaded.num_trials == 4
    for study in (created, again, loaded):
        assert isinstance(study.optuna_study, SlotOrderedStudy)
        assert isinstance(study.optuna_study.sampler, SlotSampler)
        assert isinstance(study.optuna_study.pruner, optuna.pruners.MedianPruner)
    assert created.optuna_study.user_attrs[VERSIONS] == {"optuna": optuna.__version__}


def test_more_trials_may_be_asked_for_and_fewer_not(storage):
    first = create_study(storage)
    assert create_study(storage, 6).num_trials == 6
    assert refresh(first).num_trials == load_studies(storage)[0].num_trials == 6
    with pytest.raises(UserError, match="already has 6 trials; ask for at least as many, not 5"):
        create_study(storage, 5)
    with pytest.raises(UserError, match="trials must be at least 1, not 0"):
        create_study(storage, 0)
    assert load_studies(storage)[0].num_trials == 6


def test_more_trials_than_a_store_can_be_filled_with_are_refused_before_a_study_is_made(storage):
    with pytest.raises(UserError, match="trials must be at most 10000, not 10001"):
        create_study(storage, 10_001)
    assert storage.get_all_studies() == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"hidden_size": 5}, "hidden_size is 4, not 5"),
        ({"sampler": "random"}, 'sampler is "tpe", not "random"'),
        ({"optimization": Optimization(momentum=0.5)}, "optimization.momentum is 0.0, not 0.5"),
        ({"task": {"addition": {"length": 7}}}, "task.options.length is 6, not 7"),
        (
            {"space": {"rnn": narrow_space("rnn", hidden_size={"low": 2, "high": 9})}},
            "space.hidden_size.high is 6, not 9",
        ),
        ({"objectives": ("loss", "seconds")}, 'pruner is "median", not "none"'),
    ],
)
def test_other_settings_under_the_same_name_are_refused_with_the_difference(storage, changes, difference):
    create_study(storage)
    with pytest.raises(UserError, match="was made with other settings: ") as caught:
        create_study(storage, **changes)
    assert difference in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_one_study_is_refused_none_is_made_or_changed(storage):
    create_studies(storage, small_sweep(architectures=("rnn", "gru"), space={}).specs(), 4)
    changed_sweep = small_sweep(architectures=("rnn", "gru", "lstm"), space={"gru": {"learning_rate": {"high": 0.005}}})
    with pytest.raises(UserError, match=r"'addition/gru' was made with other settings: space.learning_rate.high"):
        create_studies(storage, changed_sweep.specs(), 9)
    assert [(study.spec.name, study.num_trials) for study in load_studies(storage)] == [
        ("addition/rnn", 4),
        ("addition/gru", 4),
    ]


@pytest.mark.parametrize("attributes", [{}, {NUM_TRIALS: 4}, {VERSIONS: {}}, {NUM_TRIALS: 9, VERSIONS: {}}])
def test_a_study_whose_creation_was_interrupted_is_completed(storage, attributes):
    half = optuna.create_study(storage=storage, study_name="addition/rnn")
    for key, value in attributes.items():
        half.set_user_attr(key, value)
    with pytest.raises(UserError, match="still being made"):
        load_studies(storage, ("addition/rnn",))
    created = create_study(storage)
    assert (created.num_trials, load_studies(storage)[0].spec) == (4, created.spec)


def foreign_trials(storage):
    optuna.create_study(storage=storage, study_name="addition/rnn").add_trial(create_trial(value=1.0))


def foreign_direction(storage):
    optuna.create_study(storage=storage, study_name="addition/rnn", direction="maximize")


def foreign_attributes(storage):
    optuna.create_study(storage=storage, study_name="addition/rnn").set_user_attr("owner", "somebody")


def foreign_spec(storage):
    optuna.create_study(storage=storage, study_name="addition/rnn").set_user_attr(SPEC, "theirs")


def foreign_keys(storage):
    theirs = optuna.create_study(storage=storage, study_name="addition/rnn")
    theirs.set_user_attr(SPEC, {"lr": 1})
    theirs.set_user_attr(NUM_TRIALS, 4)


@pytest.mark.parametrize("make", [foreign_trials, foreign_direction, foreign_attributes, foreign_spec, foreign_keys])
def test_a_study_of_somebody_else_is_refused_in_a_line_and_left_alcreate_study(storage, make):
    make(storage)
    before = optuna.load_study(storage=storage, study_name="addition/rnn").user_attrs
    for call in (
        lambda: create_study(storage),
        lambda: load_studies(storage, ("addition/rnn",)),
        lambda: load_studies(storage),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert optuna.load_study(storage=storage, study_name="addition/rnn").user_attrs == before


def test_missing_studies_are_refused_with_the_nearest_name(storage):
    with pytest.raises(UserError, match="no studies of the workbench yet"):
        load_studies(storage)
    create_study(storage)
    with pytest.raises(UserError, match="no study 'addition/rn' in this store; did you mean 'addition/rnn'"):
        load_studies(storage, ("addition/rn",))


def test_studies_are_loaded_by_name_or_all_of_the_workbench(storage):
    create_studies(storage, small_sweep(architectures=("rnn", "gru"), space={}).specs(), 4)
    optuna.create_study(storage=storage, study_name="theirs")
    assert [study.spec.name for study in load_studies(storage)] == ["addition/rnn", "addition/gru"]
    assert [study.spec.name for study in load_studies(storage, ("addition/gru",))] == ["addition/gru"]


def test_a_study_that_was_deleted_meanwhile_is_an_error_of_one_line(storage):
    study = create_study(storage)
    optuna.delete_study(storage=storage, study_name="addition/rnn")
    for call in (lambda: study.trials, lambda: refresh(study)):
        with pytest.raises(UserError, match="no longer in the store"):
            call()
