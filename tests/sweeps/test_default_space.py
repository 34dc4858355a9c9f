"""Default spaces, and what users change of them."""

import pytest

import architectures
from sweeps.default_space import apply_changes, check_every, default_space, settings_in_common, study_space
from sweeps.search_space import Space
from sweeps.setting_names import settings
from tests.workbench import conftest
from workbench.config import Optimization
from workbench.errors import UserError

on_path = conftest.on_path

RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def made(architecture, time=50, match="none", every=None, own=None, options=None, **optimization):
    """The space of a study, as plain data."""
    return study_space(
        architecture,
        time,
        match=match,
        hidden_size=64,
        optimization=Optimization(**optimization),
        options=options or {},
        every=every or {},
        own=own or {},
    )


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("time", [1, 2, 50, 784])
def test_every_architecture_has_a_space_with_what_is_everyones(name, time):
    found = default_space(name, time)
    assert found["learning_rate"] == RATE
    assert found["hidden_size"] == {"low": 16, "high": 128, "log": True}
    assert found["clip"] == ["value", "norm", "none"]
    assert found["clip_at"]["when"] == {"clip": ["value", "norm"]}
    own = set(architectures.registry.load(name).search_space(time)) - set(architectures.registry.entry(name).fixed)
    assert set(found) == {"learning_rate", "hidden_size", "clip", "clip_at", *own}
    assert own <= set(architectures.options(name))
    assert Space.read(found, name).to_dict().keys() == found.keys()
    assert set(default_space(name, time, width=False)) == set(found) - {"hidden_size"}
    assert found == made(name, time)


def test_a_space_given_away_is_nobody_elses():
    default_space("lstm", 50)["learning_rate"]["high"] = 1.0
    default_space("lstm", 50)["clip_at"]["when"]["clip"].append("none")
    assert default_space("lstm", 50)["learning_rate"] == RATE
    assert default_space("gru", 50)["clip_at"]["when"] == {"clip": ["value", "norm"]}


def test_what_the_catalogue_fixes_is_left_out():
    assert {"attention", "hidden", "output"} <= default_space("rda", 50).keys()
    assert not {"attention", "hidden", "output"} & default_space("rda-exp-tanh", 50).keys()


def test_options_that_are_given_are_left_out_and_conditions_on_them_settled():
    assert default_space("lstm", 50)["dropout"]["when"] == {"num_layers": {"low": 2}}
    two = default_space("lstm", 50, given={"num_layers": 2})
    assert "num_layers" not in two
    assert two["dropout"] == {"low": 0.0, "high": 0.5}
    assert not {"num_layers", "dropout"} & default_space("lstm", 50, given={"num_layers": 1}).keys()
    assert "hidden_size" not in default_space("lstm", 50, given={"hidden_size": 9})


def test_the_last_change_wins_and_the_rest_stays():
    found = made("lstm", every={"learning_rate": [0.1, 0.2]}, own={"learning_rate": {"low": 0.3, "high": 0.4}})
    assert found == {**default_space("lstm", 50), "learning_rate": {"low": 0.3, "high": 0.4}}
    assert made("lstm", every={"optimization.learning_rate": 0.1})["learning_rate"] == 0.1
    assert made("lstm", own={"weight_decay": [0.0, 0.1]})["weight_decay"] == [0.0, 0.1]


def test_a_part_of_a_range_narrows_it():
    assert made("lstm", own={"learning_rate": {"high": "3e-3"}})["learning_rate"] == {**RATE, "high": "3e-3"}
    assert made("lstm", own={"learning_rate": {"log": False}})["learning_rate"] == {**RATE, "log": False}
    both = made("lstm", every={"learning_rate": {"low": 1e-3}}, own={"learning_rate": {"high": 3e-3}})
    assert both["learning_rate"] == {"low": 1e-3, "high": 3e-3, "log": True}
    narrowed = made("lstm", own={"dropout": {"high": 0.2}})
    assert narrowed["dropout"] == {"low": 0.0, "high": 0.2, "when": {"num_layers": {"low": 2}}}
    assert "when" not in made("lstm", own={"dropout": {"low": 0.0, "high": 0.2}})["dropout"]
    assert Space.read(made("lstm", own={"dropout": {"when": None}}), "lstm").to_dict()["dropout"] == {
        "low": 0.0,
        "high": 0.5,
    }
    conditional = made("lstm", own={"learn_initial_state": {"when": {"num_layers": 2}}})["learn_initial_state"]
    assert conditional == {"choices": [False, True], "when": {"num_layers": 2}}


