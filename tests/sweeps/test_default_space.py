"""Default spaces, and the changes that users make to them."""

import pytest

import architectures
from sweeps.default_space import applicable_changes, apply_changes, check_shared_changes, default_space, study_space
from sweeps.search_space import SearchSpace
from sweeps.setting_names import list_settings
from tests.workbench import conftest
from workbench.config import Optimization
from workbench.errors import UserError

on_path = conftest.on_path

LEARNING_RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def make_space(architecture, time=50, match="none", shared=None, own=None, options=None, **optimization):
    """Returns the space of a study, as plain data."""
    return study_space(
        architecture,
        time,
        match=match,
        hidden_size=64,
        optimization=Optimization(**optimization),
        options=options or {},
        shared_changes=shared or {},
        own_changes=own or {},
    )


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("time", [1, 2, 50, 784])
def test_every_architecture_has_a_space_with_what_is_everyones(name, time):
    space = default_space(name, time)
    assert space["learning_rate"] == LEARNING_RATE
    assert space["hidden_size"] == {"low": 16, "high": 128, "log": True}
    assert space["clip"] == ["value", "norm", "none"]
    assert space["clip_at"]["when"] == {"clip": ["value", "norm"]}
    searched = architectures.registry.load_encoder_class(name).search_space(time)
    own = set(searched) - set(architectures.registry.get_entry(name).fixed)
    assert set(space) == {"learning_rate", "hidden_size", "clip", "clip_at", *own}
    assert own <= set(architectures.options(name))
    assert SearchSpace.from_dict(space, name).to_dict().keys() == space.keys()
    assert set(default_space(name, time, search_width=False)) == set(space) - {"hidden_size"}
    assert space == make_space(name, time)


def test_each_caller_gets_a_space_of_its_own():
    default_space("lstm", 50)["learning_rate"]["high"] = 1.0
    default_space("lstm", 50)["clip_at"]["when"]["clip"].append("none")
    assert default_space("lstm", 50)["learning_rate"] == LEARNING_RATE
    assert default_space("gru", 50)["clip_at"]["when"] == {"clip": ["value", "norm"]}


def test_options_that_the_catalogue_fixes_are_left_out():
    assert {"attention", "hidden", "output"} <= default_space("rda", 50).keys()
    assert not {"attention", "hidden", "output"} & default_space("rda-exp-tanh", 50).keys()


def test_options_that_are_given_are_left_out_and_conditions_on_them_resolved():
    assert default_space("lstm", 50)["dropout"]["when"] == {"num_layers": {"low": 2}}
    two = default_space("lstm", 50, options={"num_layers": 2})
    assert "num_layers" not in two
    assert two["dropout"] == {"low": 0.0, "high": 0.5}
    assert not {"num_layers", "dropout"} & default_space("lstm", 50, options={"num_layers": 1}).keys()
    assert "hidden_size" not in default_space("lstm", 50, options={"hidden_size": 9})


def test_the_last_change_wins_and_the_rest_stays():
    space = make_space("lstm", shared={"learning_rate": [0.1, 0.2]}, own={"learning_rate": {"low": 0.3, "high": 0.4}})
    assert space == {**default_space("lstm", 50), "learning_rate": {"low": 0.3, "high": 0.4}}
    assert make_space("lstm", shared={"optimization.learning_rate": 0.1})["learning_rate"] == 0.1
    assert make_space("lstm", own={"weight_decay": [0.0, 0.1]})["weight_decay"] == [0.0, 0.1]


def test_a_part_of_a_range_narrows_it():
    assert make_space("lstm", own={"learning_rate": {"high": "3e-3"}})["learning_rate"] == {
        **LEARNING_RATE,
        "high": "3e-3",
    }
    assert make_space("lstm", own={"learning_rate": {"log": False}})["learning_rate"] == {**LEARNING_RATE, "log": False}
    both = make_space("lstm", shared={"learning_rate": {"low": 1e-3}}, own={"learning_rate": {"high": 3e-3}})
    assert both["learning_rate"] == {"low": 1e-3, "high": 3e-3, "log": True}
    narrowed = make_space("lstm", own={"dropout": {"high": 0.2}})
    assert narrowed["dropout"] == {"low": 0.0, "high": 0.2, "when": {"num_layers": {"low": 2}}}
    assert "when" not in make_space("lstm", own={"dropout": {"low": 0.0, "high": 0.2}})["dropout"]
    assert SearchSpace.from_dict(make_space("lstm", own={"dropout": {"when": None}}), "lstm").to_dict()["dropout"] == {
        "low": 0.0,
        "high": 0.5,
    }
    conditional = make_space("lstm", own={"learn_initial_state": {"when": {"num_layers": 2}}})["learn_initial_state"]
    assert conditional == {"choices": [False, True], "when": {"num_layers": 2}}


