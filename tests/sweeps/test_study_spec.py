"""Specifications of studies, and the runs of their trials."""

import json
import sys
from dataclasses import replace

import optuna
import pytest
import yaml

import architectures
from sweeps.default_space import study_space
from sweeps.study_spec import StudySpec
from tests.architectures.kinds import names_of_each_kind
from tests.workbench import conftest
from workbench.comparison import Comparison
from workbench.config import TUNING_SEED, Budget, Numerics, Optimization
from workbench.errors import UserError
from workbench.resolve import resolve_task

on_path = conftest.on_path

OPTIMIZATION = Optimization(learning_rate=0.002, clip="norm", clip_at=2.0)
BUDGET = Budget(steps=30, batch_size=4, log_every=10, evaluation_size=20)


def spec(architecture="lstm", task="addition", own=None, options=None, space=None, task_options=None, **settings):
    """Returns the specification of a study of small runs."""
    part, built_task = resolve_task(task, task_options if task_options is not None else {"length": 12})
    settings = {"optimization": OPTIMIZATION, "budget": BUDGET, "hidden_size": 12, **settings}
    space = space or study_space(
        architecture,
        built_task.steps,
        match=settings.get("match", "none"),
        hidden_size=settings["hidden_size"],
        optimization=settings["optimization"],
        options=options or {},
        shared_changes={},
        own_changes=own or {},
    )
    return StudySpec(
        name=f"{task}/{architecture}",
        task=part,
        architecture=architecture,
        options=options or {},
        space=space,
        **settings,
    )


def compared(architecture, task="addition", options=None, match="width", **settings):
    """Returns the run of a comparison of the same settings."""
    comparison = Comparison(
        tasks=(task,),
        architectures=(architecture,),
        seeds=1,
        hidden_size=12,
        task={task: {"length": 12}},
        architecture={architecture: options or {}},
        match=match,
        optimization=OPTIMIZATION,
        budget=BUDGET,
        **settings,
    )
    return comparison.experiments()[0]


@pytest.mark.parametrize("name", names_of_each_kind())
def test_without_parameters_it_is_the_run_of_a_comparison(name):
    run = compared(name)
    for match in ("none", "width"):
        assert spec(name, match=match).experiment({}, 0) == run
    # So many that no architecture has about as many at the width of 12 that is the other runs'.
    matched_run = spec(name, match="parameters", parameters=10_000).experiment({}, 0)
    assert matched_run == compared(name, match="parameters", parameters=10_000)
    assert matched_run.identity == compared(name, match="parameters", parameters=10_000).identity != run.identity
    embedded_run = spec(name, "copy", embedding_size=5).experiment({}, 0)
    assert embedded_run == compared(name, "copy", embedding_size=5)


def test_options_that_are_given_are_those_of_the_comparison():
    options = {"dropout": 0, "kernel_size": 3}
    study_spec = spec("tcn", options=options)
    assert not {"dropout", "kernel_size"} & study_spec.space.keys()
    assert study_spec.experiment({}, 0).identity == compared("tcn", options=options).identity


@pytest.mark.parametrize("name", names_of_each_kind())
def test_all_corners_of_the_default_spaces_can_be_built(name):
    matched = {"match": "parameters", "parameters": 3_000, "task": "copy"}
    # Of every other name at equal size, which takes a solution for every corner.
    spec(name, **(matched if architectures.names().index(name) % 2 else {})).check()


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "rwa", "rda", "rda-sigmoid-id", "tcn"])
def test_a_trial_can_have_the_default_configuration(name):
    study_spec = spec(name, own={"hidden_size": {"low": 4, "high": 20}})
    default = study_spec.default_params()
    assert study_spec.contains_default()
    assert default["learning_rate"] == 0.002
    assert default["hidden_size"] == 12
    assert default["clip_at"] == 2.0
    optuna_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    optuna_study.enqueue_trial(default)
    params = study_spec.search_space().suggest(optuna_study.ask())
    assert study_spec.experiment(params, 7) == replace(study_spec.experiment({}, 0), seed=7)


