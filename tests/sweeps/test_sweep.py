"""Settings of a sweep: read, checked, written and read again."""

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.sweep import Sweep
from tests.sweeps.small_sweeps import small_sweep
from workbench.config import TUNING_SEED, Budget, Optimization
from workbench.errors import UserError
from workbench.study_files import study_path


@pytest.mark.parametrize(
    "sweep",
    [
        small_sweep(),
        small_sweep(objectives=("loss", "parameters"), name="march"),
        small_sweep(architectures=("lstm", "gru"), space={"all": {"dropout": 0.1}}, match="parameters", parameters=500),
        small_sweep(
            optimization=Optimization(schedule="cosine"), budget=Budget(steps=7, seconds=3.5), pruner="hyperband"
        ),
    ],
)
def test_a_sweep_survives_being_written_and_read(sweep):
    again = Sweep.from_dict(yaml.safe_load(yaml.safe_dump(sweep.to_dict())))
    assert again == sweep
    assert again.specs() == sweep.specs()


def test_the_studies_are_by_task_and_architecture_and_have_the_sweeps_settings():
    sweep = small_sweep(tasks=("addition", "copy"), architectures=("rnn", "tcn"), space={}, name="march", task={})
    specs = sweep.specs()
    assert [spec.name for spec in specs] == [
        "march/addition/rnn",
        "march/addition/tcn",
        "march/copy/rnn",
        "march/copy/tcn",
    ]
    assert {spec.pruner for spec in specs} == {"median"}
    assert {spec.budget for spec in specs} == {sweep.budget}
    assert {spec.pruner for spec in small_sweep(objectives=("loss", "seconds")).specs()} == {"none"}


@pytest.mark.parametrize("name", ["march", "v1.2", ".hidden", "..a", "two words."])
def test_the_file_of_a_study_lies_below_the_folder_of_the_sweeps_name(tmp_path, name):
    (spec,) = small_sweep(name=name).specs()
    assert study_path(tmp_path, spec.name).resolve() == tmp_path / "sweep" / name / "addition" / "rnn.json"


def test_options_of_an_architecture_that_are_given_are_not_searched():
    (spec,) = small_sweep(architectures=("lstm",), space={}, architecture={"lstm": {"num_layers": 2}}).specs()
    assert "num_layers" not in spec.space
    assert "when" not in spec.space["dropout"], "its condition is resolved"
    spec.check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "trials must be at least 1"),
        ({"trials": "many"}, "trials must be a whole number"),
        ({"objectives": {}}, "objectives must be a list of names, not {}"),
        ({"seeds": TUNING_SEED + 1}, "seeds must be at most"),
        ({"tasks": ()}, "name at least one task"),
        ({"architectures": ("rnn", "rnn")}, "named 2 times"),
        ({"architectures": ("rn",)}, "which is not tuned"),
        ({"objectives": ("los",)}, "objectives 'los' is unknown; did you mean 'loss'"),
        ({"objectives": ("seconds",)}, "objectives must be loss, alone or with seconds or parameters"),
        ({"objectives": ("loss", "seconds"), "pruner": "median"}, "cannot be pruned"),
        ({"sampler": "grid"}, "sampler 'grid' is unknown"),
        ({"parameters": 5}, "add --match parameters"),
        ({"architectures": (1,)}, "architectures must be a list of names, not"),
        ({"sampler": 10**5000}, "not a value with a number of too many digits to be written"),
        ({"pruner": {1: 10**5000}}, "pruner must be a name such as"),
        ({"sampler_options": {"seed": 1, 2: 10**5000}}, "sampler_options must be a mapping by name"),
        ({"embedding_size": 2.5}, "embedding_size must be a whole number"),
        ({"state_size": 5}, "state_size is given, but match is none; add --match state"),
        ({"space": {"gru": {}}}, "'gru', which is not tuned"),
        ({"space": {"rnn": 3}}, "must be a mapping"),
        ({"space": [1]}, "must be a mapping by name, not [1]"),
        ({"task": 3}, "must be a mapping by name, not 3"),
        ({"architecture": "rnn"}, "must be a mapping by name, not 'rnn'"),
        ({"space": {"rnn": {"attention": ["exp"]}}}, "attention"),
        ({"space": {"rnn": {"hidden_size": {"low": 9, "high": 2}}}}, "low 9 lies above high 2"),
        ({"embedding_size": 4}, "none of the tasks has symbols"),
        ({"name": "a,b"}, "name 'a,b' must be"),
        ({"name": "a/b"}, "name 'a/b' must be"),
        ({"name": ""}, "name '' must be"),
        ({"name": 3}, "name 3 must be"),
        ({"name": "."}, "name '.' must be"),
        ({"name": ".."}, "name '..' must be of letters, digits, dots and dashes, not dots alone"),
        ({"name": ". .."}, "name '. ..' must be"),
    ],
)
def test_invalid_settings_are_refused_with_an_error_of_one_line(changes, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        small_sweep(**changes).specs()
    assert "\n" not in str(caught.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["rnn", "addition", "loss", "", "x,y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["rnn", "addition", "a"]), inner),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*small_sweep().to_dict(), "stepz"]), PLAIN)
def test_a_file_with_anything_in_it_is_read_or_refused_with_an_error_of_one_line(key, value):
    try:
        Sweep.from_dict({**small_sweep().to_dict(), key: value})
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
