"""What a sweep may choose of each architecture: whatever it chooses can be built, and sees the whole task."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

import architectures
from architectures.registry import entry, load

TIMES = (1, 2, 3, 5, 64, 100, 101, 784, 1000, 20_000)
RECURRENT = {"num_layers", "dropout", "learn_initial_state"}

every_name = pytest.mark.parametrize("name", architectures.names())
every_time = pytest.mark.parametrize("time", TIMES)


def space(name: str, time: int) -> dict[str, Any]:
    """Of what the name leaves open."""
    found = load(name).search_space(time)
    return {key: domain for key, domain in found.items() if key not in entry(name).fixed}


def values(domain: object) -> list[Any]:
    """Every choice; every whole number of a range of these; the ends of another."""
    if isinstance(domain, list):
        return domain
    assert isinstance(domain, dict)
    low, high = domain["low"], domain["high"]
    assert low < high
    return list(range(low, high + 1)) if isinstance(low, int) and isinstance(high, int) else [low, high]


def holds(condition: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, Any]) -> bool:
    """Whether the parents, which have to come first, were chosen so that a domain applies."""
    return all(rule["low"] <= chosen[parent] <= rule.get("high", chosen[parent]) for parent, rule in condition.items())


def corners(domains: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of these values; what does not apply is left out."""
    for combination in itertools.product(*(values(domain) for domain in domains.values())):
        chosen: dict[str, Any] = {}
        for (key, domain), value in zip(domains.items(), combination, strict=True):
            if not isinstance(domain, dict) or holds(domain.get("when", {}), chosen):
                chosen[key] = value
        yield chosen


@every_name
@every_time
def test_every_choice_is_an_option_and_can_be_built(name: str, time: int) -> None:
    """With the task's steps as `reach`, as the bench builds it; what has a receptive field covers all of them."""
    known = architectures.options(name)
    given = {"hidden_size": 8, **({"reach": time} if "reach" in known else {})}
    domains = space(name, time)
    assert set(domains) <= set(known) - {"hidden_size", "reach"}
    tried = 0
    for chosen in corners(domains):
        encoder = architectures.build(name, 3, **given, **chosen)
        assert encoder.receptive_field is None or encoder.receptive_field >= time
        tried += 1
    assert tried > 1


@every_name
@every_time
def test_the_default_can_be_chosen(name: str, time: int) -> None:
    """A sweep that cannot choose it may lose to it."""
    known, domains = architectures.options(name), space(name, time)
    for key, domain in domains.items():
        default = known[key].default
        if isinstance(domain, list):
            assert default in domain
        else:
            assert domain["low"] <= default <= domain["high"]


@every_name
@every_time
def test_it_is_plain_data(name: str, time: int) -> None:
    """A YAML file holds it; a caller may change what it gets."""
    found = load(name).search_space(time)
    assert yaml.safe_load(yaml.safe_dump(found)) == found
    found.clear()
    assert load(name).search_space(time)
    for domain in load(name).search_space(time).values():
        assert isinstance(domain, list) or set(domain) <= {"low", "high", "log", "step", "when"}


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("rnn", RECURRENT),
        ("rwa", RECURRENT),
        ("lstm", RECURRENT | {"chrono"}),
        ("gru", RECURRENT | {"chrono"}),
        ("rda", RECURRENT | {"chrono", "attention", "hidden", "output"}),
        ("rda-exp-tanh", RECURRENT | {"chrono"}),
        ("rda-sigmoid-id", RECURRENT | {"chrono"}),
        ("tcn", {"kernel_size", "dropout"}),
        ("han", {"num_layers", "dropout"}),
        ("han-bidirectional", {"num_layers", "dropout"}),
    ],
)
def test_what_is_searched(name: str, searched: set[str]) -> None:
    assert set(space(name, 100)) == searched


@pytest.mark.parametrize("name", ["lstm", "gru", "rda"])
def test_chrono_spans_are_the_tasks(name: str) -> None:
    """Two steps leave but one span to draw, one step none."""
    assert space(name, 784)["chrono"] == [None, 784]
    assert space(name, 3)["chrono"] == [None, 3]
    assert "chrono" not in space(name, 2)
    assert "chrono" not in space(name, 1)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "rwa", "rda"])
def test_dropout_waits_for_a_second_layer(name: str) -> None:
    """It acts between layers: with one it would be a choice without an effect."""
    for chosen in corners(space(name, 100)):
        assert ("dropout" in chosen) == (chosen["num_layers"] > 1)


def test_relu_attention_is_not_searched() -> None:
    assert space("rda", 100)["attention"] == ["exp", "sigmoid", "softplus"]


@pytest.mark.parametrize("name", ["han", "han-bidirectional"])
@pytest.mark.parametrize(
    ("time", "windows"),
    [
        (1, None),
        (2, None),
        (3, {1: 3, 2: 2}),
        (4, {1: 4, 2: 2}),
        (5, {1: 5, 2: 3, 3: 2}),
        (64, {1: 64, 2: 8, 3: 4}),
        (100, {1: 100, 2: 10, 3: 5}),
        (101, {2: 11, 3: 5, 4: 4}),
        (784, {2: 28, 3: 10, 4: 6}),
        (1000, {2: 32, 3: 10, 4: 6}),
        (20_000, {3: 28, 4: 12, 5: 8}),
    ],
)
def test_levels_and_the_windows_that_follow(name: str, time: int, windows: dict[int, int] | None) -> None:
    """By hand: the least k with k^L >= time, at most 100, at least 2."""
    domain = space(name, time).get("num_layers")
    if windows is None:
        assert domain is None
        return
    assert domain is not None
    found = []
    for levels in domain:
        encoder: Any = architectures.build(name, 3, hidden_size=8, num_layers=levels, reach=time)
        one = encoder.onward if name == "han-bidirectional" else encoder
        found.append((len(one.levels), one.window))
    assert domain[0] is None
    assert sorted(found) == sorted(windows.items())


def test_an_encoder_of_ones_own_searches_nothing_unless_it_says_so() -> None:
    assert architectures.Encoder.search_space(100) == {}
