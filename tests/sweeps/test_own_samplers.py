"""Samplers and pruners by dotted path, with options, and as objects: what they propose, and one line for mistakes."""

import pickle
import sys
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeps import objective as objective_module
from sweeps.in_process_launcher import InProcessLauncher, unpicklable
from sweeps.method_names import SearchObjects
from sweeps.own_sampler import OwnSampler, equip
from sweeps.storage import connect
from sweeps.studies import create_studies, load_studies
from sweeps.sweep import Sweep
from sweeps.trial_budget import slot_of
from sweeps.worker import TrialListener, TrialWorker, WorkerConfig, enqueue_all
from tests.sweeps.small_sweeps import fake_run, fill_slots, make_objective, make_study, run_waiting_trials, small_sweep
from tests.workbench import conftest
from workbench.errors import UserError

on_path = conftest.on_path

COUNTING = """
import random
from optuna.samplers import BaseSampler


class Counting(BaseSampler):
    '''Proposes the middle of every range, but for the learning rate, which it draws; counts its trials.'''

    def __init__(self, low=0.001, seed=None):
        self.low, self.random, self.begun, self.ended = low, random.Random(seed), 0, 0

    def before_trial(self, study, trial):
        self.begun += 1

    def after_trial(self, study, trial, state, values):
        self.ended += 1

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        if name == "learning_rate":
            return self.low * (1 + self.random.random())
        return (distribution.low + distribution.high) // 2
"""


def distinct_loss(experiment, step):
    return abs(experiment.optimization.learning_rate - 0.01) * 100 + 1 / step


def run_study(tmp_path, num_trials=8, objects=None, **changes):
    """Runs a study to its end with stand-ins for runs; returns it."""
    study = make_study(num_trials=num_trials, **changes)
    equip(study, objects or SearchObjects())
    run_waiting_trials(study, make_objective(study, tmp_path))
    return study


@pytest.fixture
def fake_training(monkeypatch):
    monkeypatch.setattr(objective_module, "run", fake_run(distinct_loss))


def params_by_slot(study):
    return [trial.params for trial in sorted(study.trials, key=slot_of) if trial.state.is_finished()]


def test_a_users_sampler_with_options_proposes_every_trial_but_the_default(tmp_path, on_path, fake_training):
    on_path("counting", COUNTING)
    options = {"low": 0.02, "seed": 3}
    study = run_study(tmp_path, sampler="counting:Counting", sampler_options=options, pruner="none")
    rates = [params["learning_rate"] for params in params_by_slot(study)]
    assert rates[0] == 0.001, "the default comes first"
    assert all(0.02 <= rate <= 0.04 for rate in rates[1:])
    assert len(set(rates)) == 8, "each trial has numbers of its own"
    assert {params["hidden_size"] for params in params_by_slot(study)[1:]} == {4}
    own = study.optuna_study.sampler
    assert isinstance(own, OwnSampler)
    counts = vars(own.sampler)
    assert (counts["begun"], counts["ended"]) == (8, 8), "one sampler saw all trials"
    assert study.spec.sampler_source is not None


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("optuna.samplers.CmaEsSampler", {"n_startup_trials": 2}),
        ("optuna.samplers:QMCSampler", {"scramble": True}),
        (
            "optuna.samplers.GridSampler",
            {"search_space": {"learning_rate": [0.003, 0.01, 0.03], "hidden_size": [2, 5]}},
        ),
    ],
)
def test_an_interrupted_sweep_with_one_of_optunas_samplers_goes_on_as_if_it_had_not_been(
    tmp_path, fake_training, sampler, options
):
    changes = {"sampler": sampler, "sampler_options": options, "pruner": "none"}
    whole = run_study(tmp_path, num_trials=6, **changes)
    begun = make_study(num_trials=6, **changes)
    equip(begun, SearchObjects())
    stopped = make_objective(begun, tmp_path)
    for _ in range(3):
        begun.optuna_study.optimize(stopped, n_trials=1)
    # Another process: nothing that the first sampler remembers is left.
    equip(begun, SearchObjects())
    run_waiting_trials(begun, make_objective(begun, tmp_path))
    assert params_by_slot(begun) == params_by_slot(whole)
    assert len({tuple(params.items()) for params in params_by_slot(whole)}) == 6
    other = run_study(tmp_path, num_trials=6, **{**changes, "sampler_seed": 7})
    assert params_by_slot(other)[0] == params_by_slot(whole)[0]
    assert params_by_slot(other) != params_by_slot(whole)
    if "Grid" in sampler:
        rates = [(params["learning_rate"], params["hidden_size"]) for params in params_by_slot(whole)[1:]]
        assert set(rates) <= {(rate, size) for rate in (0.003, 0.01, 0.03) for size in (2, 5)}


