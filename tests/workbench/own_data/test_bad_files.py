"""A file that cannot be trained on is one line and exit status 2, with what would be right."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from tests.workbench.own_data.own_files import TRAIN, long_table, series, write_csv, write_npz, write_text
from workbench.cli.main import main

X, Y = np.random.default_rng(0).normal(size=(30, 4, 2)), np.arange(30) % 3
TS = "@timeStamps {stamps}\n@classLabel true a b\n@data\n{lines}\n"


def nan_in_table(folder):
    table = long_table()
    table.loc[7, "u"] = np.nan
    return write_csv(folder, table)


def infinite(folder):
    table = long_table()
    table.loc[7, "v"] = np.inf
    return write_csv(folder, table)


def object_array(folder):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(3), np.zeros(4)]
    return write_npz(folder, x=ragged, y=np.arange(2))


def pickled_module(folder):
    path = folder / "mydata.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    return str(path)


BAD = [
    (lambda f: write_text(f, ""), "mydata.csv: it is empty"),
    (lambda f: write_text(f, "id,time,u,label\n"), "mydata.csv: it has no rows, only the names of columns"),
    (lambda f: write_csv(f, long_table().assign(label="a")), "has only one class, 'a'; there is nothing to tell apart"),
    (
        nan_in_table,
        "1 of 972 values are missing (u); say what stands for them: --task.mydata.missing previous, or mean",
    ),
    (infinite, "column 'v' is infinite in line 9; no architecture can read that"),
    (
        lambda f: write_csv(f, long_table().assign(city="Rome")),
        "column 'city' holds text ('Rome'), which is no feature; name the columns to read: --task.mydata.features u,v",
    ),
    (lambda f: write_text(f, "1,2,3\n4,5,6\n"), "its first line is numbers (1, 2, 3, ...); it has to name the columns"),
    (lambda f: write_text(f, "id,time,u,u,label\na,1,2,3,x\n"), "it has two columns named 'u'; name them apart"),
    (
        lambda f: write_text(f, "id,time,u\na,1,2,3\n"),
        "it cannot be read as a table: 3 columns are named, and rows have 4",
    ),
    (lambda f: write_csv(f, series().drop_duplicates("date").assign(date="noon")), "neither numbers nor dates"),
    (
        lambda f: write_csv(f, pd.concat([series(), series()])),
        "if the table has several sequences, say which column tells",
    ),
    (
        lambda f: write_csv(f, series(12)),
        "too short for a window of 2 steps and 1 ahead; a smaller window, larger shares",
    ),
    (
        lambda f: write_csv(f, long_table(6)),
        "the validation part of 6 sequences is empty; give --task.mydata.validation 0.3, or bring more sequences",
    ),
    (lambda f: str(f / "absent.csv"), "there is no file"),
    (lambda f: str(f), "is a folder; name one file in it"),
    (lambda f: write_text(f, "x", "mydata.xlsx"), "files of sequences end in .csv, .tsv, .parquet, .npz, .pt, .ts"),
    (object_array, "it holds Python objects, which could execute code; save x as (sequences, steps, features) with"),
    (lambda f: write_text(f, "no zip", "mydata.npz"), "it holds Python objects, which could execute code; save x as"),
    (lambda f: write_npz(f, a=X, y=Y), "no array is named x; it has a, y: give --task.mydata.features NAME"),
    (
        lambda f: write_npz(f, x=X),
        "no array is named y; give --task.mydata.target NAME, or, to forecast the next values",
    ),
    (lambda f: write_npz(f, x=X, y=Y[:-1]), "y is of shape (29,), and there are 30 sequences of 4 steps"),
    (lambda f: write_npz(f, x=X, y=Y, lengths=np.full(30, 5)), "lengths lie in 5 .. 5; they have to lie in 1 .. 4"),
    (lambda f: write_npz(f, x=X, y=Y, lengths=np.full(9, 5)), "x has 30 rows; lengths are 9 and add up to 45"),
    (lambda f: write_npz(f, x=X.astype(str), y=Y), "x is of type <U32; it has to be numbers"),
    (lambda f: write_npz(f, x=X[:0], y=Y[:0]), "x is empty: it has no sequences, no steps or no features"),
    (lambda f: write_npz(f, x=np.where(X > 2, np.inf, X), y=Y), "x is infinite in sequence"),
    (lambda f: write_npz(f, x=X, y=np.where(Y == 1, np.nan, 0.5)), "the answer is missing for 10 of 30 sequences"),
    (lambda f: write_npz(f, x=X, y=Y == 29), "has only one class"),
    (pickled_module, "it holds Python objects, which could execute code; a .pt file holds tensors by name"),
    (lambda f: write_text(f, TS.format(stamps="true", lines="(0,1):a"), "mydata.ts"), "its values have time stamps"),
    (lambda f: write_text(f, TS.format(stamps="false", lines="1,2:c"), "mydata.ts"), "line 4 has the class 'c', which"),
    (
        lambda f: write_text(f, TS.format(stamps="false", lines="1,z:a"), "mydata.ts"),
        "line 4 has a value that is no number",
    ),
    (
        lambda f: write_text(f, TS.format(stamps="false", lines="1,2:3:a"), "mydata.ts"),
        "dimensions in line 4 are of differ",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_a_bad_file_is_a_line(make, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    path = make(tmp_path)
    assert main(["train", "--task", f"file:{path}", "--out", str(tmp_path / "out"), *TRAIN]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists(), "nothing was begun"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["target", "lable"], "there is no column 'lable', given as target; did you mean 'label'"),
        (["targt", "label"], "has no option 'targt'; did you mean 'target'"),
        (["answer", "clas"], "answer must be class or number or forecast, not 'clas'"),
        (["test", "1.5"], "test must be a share between 0 and 1, such as 0.1, not 1.5"),
        (["validation", "0.95"], "nothing is left to train"),
        (["window", "20"], "window is for answers at every step and for forecasts"),
        (["horizon", "x"], "horizon must be a whole number of at least 1, not 'x'"),
        (["at", "every"], "at is every, but the answers are one for each sequence"),
        (["path", "elsewhere.csv"], "the path of the file stands behind file:, and is no option"),
        (["features", "u,label"], "column 'label' holds text ('a'), which is no feature"),
        (["features", "u,w"], "there is no column 'w', given as features; known: id, time, u, v, label"),
        (["split", "label"], "has the part 'a'; parts are train, validation and test"),
        (["split", "partt"], "there is no column 'partt', given as split (which is fraction, time, or a column)"),
        (["answer", "number"], "the answer 'label' holds text ('a'), which is no number"),
    ],
)
def test_a_wrong_option_is_a_line(options, message, tmp_path, capsys):
    path = write_csv(tmp_path, long_table())
    arguments = ["train", "--task", f"file:{path}", f"--task.mydata.{options[0]}", options[1]]
    assert main([*arguments, "--out", str(tmp_path / "out"), *TRAIN]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(re.escape(message), line)


def test_a_class_that_only_the_test_part_has_is_a_line(tmp_path, capsys):
    table = long_table()
    number = table.id.str[1:].astype(int)
    table["split"] = np.select([number < 40, number < 50], ["train", "val"], "test")
    table.loc[number == 59, "label"] = "new"
    path = write_csv(tmp_path, table)
    assert main(["train", "--task", f"file:{path}", "--out", str(tmp_path / "out"), *TRAIN]) == 2
    assert "the test part has the class 'new', which the training part lacks" in capsys.readouterr().err