def test_no_trial_can_have_a_default_outside_the_space():
    width = {"hidden_size": {"low": 4, "high": 12}}
    assert not spec().contains_default()
    assert not spec(own={**width, "learning_rate": {"low": 0.01, "high": 0.1}}).contains_default()
    assert not spec(own={**width, "optimizer": "sgd"}).contains_default()
    assert spec(own={**width, "optimizer": "adam"}).contains_default()
    assert "optimizer" not in spec(own={"optimizer": "adam"}).default_params()


def test_parameters_of_a_trial_are_those_of_its_run():
    space = {"learning_rate": [0.1, 0.2], "num_layers": [1, 2], "dropout": [0, 0.5], "hidden_size": [6, 7]}
    study_spec = spec(space={**space, "embedding_size": [3, 4]}, task="copy")
    run = study_spec.experiment({"learning_rate": 0.2, "num_layers": 2, "dropout": 0, "embedding_size": 4}, 5)
    assert (run.optimization, run.budget, run.seed) == (replace(OPTIMIZATION, learning_rate=0.2), BUDGET, 5)
    assert run.embedding_size == 4
    assert run.architecture.options["num_layers"] == 2
    assert run.architecture.options["hidden_size"] == 12
    assert repr(run.architecture.options["dropout"]) == "0.0"
    assert repr(study_spec.experiment({"learning_rate": 1}, 0).optimization.learning_rate) == "1.0"
    assert study_spec.experiment({"hidden_size": 7}, 0).architecture.options["hidden_size"] == 7
    assert study_spec.experiment({}, TUNING_SEED).seed == TUNING_SEED
    with pytest.raises(UserError, match="the space of lstm has no parameter 'droput'; did you mean 'dropout'"):
        study_spec.experiment({"droput": 0.5}, 0)


def test_widths_are_solved_for_each_trial():
    study_spec = spec("tcn", match="parameters", parameters=3_000)
    widths = {k: study_spec.experiment({"kernel_size": k}, 0).architecture.options["hidden_size"] for k in (2, 7)}
    for k, width in widths.items():
        expected = compared("tcn", match="parameters", parameters=3_000, options={"kernel_size": k})
        assert width == expected.architecture.options["hidden_size"]
    assert widths[2] != widths[7]


def test_a_width_that_is_solved_for_need_not_be_possible_before():
    # Twelve units cannot be divided into five heads.
    options = {"num_heads": 5}
    run = spec("han", match="parameters", parameters=3_000, options=options).experiment({}, 0)
    assert run == compared("han", match="parameters", parameters=3_000, options=options)


def test_a_study_survives_json_and_yaml():
    study_spec = spec(
        "rda", task="copy", embedding_size=3, match="parameters", parameters=2_000, options={"dropout": 0}
    )
    assert StudySpec.from_dict(json.loads(json.dumps(study_spec.to_dict()))) == study_spec
    assert StudySpec.from_dict(yaml.safe_load(yaml.safe_dump(study_spec.to_dict()))) == study_spec
    two = spec(objectives=("loss", "seconds"), pruner="none", sampler="random", startup_trials=3, sampler_seed=9)
    assert StudySpec.from_dict(two.to_dict()) == two
    assert two.differences(StudySpec.from_dict(two.to_dict())) == []


def test_the_same_settings_are_the_same_study_however_written():
    one = spec(space={"optimization.learning_rate": {"low": "1e-3", "high": 1, "log": True}})
    other = spec(space={"learning_rate": {"high": 1.0, "log": True, "low": 0.001}})
    assert one == other
    assert one.differences(other) == []