@pytest.mark.parametrize("plain", [{"high": 0.1}, {"log": True}])
def test_a_part_of_nothing_is_refused(plain):
    with pytest.raises(UserError, match="the space of lstm: weight_decay: a range needs low and high"):
        SearchSpace.from_dict(make_space("lstm", own={"weight_decay": plain}), "lstm")


def test_null_takes_out_and_a_list_with_null_fixes():
    assert "learning_rate" not in make_space("lstm", own={"learning_rate": None})
    assert make_space("lstm", own={"chrono": [None]})["chrono"] == [None]
    assert make_space("lstm", shared={"learning_rate": None}, own={"learning_rate": [1, 2]})["learning_rate"] == [1, 2]
    assert make_space("lstm", own={"weight_decay": None}) == default_space("lstm", 50)


def test_conditions_of_defaults_on_what_is_no_longer_searched_are_resolved():
    at = {"low": 0.1, "high": 10.0, "log": True}
    assert make_space("lstm", own={"clip": "norm"})["clip_at"] == at
    assert "clip_at" not in make_space("lstm", own={"clip": "none"})
    assert "clip_at" not in make_space("lstm", own={"clip": ["none"]})
    assert make_space("lstm", own={"clip": ["norm", "none"]})["clip_at"]["when"] == {"clip": ["value", "norm"]}
    # Taken out, it stays at the default configuration's value.
    assert make_space("lstm", own={"clip": None})["clip_at"] == at
    assert "clip_at" not in make_space("lstm", own={"clip": None}, clip="none")
    assert "dropout" not in make_space("lstm", own={"num_layers": None})
    assert "dropout" not in make_space("lstm", own={"num_layers": {"high": 1}})
    assert "dropout" in make_space("lstm", own={"num_layers": 2})
    assert "dropout" not in make_space("lstm", own={"num_layers": 1, "dropout": {"high": 0.2}})
    assert SearchSpace.from_dict(make_space("lstm", own={"clip": "none", "num_layers": 1}), "lstm").fixed == {
        "clip": "none",
        "num_layers": 1,
    }


def test_conditions_that_users_wrote_are_not_resolved():
    own = {"clip": "norm", "clip_at": {"low": 1, "high": 2, "when": {"clip": "none"}}}
    assert make_space("lstm", own=own)["clip_at"] == own["clip_at"]
    with pytest.raises(UserError, match="its condition names clip, which is fixed at 'norm'"):
        SearchSpace.from_dict(make_space("lstm", own=own), "lstm")


def test_the_child_of_a_child_goes_with_it():
    default = {
        "num_layers": {"low": 1, "high": 3},
        "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
        "momentum": {"low": 0.0, "high": 0.9, "when": {"dropout": {"low": 0.1}}},
    }
    reordered = {name: default[name] for name in ("momentum", "dropout", "num_layers")}
    for space in (default, reordered):
        assert apply_changes("lstm", space, {"num_layers": 1}) == {"num_layers": 1}
        changed = apply_changes("lstm", space, {"num_layers": 2})
        assert changed["dropout"] == {"low": 0.0, "high": 0.5}
        assert changed["momentum"] == default["momentum"]


def test_changes_of_unknown_or_forbidden_parameters_are_refused():
    with pytest.raises(UserError, match="the space of lstm: there is no parameter 'kernel_size'"):
        make_space("lstm", own={"kernel_size": [2, 3]})
    with pytest.raises(UserError, match="the space of tcn: reach cannot be searched: it follows from the task"):
        make_space("tcn", own={"reach": [2, 3]})
    with pytest.raises(UserError, match="the space of tcn must be a mapping"):
        make_space("tcn", own=[1])


