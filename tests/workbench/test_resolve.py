"""Resolution of names and options into experiments in which nothing is left to a default."""

import importlib
import math
from typing import Any

import pytest
import torch
import yaml

import architectures
from architectures.registry import ARCHITECTURES, load_encoder_class
from tests.workbench.experiments import small
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment, Part
from workbench.errors import UserError
from workbench.files import parse_yaml
from workbench.model import Model, count_parameters, count_trainable_parameters, seeded_model
from workbench.resolve import find_warnings, resolve_architecture, resolve_task
from workbench.size_matching import match_size


@pytest.mark.parametrize("name", architectures.names())
def test_every_option_is_written_down(name):
    _, task = resolve_task("addition", {})
    part = resolve_architecture(name, {}, task, hidden_size=12)
    assert set(part.options) == set(architectures.options(name))
    assert part.options["hidden_size"] == 12
    assert part.options.get("reach", task.steps) == task.steps


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("task_name", ["addition", "copy"])
def test_parameters_are_counted_without_making_them(name, task_name):
    _, task = resolve_task(task_name, {"length": 20})
    part = resolve_architecture(name, {}, task, hidden_size=6)
    assert count_parameters(task, part) == count_trainable_parameters(Model(task, part))


def test_the_count_of_an_lstm_is_the_textbook_one():
    _, task = resolve_task("addition", {})
    part = resolve_architecture("lstm", {}, task, hidden_size=10)
    # Four gates of 10 units over 2 inputs and 10 units, PyTorch's two biases, and a read-out of 10 weights and a bias.
    assert count_parameters(task, part) == 4 * 10 * (2 + 10) + 2 * 4 * 10 + 10 + 1


def test_the_catalogue_says_which_architectures_are_causal():
    for name, entry in ARCHITECTURES.items():
        assert entry.causal == load_encoder_class(name).causal, name


@pytest.mark.parametrize(("turn", "target"), list(enumerate([500, 5_000, 50_000])))
def test_matched_widths_are_the_nearest_there_are(turn, target):
    # Each name once: solving for a width builds an architecture dozens of times.
    names = architectures.names()[turn::3]
    comparison = Comparison(tasks=("addition",), architectures=names, seeds=1, match="parameters", parameters=target)
    for experiment in comparison.experiments():
        part = experiment.architecture
        _, task = resolve_task("addition", {})
        width = part.options["hidden_size"]

        def off(hidden_size, part=part, task=task):
            changed = {**part.options, "hidden_size": hidden_size}
            return abs(count_parameters(task, type(part)(name=part.name, options=changed)) - target)

        assert off(width) <= off(width + 1), part.name
        assert width == 1 or off(width) <= off(width - 1), part.name


@pytest.mark.parametrize(("turn", "target"), list(enumerate([2_000, 6_000])))
def test_widths_of_equal_state_are_the_nearest_there_are(turn, target):
    names = tuple(name for name, entry in ARCHITECTURES.items() if entry.causal)[turn::2]
    values: dict[str, Any] = {"tasks": ("addition",), "seeds": 1, "task": {"addition": {"length": 30}}}
    if "ntm" in names:
        # Of a memory that is smaller than the target.
        values["architecture"] = {"ntm": {"slots": 16}}
    comparison = Comparison(architectures=names, match="state", state_size=target, **values)
    _, task = resolve_task("addition", {"length": 30})

    def off(name, options):
        with torch.device("meta"):
            return abs(architectures.build(name, task.input_size, **options).state_size(30) - target)

    for experiment in comparison.experiments():
        name, options = experiment.architecture.name, experiment.architecture.options
        width = options["hidden_size"]
        assert off(name, options) < target / 10, name
        assert off(name, options) <= off(name, {**options, "hidden_size": width + 1}), name
        assert width == 1 or off(name, options) <= off(name, {**options, "hidden_size": width - 1}), name