def test_differences_are_named_with_both_values():
    one = spec(own={"optimizer": "sgd"})
    assert one.differences(spec(own={"optimizer": "sgd"}, budget=replace(BUDGET, steps=500))) == [
        "budget.steps is 30, not 500"
    ]
    other = spec(own={"learning_rate": {"high": 0.003}}, pruner="hyperband", task_options={"length": 13})
    assert set(one.differences(other)) == {
        "task.options.length is 12, not 13",
        'space.optimizer is "sgd", not left out',
        "space.learning_rate.high is 0.01, not 0.003",
        "space.chrono is [null, 12], not [null, 13]",
        'pruner is "median", not "hyperband"',
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": " "}, "a study needs a name"),
        ({"name": "../addition/lstm"}, "a study cannot be called"),
        ({"name": "/addition/lstm"}, "a study cannot be called"),
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"startup_trials": -1}, "startup_trials must be at least 0"),
        ({"sampler_seed": 1.5}, "sampler_seed must be a whole number"),
        ({"embedding_size": 0}, "embedding_size must be at least 1"),
        ({"match": "size"}, "match 'size' is unknown"),
        ({"sampler": "tpf"}, "sampler 'tpf' is unknown; did you mean 'tpe'"),
        ({"pruner": "medium"}, "pruner 'medium' is unknown; did you mean 'median'"),
        ({"match": "parameters"}, "parameters is None, but match is parameters"),
        ({"parameters": 5}, "parameters is 5, but match is none"),
        (
            {"objectives": ["seconds"]},
            "objectives must be loss or another metric, or loss with seconds or parameters, not seconds",
        ),
        ({"objectives": "loss"}, "not l,o,s,s"),
        ({"objectives": []}, "objectives must be loss"),
        ({"objectives": None}, "the study cannot be read"),
        ({"objectives": ["loss", "seconds"]}, "two objectives cannot be pruned"),
        ({"options": [1]}, r"the options of lstm must be a mapping, not \[1\]"),
        ({"options": {"dropout": {1}}}, "the options of lstm must be plain values"),
        ({"options": {"dropout": 0.1}}, "dropout of lstm is given as 0.1, and searched too; drop one"),
        ({"space": {"kernel_size": [1, 2]}}, "the space of lstm: there is no parameter 'kernel_size'"),
        ({"space": {}}, "leaves nothing to search"),
        ({"match": "width"}, "hidden_size cannot be searched: --match width"),
        ({"architecture": "lstn"}, "unknown architecture 'lstn' .*; did you mean 'lstm'"),
        ({"budget": {"steps": 0}}, "steps must be at least 1"),
        ({"budget": None}, "the study's budget must be a mapping, not None"),
        ({"task": {"nam": "addition"}}, "the study's task has no key 'nam'; did you mean 'name'"),
        ({"spase": {}}, "the study has no key 'spase'; did you mean 'space'"),
    ],
)
def test_impossible_studies_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        StudySpec.from_dict({**spec().to_dict(), **change})


def test_numerics_are_every_trials_and_cannot_be_searched():
    numerics = Numerics(precision="bf16", draw="device")
    study_spec = spec(numerics=numerics)
    assert study_spec.experiment({"learning_rate": 0.5}, 3).numerics == numerics
    assert study_spec.experiment({}, 0) == replace(spec().experiment({}, 0), numerics=numerics)
    assert StudySpec.from_dict(json.loads(json.dumps(study_spec.to_dict()))) == study_spec
    assert spec().differences(study_spec) == [
        'numerics.precision is "float32", not "bf16"',
        'numerics.draw is "cpu", not "device"',
    ]
    with pytest.raises(UserError, match="precision cannot be searched: every trial has the same one"):
        spec(own={"precision": ["float32", "bf16"]})


def test_a_study_from_before_there_were_numerics_is_read_as_it_was():
    old = spec().to_dict()
    del old["numerics"]
    assert StudySpec.from_dict(old) == spec()


def test_a_missing_key_is_refused():
    plain = spec().to_dict()
    for key in ("name", "space", "task", "architecture"):
        with pytest.raises(UserError, match=key):
            StudySpec.from_dict({other: value for other, value in plain.items() if other != key})


