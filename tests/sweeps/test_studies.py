"""Studies in a store: made once, and never taken for another."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import create_trial

from sweeps.samplers import PerTrial
from sweeps.studies import ASKED, SPEC, VERSIONS, create_studies, load_studies, refresh
from sweeps.trial_budget import SlotOrderedStudy
from tests.sweeps.small_sweeps import narrowed, small
from workbench.config import Optimization
from workbench.errors import UserError


@pytest.fixture
def storage():
    return InMemoryStorage()


def one(storage, asked=4, **changed):
    (opened,) = create_studies(storage, small(**changed).specs(), asked)
    return opened


def test_a_study_is_opened_again_as_what_it_was_made(storage):
    made = one(storage)
    again = one(storage)
    (loaded,) = load_studies(storage, ("addition/rnn",))
    assert made.spec == again.spec == loaded.spec == small().specs()[0]
    assert made.asked == again.asked == loaded.asked == 4
    for opened in (made, again, loaded):
        assert isinstance(opened.study, SlotOrderedStudy)
        assert isinstance(opened.study.sampler, PerTrial)
        assert isinstance(opened.study.pruner, optuna.pruners.MedianPruner)
    assert made.study.user_attrs[VERSIONS] == {"optuna": optuna.__version__}


def test_more_trials_may_be_asked_for_and_fewer_not(storage):
    first = one(storage)
    assert one(storage, 6).asked == 6
    assert refresh(first).asked == load_studies(storage)[0].asked == 6
    with pytest.raises(UserError, match="asked for 6 trials; fewer cannot be asked: 5"):
        one(storage, 5)
    with pytest.raises(UserError, match="trials must be at least 1, not 0"):
        one(storage, 0)
    assert load_studies(storage)[0].asked == 6


def test_more_trials_than_a_store_can_be_filled_with_are_refused_before_a_study_is_made(storage):
    with pytest.raises(UserError, match="trials must be at most 10000, not 10001"):
        one(storage, 10_001)
    assert storage.get_all_studies() == []


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"hidden_size": 5}, "hidden_size is 4, not 5"),
        ({"sampler": "random"}, 'sampler is "tpe", not "random"'),
        ({"optimization": Optimization(momentum=0.5)}, "optimization.momentum is 0.0, not 0.5"),
        ({"task": {"addition": {"length": 7}}}, "task.options.length is 6, not 7"),
        ({"space": {"rnn": narrowed("rnn", hidden_size={"low": 2, "high": 9})}}, "space.hidden_size.high is 6, not 9"),
        ({"objectives": ("loss", "seconds")}, 'pruner is "median", not "none"'),
    ],
)
def test_other_settings_under_the_same_name_are_refused_with_the_difference(storage, changed, difference):
    one(storage)
    with pytest.raises(UserError, match="was made with other settings: ") as caught:
        one(storage, **changed)
    assert difference in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_one_study_is_refused_none_is_made_or_changed(storage):
    create_studies(storage, small(architectures=("rnn", "gru"), space={}).specs(), 4)
    changed = small(architectures=("rnn", "gru", "lstm"), space={"gru": {"learning_rate": {"high": 0.005}}})
    with pytest.raises(UserError, match=r"'addition/gru' was made with other settings: space.learning_rate.high"):
        create_studies(storage, changed.specs(), 9)
    assert [(opened.spec.name, opened.asked) for opened in load_studies(storage)] == [
        ("addition/rnn", 4),
        ("addition/gru", 4),
    ]


@pytest.mark.parametrize("attributes", [{}, {ASKED: 4}, {VERSIONS: {}}, {ASKED: 9, VERSIONS: {}}])
def test_a_study_that_was_half_made_is_completed(storage, attributes):
    half = optuna.create_study(storage=storage, study_name="addition/rnn")
    for key, value in attributes.items():
        half.set_user_attr(key, value)
    with pytest.raises(UserError, match="only being made"):
        load_studies(storage, ("addition/rnn",))
    made = one(storage)
    assert (made.asked, load_studies(storage)[0].spec) == (4, made.spec)


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
    theirs.set_user_attr(ASKED, 4)


@pytest.mark.parametrize("make", [foreign_trials, foreign_direction, foreign_attributes, foreign_spec, foreign_keys])
def test_a_study_of_somebody_else_is_refused_in_a_line_and_left_alone(storage, make):
    make(storage)
    before = optuna.load_study(storage=storage, study_name="addition/rnn").user_attrs
    for ask in (lambda: one(storage), lambda: load_studies(storage, ("addition/rnn",)), lambda: load_studies(storage)):
        with pytest.raises(UserError) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert optuna.load_study(storage=storage, study_name="addition/rnn").user_attrs == before


def test_what_is_not_there_is_said_with_the_nearest_name(storage):
    with pytest.raises(UserError, match="no studies of this bench yet"):
        load_studies(storage)
    one(storage)
    with pytest.raises(UserError, match="no study 'addition/rn' in this store; did you mean 'addition/rnn'"):
        load_studies(storage, ("addition/rn",))


def test_studies_are_loaded_by_name_or_all_of_this_bench(storage):
    create_studies(storage, small(architectures=("rnn", "gru"), space={}).specs(), 4)
    optuna.create_study(storage=storage, study_name="theirs")
    assert [opened.spec.name for opened in load_studies(storage)] == ["addition/rnn", "addition/gru"]
    assert [opened.spec.name for opened in load_studies(storage, ("addition/gru",))] == ["addition/gru"]


def test_a_study_that_was_deleted_meanwhile_is_a_line(storage):
    opened = one(storage)
    optuna.delete_study(storage=storage, study_name="addition/rnn")
    for ask in (lambda: opened.trials, lambda: refresh(opened)):
        with pytest.raises(UserError, match="no longer in the store"):
            ask()