def test_the_first_architecture_sets_the_state_to_match():
    values: dict[str, Any] = {"tasks": ("addition",), "hidden_size": 32, "match": "state", "seeds": 1}
    lstm, rnn = Comparison(architectures=("lstm", "rnn"), **values).experiments()
    # An LSTM carries its cells beside its outputs.
    assert [part.architecture.options["hidden_size"] for part in (lstm, rnn)] == [32, 64]
    with pytest.raises(UserError, match="han-bidirectional: it reads whole sequences and carries no state"):
        Comparison(architectures=("rnn", "han-bidirectional"), **values).experiments()
    with pytest.raises(UserError, match="han has 198 numbers of state at its smallest width, 1, and cannot be matched"):
        Comparison(architectures=("han",), **values, state_size=9).experiments()


def test_an_option_that_is_wrong_at_every_width_says_so_itself():
    part = Part(name="transformer", options={"hidden_size": 32, "window": 0})
    with pytest.raises(UserError, match="transformer: window must be at least 1, not 0"):
        match_size(part, resolve_task("addition", {"length": 5})[1], "parameters", 5000)


def test_the_first_architecture_sets_the_number_to_match():
    comparison = Comparison(tasks=("addition",), architectures=("lstm", "rnn"), hidden_size=32, match="parameters")
    lstm, rnn = comparison.experiments()[:2]
    _, task = resolve_task("addition", {})
    assert lstm.architecture.options["hidden_size"] == 32
    target, matched = count_parameters(task, lstm.architecture), count_parameters(task, rnn.architecture)
    assert abs(matched - target) / target < 0.02


def test_one_seed_after_another_so_that_early_results_compare_everything():
    comparison = Comparison(tasks=("addition", "digits"), architectures=("rnn", "gru"), seeds=2)
    order = [(e.seed, e.task.name, e.architecture.name) for e in comparison.experiments()]
    assert order == [(s, t, a) for s in (0, 1) for t in ("addition", "digits") for a in ("rnn", "gru")]


def test_a_comparison_survives_being_written_and_read():
    comparison = Comparison(
        tasks=("copy",),
        architectures=("tcn",),
        task={"copy": {"length": 30}},
        architecture={"tcn": {"kernel_size": 3}},
        budget=Budget(steps=7),
        embedding_size=4,
    )
    again = Comparison.from_dict(comparison.to_dict())
    assert again == comparison
    assert [e.identity for e in again.experiments()] == [e.identity for e in comparison.experiments()]


def test_whole_numbers_where_floats_are_meant_are_the_same_experiment():
    experiment = small("tcn", architecture_options={"dropout": 0})
    assert experiment.identity == small("tcn", architecture_options={"dropout": 0.0}).identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ()}, "name at least one task"),
        ({"tasks": ("addition", "addition")}, "named 2 times"),
        ({"task": {"copy": {}}}, "options are given for task 'copy', which is not compared"),
        ({"task": {"addition": 3}}, "must be a mapping"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"match": "size"}, "match 'size' is unknown"),
        ({"parameters": 100}, "add --match parameters"),
        ({"state_size": 100}, "state_size is given, but match is width; add --match state"),
        ({"state_size": 100, "match": "parameters"}, "match is parameters; drop one"),
        ({"tasks": (object(),)}, "tasks must be a list of names, not"),
        ({"embedding_size": {1: {(1, 2): 3}}}, "embedding_size must be a whole number"),
        ({"state_size": 0, "match": "state"}, "state_size must be at least 1"),
        ({"match": "parameters", "architecture": {"tcn": {"hidden_size": 5}}}, "is given a hidden_size"),
        ({"architecture": {"tcn": {"input_size": 5}}}, "input_size follows from the task"),
        ({"embedding_size": 5}, "none of the tasks has symbols"),
        ({"task": {"addition": {"length": 0}}}, "task addition: length"),
        ({"architecture": {"tcn": {"kernel_size": 1}}}, "architecture tcn: kernel_size"),
        ({"architecture": {"tcn": {"kernel": 1}}}, "no option 'kernel'; did you mean 'kernel_size'"),
        ({"match": "parameters", "parameters": 10**15}, "has fewer than"),
    ],
)
def test_impossible_comparisons_are_refused(change, message):
    values = {"tasks": ("addition",), "architectures": ("tcn",), **change}
    with pytest.raises(UserError, match=message):
        Comparison(**values).experiments()


