"""Spaces: names, conditions, and what is chosen of them."""

from typing import Any

import optuna
import pytest

from sweeps.search_space import Space
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


def chosen(space, **values):
    """What a trial with these values chooses."""
    return space.choose(optuna.trial.FixedTrial(values))


def test_only_what_its_conditions_let_is_chosen():
    space = Space.read({**CLIPPED, **STACKED, "optimizer": "sgd"}, "lstm")
    found = chosen(space, clip="none", num_layers=2, dropout=0.3)
    assert found == {"clip": "none", "num_layers": 2, "dropout": 0.3, "optimizer": "sgd"}
    found = chosen(space, clip="norm", clip_at=2.0, num_layers=1)
    assert found == {"clip": "norm", "clip_at": 2.0, "num_layers": 1, "optimizer": "sgd"}


def test_the_child_of_what_is_absent_is_absent():
    grandchild = {"momentum": {"low": 0.0, "high": 0.9, "when": {"clip_at": {"low": 0.0}}}}
    space = Space.read({**grandchild, **CLIPPED}, "gru")
    assert chosen(space, clip="none") == {"clip": "none"}
    assert chosen(space, clip="value", clip_at=1.0, momentum=0.5) == {"clip": "value", "clip_at": 1.0, "momentum": 0.5}


def test_parents_come_before_children_however_they_are_written():
    space = Space.read({"dropout": STACKED["dropout"], "learning_rate": [0.1, 0.2], **STACKED}, "lstm")
    assert [each.name for each in space.parameters] == ["learning_rate", "num_layers", "dropout"]
    written = Space.read({**STACKED, "learning_rate": [0.1, 0.2]}, "lstm")
    assert [each.name for each in written.parameters] == ["num_layers", "dropout", "learning_rate"]


def test_all_conditions_have_to_hold():
    both = {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}, "clip": "norm"}}
    space = Space.read({**CLIPPED, **STACKED, "dropout": both}, "lstm")
    assert "dropout" not in chosen(space, clip="value", clip_at=1.0, num_layers=2)
    assert "dropout" not in chosen(space, clip="norm", clip_at=1.0, num_layers=1)
    assert chosen(space, clip="norm", clip_at=1.0, num_layers=2, dropout=0.1)["dropout"] == 0.1


def test_what_of_the_defaults_lies_inside():
    space = Space.read({**CLIPPED, **STACKED, "weight_decay": {"low": 1e-6, "high": 0.1, "log": True}}, "lstm")
    values = {"clip": "value", "clip_at": 1.0, "num_layers": 1, "dropout": 0.0, "weight_decay": 0.0, "momentum": 0.0}
    assert space.inside(values) == {"clip": "value", "clip_at": 1.0, "num_layers": 1}
    assert not space.complete(space.inside(values))
    assert space.complete(space.inside({**values, "weight_decay": 0.01}))
    # The parent's default is none of the search's, so whether the child is chosen is open.
    assert space.inside({**values, "num_layers": 9, "dropout": 0.2}) == {"clip": "value", "clip_at": 1.0}
    assert space.inside({**values, "clip": "none"}) == {"clip": "none", "num_layers": 1}


def test_what_is_fixed_goes_into_every_choice_and_may_be_null_by_a_list():
    space = Space.read({"optimizer": "adamw", "weight_decay": "1e-3", "num_heads": [None], "dropout": [0, 0.1]}, "han")
    assert space.fixed == {"optimizer": "adamw", "weight_decay": 0.001}
    found = chosen(space, num_heads=None, dropout=0.1)
    assert found == {"optimizer": "adamw", "weight_decay": 0.001, "num_heads": None, "dropout": 0.1}
    assert space.filled({"dropout": 0.0})["weight_decay"] == 0.001


def test_names_may_be_qualified():
    bare = Space.read({"learning_rate": [0.1, 0.2], "dropout": [0.0, 0.1], "embedding_size": [4, 8]}, "tcn")
    qualified = {
        "optimization.learning_rate": [0.1, 0.2],
        "architecture.dropout": [0.0, 0.1],
        "model.embedding_size": [4, 8],
    }
    assert Space.read(qualified, "tcn") == bare
    chosen_ = {"learning_rate": 0.1, "dropout": 0, "embedding_size": 4}
    assert bare.owned(chosen_) == {
        "optimization": {"learning_rate": 0.1},
        "architecture": {"dropout": 0.0},
        "model": {"embedding_size": 4},
    }
    conditional = {**CLIPPED, "clip_at": {**CLIPPED["clip_at"], "when": {"optimization.clip": ["value", "norm"]}}}
    assert Space.read(conditional, "tcn") == Space.read(CLIPPED, "tcn")


BOTH = """
from architectures.gru import GRU


class Both(GRU):
    def __init__(self, input_size: int, hidden_size: int, momentum: float = 0.5, steps: int = 3) -> None:
        super().__init__(input_size, hidden_size)
"""


def test_a_name_that_stands_for_two_things_has_to_say_which(on_path):
    name = on_path("stands_for_two", BOTH) + ":Both"
    with pytest.raises(UserError, match=r"write optimization\.momentum or architecture\.momentum"):
        Space.read({"momentum": [0.1, 0.2]}, name)
    space = Space.read({"architecture.momentum": [0.1, 0.2], "optimization.momentum": [0.3, 0.4]}, name)
    assert [each.name for each in space.parameters] == ["architecture.momentum", "optimization.momentum"]
    found = {"architecture.momentum": 0.1, "optimization.momentum": 0.3}
    assert space.owned(found) == {"optimization": {"momentum": 0.3}, "architecture": {"momentum": 0.1}, "model": {}}
    with pytest.raises(UserError, match=r"steps cannot be searched: the budget.*the architecture's own is architec"):
        Space.read({"steps": [1, 2]}, name)
    (own,) = Space.read({"architecture.steps": [1, 2]}, name).parameters
    assert (own.name, own.setting.owner) == ("architecture.steps", "architecture")
    assert Space.read({own.name: own.to_plain()}, name).parameters == (own,)


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
def test_what_is_no_trials_own_is_not_searched(name, reason):
    with pytest.raises(UserError, match=f"^the space of tcn: {name} cannot be searched: {reason}"):
        Space.read({name: [1, 2]}, "tcn")


def test_widths_are_searched_only_where_they_are_free():
    width = {"hidden_size": {"low": 4, "high": 9}}
    assert Space.read(width, "lstm").parameters[0].domain.ends == (4, 9)
    with pytest.raises(UserError, match="--match parameters solves for it"):
        Space.read(width, "lstm", match="parameters")
    with pytest.raises(UserError, match="--match width makes it the same"):
        Space.read({"architecture.hidden_size": [4, 5]}, "lstm", match="width")


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
        ({"dropout": None}, r"the space of lstm: dropout: null is no domain.*write \[null\]"),
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
        Space.read(plain, "lstm")


def test_what_a_name_of_the_catalogue_fixes_is_not_searched():
    assert Space.read({"attention": ["exp", "sigmoid"]}, "rda").parameters
    with pytest.raises(UserError, match="rda-exp-tanh fixes attention='exp'"):
        Space.read({"attention": ["exp", "sigmoid"]}, "rda-exp-tanh")


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown architecture 'lstn'"):
        Space.read({"dropout": [0, 1]}, "lstn")
    with pytest.raises(UserError, match="no parameter 'drop'; did you mean 'dropout'"):
        Space.read({"dropout": [0, 0.1]}, "lstm").owned({"drop": 1})