@pytest.mark.parametrize("plain", [{"high": 0.1}, {"log": True}])
def test_a_part_of_nothing_is_refused(plain):
    with pytest.raises(UserError, match="the space of lstm: weight_decay: a range needs low and high"):
        Space.read(made("lstm", own={"weight_decay": plain}), "lstm")


def test_null_takes_out_and_a_list_with_null_fixes():
    assert "learning_rate" not in made("lstm", own={"learning_rate": None})
    assert made("lstm", own={"chrono": [None]})["chrono"] == [None]
    assert made("lstm", every={"learning_rate": None}, own={"learning_rate": [1, 2]})["learning_rate"] == [1, 2]
    assert made("lstm", own={"weight_decay": None}) == default_space("lstm", 50)


def test_defaults_that_hang_on_what_is_no_longer_searched_are_settled():
    at = {"low": 0.1, "high": 10.0, "log": True}
    assert made("lstm", own={"clip": "norm"})["clip_at"] == at
    assert "clip_at" not in made("lstm", own={"clip": "none"})
    assert "clip_at" not in made("lstm", own={"clip": ["none"]})
    assert made("lstm", own={"clip": ["norm", "none"]})["clip_at"]["when"] == {"clip": ["value", "norm"]}
    # Taken out, it stays at the default configuration's value.
    assert made("lstm", own={"clip": None})["clip_at"] == at
    assert "clip_at" not in made("lstm", own={"clip": None}, clip="none")
    assert "dropout" not in made("lstm", own={"num_layers": None})
    assert "dropout" not in made("lstm", own={"num_layers": {"high": 1}})
    assert "dropout" in made("lstm", own={"num_layers": 2})
    assert "dropout" not in made("lstm", own={"num_layers": 1, "dropout": {"high": 0.2}})
    assert Space.read(made("lstm", own={"clip": "none", "num_layers": 1}), "lstm").fixed == {
        "clip": "none",
        "num_layers": 1,
    }


def test_conditions_that_users_wrote_are_theirs_to_mend():
    own = {"clip": "norm", "clip_at": {"low": 1, "high": 2, "when": {"clip": "none"}}}
    assert made("lstm", own=own)["clip_at"] == own["clip_at"]
    with pytest.raises(UserError, match="its condition names clip, which is fixed at 'norm'"):
        Space.read(made("lstm", own=own), "lstm")


def test_the_child_of_a_child_goes_with_it():
    default = {
        "num_layers": {"low": 1, "high": 3},
        "dropout": {"low": 0.0, "high": 0.5, "when": {"num_layers": {"low": 2}}},
        "momentum": {"low": 0.0, "high": 0.9, "when": {"dropout": {"low": 0.1}}},
    }
    reordered = {name: default[name] for name in ("momentum", "dropout", "num_layers")}
    for each in (default, reordered):
        assert apply_changes("lstm", each, {"num_layers": 1}) == {"num_layers": 1}
        kept = apply_changes("lstm", each, {"num_layers": 2})
        assert kept["dropout"] == {"low": 0.0, "high": 0.5}
        assert kept["momentum"] == default["momentum"]


def test_changes_of_unknown_or_forbidden_parameters_are_refused():
    with pytest.raises(UserError, match="the space of lstm: there is no parameter 'kernel_size'"):
        made("lstm", own={"kernel_size": [2, 3]})
    with pytest.raises(UserError, match="the space of tcn: reach cannot be searched: it follows from the task"):
        made("tcn", own={"reach": [2, 3]})
    with pytest.raises(UserError, match="the space of tcn must be a mapping"):
        made("tcn", own=[1])


