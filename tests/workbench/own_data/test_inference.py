"""What is inferred, and said, about a file; and the option that is named where that would be a guess."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.workbench.own_data.own_files import long_table, own, series, write_csv, write_npz
from workbench.errors import UserError
from workbench.resolve import resolve_task
from workbench.seeding import CPU

RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 6, 3))


def test_a_long_table_in_a_line(tmp_path):
    task = own(write_csv(tmp_path, long_table()))
    assert task.summary == (
        "mydata.csv: 60 sequences of 6 to 11 steps, 2 features, 3 classes at the end; split 80/10/10 by fraction, seed "
        "0; scaled by the training part's mean and standard deviation"
    )
    assert (task.target, task.features, task.sequence, task.time) == ("label", "u,v", "id", "time")
    assert (task.readout, task.input_size, task.output_size, task.symbols, task.steps) == ("last", 2, 3, None, 11)


def test_what_was_inferred_is_part_of_the_configuration(tmp_path):
    part, _ = resolve_task("file:" + write_csv(tmp_path, long_table()), {})
    assert part.options == {
        "target": "label",
        "features": "u,v",
        "sequence": "id",
        "time": "time",
        "rows": "steps",
        "inputs": "numbers",
        "answer": "class",
        "at": "end",
        "split": "fraction",
        "validation": 0.1,
        "test": 0.1,
        "split_seed": 0,
        "scale": "standard",
        "missing": "refuse",
    }
    # Said in full, it is the same experiment.
    again, _ = resolve_task(part.full_name, part.options)
    assert again == part


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.arange(40) % 4, ("class", "end", 4)),
        (1 + np.arange(40) % 4, ("class", "end", 4)),
        (np.array(["up", "down"])[np.arange(40) % 2], ("class", "end", 2)),
        (np.arange(40) % 2 == 0, ("class", "end", 2)),
        (RNG.normal(size=40), ("number", "end", 1)),
        (RNG.normal(size=(40, 2)), ("number", "end", 2)),
        (np.arange(240).reshape(40, 6) % 3, ("class", "every", 3)),
        (RNG.normal(size=(40, 6)), ("number", "every", 1)),
        (RNG.normal(size=(40, 6, 2)), ("number", "every", 2)),
    ],
)
def test_the_answers_of_arrays(tmp_path, y, expected):
    task = own(write_npz(tmp_path, x=X, y=y))
    assert (task.answer, task.at, task.output_size) == expected
    batch = task.train(0, 5, 0, CPU)
    answers = () if task.answer == "class" else (expected[2],)
    assert batch.target.shape == (5, *((6,) if task.at == "every" else ()), *answers)


def test_an_answer_at_the_last_row_alone_is_one_at_the_end(tmp_path):
    table = long_table()
    table["target"] = table.u.where(~table.id.duplicated(keep="last"))
    task = own(write_csv(tmp_path, table.drop(columns="label")))
    assert (task.answer, task.at) == ("number", "end")


def test_an_answer_that_changes_within_a_sequence_is_one_for_each_step(tmp_path):
    table = long_table()
    table["label"] = np.where(table.time % 2 == 0, "even", "odd")
    task = own(write_csv(tmp_path, table))
    assert (task.answer, task.at, task.output_size) == ("class", "every", 2)
    batch = task.fixed("test", 10, CPU)
    assert batch.lengths is not None
    assert batch.recall is not None
    assert batch.recall.sum(1).tolist() == batch.lengths.tolist()
    assert batch.target[0, :6].tolist() == [0, 1, 0, 1, 0, 1]


def test_steps_without_an_answer_are_not_scored(tmp_path):
    table = long_table()
    table["label"] = np.where(table.time % 2 == 0, "even", "odd")
    table.loc[table.time == 1, "label"] = None
    task = own(write_csv(tmp_path, table))
    batch = task.fixed("test", 10, CPU)
    assert batch.recall is not None
    assert batch.recall[:, :4].tolist() == [[True, False, True, True]] * 6
    assert "60 steps without an answer are read, but not scored" in task.summary


def test_symbols(tmp_path):
    x = RNG.integers(0, 5, size=(40, 6))
    path = write_npz(tmp_path, x=x, y=x[:, 0])
    with pytest.raises(UserError, match=r"x is whole numbers from 0 to 4: give --task.mydata.inputs symbols or"):
        own(path)
    task = own(path, inputs="symbols")
    assert (task.symbols, task.input_size) == (5, 5)
    batch = task.fixed("test", 10, CPU)
    assert batch.x.tolist() == [x[index].tolist() for index in task.loaded.parts["test"].sequences]
    assert own(path, inputs="numbers").symbols is None


def test_a_table_of_one_series_is_forecast(tmp_path):
    task = own(write_csv(tmp_path, series()))
    assert task.summary == (
        "mydata.csv: 1 series of 400 steps, 2 features, the next value of price, volume at every step; windows of 9 "
        "steps; split 80/10/10 by time; scaled by the training part's mean and standard deviation; the best answer "
        "without memory: the present value"
    )


def test_a_column_says_the_parts(tmp_path):
    table = long_table()
    number = table.id.str[1:].astype(int)
    table["split"] = np.select([number < 40, number < 50], ["train", "val"], "test")
    task = own(write_csv(tmp_path, table))
    assert task.features == "u,v"
    assert "split by split: 40/10/10" in task.summary
    assert sorted(task.loaded.parts["test"].sequences) == list(range(50, 60))
    # Without a validation part, a share of the training part is taken.
    table["split"] = np.where(number < 50, "train", "test")
    task = own(write_csv(tmp_path, table, "other.csv"))
    assert "split by split: 45/5/10, validation from training by seed 0" in task.summary
    assert sorted(task.loaded.parts["test"].sequences) == list(range(50, 60))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: long_table().drop(columns=["id", "time"]),
            "no column says which sequence a row belongs to, or its time: give --task.mydata.sequence COLUMN or "
            "--task.mydata.time COLUMN, or, if each row is a whole sequence, --task.mydata.rows sequences",
        ),
        (
            lambda: long_table().drop(columns="label"),
            "which column is the answer? Give --task.mydata.target COLUMN, or, to forecast the next values, "
            "--task.mydata.answer forecast",
        ),
        (
            lambda: long_table().assign(y=1.5),
            "the answer may be column 'label' or 'y'; give --task.mydata.target label, or the other",
        ),
        (
            lambda: long_table().assign(series="a"),
            "sequence may be column 'id' or 'series'; give --task.mydata.sequence id, or the other",
        ),
        (
            lambda: long_table().assign(date=1),
            "time may be column 'time' or 'date'; give --task.mydata.time time, or the other",
        ),
        (
            lambda: series().rename(columns={"price": "y"}),
            "is y to be forecast (--task.mydata.answer forecast), or answered at each step from the other columns "
            "(--task.mydata.answer number)?",
        ),
        (
            lambda: long_table().assign(label=lambda t: t.id.str[1:].astype(int) * 7 % 23),
            "the answers are whole numbers, 23 different ones in 0 .. 22: give --task.mydata.answer class or "
            "--task.mydata.answer number",
        ),
    ],
)
def test_where_it_would_be_a_guess_an_option_is_named(tmp_path, make, message):
    table = make()
    if "23 different" in message:
        table = table.rename(columns={"label": "target"})
    with pytest.raises(UserError, match=re.escape(message)):
        own(write_csv(tmp_path, table))


def test_the_named_options_settle_it(tmp_path):
    table = long_table().drop(columns="label")
    path = write_csv(tmp_path, table)
    forecast = own(path, answer="forecast", split="fraction")
    assert (forecast.target, forecast.horizon, forecast.readout) == ("u,v", 1, "every")
    assert own(path, target="v").answer == "number"
    wide = pd.DataFrame({"label": np.arange(30) % 2, "a": 1.0, "b": RNG.normal(size=30)})
    assert own(write_csv(tmp_path, wide, "wide.csv"), rows="sequences").steps == 2
