"""Properties of every search space."""

import json
from typing import Any

import optuna
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sweeps.distributions import NO_VALUE
from sweeps.search_space import SearchSpace, corners
from workbench.errors import UserError

NAMES = ("weight_decay", "momentum", "learning_rate", "clip_at", "dropout", "num_layers", "hidden_size", "clip")
WHOLE = ("num_layers", "hidden_size")
optuna.logging.set_verbosity(optuna.logging.WARNING)


@st.composite
def domains(draw, name: str) -> Any:
    """Draws a possible domain of a parameter of an LSTM, as plain data."""
    if name == "clip":
        return {"choices": draw(st.lists(st.sampled_from(["value", "norm", "none"]), min_size=1, unique=True))}
    numbers = st.integers(1, 40) if name in WHOLE else st.integers(1, 400).map(lambda value: value / 10)
    if draw(st.booleans()):
        return {"choices": draw(st.lists(numbers, min_size=1, max_size=4, unique=True))}
    low, high = sorted((draw(numbers), draw(numbers)))
    extra = draw(st.sampled_from(["", "log", "step"]))
    if extra == "log":
        return {"low": low, "high": high, "log": True}
    step = draw(st.integers(1, 7)) if name in WHOLE else draw(st.sampled_from([0.1, 0.25, 0.7]))
    return {"low": low, "high": high, **({"step": step} if extra else {})}


@st.composite
def conditions(draw, plain: dict[str, Any]) -> Any:
    """Draws a condition that the parent may or may not meet."""
    if "choices" in plain:
        return draw(st.lists(st.sampled_from(plain["choices"]), min_size=1, unique=True))
    bound = draw(st.floats(plain["low"] - 1, plain["high"] + 1))
    return draw(st.sampled_from([{"low": bound}, {"high": bound}, plain["low"]]))


@st.composite
def spaces(draw) -> dict[str, Any]:
    """Draws a space, as plain data, in which each parameter may depend on those behind it in a random order."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(1, len(NAMES)))]
    plain = {name: draw(domains(name)) for name in names}
    for index, name in enumerate(names):
        parents = (
            draw(st.lists(st.sampled_from(names[index + 1 :]), max_size=2, unique=True)) if names[-1] != name else []
        )
        if parents:
            plain[name]["when"] = {parent: draw(conditions(plain[parent])) for parent in parents}
    return plain


def read(plain: dict[str, Any]) -> SearchSpace:
    """Reads a space; rejects the example if the space is refused."""
    try:
        return SearchSpace.from_dict(plain, "lstm")
    except UserError as error:
        assume("can never hold" not in str(error) and "nothing to search" not in str(error))
        raise


def lies_within(value: Any, plain: dict[str, Any]) -> bool:
    """Returns whether a value lies within a domain, given as plain data."""
    if "choices" in plain:
        return bool(value in plain["choices"])
    if not plain["low"] <= value <= plain["high"]:
        return False
    steps = (value - plain["low"]) / plain["step"] if "step" in plain else 0
    return bool(abs(steps - round(steps)) < 1e-6)


def meets(value: Any, condition: Any) -> bool:
    """Returns whether a value meets a condition, given as plain data."""
    if isinstance(condition, dict):
        return bool(condition.get("low", value) <= value <= condition.get("high", value))
    return value in (condition if isinstance(condition, list) else [condition])


def check_params(params: dict[str, Any], plain: dict[str, Any]) -> None:
    """Checks that exactly the active parameters have values, each within its domain."""
    for name, domain in plain.items():
        when = domain.get("when", {})
        is_active = all(parent in params and meets(params[parent], condition) for parent, condition in when.items())
        assert (name in params) == is_active, name
        assert not is_active or lies_within(params[name], domain), name
    assert set(params) <= set(plain)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_suggestions_meet_all_conditions_and_domains(plain, seed):
    space = read(plain)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(5):
        trial = study.ask()
        params = space.suggest(trial)
        assert params == trial.params
        check_params(params, plain)
        assert space.keep_valid({**dict.fromkeys(NAMES, NO_VALUE), **params}) == params
        assert space.is_complete(params)
        for name in WHOLE:
            assert isinstance(params.get(name, 0), int)


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_a_space_survives_yaml_and_json(plain):
    space = read(plain)
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict())), "lstm") == space
    assert SearchSpace.from_dict(yaml.safe_load(yaml.safe_dump(space.to_dict(), sort_keys=False)), "lstm") == space
    assert SearchSpace.from_dict(yaml.safe_load(yaml.safe_dump(plain, sort_keys=False)), "lstm") == space


@settings(max_examples=60, deadline=None)
@given(spaces(), st.data())
def test_valid_values_can_be_enqueued(plain, data):
    space = read(plain)
    values = {name: data.draw(st.sampled_from([0.1, 1, 2.5, 7, None, "norm", True])) for name in plain}
    valid = space.keep_valid(values)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(valid)
    params = space.suggest(study.ask())
    assert {name: params[name] for name in valid} == valid
    assert (len(params) == len(valid)) == space.is_complete(valid)


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_every_choice_and_every_end_is_a_corner(plain):
    space = read(plain)
    values: dict[str, list[Any]] = {}
    for (name,), params in corners(space, {}):
        values.setdefault(name, []).append(params[name])
        for parent, condition in plain[name].get("when", {}).items():
            assert meets(params[parent], condition)
    assert set(values) == set(plain)
    for name, domain in plain.items():
        assert values[name] == domain["choices"] if "choices" in domain else values[name][0] == domain["low"]
        if "high" in domain and "step" not in domain:
            assert values[name][-1] == domain["high"]
