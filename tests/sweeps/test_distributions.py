"""Ranges, choices and conditions, and how they are read."""

import json
from typing import Any

import optuna
import pytest
import yaml

from sweeps import distributions
from sweeps.distributions import NO_VALUE, Between, Choices, OneOf, Range, find_value


def test_whole_ends_make_a_whole_range_unless_a_float_is_declared():
    assert distributions.read_domain({"low": 1, "high": 4}) == Range(low=1, high=4)
    assert distributions.read_domain({"low": 1, "high": 4}).contains(2)
    assert not distributions.read_domain({"low": 1, "high": 4}).contains(2.0)
    declared: Any = distributions.read_domain({"low": 0, "high": 1}, float)
    assert isinstance(declared.low, float)
    assert isinstance(declared.high, float)
    assert declared.contains(0.5)
    assert distributions.read_domain({"low": 1, "high": 2.5}) == Range(low=1.0, high=2.5)
    assert distributions.read_domain({"low": 1, "high": 2.5}).contains(1.5)


def test_numbers_that_yaml_takes_for_strings_are_numbers():
    plain = yaml.safe_load("{low: 1e-4, high: 1e-2, log: true}")
    assert plain["low"] == "1e-4"
    assert distributions.read_domain(plain, float) == Range(low=0.0001, high=0.01, log=True)
    assert distributions.read_domain(["1e-4", 1], float) == Choices(values=(0.0001, 1.0))
    assert distributions.read_domain(["1e-4", None], float | None) == Choices(values=(0.0001, None))
    assert distributions.read_domain(["1e-4", 1]) == Choices(values=("1e-4", 1))


@pytest.mark.parametrize(
    ("plain", "corner_values"),
    [
        ({"low": 2, "high": 9, "step": 3}, (2, 8)),
        ({"low": 2, "high": 8, "step": 3}, (2, 8)),
        ({"low": 2, "high": 4, "step": 3}, (2,)),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, (0.0, 0.3)),
        ({"low": 0.1, "high": 0.75, "step": 0.2}, (0.1, 0.7)),
        ({"low": 0.5, "high": 0.5}, (0.5,)),
    ],
)
def test_the_ends_of_a_stepped_range_can_be_reached(plain, corner_values):
    domain = distributions.read_domain(plain)
    assert domain.corner_values == pytest.approx(corner_values)
    assert all(domain.contains(value) for value in domain.corner_values)


def test_a_range_holds_its_ends_and_its_grid():
    grid = Range(low=0.1, high=0.9, step=0.2)
    assert [grid.contains(value) for value in (0.1, 0.1 + 0.2, 0.9, 0.2, 1.1, -0.1)] == [True, True, True, False] + [
        False
    ] * 2
    assert not grid.contains(True)
    assert not grid.contains("0.1")
    assert not grid.contains(float("nan"))
    assert not Range(low=0, high=4, step=2).contains(3)


def test_choices_hold_what_they_are_and_true_is_not_one():
    assert Choices(values=(True, False)).contains(True)
    assert not Choices(values=(True, False)).contains(1)
    assert not Choices(values=(1, 2)).contains(True)
    assert Choices(values=(None, 5)).contains(None)
    assert not Choices(values=("a",)).contains("b")


@pytest.mark.parametrize(
    "plain",
    [
        {"low": 1, "high": 9, "step": 2},
        {"low": 0.1, "high": 10.0, "log": True},
        {"low": 0.0, "high": 0.5},
        {"choices": [None, "exp", 2, 0.5, True]},
    ],
)
def test_a_domain_is_written_as_it_is_read(plain):
    domain = distributions.read_domain(plain)
    assert domain.to_dict() == plain
    assert distributions.read_domain(json.loads(json.dumps(domain.to_dict()))) == domain


