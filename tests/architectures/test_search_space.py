"""Tests of the search spaces: every choice can be built, and sees the whole task."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

import architectures
from architectures.registry import get_entry, load_encoder_class
from tests.architectures.cases import RESIDUAL

TIMES = (1, 2, 3, 5, 64, 100, 101, 784, 1000, 20_000)
RECURRENT = {"num_layers", "dropout", "learn_initial_state"}

every_name = pytest.mark.parametrize("name", architectures.names())


def open_space(name: str, time: int) -> dict[str, Any]:
    """Returns an architecture's search space without the options that its name fixes."""
    domains = load_encoder_class(name).search_space(time)
    return {key: domain for key, domain in domains.items() if key not in get_entry(name).fixed}


def domain_values(domain: object) -> list[Any]:
    """Returns all choices, all whole numbers of an integer range, or the ends of another range."""
    if isinstance(domain, list):
        return domain
    assert isinstance(domain, dict)
    low, high = domain["low"], domain["high"]
    assert low < high
    return list(range(low, high + 1)) if isinstance(low, int) and isinstance(high, int) else [low, high]


def condition_holds(condition: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, Any]) -> bool:
    """Returns whether the chosen values of the parents, which come first, satisfy a domain's condition."""
    return all(rule["low"] <= chosen[parent] <= rule.get("high", chosen[parent]) for parent, rule in condition.items())


def combinations(domains: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Iterates over all combinations of these values; options that do not apply are left out."""
    for combination in itertools.product(*(domain_values(domain) for domain in domains.values())):
        chosen: dict[str, Any] = {}
        for (key, domain), value in zip(domains.items(), combination, strict=True):
            if not isinstance(domain, dict) or condition_holds(domain.get("when", {}), chosen):
                chosen[key] = value
        yield chosen


@every_name
def test_every_choice_is_an_option_and_can_be_built(name: str) -> None:
    """With the task's steps as `reach`, as in training; a bounded receptive field covers all of them."""
    options = architectures.options(name)
    for time in TIMES:
        fixed = {"hidden_size": 8, **({"reach": time} if "reach" in options else {})}
        domains = open_space(name, time)
        assert set(domains) <= set(options) - {"hidden_size", "reach"}
        tried = 0
        for chosen in combinations(domains):
            encoder = architectures.build(name, 3, **fixed, **chosen)
            assert encoder.receptive_field is None or encoder.receptive_field >= time
            tried += 1
        assert tried > 1


@every_name
def test_the_default_can_be_chosen(name: str) -> None:
    """A sweep that cannot choose the default may lose to it."""
    options = architectures.options(name)
    for key, domain in (item for time in TIMES for item in open_space(name, time).items()):
        default = options[key].default
        if isinstance(domain, list):
            assert default in domain
        else:
            assert domain["low"] <= default <= domain["high"]


@every_name
def test_a_search_space_is_plain_data(name: str) -> None:
    """YAML can represent it, and a caller may change the returned dictionary."""
    for time in TIMES:
        domains = load_encoder_class(name).search_space(time)
        assert yaml.safe_load(yaml.safe_dump(domains)) == domains
        domains.clear()
        assert load_encoder_class(name).search_space(time)
        for domain in load_encoder_class(name).search_space(time).values():
            assert isinstance(domain, list) or set(domain) <= {"low", "high", "log", "step", "when"}


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("rnn", RECURRENT),
        ("rwa", RECURRENT),
        ("lstm", RECURRENT | {"chrono"}),
        ("lstm-peephole", RECURRENT | {"chrono"}),
        ("lstm-coupled", RECURRENT | {"chrono"}),
        *((name, RECURRENT | {"chrono"}) for name in ("lstm-layernorm", "lstm-mi", "depth-gated-lstm")),
        *((name, RECURRENT | {"chrono"}) for name in ("mut1", "mut2", "mut3")),
        ("slstm", RECURRENT | {"chrono"}),
        *((name, RECURRENT | {"chrono", "content"}) for name in ("mingru", "minlstm")),
        ("grid-lstm", RECURRENT),
        ("mrnn", RECURRENT),
        ("rhn", RECURRENT | {"recurrence_depth"}),
        ("clockwork-rnn", RECURRENT | {"num_modules"}),
        ("gru", RECURRENT | {"chrono"}),
        ("rda", RECURRENT | {"chrono", "attention", "hidden", "output"}),
        ("rda-exp-tanh", RECURRENT | {"chrono"}),
        ("rda-sigmoid-id", RECURRENT | {"chrono"}),
        ("rnn-attention", {"num_layers"}),
        ("act", {"ponder_cost"}),
        ("ntm", {"slots", "num_heads"}),
        ("bidirectional", {"num_layers"}),
        ("seq2seq", {"num_layers", "bidirectional"}),
        ("seq2seq-fixed", {"num_layers", "bidirectional"}),
        ("tcn", {"kernel_size", "dropout"}),
        ("han", {"num_layers", "dropout"}),
        ("han-memory", {"memory", "num_layers", "dropout"}),
        ("han-bidirectional", {"num_layers", "dropout"}),
        *((name, {"num_layers", "dropout"}) for name in sorted(RESIDUAL - {"gated-deltanet"})),
        ("gated-deltanet", {"num_layers", "dropout", "negative"}),
    ],
)
def test_searched_options(name: str, searched: set[str]) -> None:
    assert set(open_space(name, 100)) == searched


@pytest.mark.parametrize("name", ["lstm", "gru", "rda"])
def test_chrono_spans_are_the_tasks(name: str) -> None:
    """Two steps leave only one span to draw, one step none."""
    assert open_space(name, 784)["chrono"] == [None, 784]
    assert open_space(name, 3)["chrono"] == [None, 3]
    assert "chrono" not in open_space(name, 2)
    assert "chrono" not in open_space(name, 1)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "rwa", "rda"])
def test_dropout_waits_for_a_second_layer(name: str) -> None:
    """Dropout acts between layers: with one layer it would have no effect."""
    for chosen in combinations(open_space(name, 100)):
        assert ("dropout" in chosen) == (chosen["num_layers"] > 1)


def test_relu_attention_is_not_searched() -> None:
    assert open_space("rda", 100)["attention"] == ["exp", "sigmoid", "softplus"]


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
    """The windows are computed by hand: the least k with k^L >= time, at most 100, at least 2."""
    domain = open_space(name, time).get("num_layers")
    if windows is None:
        assert domain is None
        return
    assert domain is not None
    levels_and_windows = []
    for levels in domain:
        encoder: Any = architectures.build(name, 3, hidden_size=8, num_layers=levels, reach=time)
        direction = encoder.onward if name == "han-bidirectional" else encoder
        levels_and_windows.append((len(direction.levels), direction.window))
    assert domain[0] is None
    assert sorted(levels_and_windows) == sorted(windows.items())


def test_a_custom_encoder_searches_nothing_by_default() -> None:
    assert architectures.Encoder.search_space(100) == {}
