"""Sizes beyond every machine are refused at once, with the reason; those of the papers, ten times over, are not."""

import itertools
import time

import pytest
import torch

import architectures
from architectures.clockwork_rnn import MAX_MODULES
from architectures.limits import MAX_LAYERS, MAX_QUOTE, MAX_STEPS, MAX_WIDTH, quote

SIZES = {
    "hidden_size": MAX_WIDTH,
    "num_layers": MAX_LAYERS,
    "recurrence_depth": MAX_LAYERS,
    "rounds": MAX_LAYERS,
    "num_modules": MAX_MODULES,
    "kernel_size": 2**16,
    "reach": MAX_STEPS,
    "source": MAX_STEPS,
    "max_ponder": MAX_STEPS,
    "slots": MAX_WIDTH,
    "slot_size": MAX_WIDTH,
    "block_size": 2**16,
    "window": MAX_STEPS,
    "num_heads": MAX_WIDTH,
    "num_states": MAX_WIDTH,
    "chrono": MAX_STEPS,
}
"""Every option that is a size, with the largest value that is taken."""

PAIRS = [
    (name, option)
    for name, option in itertools.product(architectures.names(), SIZES)
    if option in architectures.options(name)
]


@pytest.mark.parametrize("name", architectures.names())
def test_every_option_that_is_a_whole_number_has_a_bound(name: str) -> None:
    hints = {key: str(option.annotation) for key, option in architectures.options(name).items()}
    assert {key for key, hint in hints.items() if "int" in hint.replace("hint", "")} <= {*SIZES}


@pytest.mark.parametrize(("name", "option"), PAIRS)
def test_a_size_beyond_its_bound_is_refused_at_once(name: str, option: str) -> None:
    for value in (SIZES[option] + 1, 10**30, 10**5000):
        start = time.monotonic()
        with pytest.raises(ValueError, match=rf"^{option} must be at most {SIZES[option]:,}, not .*: .*\w$") as raised:
            architectures.build(name, 2, **{"hidden_size": 8, option: value})
        assert time.monotonic() - start < 1
        assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tcn", {"num_layers": 30}, "30 layers with kernels of 7"),
        ("tcn", {"num_layers": 1000}, "1000 layers with kernels of 7"),
        ("han", {"window": 100, "num_layers": 5}, "5 levels of windows of 100"),
        ("han-bidirectional", {"window": 2, "num_layers": 1000}, "1000 levels of windows of 2"),
    ],
)
def test_a_reach_beyond_the_bound_is_refused_whatever_it_follows_from(
    name: str, options: dict[str, int], said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{said} would look further back than 1,000,000,000 steps"):
        architectures.build(name, 2, hidden_size=8, **options)


@pytest.mark.parametrize("name", architectures.names())
def test_ten_times_the_sizes_of_the_papers_are_taken(name: str) -> None:
    """Widths of 1,000 units, 8 layers, kernels of 8 taps, 1,000 steps: each ten times over."""
    tens = {"hidden_size": 10_000, "num_layers": 80, "kernel_size": 80, "reach": 10_000, "chrono": 10_000}
    for option in tens.keys() & architectures.options(name).keys():
        # The layers of a TCN and of a hierarchy are as many as their reach takes.
        if option != "num_layers" or name not in ("tcn", "han", "han-bidirectional"):
            with torch.device("meta"):
                architectures.build(name, 2, **{"hidden_size": 8, option: tens[option]})


def test_a_quoted_value_is_short_and_clean() -> None:
    for value in ("a" * 70_000, ["b"] * 70_000, 10**5000, "\x1b[2J\n" * 9, torch.zeros(1000, 2)):
        assert len(quote(value)) <= MAX_QUOTE
        assert quote(value).isprintable()


def test_a_value_that_holds_itself_many_times_is_quoted_at_once() -> None:
    value: list[object] = [1]
    for _ in range(60):
        value = [value] * 10
    assert quote(value).startswith("[[[[")


def test_a_short_value_is_quoted_as_it_is() -> None:
    assert quote("abc") == "'abc'"
    assert quote(3) == "3"
    assert quote({"a": [1, 2]}) == "{'a': [1, 2]}"


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "rwa", "rda"])
def test_what_is_neither_true_nor_false_is_refused(name: str) -> None:
    for value in ("no", "false", 0, 1, None):
        with pytest.raises(TypeError, match=r"^learn_initial_state must be true or false, not"):
            architectures.build(name, 2, hidden_size=4, learn_initial_state=value)


def test_attention_over_more_steps_than_there_are_takes_no_memory_for_them() -> None:
    """Levels spaced 100 million steps apart see the same as levels spaced wider than the sequence is long."""
    torch.manual_seed(0)
    far = architectures.build("han", 2, hidden_size=4, window=10_000, num_layers=2)
    near = architectures.build("han", 2, hidden_size=4, window=12, num_layers=2)
    near.load_state_dict(far.state_dict())
    x = torch.randn(2, 11, 2)
    # Within windows of at least 11 steps both see all of the sequence at the first level, and themselves above.
    torch.testing.assert_close(far(x)[0], near(x)[0])
