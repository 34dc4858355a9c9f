"""Tests of the registry: names, options, and errors for wrong ones."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

import architectures
from architectures.suggest import did_you_mean
from tests.architectures.cases import CASES, INPUT_SIZE, Case, make_encoder, noise, parametrize_cases

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lstn", "did you mean 'lstm'"),
        ("lstn", "unknown architecture 'lstn'"),
        ("rda_exp_tanh", "did you mean 'rda-exp-tanh'"),
        ("HAN", "; known: rnn, lstm, lstm-peephole"),
        ("zzz", "(a custom one is named package.module:Class)"),
        (":Thing", "'' is not a module name"),
        (".lstm:LSTM", "'.lstm' is not a module name"),
        ("no_such_module:Thing", "there is no module 'no_such_module'"),
        ("architectures.nothing:Thing", "there is no module 'architectures.nothing'"),
        ("architectures.lstm:LSTN", "has no class 'LSTN'; did you mean 'LSTM'"),
    ],
)
def test_an_unknown_name_is_an_error_with_suggestions(name: str, message: str) -> None:
    for call in (lambda: architectures.build(name, 1), lambda: architectures.options(name)):
        with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
            call()
        assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lstm", {"hiden_size": 3}, "lstm has no option 'hiden_size'; did you mean 'hidden_size'?"),
        ("lstm", {"hidden_size": 3, "reach": 5}, "lstm has no option 'reach'; known: hidden_size, num_layers"),
        ("lstm", {"hidden_size": 3, "input_size": 5}, None),
        ("lstm", {}, "lstm needs hidden_size="),
        ("rda-exp-tanh", {"hidden_size": 3, "attention": "relu"}, "rda-exp-tanh fixes attention='exp'; use rda"),
        ("rda", {"hidden_size": 3, "attention": "softmax"}, "attention must be one of exp, sigmoid, softplus, relu"),
        ("rda", {"hidden_size": 3, "output": "relu"}, "output must be tanh or identity, not 'relu'"),
        ("rda", {"hidden_size": 3, "hidden": "relu"}, "hidden must be tanh or identity, not 'relu'"),
        ("tcn", {"hidden_size": 3, "kernel_size": 1}, "kernel_size must be at least 2, not 1"),
        ("han", {"hidden_size": 6, "num_heads": 4}, "hidden_size 6 cannot be divided among 4 heads"),
    ],
)
def test_a_wrong_option_is_an_error_with_a_remedy(name: str, options: dict[str, object], message: str | None) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        architectures.build(name, 1, **options)
    if message is not None:
        assert isinstance(raised.value, ValueError)
        assert message in str(raised.value)


@parametrize_cases(case for case in CASES if not case.is_variant)
def test_sizes_are_whole_numbers_of_at_least_one(case: Case) -> None:
    """Counts below 1 or that are not whole numbers are errors, and so is dropout outside [0, 1)."""
    counts = {"hidden_size", "num_layers", "reach", "window", "num_heads", "input_size", "kernel_size"}
    counts &= {*architectures.options(case.name), "input_size"}
    for key, (wrong, kind) in itertools.product(
        counts, [(0, ValueError), (-1, ValueError), ("3", TypeError), (2.0, TypeError), (True, TypeError)]
    ):
        arguments = {"input_size": 2, **case.options, key: wrong}
        with pytest.raises(kind, match=f"{key} must be"):
            architectures.build(case.name, arguments.pop("input_size"), **arguments)
    for rate, kind in ((1.0, ValueError), (-0.1, ValueError), (float("nan"), ValueError), ("0", TypeError)):
        with pytest.raises(kind, match="dropout must"):
            architectures.build(case.name, 2, **{**case.options, "dropout": rate})


@parametrize_cases(CASES)
def test_an_input_of_another_shape_is_refused(case: Case) -> None:
    """By `forward` and by `trace`, with a message that says what is expected."""
    encoder = make_encoder(case)
    for shape, message in [
        ((2, 5, INPUT_SIZE + 1), f"4 features a step, but the encoder has input_size={INPUT_SIZE}"),
        ((5, INPUT_SIZE), f"must be (batch, time, {INPUT_SIZE}), not of shape (5, {INPUT_SIZE})"),
        ((2, 0, INPUT_SIZE), "at least one sequence of one step is needed"),
        ((0, 5, INPUT_SIZE), "at least one sequence of one step is needed"),
    ]:
        for call in (encoder, encoder.trace):
            with pytest.raises(ValueError, match="x ") as raised:
                call(noise(*shape))
            assert message in str(raised.value)


def test_options_exclude_the_input_size_and_fixed_ones() -> None:
    """Only `hidden_size` has no default."""
    assert set(architectures.options("rda")) - set(architectures.options("rda-exp-tanh")) == {
        "attention",
        "hidden",
        "output",
    }
    for name in architectures.names():
        parameters = architectures.options(name)
        assert "input_size" not in parameters
        assert [key for key, parameter in parameters.items() if parameter.default is parameter.empty] == ["hidden_size"]


def test_did_you_mean_lists_similar_names_or_all() -> None:
    assert did_you_mean("lstn", ["lstm", "gru"]) == "; did you mean 'lstm'?"
    assert did_you_mean("zzz", ["lstm", "gru"]) == "; known: lstm, gru"
    assert did_you_mean("zzz", []) == ""


TORCH_ALONE = """
import sys
import architectures
for name in architectures.names():
    architectures.build(name, 2, hidden_size=4)
wanted = ("lightning", "pytorch_lightning", "pandas", "optuna", "wandb", "sklearn", "scipy", "matplotlib", "seaborn",
          "jsonargparse", "workbench", "sweeps", "analysis")
print(*(name for name in wanted if name in sys.modules))
"""


def test_architectures_need_torch_alone() -> None:
    """Importing and building all architectures loads no other package of this project or of its dependencies."""
    completed = subprocess.run(
        [sys.executable, "-c", TORCH_ALONE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.split() == []


def test_names_that_fill_a_line_are_listed_in_part() -> None:
    names = list(architectures.names())
    clause = did_you_mean("zzz", names)
    listed, more = clause.removeprefix("; known: ").split(" and ")
    assert listed.split(", ") == names[: len(listed.split(", "))]
    assert more == f"{len(names) - len(listed.split(', '))} more"
    assert len(clause) < 180
    assert did_you_mean("zzz", ["a", "b"]) == "; known: a, b"