def test_a_depth_that_reaches_less_than_the_task_is_warned_of():
    blind = small("tcn", task_options={"length": 50}, architecture_options={"num_layers": 1, "kernel_size": 3})
    (line,) = find_warnings(blind)
    assert "tcn sees 5 steps back" in line
    assert "addition have 50" in line
    assert find_warnings(small("tcn")) == []
    assert find_warnings(small("lstm")) == []


def test_custom_code_is_part_of_the_identity(on_path):
    text = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
    name = on_path("own_encoder", text) + ":Mine"
    before = small(name)
    on_path("own_encoder", text + "# changed\n")
    assert small(name).identity != before.identity


def test_a_class_that_is_only_imported_is_hashed_where_it_is_written(on_path):
    text = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
    on_path("written_here", text)
    name = on_path("passed_on", "from written_here import Mine\n") + ":Mine"
    before = small(name)
    on_path("written_here", text + "# changed\n")
    assert small(name).identity != before.identity


def test_widths_that_heads_do_not_divide_are_passed_over():
    heads = {"han": {"num_heads": 3}}
    comparison = Comparison(
        tasks=("addition",), architectures=("han",), match="parameters", parameters=9_000, architecture=heads
    )
    part = comparison.experiments()[0].architecture
    assert part.options["hidden_size"] % 3 == 0
    _, task = resolve_task("addition", {})

    def off(hidden_size):
        changed = {**part.options, "hidden_size": hidden_size}
        return abs(count_parameters(task, type(part)(name=part.name, options=changed)) - 9_000)

    width = part.options["hidden_size"]
    assert off(width) <= min(off(width - 3), off(width + 3))


def test_an_encoder_that_looks_at_its_values_is_built_anyway(on_path):
    name = on_path(
        "looks",
        """
import torch
from architectures.gru import GRU


class Looks(GRU):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.steps = torch.linspace(0, 1, hidden_size).tolist()
""",
    )
    assert small(f"{name}:Looks").architecture.options == {"hidden_size": 5}


OWN_OPTIONS = """
from dataclasses import dataclass
from enum import Enum

import torch
from architectures.gru import GRU
from workbench.tasks.addition import Addition


class Shape(str, Enum):
    ROUND = "round"
    FLAT = "flat"


SEEN = []


class Own(GRU):
    def __init__(
        self, input_size, hidden_size, *, taps=(1, 2), shape: Shape = Shape.ROUND, gains={0: 0.5}, top=float("inf")
    ):
        super().__init__(input_size, hidden_size)
        SEEN.append((taps, shape, gains, top))


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked(Addition):
    marks: tuple[int, int] = (1, 2)
    shape: Shape = Shape.FLAT
"""


def test_what_trains_is_what_the_file_says(on_path):
    """Whatever types its options have, a class is given the same when it is trained and when its run is read again."""
    name = on_path("has_options_of_many_types", OWN_OPTIONS)
    module = importlib.import_module(name)
    trained = small(f"{name}:Own", f"{name}:Marked", task_options={"length": 5, "marks": [3, 4]})
    read_again = Experiment.from_dict(parse_yaml(yaml.safe_dump(trained.to_dict())))
    assert read_again == trained
    module.SEEN.clear()
    for experiment in (trained, read_again):
        task: Any = seeded_model(experiment)[0]
        assert (task.marks, type(task.marks), task.shape) == ((3, 4), tuple, module.Shape.FLAT)
        assert type(task.shape) is module.Shape
    first, second = module.SEEN
    assert first == second == ((1, 2), module.Shape.ROUND, {0: 0.5}, math.inf)
    assert [type(value) for value in first] == [type(value) for value in second]
    assert type(first[1]) is module.Shape
    other = small(f"{name}:Own", architecture_options={"taps": [1, 2, 3], "shape": "flat", "gains": {"1": 2}, "top": 3})
    assert other.architecture.options == {
        "hidden_size": 5, "taps": [1, 2, 3], "shape": "flat", "gains": {"1": 2.0}, "top": 3.0
    }  # fmt: skip
    with pytest.raises(UserError, match="shape must be one of round, flat, not 'oval'"):
        small(f"{name}:Own", architecture_options={"shape": "oval"})