def test_a_seed_among_the_options_is_the_seed_of_the_proposals(tmp_path, fake_training):
    proposals = [
        params_by_slot(run_study(tmp_path, sampler=sampler, sampler_options=options, sampler_seed=seed, pruner="none"))
        for sampler, options, seed in (
            ("random", {}, 5),
            ("random", {"seed": 5}, 0),
            ("optuna.samplers.RandomSampler", {"seed": 5}, 0),
            ("random", {"seed": 6}, 0),
        )
    ]
    assert proposals[0] == proposals[1]
    assert proposals[2] != proposals[3]
    assert proposals[1] != proposals[3]


def test_a_pruner_by_dotted_path_with_options_prunes_by_them(tmp_path, monkeypatch):
    numbers: dict[str, int] = {}

    def loss(experiment, step):
        return float(numbers.setdefault(experiment.identity, len(numbers)))

    monkeypatch.setattr(objective_module, "run", fake_run(loss))
    options = {"upper": 4.5, "n_warmup_steps": 2}
    study = run_study(tmp_path, sampler="random", pruner="optuna.pruners.ThresholdPruner", pruner_options=options)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED] * 3
    assert {len(trial.intermediate_values) for trial in study.trials[5:]} == {2}, "at the second step, once warmed up"


def test_objects_are_copied_for_each_study_and_named_by_their_classes(tmp_path, fake_training):
    sampler, pruner = optuna.samplers.RandomSampler(seed=1), optuna.pruners.ThresholdPruner(upper=-1.0)
    sweep = small_sweep(sampler=sampler, pruner=pruner)
    assert sweep.to_dict()["sampler"] == "object of optuna.samplers.RandomSampler"
    (spec,) = sweep.specs()
    assert spec.pruner == "object of optuna.pruners.ThresholdPruner"
    study = fill_slots(create_studies(optuna.storages.InMemoryStorage(), [spec], 4)[0])
    equip(study, sweep.objects)
    own = study.optuna_study.sampler
    assert isinstance(own, OwnSampler)
    assert own.sampler is not sampler
    run_waiting_trials(study, make_objective(study, tmp_path))
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED}
    with pytest.raises(
        UserError, match=r"was an object of optuna.samplers.RandomSampler, which only a call from Python"
    ):
        equip(study, SearchObjects())
    # sweep.yaml can be looked at, and not be begun again without the object.
    again = Sweep.from_dict(sweep.to_dict())
    with pytest.raises(UserError, match=r"name another --sampler, such as optuna\.samplers\.RandomSampler"):
        again.specs()


class Unpicklable(optuna.samplers.RandomSampler):
    """A sampler that holds something that no other process can have."""

    def __init__(self):
        super().__init__(seed=1)
        self.function = lambda: None


def test_an_object_that_cannot_be_pickled_works_in_this_process(tmp_path, sqlite, fake_training):
    objects = SearchObjects(sampler=Unpicklable())
    assert unpicklable(SearchObjects(sampler=optuna.samplers.TPESampler())) is None
    reason = unpicklable(objects)
    assert reason is not None
    assert reason.startswith("the sampler Unpicklable cannot be pickled")
    sweep = small_sweep(sampler=objects.sampler, trials=3)
    storage = connect(sqlite, heartbeat=10, grace=30, log=print)
    studies = create_studies(storage, sweep.specs(), 3)
    enqueue_all(studies, 5)
    events = []
    config = WorkerConfig(url=sqlite, study_names=("addition/rnn",), out=tmp_path, objects=objects)
    launcher = InProcessLauncher(config=config, on_event=lambda slot, event: events.append((slot, event.kind)))
    launcher.run()
    assert [trial.state for trial in studies[0].trials] == [TrialState.COMPLETE] * 3
    assert events.count((0, "begun")) == events.count((0, "ended")) == 3
    assert not launcher.stopping


