"""Every kind of file gives the sequences that were written to it."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.workbench.own_data.own_files import long_table, own, series, write_csv, write_npz, write_text
from workbench.errors import UserError
from workbench.seeding import CPU

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 7, 2))
Y = np.arange(30) % 3
LENGTHS = RNG.integers(3, 8, size=30)
FLAT = np.concatenate([x[:length] for x, length in zip(X, LENGTHS, strict=True)])


def all_sequences(task):
    """Returns every sequence of all parts, and its answer, in the order of the file."""
    data, found = task.loaded, {}
    for part, examples in data.parts.items():
        batch = task.make_batch(part, np.arange(len(examples)), CPU)
        lengths = [batch.x.shape[1]] * len(examples) if batch.lengths is None else batch.lengths.tolist()
        for index, start in enumerate(examples.starts):
            assert not batch.x[index, lengths[index] :].any(), "padding is 0"
            found[int(start)] = batch.x[index, : lengths[index]].numpy(), batch.target[index].numpy()
    return [found[start] for start in sorted(found)]


def check(task, *, lengths=LENGTHS, answers=Y):
    sequences = all_sequences(task)
    assert len(sequences) == len(X)
    for (x, answer), whole, length, right in zip(sequences, X, lengths, answers, strict=True):
        np.testing.assert_allclose(x, whole[:length], rtol=1e-6)
        np.testing.assert_array_equal(answer, right)


def test_a_padded_array_with_lengths(tmp_path):
    padded = np.where(np.arange(7)[None, :, None] < LENGTHS[:, None, None], X, np.nan)
    check(own(write_npz(tmp_path, x=padded, y=Y, lengths=LENGTHS), scale="none"))


def test_an_array_of_equal_lengths(tmp_path):
    task = own(write_npz(tmp_path, X=X, labels=Y), scale="none")
    check(task, lengths=[7] * 30)
    assert task.train(0, 4, 0, CPU).lengths is None


def test_all_steps_one_after_another(tmp_path):
    check(own(write_npz(tmp_path, x=FLAT, y=Y, lengths=LENGTHS), scale="none"))


@pytest.mark.parametrize("ragged", [False, True])
def test_tensors(tmp_path, ragged):
    path = tmp_path / "mydata.pt"
    if ragged:
        x = [torch.tensor(x[:length]) for x, length in zip(X, LENGTHS, strict=True)]
        torch.save((x, torch.tensor(Y)), path)
    else:
        torch.save({"x": torch.tensor(X), "y": torch.tensor(Y), "lengths": torch.tensor(LENGTHS)}, path)
    check(own(str(path), scale="none"))


@pytest.mark.parametrize("suffix", ["csv", "semicolon", "tsv", "parquet"])
def test_tables(tmp_path, suffix):
    ids = np.repeat([f"s{index}" for index in range(30)], LENGTHS)
    steps = np.concatenate([np.arange(length) for length in LENGTHS])
    table = pd.DataFrame({"id": ids, "t": steps, "u": FLAT[:, 0], "v": FLAT[:, 1], "label": Y.repeat(LENGTHS)})
    path = tmp_path / f"mydata.{'csv' if suffix == 'semicolon' else suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep={"csv": ",", "semicolon": ";", "tsv": "\t"}[suffix])
    check(own(str(path), scale="none"))


def test_rows_that_are_out_of_order(tmp_path):
    ids = np.repeat(np.arange(30), LENGTHS)
    steps = np.concatenate([np.arange(length) for length in LENGTHS])
    table = pd.DataFrame({"id": ids, "t": steps, "u": FLAT[:, 0], "v": FLAT[:, 1], "label": Y.repeat(LENGTHS)})
    # Sequences in the order in which they first appear.
    mixed = pd.concat([table[table.t == 0], table[table.t > 0].sample(frac=1, random_state=0)])
    task = own(write_csv(tmp_path, mixed), scale="none")
    check(task)
    assert "rows put in the order of t" in task.summary


def test_a_table_whose_rows_are_sequences(tmp_path):
    table = pd.DataFrame(np.where(np.arange(7) < LENGTHS[:, None], X[:, :, 0], np.nan))
    table.columns = [f"v{index}" for index in range(7)]
    table.insert(0, "label", Y)
    task = own(write_csv(tmp_path, table), rows="sequences", scale="none")
    for (x, answer), whole, length, right in zip(all_sequences(task), X, LENGTHS, Y, strict=True):
        np.testing.assert_allclose(x[:, 0], whole[:length, 0], rtol=1e-6)
        assert answer == right


def test_parquet_without_pyarrow_is_told_in_a_line(tmp_path, monkeypatch):
    write_text(tmp_path, "PAR1", "mydata.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"^mydata.parquet is a Parquet file.*pip install 'sequence-workbench\[data\]'"):
        own(str(tmp_path / "mydata.parquet"))


TS = """# A comment.
@problemName Toy
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true red blue
@data
"""


def ts_lines(count, start=0):
    return "".join(
        f"{','.join(str(start + index + step) for step in range(3 + index % 2))}:"
        f"{','.join('?' if step == 1 and index == 0 else str(step) for step in range(3 + index % 2))}:"
        f"{('red', 'blue')[index % 2]}\n"
        for index in range(count)
    )


def test_ts_with_unequal_lengths_and_missing_marks(tmp_path):
    path = write_text(tmp_path, TS + ts_lines(20), "Toy.ts")
    with pytest.raises(UserError, match=r"1 of 140 values are missing \(dimension 1\).*--task.Toy.missing previous"):
        own(path)
    task = own(path, missing="previous", scale="none")
    assert "20 sequences of 3 to 4 steps, 2 features, 2 classes at the end" in task.summary
    first, second = all_sequences(task)[:2]
    # The missing mark stands behind a 0, which is the last known value.
    np.testing.assert_array_equal(first[0], [[0, 0], [1, 0], [2, 2]])
    np.testing.assert_array_equal(second[0], [[1, 0], [2, 1], [3, 2], [4, 3]])
    assert task.loaded.answers.classes == ["blue", "red"]
    assert (first[1], second[1]) == (1, 0)


def test_ts_that_comes_in_two_files(tmp_path):
    plain = TS.replace("@missing true", "@missing false")
    lines = ts_lines(20).replace("?", "1")
    train = write_text(tmp_path, plain + lines, "Toy_TRAIN.ts")
    alone = own(train)
    write_text(tmp_path, plain + ts_lines(8, start=100).replace("?", "1"), "Toy_TEST.ts")
    task = own(train, scale="none")
    assert "tested on Toy_TEST.ts" in task.summary
    assert [len(task.loaded.parts[part]) for part in ("train", "validation", "test")] == [18, 2, 8]
    assert task.fixed("test", 8, CPU).x[:, 0, 0].tolist() == [100.0 + index for index in range(8)]
    assert task.train(0, 18, 0, CPU).x[:, :, 0].max() < 100
    assert alone.data != task.data
    before = task.data
    write_text(tmp_path, plain + ts_lines(8, start=101).replace("?", "1"), "Toy_TEST.ts")
    assert own(train, scale="none").data != before


def test_arrays_that_are_split_already(tmp_path):
    arrays: dict[str, Any] = {"x_train": X[:20], "y_train": Y[:20], "x_val": X[20:24], "y_val": Y[20:24]}
    task = own(write_npz(tmp_path, **arrays, x_test=X[24:], y_test=Y[24:]), scale="none")
    check(task, lengths=[7] * 30)
    np.testing.assert_allclose(task.fixed("test", 50, CPU).x.numpy(), X[24:], rtol=1e-6)
    np.testing.assert_allclose(task.fixed("validation", 50, CPU).x.numpy(), X[20:24], rtol=1e-6)
    assert "split as the file is split: 20/4/6" in task.summary


def test_an_array_that_says_the_parts(tmp_path):
    split = np.array(["train"] * 20 + ["val"] * 4 + ["test"] * 6)
    task = own(write_npz(tmp_path, x=X, y=Y, split=split), scale="none")
    np.testing.assert_allclose(task.fixed("test", 50, CPU).x.numpy(), X[24:], rtol=1e-6)


def test_all_digits_of_a_number_are_read(tmp_path):
    table = series(50)
    task = own(write_csv(tmp_path, table), scale="none")
    data = task.loaded
    stored = data.on(CPU).x[:, 0].numpy()
    np.testing.assert_array_equal(stored, table.price.to_numpy().astype(np.float32))


def test_the_parts_hold_every_sequence_once(tmp_path):
    task = own(write_csv(tmp_path, long_table()))
    sequences = np.concatenate([part.sequences for part in task.loaded.parts.values()])
    assert sorted(sequences.tolist()) == list(range(60))