def test_an_option_that_would_come_back_as_another_is_refused(on_path):
    name = on_path(
        "has_an_option_of_no_type",
        """
from architectures.gru import GRU


class Own(GRU):
    def __init__(self, input_size, hidden_size, taps: list = (1, 2)):
        super().__init__(input_size, hidden_size)
""",
    )
    with pytest.raises(UserError, match=r"taps is \(1, 2\), which a file cannot hold: it would come back as \[1, 2\]"):
        small(f"{name}:Own")


def test_an_option_that_no_file_can_hold_is_refused(on_path):
    name = on_path(
        "holds_a_function",
        """
import torch
from architectures.gru import GRU


class Holds(GRU):
    def __init__(self, input_size: int, hidden_size: int, act=torch.tanh) -> None:
        super().__init__(input_size, hidden_size)
""",
    )
    with pytest.raises(UserError, match="act must be a plain value"):
        small(f"{name}:Holds")


def test_an_architecture_without_a_width_cannot_be_matched(on_path):
    name = on_path(
        "without_width",
        """
from architectures.gru import GRU


class Narrow(GRU):
    def __init__(self, input_size: int) -> None:
        super().__init__(input_size, 3)
""",
    )
    comparison = Comparison(tasks=("addition",), architectures=("lstm", f"{name}:Narrow"), match="parameters")
    with pytest.raises(UserError, match="has no hidden_size"):
        comparison.experiments()
    assert len(Comparison(tasks=("addition",), architectures=(f"{name}:Narrow",)).experiments()) == 3


def test_what_cannot_be_made_so_small_is_not_matched():
    narrow = small("lstm", architecture_options={"hidden_size": 1}).architecture
    least = count_parameters(resolve_task("addition", {})[1], narrow)
    values: dict[str, Any] = {"tasks": ("addition",), "architectures": ("lstm",), "match": "parameters"}
    (experiment, *_) = Comparison(**values, parameters=least).experiments()
    assert experiment.architecture.options["hidden_size"] == 1
    with pytest.raises(UserError, match=f"lstm has {least} parameters at its smallest width, 1, .* matched to 3;"):
        Comparison(**values, parameters=3).experiments()


def test_symbols_are_one_hot_or_embedded():
    _, task = resolve_task("copy", {"length": 5})
    part = resolve_architecture("gru", {}, task, hidden_size=4)
    batch = task.train(0, 3, 0, torch.device("cpu"))
    plain, embedded = Model(task, part), Model(task, part, embedding_size=6)
    features = plain.features(batch.x)
    assert torch.equal(features.argmax(-1), batch.x)
    assert torch.equal(features.sum(-1), torch.ones_like(features[..., 0]))
    assert embedded.embedding is not None
    assert torch.equal(embedded.features(batch.x), embedded.embedding.weight[batch.x])


def test_the_answer_is_read_at_the_last_valid_step():
    _, task = resolve_task("classify-length", {"length": 9})
    part = resolve_architecture("gru", {}, task, hidden_size=4)
    batch = task.train(0, 6, 0, torch.device("cpu"))
    assert batch.lengths is not None
    model = Model(task, part)
    answers, _ = model(batch.x, batch.lengths)
    for row, length in enumerate(batch.lengths.tolist()):
        alone, _ = model(batch.x[row : row + 1, :length])
        torch.testing.assert_close(answers[row : row + 1], alone)
