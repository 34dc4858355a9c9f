"""Tests of rules by which parameters are trained: found by name, through whatever stands in a parameter's place."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import architectures
from architectures import ParameterRule
from architectures.parameter_rules import describe_rules, find_rules, read_rules, summarize_rules

SLOW = ParameterRule(rate=0.5, decay=False)


class Part(nn.Module):
    """A part with a matrix that is trained slowly, and a bias without weight decay."""

    def __init__(self, rules: Any = None) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
        self.weight_too = nn.Parameter(torch.ones(2))
        self.parameter_rules = rules or {"weight": SLOW, "bias": ParameterRule(decay=False)}


def test_rules_of_parts_have_full_names_in_the_order_of_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Part(), nn.Sequential(Part({"bias": SLOW})))
    assert find_rules(model) == {"1.weight": SLOW, "1.bias": ParameterRule(decay=False), "2.0.bias": SLOW}
    assert list(find_rules(model)) == ["1.weight", "1.bias", "2.0.bias"]
    assert find_rules(Part()) == {"weight": SLOW, "bias": ParameterRule(decay=False)}


def test_what_computes_a_parameter_has_its_rule() -> None:
    """Both parameters of a weight norm, and what pruning masks."""
    model = nn.Sequential(Part())
    parametrizations.weight_norm(model[0], "weight")
    slow = [name for name, rule in find_rules(model).items() if rule == SLOW]
    assert slow == ["0.parametrizations.weight.original0", "0.parametrizations.weight.original1"]
    model = nn.Sequential(Part())
    prune.identity(model[0], "weight")
    assert find_rules(model)["0.weight_orig"] == SLOW
    assert len(find_rules(model)) == 2


@pytest.mark.parametrize("name", architectures.names())
def test_every_rule_of_the_catalogue_is_of_a_parameter(name: str) -> None:
    """And the share of the learning rate, where it is none of 1, is an option, which is part of a run's identity."""
    encoder = architectures.build(name, 2, hidden_size=8)
    rules = find_rules(encoder)
    assert {*rules} <= {key for key, _ in encoder.named_parameters()}
    if any(rule.rate != 1 for rule in rules.values()):
        other = find_rules(architectures.build(name, 2, hidden_size=8, dynamics_rate=0.125))
        assert {key: rule.decay for key, rule in other.items()} == {key: rule.decay for key, rule in rules.items()}
        assert {rule.rate for key, rule in other.items() if rules[key].rate != 1} == {0.125}


@pytest.mark.parametrize(
    ("rules", "kind", "message"),
    [
        ({"wieght": SLOW}, ValueError, "parameter_rules of Part names 'wieght', which is no parameter of it"),
        ({"weight": 0.5}, TypeError, "parameter_rules of Part must map names of parameters to ParameterRule"),
        ([("weight", SLOW)], TypeError, "parameter_rules of Part must map names of parameters to ParameterRule"),
    ],
)
def test_wrong_rules_are_refused(rules: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        find_rules(nn.Sequential(Part(rules)))


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"rate": 0}, ValueError, "the share of the learning rate must be above 0, not 0"),
        ({"rate": float("nan")}, ValueError, "must be above 0, not nan"),
        ({"rate": "half"}, TypeError, "must be a number, not 'half'"),
        ({"decay": 0.1}, TypeError, "whether weight decay applies is true or false, not 0.1"),
    ],
)
def test_wrong_values_are_refused(values: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ParameterRule(**values)


def test_rules_are_written_for_all_layers_and_said_in_words() -> None:
    rules = {"blocks.0.nu": SLOW, "blocks.1.nu": SLOW, "blocks.1.theta": SLOW, "d": ParameterRule(decay=False)}
    assert list(summarize_rules(rules)) == ["blocks.*.nu", "blocks.*.theta", "d"]
    assert list(describe_rules(rules)) == [
        "nu, theta at 0.5 of the learning rate, without weight decay",
        "d without weight decay",
    ]
    assert read_rules({"nu": {"rate": 0.5, "decay": False}}) == {"nu": SLOW}
    assert read_rules(None) == {}
    with pytest.raises(TypeError, match="rules are mappings"):
        read_rules({"nu": 0.5})
