"""Data in memory: written once, by its content, and found again by every process."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from tests.workbench.experiments import finish
from tests.workbench.own_data.own_files import long_table, series, write_csv
from tests.workbench.own_data.test_identity import experiment
from workbench.data.own.memory import find_arrays
from workbench.data.own.options import DataOptions
from workbench.errors import UserError
from workbench.resolve import resolve_task
from workbench.seeding import CPU
from workbench.tasks.own_data import task_from

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 5, 2)), np.arange(30) % 3
LENGTHS = RNG.integers(2, 6, size=30)
RAGGED = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]


class HuggingFaceLike:
    """Behaves as a Hugging Face dataset does: columns by name, rows by number."""

    def __init__(self, **columns):
        self.columns = columns
        self.column_names = list(columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key):
        return self.columns[key] if isinstance(key, str) else {name: self.columns[name][key] for name in self.columns}


class Items(Dataset[Any]):
    """A torch Dataset of sequences of unequal length."""

    def __len__(self):
        return 30

    def __getitem__(self, index):
        return torch.tensor(RAGGED[index]), int(Y[index])


def examples(task):
    return task.make_batch("train", np.arange(len(task.loaded.parts["train"])), CPU)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.data.own.memory.cache_folder", lambda: tmp_path / "cache")


@pytest.mark.parametrize(
    "arguments",
    [
        (RAGGED, Y),
        (RAGGED, Y.tolist()),
        ([torch.tensor(x) for x in RAGGED], torch.tensor(Y)),
        ([x.tolist() for x in RAGGED], Y),
        (Items(),),
        (HuggingFaceLike(series=[x.tolist() for x in RAGGED], label=Y.tolist()),),
    ],
)
def test_every_kind_of_data_is_the_same_task(arguments):
    task = task_from(*arguments, scale="none")
    expected = task_from(X, Y, lengths=LENGTHS, scale="none")
    assert task.summary == expected.summary.replace("5 steps", "5 steps")
    assert "30 sequences of 2 to 5 steps, 2 features, 3 classes at the end" in task.summary
    one, other = examples(task), examples(expected)
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.target, other.target)
    assert one.lengths is not None
    assert other.lengths is not None
    assert torch.equal(one.lengths, other.lengths)


def test_sequences_of_equal_length():
    expected = examples(task_from(X, Y))
    for task in (
        task_from(torch.tensor(X), torch.tensor(Y)),
        task_from(TensorDataset(torch.tensor(X), torch.tensor(Y))),
    ):
        assert torch.equal(examples(task).x, expected.x)
        assert torch.equal(examples(task).target, expected.target)
        assert examples(task).lengths is None


def test_answers_at_every_step_of_unequal_sequences():
    task = task_from(RAGGED, [x[:, 0] for x in RAGGED])
    assert (task.answer, task.at) == ("number", "every")
    classes = task_from(RAGGED, [["up" if value > 0 else "down" for value in x[:, 0]] for x in RAGGED])
    assert (classes.answer, classes.at, classes.output_size) == ("class", "every", 2)


def test_a_table_is_what_its_csv_file_is(tmp_path):
    table = long_table()
    task, stored = task_from(table, name="my table"), task_from(write_csv(tmp_path, table, "my-table.csv"))
    assert task.summary == stored.summary
    assert task.data == stored.data
    forecast = task_from(series().set_index("date"), target="price", horizon=2)
    assert (forecast.time, forecast.features, forecast.answer) == ("date", "price,volume", "forecast")
    plain = HuggingFaceLike(**{str(name): table[name].tolist() for name in table})
    assert task_from(plain).data == stored.data


def test_parts_that_are_there_already():
    parts = {"train": (X[:20], Y[:20]), "validation": (X[20:24], Y[20:24]), "test": (X[24:], Y[24:])}
    task = task_from(parts, scale="none")
    assert torch.equal(task.fixed("test", 99, CPU).x, torch.tensor(X[24:], dtype=torch.float32))
    steps = task_from({part: (x, x[:, :, 0]) for part, (x, _) in parts.items()}, scale="none")
    assert steps.at == "every"
    assert torch.equal(steps.fixed("test", 99, CPU).target[..., 0], torch.tensor(X[24:, :, 0], dtype=torch.float32))
    columns = HuggingFaceLike(x=[x.tolist() for x in X], label=Y.tolist())
    assert "split by split: 30/30/30" in task_from({"train": columns, "val": columns, "test": columns}).summary


def test_the_same_data_is_one_file_and_other_data_another(tmp_path):
    one, again = task_from(X, Y), task_from(X.copy(), Y.copy())
    assert one.path == again.path
    other = X.copy()
    other[3, 2, 1] += 1e-9
    assert task_from(other, Y).data != one.data
    aside = task_from(X, Y, folder=tmp_path / "beside", name="trial 1")
    assert aside.path.startswith(str(tmp_path / "beside"))
    assert aside.data == one.data
    assert resolve_task(aside.name, {})[0].name == "file:trial-1.npz"


def test_a_run_on_data_in_memory_is_read_again(tmp_path):
    task = task_from(RAGGED, Y, name="own")
    one = experiment(task.name)
    run = finish(one, tmp_path / "out")
    assert run.result["trivial_loss"] == task.trivial_loss
    assert experiment(task_from(RAGGED, Y, name="own").name).identity == one.identity


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3,), {}, "data is a int; it takes an array, a list of sequences, a DataFrame, a torch Dataset"),
        (([],), {}, "data is an empty list"),
        ((X,), {}, "data.npz: no array is named y; give --task.data.target NAME, or, to forecast"),
        ((X, Y[:-1]), {}, r"y is of shape \(29,\), and there are 30 sequences"),
        ((long_table(), Y), {}, "y and lengths go with arrays, not with a DataFrame; name its column: target="),
        (("data.csv", Y), {}, "y and lengths go with arrays; a file has its own"),
        (([X[0], X[1][:, :1]], Y[:2]), {}, "not all \\(steps, features\\) with the same features"),
        ((RAGGED, Y), {"lengths": LENGTHS}, "data is a list of sequences, which have their lengths; drop lengths"),
        ((np.array([{}, {}]), Y[:2]), {}, "x holds Python objects"),
        (([{"a": 1}], [0]), {}, "not all"),
        ((TensorDataset(torch.zeros(3, 2)),), {}, "item 0 of the dataset is a tuple; it takes pairs"),
        (({"fold": (X, Y)},), {}, "data has the part 'fold'; parts are train, validation and test"),
        ((HuggingFaceLike(x=[[1.0]], z=[[1, 2]], label=[1]),), {}, "x and z are of different lengths in a row"),
        ((X, Y), {"answer": "forecast"}, "answer is forecast, but it has y"),
        ((X, Y), {"sequence": "id"}, "sequence is an option of tables"),
    ],
)
def test_a_mistake_is_a_line(arguments, options, message):
    with pytest.raises(UserError, match=message):
        task_from(*arguments, **options)


def test_a_table_keeps_all_digits():
    table = pd.DataFrame({"time": np.arange(60), "v": RNG.normal(size=60) * 1e-7})
    stored = task_from(table, scale="none").loaded.on(CPU).x[:, 0].numpy()
    np.testing.assert_array_equal(stored, table.v.to_numpy().astype(np.float32))
    arrays = find_arrays(X, Y, None, DataOptions())
    assert arrays["x"] is X