def test_changes_for_all_are_for_those_that_have_the_parameter():
    shared = {"kernel_size": [2, 3], "learning_rate": [0.1, 0.2], "attention": ["exp", "relu"]}
    assert applicable_changes(shared, "lstm") == {"learning_rate": [0.1, 0.2]}
    assert set(applicable_changes(shared, "tcn")) == {"kernel_size", "learning_rate"}
    assert set(applicable_changes(shared, "rda")) == {"attention", "learning_rate"}
    assert set(applicable_changes(shared, "rda-exp-tanh")) == {"learning_rate"}
    assert "kernel_size" not in make_space("lstm", shared=shared)
    check_shared_changes(shared, ["lstm", "tcn", "rda"])
    with pytest.raises(UserError, match="the space of all: no architecture has a parameter 'attention'"):
        check_shared_changes(shared, ["lstm", "tcn", "rda-exp-tanh"])
    with pytest.raises(UserError, match="'kernel_sice'; did you mean 'kernel_size'"):
        check_shared_changes({"kernel_sice": [2, 3]}, ["lstm", "tcn"])
    with pytest.raises(UserError, match="steps cannot be searched: the budget"):
        check_shared_changes({"steps": [2, 3]}, ["lstm"])


def test_embeddings_are_searched_for_symbols_alone_and_only_if_asked():
    shared = {"embedding_size": [4, 8]}
    assert applicable_changes(shared, "lstm") == shared
    assert applicable_changes(shared, "lstm", has_symbols=False) == {}
    check_shared_changes(shared, ["lstm"])
    with pytest.raises(UserError, match="embedding_size is given, but no task has symbols to embed"):
        check_shared_changes(shared, ["lstm"], has_symbols=False)


OWN = """
from architectures.gru import GRU


class Own(GRU):
    def __init__(self, input_size: int, hidden_size: int, momentum: float = 0.5, depth: int = 1) -> None:
        super().__init__(input_size, hidden_size)

    @classmethod
    def search_space(cls, time):
        return SPACE
"""


def test_a_custom_architecture_names_its_searched_parameters(on_path):
    plain = '{"depth": [1, 2], "momentum": {"low": 0.1, "high": time, "when": {"depth": 2}}, "hidden_size": [3, 4]}'
    name = on_path("says_what", OWN.replace("SPACE", plain)) + ":Own"
    space = default_space(name, 7)
    assert space["depth"] == [1, 2]
    assert space["hidden_size"] == [3, 4]
    assert space["architecture.momentum"] == {"low": 0.1, "high": 7, "when": {"depth": 2}}
    assert "hidden_size" not in default_space(name, 7, search_width=False)
    assert "architecture.momentum" not in make_space(name, own={"depth": 1})
    assert "momentum" not in [item.name for item in list_settings(name)]


def test_conditions_on_the_width_are_resolved_where_it_is_known(on_path):
    plain = '{"depth": {"choices": [1, 2], "when": {"hidden_size": {"low": 65}}}}'
    name = on_path("asks_the_width", OWN.replace("SPACE", plain)) + ":Own"
    assert "depth" in make_space(name)
    assert "depth" not in make_space(name, match="width")
    with pytest.raises(UserError, match="its condition names hidden_size, which is not in the space"):
        SearchSpace.from_dict(make_space(name, match="parameters"), name, match="parameters")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ('{"width": [1, 2]}', "the default space of .*: there is no parameter 'architecture.width'"),
        ("3", "the default space of"),
        ("1 / 0", "the default space of .*ZeroDivisionError"),
    ],
)
def test_a_class_that_names_a_parameter_that_it_lacks_is_refused(on_path, plain, message):
    with pytest.raises(UserError, match=message):
        default_space(on_path("names_wrongly", OWN.replace("SPACE", plain)) + ":Own", 7)


def test_an_architecture_without_a_width_has_none_to_search(on_path):
    text = OWN.replace("SPACE", "{}").replace(" hidden_size: int,", "").replace("hidden_size", "3")
    space = default_space(on_path("has_no_width", text) + ":Own", 5)
    assert set(space) == {"learning_rate", "clip", "clip_at"}
