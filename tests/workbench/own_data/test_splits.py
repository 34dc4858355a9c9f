"""Parts never mix, series are cut in the order of time, and scaling knows the training part alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.own_data.own_files import long_table, own, series, write_csv, write_npz
from workbench.data.own.dataset import covered
from workbench.data.own.options import DataOptions
from workbench.data.own.splits import cut_windows, parts_by_fraction, parts_of_series
from workbench.errors import UserError
from workbench.seeding import CPU


@given(
    count=st.integers(3, 300),
    classes=st.integers(1, 5),
    validation=st.sampled_from([0.05, 0.1, 0.25]),
    test=st.sampled_from([0.1, 0.2, 0.4]),
    seed=st.integers(0, 3),
)
def test_a_split_by_fraction_gives_every_class_its_share(count, classes, validation, test, seed):
    labels = np.arange(count) * 7 % classes
    options = DataOptions(validation=validation, test=test, split_seed=seed)
    parts = parts_by_fraction(count, labels, options)
    for part, share in (("validation", validation), ("test", test), ("train", 1 - validation - test)):
        assert abs((parts == part).sum() - share * count) <= 1.5
        for label in range(classes):
            assert abs(((parts == part) & (labels == label)).sum() - share * (labels == label).sum()) <= 2
    assert np.array_equal(parts, parts_by_fraction(count, labels, options))


def test_another_seed_is_another_split(tmp_path):
    path = write_csv(tmp_path, long_table())
    chosen = [own(path, split_seed=seed).loaded.parts["test"].sequences.tolist() for seed in (0, 1)]
    assert chosen[0] != chosen[1]


@given(length=st.integers(10, 1000), test=st.sampled_from([0.1, 0.3]), validation=st.sampled_from([0.1, 0.2]))
def test_a_series_is_cut_into_train_validation_and_test_in_this_order(length, test, validation):
    parts = parts_of_series(length, DataOptions(validation=validation, test=test))
    order = [part for before, part in zip([None, *parts], parts, strict=False) if part != before]
    assert order == ["train", "validation", "test"]
    assert abs((parts == "test").sum() - test * length) <= 1


@pytest.mark.parametrize("at", ["every", "end"])
@pytest.mark.parametrize(("horizon", "window"), [(1, None), (5, 8), (3, 20)])
def test_no_training_window_reaches_into_later_parts(tmp_path, at, horizon, window):
    task = own(write_csv(tmp_path, series()), at=at, horizon=horizon, window=window)
    parts = task.loaded.parts
    # Rows are in the order of time: all that a part reads, and all that it forecasts.
    reads = {part: np.flatnonzero(covered(examples, 400)) for part, examples in parts.items()}
    ends = {part: examples.starts + examples.lengths - 1 + horizon for part, examples in parts.items()}
    assert ends["train"].max() < reads["validation"].min()
    assert ends["validation"].max() < reads["test"].min()
    assert ends["test"].max() <= 399
    assert ends["train"].max() == 319, "up to the last step of the training part"


def test_what_is_forecast_is_the_value_of_later(tmp_path):
    table = series()
    task = own(write_csv(tmp_path, table), horizon=4, window=10, target="price", scale="none")
    for part in ("validation", "test"):
        batch, starts = task.fixed(part, 100, CPU), task.loaded.parts[part].starts
        for x, target, start in zip(batch.x, batch.target, starts, strict=True):
            np.testing.assert_allclose(x, table[["price", "volume"]][start : start + 10], rtol=1e-6)
            np.testing.assert_allclose(target[:, 0], table.price[start + 4 : start + 14], rtol=1e-6)
    at_end = own(task.path, horizon=4, window=10, target="price", scale="none", at="end")
    batch, starts = at_end.fixed("test", 100, CPU), at_end.loaded.parts["test"].starts
    np.testing.assert_allclose(batch.target[:, 0], table.price[starts + 13], rtol=1e-6)


def test_scaling_is_fitted_on_the_training_part_alone(tmp_path):
    table = series()
    task = own(write_csv(tmp_path, table), window=10)
    train = table[["price", "volume"]][:320]
    stored = task.loaded.on(CPU).x.numpy()
    np.testing.assert_allclose(stored[:320].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(stored[:320].std(0), 1, rtol=1e-5)
    expected = (table[["price", "volume"]] - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(stored, expected, rtol=1e-4, atol=1e-5)
    # Whatever happens later, what is trained on stays as it is.
    table.loc[320:, ["price", "volume"]] *= 1000
    changed = own(write_csv(tmp_path, table, "changed.csv"), window=10)
    for step in range(3):
        one, other = task.train(step, 8, 0, CPU), changed.train(step, 8, 0, CPU)
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.target, other.target)


def test_scaling_of_sequences_is_fitted_on_those_of_the_training_part(tmp_path):
    table = long_table()
    test = [f"s{index}" for index in own(write_csv(tmp_path, table)).loaded.parts["test"].sequences]
    table.loc[table.id.isin(test), ["u", "v"]] *= 10
    task = own(write_csv(tmp_path, table, "larger.csv"), scale="minmax")
    train = [f"s{index}" for index in task.loaded.parts["train"].sequences]
    values = table[table.id.isin(train)][["u", "v"]]
    expected = (table[["u", "v"]] - values.min()) / (values.max() - values.min())
    np.testing.assert_allclose(task.loaded.on(CPU).x, expected, rtol=1e-5, atol=1e-6)
    assert expected.max().max() > 1


def test_answers_that_are_numbers_are_scaled_by_the_training_part(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(50, 4, 1)), np.random.default_rng(1).normal(5, 3, size=50)
    task = own(write_npz(tmp_path, x=x, y=y))
    train = y[task.loaded.parts["train"].sequences]
    test = y[task.loaded.parts["test"].sequences]
    batch = task.fixed("test", 50, CPU)
    np.testing.assert_allclose(batch.target[:, 0], (test - train.mean()) / train.std(), rtol=1e-5)


def test_a_constant_feature_becomes_0(tmp_path):
    table = long_table().assign(constant=0.1)
    data = own(write_csv(tmp_path, table)).loaded
    assert data.features == ["u", "v", "constant"]
    assert not data.on(CPU).x[:, 2].any()


def test_sequences_that_reach_over_a_boundary_in_time_are_left_out(tmp_path):
    rows = [(index, index + step, float(step), "ab"[index % 2]) for index in range(100) for step in range(3)]
    table = pd.DataFrame(rows, columns=["id", "time", "x", "label"])
    task = own(write_csv(tmp_path, table), split="time")
    parts = {part: examples.sequences for part, examples in task.loaded.parts.items()}
    assert parts["train"].max() + 2 < parts["validation"].min()
    assert parts["validation"].max() + 2 < parts["test"].min()
    assert parts["test"].max() == 99
    assert "4 sequences that reach over a boundary are left out" in task.summary


def test_several_series_are_cut_at_the_same_time(tmp_path):
    one, two = series(300), series(300, seed=1)
    two["date"] += pd.Timedelta(hours=100)
    table = pd.concat([one.assign(id="a"), two.assign(id="b")])
    task = own(write_csv(tmp_path, table), answer="forecast", window=10)
    dates = table.date.to_numpy()
    ends = {part: dates[examples.starts + examples.lengths] for part, examples in task.loaded.parts.items()}
    begins = {part: dates[examples.starts] for part, examples in task.loaded.parts.items()}
    assert ends["train"].max() < begins["validation"].min()
    assert ends["validation"].max() < begins["test"].min()
    # No window joins the end of one series to the beginning of the next.
    for examples in task.loaded.parts.values():
        assert not ((examples.starts < 300) & (examples.starts + 10 >= 300)).any()


def test_sequences_are_forecast_whole(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    task = own(write_npz(tmp_path, x=x), answer="forecast", scale="none")
    batch = task.fixed("test", 40, CPU)
    chosen = x[task.loaded.parts["test"].sequences]
    np.testing.assert_allclose(batch.x, chosen[:, :-1], rtol=1e-6)
    np.testing.assert_allclose(batch.target, chosen[:, 1:], rtol=1e-6)


def test_a_series_is_never_shuffled(tmp_path):
    path = write_csv(tmp_path, series())
    with pytest.raises(
        UserError, match=r"it is one series, which is split in the order of time: --task.mydata.split time"
    ):
        own(path, split="fraction")
    mixed = series().assign(split=np.where(np.arange(400) % 2 == 0, "train", "test"))
    with pytest.raises(UserError, match="column 'split' mixes the parts of a series in time"):
        own(write_csv(tmp_path, mixed, "mixed.csv"))
    given = series().assign(split=np.repeat(["train", "validation", "test"], [200, 100, 100]))
    task = own(write_csv(tmp_path, given, "given.csv"), window=10)
    assert task.loaded.parts["validation"].starts.tolist() == list(range(200, 290, 10))


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("mean", [2.0, 2.0, 4.0, 2.0]), ("previous", [2.0, 2.0, 4.0, 4.0]), ("mark", [2.0, 2.0, 4.0, 2.0])],
)
def test_missing_values_are_filled_as_said_from_the_training_part(tmp_path, missing, expected):
    # The mean of the training part, without the missing values, is 2; later values must not count.
    training = [np.nan, 2.0, 4.0, np.nan, *[0.0, 3.0] * 2, *[1.5] * 0, 2.0, 2.0]
    values = np.array([*training, *np.full(30, 2.0), *np.full(10, 77.0)])
    assert np.nanmean(values[:40]) == pytest.approx(2.0)
    path = write_csv(tmp_path, pd.DataFrame({"t": np.arange(50), "v": values}))
    with pytest.raises(UserError, match=r"2 of 50 values are missing \(v\); say what stands for them"):
        own(path)
    task = own(path, missing=missing, scale="none", window=2)
    x = task.loaded.on(CPU).x
    np.testing.assert_allclose(x[:4, 0], expected)
    assert f"2 missing values filled ({missing})" in task.summary
    assert x.shape[1] == (2 if missing == "mark" else 1)
    if missing == "mark":
        assert x[:5, 1].tolist() == [1, 0, 0, 1, 0]
    # What is missing is not scored as a forecast.
    batch = task.make_batch("train", np.array([0, 1, 2]), CPU)
    assert batch.recall is not None
    assert batch.recall.tolist() == [[True, True], [True, False], [False, True]]


def test_the_last_known_value_is_that_of_the_same_sequence(tmp_path):
    x = np.arange(120.0).reshape(30, 4, 1)
    x[:, 0] = np.nan
    task = own(write_npz(tmp_path, x=x, y=np.arange(30) % 2), missing="previous", scale="none")
    stored = task.loaded.on(CPU).x[:, 0].reshape(30, 4)
    train = x[task.loaded.parts["train"].sequences]
    np.testing.assert_allclose(stored[:, 0], np.nanmean(train), rtol=1e-6)


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), window=st.integers(2, 9), horizon=st.integers(0, 4)
)
def test_windows_lie_within_their_stretch(lengths, window, horizon):
    from workbench.data.own.splits import Examples

    starts = np.cumsum([0, *lengths[:-1]])
    stretches = Examples(starts=starts, lengths=np.array(lengths), sequences=np.arange(len(lengths)))
    windows = cut_windows(stretches, window, horizon, stride=1)
    expected = [
        start
        for first, length in zip(starts, lengths, strict=True)
        for start in range(first, first + length)
        if start + window + horizon <= first + length
    ]
    assert windows.starts.tolist() == expected