def test_configurations_with_objects_reach_other_processes():
    config = WorkerConfig(
        url="", study_names=(), out=Path("out"), objects=SearchObjects(sampler=optuna.samplers.TPESampler(seed=4))
    )
    assert isinstance(pickle.loads(pickle.dumps(config)).objects.sampler, optuna.samplers.TPESampler)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "tpee"}, "sampler 'tpee' is unknown; did you mean 'tpe'"),
        ({"sampler": "CmaEs"}, "did you mean 'optuna.samplers.CmaEsSampler'"),
        ({"sampler": "optuna.samplers.CmaEsSamplr"}, "no class 'CmaEsSamplr'; did you mean 'CmaEsSampler'"),
        ({"sampler": "no_such_module:Mine"}, "there is no module 'no_such_module' for sampler"),
        ({"sampler": "optuna.pruners.NopPruner"}, "is not a subclass of optuna.samplers"),
        ({"sampler": 7}, "sampler must be a name such as tpe or optuna.samplers.CmaEsSampler"),
        ({"sampler": optuna.samplers.TPESampler}, r"or give TPESampler\(\)"),
        ({"sampler_options": {"sed": 1}}, "sampler tpe has no option 'sed'; did you mean 'seed'"),
        ({"sampler_options": [1]}, "sampler_options must be a mapping by name"),
        ({"sampler_options": {"seed": {1}}}, "sampler_options must be plain values"),
        ({"sampler": optuna.samplers.TPESampler(), "sampler_options": {"seed": 1}}, "is an object, which has its own"),
        ({"pruner": "optuna.pruners.PercentilePruner"}, "needs an option 'percentile': --pruner_options.percentile"),
        ({"pruner": "optuna.pruners.PercentilePruner", "pruner_options": {"percentile": 500}}, "must be between 0 and"),
        ({"pruner": "none", "pruner_options": {"x": 1}}, "the pruner is none; drop them"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        small_sweep(**changes).specs()[0].check()
    assert "\n" not in str(caught.value)


def test_a_sampler_that_needs_what_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr(optuna.samplers.CmaEsSampler, "__init__", needs_nothing_that_exists)
    with pytest.raises(UserError, match="needs the package not_installed_anywhere: pip install not_installed_anywhere"):
        small_sweep(sampler="optuna.samplers.CmaEsSampler").specs()[0].check()


def needs_nothing_that_exists(self, seed=None):
    import_module("not_installed_anywhere")


def test_an_error_of_the_sampler_is_a_line_that_names_it(tmp_path, on_path, fake_training):
    on_path("failing_sampler", COUNTING.replace("return (distribution.low", "return (distribution.lowest"))
    with pytest.raises(UserError, match="sampler failing_sampler:Counting: AttributeError: 'IntDistribution'"):
        run_study(tmp_path, sampler="failing_sampler:Counting")


def test_a_sampler_whose_code_changed_does_not_go_on(tmp_path, on_path, sqlite):
    on_path("changing_sampler", COUNTING)
    specs = small_sweep(sampler="changing_sampler:Counting").specs()
    storage = connect(sqlite, heartbeat=10, grace=30, log=print)
    create_studies(storage, specs, 2)
    on_path("changing_sampler", COUNTING.replace("0.001", "0.002"))
    del sys.modules["changing_sampler"]
    (loaded,) = load_studies(storage)
    with pytest.raises(UserError, match="the code of sampler changing_sampler:Counting is not what study addition/rnn"):
        loaded.spec.check_methods()
    worker = TrialWorker(
        config=WorkerConfig(url=sqlite, study_names=(), out=tmp_path / "out"), listener=TrialListener()
    )
    with pytest.raises(UserError, match="the code of sampler"):
        worker.run()
