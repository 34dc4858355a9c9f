"""Search spaces: names, conditions, and the parameters that trials get."""

from typing import Any

import optuna
import pytest

from sweeps.search_space import SearchSpace
from tests.workbench import conftest
from workbench.errors import UserError

on_path = conftest.on_path

CLIPPED: dict[str, Any] = {
    "clip": ["value", "norm", "none"],
    "clip_at": {"low": 0.1, "high": 10.0, "log": True, "when": {"clip": ["value", "norm"]}},
}
STACKED: dict[str, Any] = {
    "num_layers": {"low": 1, "high": 3},
    "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
}


def suggest(space, **values):
    """Returns the parameters of a trial with these values."""
    return space.suggest(optuna.trial.FixedTrial(values))


def test_only_parameters_whose_conditions_hold_are_suggested():
    space = SearchSpace.from_dict({**CLIPPED, **STACKED, "optimizer": "sgd"}, "lstm")
    params = suggest(space, clip="none", num_layers=2, dropout=0.3)
    assert params == {"clip": "none", "num_layers": 2, "dropout": 0.3, "optimizer": "sgd"}
    params = suggest(space, clip="norm", clip_at=2.0, num_layers=1)
    assert params == {"clip": "norm", "clip_at": 2.0, "num_layers": 1, "optimizer": "sgd"}


def test_the_child_of_an_absent_parameter_is_absent():
    grandchild = {"momentum": {"low": 0.0, "high": 0.9, "when": {"clip_at": {"low": 0.0}}}}
    space = SearchSpace.from_dict({**grandchild, **CLIPPED}, "gru")
    assert suggest(space, clip="none") == {"clip": "none"}
    assert suggest(space, clip="value", clip_at=1.0, momentum=0.5) == {"clip": "value", "clip_at": 1.0, "momentum": 0.5}


def test_parents_come_before_children_however_they_are_written():
    space = SearchSpace.from_dict({"dropout": STACKED["dropout"], "learning_rate": [0.1, 0.2], **STACKED}, "lstm")
    assert [parameter.name for parameter in space.parameters] == ["learning_rate", "num_layers", "dropout"]
    written = SearchSpace.from_dict({**STACKED, "learning_rate": [0.1, 0.2]}, "lstm")
    assert [parameter.name for parameter in written.parameters] == ["num_layers", "dropout", "learning_rate"]


def test_all_conditions_have_to_hold():
    both = {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}, "clip": "norm"}}
    space = SearchSpace.from_dict({**CLIPPED, **STACKED, "dropout": both}, "lstm")
    assert "dropout" not in suggest(space, clip="value", clip_at=1.0, num_layers=2)
    assert "dropout" not in suggest(space, clip="norm", clip_at=1.0, num_layers=1)
    assert suggest(space, clip="norm", clip_at=1.0, num_layers=2, dropout=0.1)["dropout"] == 0.1


def test_defaults_outside_the_space_are_left_out():
    space = SearchSpace.from_dict(
        {**CLIPPED, **STACKED, "weight_decay": {"low": 1e-6, "high": 0.1, "log": True}}, "lstm"
    )
    values = {"clip": "value", "clip_at": 1.0, "num_layers": 1, "dropout": 0.0, "weight_decay": 0.0, "momentum": 0.0}
    assert space.keep_valid(values) == {"clip": "value", "clip_at": 1.0, "num_layers": 1}
    assert not space.is_complete(space.keep_valid(values))
    assert space.is_complete(space.keep_valid({**values, "weight_decay": 0.01}))
    # The parent's default lies outside the space, so it is open whether the child is active.
    assert space.keep_valid({**values, "num_layers": 9, "dropout": 0.2}) == {"clip": "value", "clip_at": 1.0}
    assert space.keep_valid({**values, "clip": "none"}) == {"clip": "none", "num_layers": 1}