def test_changes_for_all_are_for_those_that_have_the_parameter():
    every = {"kernel_size": [2, 3], "learning_rate": [0.1, 0.2], "attention": ["exp", "relu"]}
    assert settings_in_common(every, "lstm") == {"learning_rate": [0.1, 0.2]}
    assert set(settings_in_common(every, "tcn")) == {"kernel_size", "learning_rate"}
    assert set(settings_in_common(every, "rda")) == {"attention", "learning_rate"}
    assert set(settings_in_common(every, "rda-exp-tanh")) == {"learning_rate"}
    assert "kernel_size" not in made("lstm", every=every)
    check_every(every, ["lstm", "tcn", "rda"])
    with pytest.raises(UserError, match="the space of all: no architecture has a parameter 'attention'"):
        check_every(every, ["lstm", "tcn", "rda-exp-tanh"])
    with pytest.raises(UserError, match="'kernel_sice'; did you mean 'kernel_size'"):
        check_every({"kernel_sice": [2, 3]}, ["lstm", "tcn"])
    with pytest.raises(UserError, match="steps cannot be searched: the budget"):
        check_every({"steps": [2, 3]}, ["lstm"])


def test_embeddings_are_searched_for_symbols_alone_and_only_if_asked():
    every = {"embedding_size": [4, 8]}
    assert settings_in_common(every, "lstm") == every
    assert settings_in_common(every, "lstm", symbols=False) == {}
    check_every(every, ["lstm"])
    with pytest.raises(UserError, match="embedding_size is given, but no task has symbols to embed"):
        check_every(every, ["lstm"], symbols=False)


OWN = """
from architectures.gru import GRU


class Own(GRU):
    def __init__(self, input_size: int, hidden_size: int, momentum: float = 0.5, depth: int = 1) -> None:
        super().__init__(input_size, hidden_size)

    @classmethod
    def search_space(cls, time):
        return SPACE
"""


def test_ones_own_architecture_says_what_is_searched_of_it(on_path):
    given = '{"depth": [1, 2], "momentum": {"low": 0.1, "high": time, "when": {"depth": 2}}, "hidden_size": [3, 4]}'
    name = on_path("says_what", OWN.replace("SPACE", given)) + ":Own"
    found = default_space(name, 7)
    assert found["depth"] == [1, 2]
    assert found["hidden_size"] == [3, 4]
    assert found["architecture.momentum"] == {"low": 0.1, "high": 7, "when": {"depth": 2}}
    assert "hidden_size" not in default_space(name, 7, width=False)
    assert "architecture.momentum" not in made(name, own={"depth": 1})
    assert "momentum" not in [item.name for item in settings(name)]


def test_conditions_on_the_width_are_settled_where_it_is_known(on_path):
    given = '{"depth": {"choices": [1, 2], "when": {"hidden_size": {"low": 65}}}}'
    name = on_path("asks_the_width", OWN.replace("SPACE", given)) + ":Own"
    assert "depth" in made(name)
    assert "depth" not in made(name, match="width")
    with pytest.raises(UserError, match="its condition names hidden_size, which is not in the space"):
        Space.read(made(name, match="parameters"), name, match="parameters")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('{"width": [1, 2]}', "the default space of .*: there is no parameter 'architecture.width'"),
        ("3", "the default space of"),
        ("1 / 0", "the default space of .*ZeroDivisionError"),
    ],
)
def test_a_class_that_names_what_it_has_not_is_refused(on_path, given, message):
    with pytest.raises(UserError, match=message):
        default_space(on_path("names_wrongly", OWN.replace("SPACE", given)) + ":Own", 7)


def test_an_architecture_without_a_width_has_none_to_search(on_path):
    text = OWN.replace("SPACE", "{}").replace(" hidden_size: int,", "").replace("hidden_size", "3")
    found = default_space(on_path("has_no_width", text) + ":Own", 5)
    assert set(found) == {"learning_rate", "clip", "clip_at"}