def suggest(domain):
    """Returns a suggested value, and Optuna's distribution of the values that a sampler may choose."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    value = domain.suggest(trial, "x")
    return value, trial.distributions["x"]


def test_optuna_is_asked_for_what_the_domain_is():
    value, distribution = suggest(Range(low=1, high=6, step=2))
    assert distribution == optuna.distributions.IntDistribution(1, 5, step=2)
    assert value in (1, 3, 5)
    _, distribution = suggest(Range(low=2, high=64, log=True))
    assert distribution == optuna.distributions.IntDistribution(2, 64, log=True)
    _, distribution = suggest(Range(low=0.1, high=0.75, step=0.2))
    assert distribution == optuna.distributions.FloatDistribution(0.1, 0.7, step=0.2)
    _, distribution = suggest(Range(low=1e-4, high=1e-2, log=True))
    assert distribution == optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
    _, distribution = suggest(Choices(values=("a", None)))
    assert distribution == optuna.distributions.CategoricalDistribution(("a", None))


@pytest.mark.parametrize(
    ("plain", "kind", "message"),
    [
        ({"low": 2, "high": 1}, None, "low 2 lies above high 1"),
        ({"low": 0, "high": 1, "log": True}, None, "must begin above 0, not at 0"),
        ({"low": -1.0, "high": 1, "log": True}, float, "must begin above 0, not at -1"),
        ({"low": 1, "high": 4, "log": True, "step": 1}, None, "drop log or step"),
        ({"low": 1, "high": 4, "step": 0}, None, "step must be above 0, not 0"),
        ({"low": 1, "high": 4, "step": -2}, None, "step must be above 0, not -2"),
        ({"low": 1, "high": 4, "step": 0.5}, None, "step must be a whole number"),
        ({"low": 1, "high": 4, "log": 1}, None, "log must be true or false, not 1"),
        ({"low": float("nan"), "high": 4}, None, "low must be a number, not nan"),
        ({"low": 1.0, "high": float("inf")}, None, "high must be a number, not inf"),
        ({"low": "a", "high": 4}, None, "low must be a number, not 'a'"),
        ({"low": None, "high": 4}, None, "low must be a number, not None"),
        ({"low": False, "high": True}, None, "low must be a number, not False"),
        ({"low": 1}, None, "high is missing"),
        ({"log": True}, None, "low and high is missing"),
        ({"low": 1, "hihg": 3}, None, "no key 'hihg'; did you mean 'high'"),
        ({"low": 1, "high": 3, "choices": [1]}, None, "give only one of them"),
        ({"low": 1.5, "high": 3}, int, "low and high must be whole"),
        ({"low": 1.5, "high": 3}, int | None, "low and high must be whole"),
        ({"low": 1, "high": 3}, str, "takes a list of choices"),
        ({"low": 0, "high": 1}, bool, "takes a list of choices"),
        ({"choices": "abc"}, None, "choices must be a list, not 'abc'"),
        ([], None, "there are no choices"),
        (["a", "b", "a"], None, "the choices 'a' and 'a' are the same"),
        ([1, True], None, "the choices 1 and True are the same"),
        ([1, 1.0], None, "the choices 1 and 1.0 are the same"),
        ([[1]], None, r"a choice must be .* not \[1\]"),
        ([float("nan")], None, "a choice must be"),
        ([1.0, float("-inf")], None, "a choice must be"),
    ],
)
def test_impossible_domains_are_refused(plain, kind, message):
    with pytest.raises(ValueError, match=message):
        distributions.read_domain(plain, kind)


@pytest.mark.parametrize(
    ("plain", "matching", "others"),
    [
        ("value", ["value"], ["norm", None, 1]),
        (["value", "norm"], ["value", "norm"], ["none"]),
        (None, [None], [0, "None"]),
        (True, [True], [1, False]),
        ({"low": 2}, [2, 2.0, 99], [1, 1.9, None, "2", True]),
        ({"low": 2, "high": 3}, [2, 3], [4, 1]),
        ({"high": "1e-2"}, [0.01, -5], [0.02]),
    ],
)
def test_conditions(plain, matching, others):
    condition = distributions.read_condition(plain)
    assert all(condition.matches(value) for value in matching)
    assert not any(condition.matches(value) for value in others)
    assert distributions.read_condition(condition.to_plain()) == condition


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "must be numbers"),
        ({"low": "a"}, "must be numbers"),
        ({"low": 1, "hgih": 2}, "no key 'hgih'; did you mean 'high'"),
        ([], "a condition must be"),
        ([[1]], "a condition must be"),
    ],
)
def test_impossible_conditions_are_refused(plain, message):
    with pytest.raises(ValueError, match=message):
        distributions.read_condition(plain)


@pytest.mark.parametrize(
    ("domain", "conditions", "preferred", "value"),
    [
        (Range(low=1, high=4), [Between(low=2)], 3, 3),
        (Range(low=1, high=4), [Between(low=2)], 1, 4),
        (Range(low=1, high=9, step=3), [Between(low=2, high=5)], NO_VALUE, 4),
        (Range(low=1, high=9, step=3), [Between(low=5, high=6)], NO_VALUE, NO_VALUE),
        (Range(low=1, high=9), [Between(low=2.5, high=2.9)], NO_VALUE, NO_VALUE),
        (Range(low=0.0, high=1.0), [Between(low=0.2, high=0.3)], NO_VALUE, 0.2),
        (Range(low=0.0, high=1.0), [OneOf(values=(2.0, 0.5)), Between(high=0.6)], NO_VALUE, 0.5),
        (Choices(values=("a", "b")), [OneOf(values=("b", "c"))], "a", "b"),
        (Choices(values=("a", "b")), [OneOf(values=("c",))], "a", NO_VALUE),
        (Choices(values=(None, 3)), [OneOf(values=(None,))], NO_VALUE, None),
    ],
)
def test_a_value_that_meets_conditions_is_found_if_there_is_one(domain, conditions, preferred, value):
    assert find_value(domain, conditions, preferred) == value