def test_fixed_values_are_in_every_trial_and_may_be_null_by_a_list():
    space = SearchSpace.from_dict(
        {"optimizer": "adamw", "weight_decay": "1e-3", "num_heads": [None], "dropout": [0, 0.1]}, "han"
    )
    assert space.fixed == {"optimizer": "adamw", "weight_decay": 0.001}
    params = suggest(space, num_heads=None, dropout=0.1)
    assert params == {"optimizer": "adamw", "weight_decay": 0.001, "num_heads": None, "dropout": 0.1}
    assert space.with_fixed({"dropout": 0.0})["weight_decay"] == 0.001


def test_names_may_be_qualified():
    bare = SearchSpace.from_dict({"learning_rate": [0.1, 0.2], "dropout": [0.0, 0.1], "embedding_size": [4, 8]}, "tcn")
    qualified = {
        "optimization.learning_rate": [0.1, 0.2],
        "architecture.dropout": [0.0, 0.1],
        "model.embedding_size": [4, 8],
    }
    assert SearchSpace.from_dict(qualified, "tcn") == bare
    params = {"learning_rate": 0.1, "dropout": 0, "embedding_size": 4}
    assert bare.split_by_owner(params) == {
        "optimization": {"learning_rate": 0.1},
        "architecture": {"dropout": 0.0},
        "model": {"embedding_size": 4},
    }
    conditional = {**CLIPPED, "clip_at": {**CLIPPED["clip_at"], "when": {"optimization.clip": ["value", "norm"]}}}
    assert SearchSpace.from_dict(conditional, "tcn") == SearchSpace.from_dict(CLIPPED, "tcn")


BOTH = """
from architectures.gru import GRU


class Both(GRU):
    def __init__(self, input_size: int, hidden_size: int, momentum: float = 0.5, steps: int = 3) -> None:
        super().__init__(input_size, hidden_size)
"""


def test_a_name_that_stands_for_two_things_has_to_say_which(on_path):
    name = on_path("stands_for_two", BOTH) + ":Both"
    with pytest.raises(UserError, match=r"write optimization\.momentum or architecture\.momentum"):
        SearchSpace.from_dict({"momentum": [0.1, 0.2]}, name)
    space = SearchSpace.from_dict({"architecture.momentum": [0.1, 0.2], "optimization.momentum": [0.3, 0.4]}, name)
    assert [parameter.name for parameter in space.parameters] == ["architecture.momentum", "optimization.momentum"]
    params = {"architecture.momentum": 0.1, "optimization.momentum": 0.3}
    assert space.split_by_owner(params) == {
        "optimization": {"momentum": 0.3},
        "architecture": {"momentum": 0.1},
        "model": {},
    }
    with pytest.raises(UserError, match=r"steps cannot be searched: the budget.*the architecture's own is architec"):
        SearchSpace.from_dict({"steps": [1, 2]}, name)
    (own,) = SearchSpace.from_dict({"architecture.steps": [1, 2]}, name).parameters
    assert (own.name, own.setting.owner) == ("architecture.steps", "architecture")
    assert SearchSpace.from_dict({own.name: own.to_plain()}, name).parameters == (own,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, "the budget is the same for every trial") for name in ("steps", "seconds", "batch_size")),
        *((name, "the budget is the same for every trial") for name in ("log_every", "evaluation_size")),
        *((name, "it follows from the task") for name in ("input_size", "reach", "architecture.reach")),
        ("seed", "every trial has the same one"),
        ("parameters", "a target is the same for every trial"),
    ],
)
def test_settings_that_all_trials_share_are_not_searched(name, reason):
    with pytest.raises(UserError, match=f"^the space of tcn: {name} cannot be searched: {reason}"):
        SearchSpace.from_dict({name: [1, 2]}, "tcn")