def test_a_width_that_is_given_cannot_be_solved_for():
    with pytest.raises(UserError, match="lstm is given a hidden_size, but --match parameters solves for it"):
        spec(match="parameters", parameters=500, options={"hidden_size": 4})


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"kernel_size": [3, 1]},
            "the space of tcn: kernel_size = 1 is invalid: architecture tcn: kernel_size must be",
        ),
        ({"dropout": {"low": 0.0, "high": 1.0}}, r"dropout = 1.0 is invalid: .*must lie in \[0, 1\)"),
        ({"dropout": {"low": -0.1, "high": 0.1}}, "dropout = -0.1 is invalid"),
        ({"weight_decay": {"low": -1.0, "high": 0.1}}, "weight_decay = -1.0 is invalid: weight_decay must be at least"),
        ({"clip": ["value", "nrom"]}, "clip = 'nrom' is invalid: clip 'nrom' is unknown; did you mean 'norm'"),
        ({"optimizer": "adm"}, "optimizer = 'adm' is invalid: optimizer 'adm' is unknown"),
        (
            {"embedding_size": [4, 8]},
            "embedding_size = 4 is invalid: embedding_size is given, but addition has no symb",
        ),
        ({"num_layers": {"choices": [0, 1], "when": {"clip": "none"}}}, "num_layers = 0 is invalid"),
    ],
)
def test_corners_that_cannot_be_built_are_named(own, message):
    with pytest.raises(UserError, match=message) as caught:
        spec("tcn", own=own).check()
    assert "\n" not in str(caught.value)


def test_fixed_values_are_checked_together():
    # Seven heads divide 35 units, and not the twelve of the default configuration.
    spec("han", own={"hidden_size": 35, "num_heads": 7}).check()
    with pytest.raises(UserError, match="num_heads = 7 is invalid"):
        spec("han", own={"hidden_size": None, "num_heads": 7}).check()


def test_an_invalid_default_configuration_is_refused():
    with pytest.raises(UserError, match="architecture tcn: kernel_size"):
        spec("tcn", options={"kernel_size": 1}).check()
    with pytest.raises(UserError, match="embedding_size is given, but addition has no symbols"):
        spec(embedding_size=4).experiment({}, 0)


def test_changed_code_is_noticed(on_path):
    text = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
    name = on_path("tuned_encoder", text) + ":Mine"
    study_spec = spec(name)
    assert study_spec.source is not None
    study_spec.check_source()
    plain = study_spec.to_dict()
    on_path("tuned_encoder", text + "# changed\n")
    with pytest.raises(UserError, match=f"the code of architecture {name} is not what study addition/{name} was made"):
        StudySpec.from_dict(plain).check_source()
    assert any(line.startswith("source is") for line in study_spec.differences(spec(name)))
    spec("lstm").check_source()


@pytest.mark.parametrize(("name", "options"), [("grid-lstm", {}), ("act", {"base": "grid-lstm"})])
def test_a_study_of_equations_that_were_changed_is_not_continued(name, options):
    now = spec(name, options=options)
    StudySpec.from_dict(now.to_dict()).check_source()
    before = StudySpec.from_dict({**now.to_dict(), "source": None})
    assert [line.partition(" is ")[0] for line in before.differences(now)] == ["source"]
    with pytest.raises(UserError, match=r"^the equations of grid-lstm have changed since study addition/"):
        before.check_source()


def test_a_study_of_a_first_revision_is_that_of_today():
    assert StudySpec.from_dict(spec("lstm").to_dict()).source is None
    assert StudySpec.from_dict({**spec("gru").to_dict(), "source": None}).source == "revision 1"


LOSES = """
from architectures.gru import GRU


class Mine(GRU):
    def __init__(self, input_size: int, hidden_size: int, depth: int = 1) -> None:
        super().__init__(input_size, hidden_size)

    @classmethod
    def search_space(cls, time):
        return {}
"""


def test_a_space_that_no_longer_fits_says_that_the_code_has_changed(on_path):
    name = on_path("loses_an_option", LOSES) + ":Mine"
    plain = spec(name, own={"depth": [1, 2]}).to_dict()
    del sys.modules["loses_an_option"]
    on_path("loses_an_option", LOSES.replace(", depth: int = 1", ""))
    # To read it, as those do who only look, imports nothing.
    loaded = StudySpec.from_dict(plain)
    assert "loses_an_option" not in sys.modules
    with pytest.raises(UserError, match="is not what study"):
        loaded.check_source()


def test_a_tasks_changed_code_is_noticed():
    part = replace(spec().task, source="0123")
    with pytest.raises(UserError, match="the code or the data of task addition is not what study"):
        replace(spec(), task=part).check_source()