def test_widths_are_searched_only_where_they_are_free():
    width = {"hidden_size": {"low": 4, "high": 9}}
    assert SearchSpace.from_dict(width, "lstm").parameters[0].domain.corner_values == (4, 9)
    with pytest.raises(UserError, match="--match parameters solves for it"):
        SearchSpace.from_dict(width, "lstm", match="parameters")
    with pytest.raises(UserError, match="--match width makes it the same"):
        SearchSpace.from_dict({"architecture.hidden_size": [4, 5]}, "lstm", match="width")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([], r"the space of lstm must be a mapping, not \[\]"),
        ({}, "the space of lstm leaves nothing to search"),
        ({"optimizer": "sgd"}, "leaves nothing to search"),
        ({"learning_rate": [0.1], "hidden_size": {"low": 4, "high": 4}}, "leaves nothing to search"),
        ({1: [1, 2]}, "a parameter's name must be a string, not 1"),
        ({"droput": [0.1, 0.2]}, "there is no parameter 'droput'; did you mean 'dropout'"),
        ({"architecture.learning_rate": [0.1, 0.2]}, "there is no parameter 'architecture.learning_rate'"),
        ({"dropout": [0, 1], "architecture.dropout": [0, 1]}, "dropout is there twice"),
        ({"dropout": None}, r"the space of lstm: dropout: null is not a domain.*write \[null\]"),
        ({"dropout": float("nan")}, "dropout: a choice must be"),
        ({"dropout": {"low": 2, "high": 1}}, "the space of lstm: dropout: low 2 lies above high 1"),
        ({**CLIPPED, "clip": "norm"}, "clip_at: its condition names clip, which is fixed at 'norm'"),
        ({"clip_at": CLIPPED["clip_at"]}, "clip_at: its condition names clip, which is not in the space"),
        ({"clip_at": {"low": 1, "high": 2, "when": {"clp": "norm"}}}, "there is no parameter 'clp'; did you mean 'cl"),
        ({"clip_at": {"low": 1, "high": 2, "when": {"clip_at": 1}}}, "its condition names itself"),
        ({"clip_at": {"low": 1, "high": 2, "when": "clip"}}, "when must be a mapping"),
        (
            {**CLIPPED, "clip_at": {"choices": [1, 2], "when": {"clip": "norm", "optimization.clip": "value"}}},
            "clip is there twice in its conditions, once as optimization.clip",
        ),
        ({**CLIPPED, "clip": ["value", "none"], "clip_at": {"choices": [1, 2], "when": {"clip": "norm"}}}, "never"),
        ({**STACKED, "dropout": {"choices": [0.1, 0.2], "when": {"num_layers": {"low": 4}}}}, "can never hold"),
        (
            {
                "clip": {"choices": ["norm", "none"], "when": {"dropout": 0.1}},
                "dropout": {"choices": [0.1, 0.2], "when": {"clip": "norm"}},
            },
            "the conditions of clip, dropout wait for each other",
        ),
        (
            {
                **STACKED,
                "weight_decay": {"choices": [0, 1], "when": {"dropout": {"low": 0.1}, "num_layers": {"high": 1}}},
            },
            "weight_decay: its conditions can never hold",
        ),
    ],
)
def test_impossible_spaces_are_refused(plain, message):
    with pytest.raises(UserError, match=message):
        SearchSpace.from_dict(plain, "lstm")


def test_what_a_name_of_the_catalogue_fixes_is_not_searched():
    assert SearchSpace.from_dict({"attention": ["exp", "sigmoid"]}, "rda").parameters
    with pytest.raises(UserError, match="rda-exp-tanh fixes attention='exp'"):
        SearchSpace.from_dict({"attention": ["exp", "sigmoid"]}, "rda-exp-tanh")


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown architecture 'lstn'"):
        SearchSpace.from_dict({"dropout": [0, 1]}, "lstn")
    with pytest.raises(UserError, match="no parameter 'drop'; did you mean 'dropout'"):
        SearchSpace.from_dict({"dropout": [0, 0.1]}, "lstm").split_by_owner({"drop": 1})
