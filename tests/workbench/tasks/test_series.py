"""Real sequences in files of the aeon package: where they are found, their splits, scaling and identity."""

import importlib.util
import math
import shutil
import sys

import numpy as np
import pytest
import torch

from tests import ts_files
from tests.workbench.own_data.own_files import TRAIN
from workbench.cli.main import main
from workbench.data import aeon
from workbench.errors import UserError
from workbench.resolve import resolve_task
from workbench.tasks import Split, build
from workbench.tasks.series import Series

CPU = torch.device("cpu")

INSTALLED = importlib.util.find_spec("aeon") is not None
"""Whether the real data sets are there."""


def sequences_of(task: Series, part: Split) -> list[tuple[np.ndarray, int]]:
    """Returns the sequences of a part, without padding, and their classes, counted from 1."""
    count = len(task.loaded.parts[part])
    batch = task.make_batch(part, np.arange(count), CPU)
    lengths = [task.steps] * count if batch.lengths is None else batch.lengths.tolist()
    pairs = zip(batch.x, lengths, batch.target.tolist(), strict=True)
    return [(x[:length].double().numpy(), label + 1) for x, length, label in pairs]


def in_order(sequences: list[tuple[np.ndarray, int]]) -> list[tuple[object, int]]:
    """Returns the sequences as numbers, in an order of their own."""
    return sorted((values.round(3).tolist(), label) for values, label in sequences)


@pytest.mark.parametrize("name", ts_files.SETS)
def test_published_sets_are_kept_apart_and_a_share_of_each_class_is_held_out(name):
    task = Series(dataset=name, scale="none")
    train, validation, test = (sequences_of(task, part) for part in ("train", "validation", "test"))
    assert in_order([*train, *validation]) == in_order(ts_files.make_sequences(name, "TRAIN"))
    assert in_order(test) == in_order(ts_files.make_sequences(name, "TEST"))
    assert len(validation) == 9
    counts = np.bincount([label for _, label in validation])[1:]
    assert max(counts) - min(counts) <= 1
    assert min(counts) > 0


def test_scaling_is_fitted_on_the_training_part_alone():
    plain, scaled = Series(dataset="JapaneseVowels", scale="none"), Series(dataset="JapaneseVowels")
    seen = np.concatenate([values for values, _ in sequences_of(plain, "train")])
    for part in ("train", "validation", "test"):
        expected = [(values - seen.mean(0)) / seen.std(0) for values, _ in sequences_of(plain, part)]
        for (values, _), wanted in zip(sequences_of(scaled, part), expected, strict=True):
            np.testing.assert_allclose(values, wanted, atol=1e-4)


def test_another_seed_holds_out_others():
    first, second = (sequences_of(Series(scale="none", split_seed=seed), "validation") for seed in (0, 1))
    assert in_order(first) != in_order(second)


def test_steps_and_trivial_loss():
    task = build("series", dataset="JapaneseVowels")
    assert (task.steps, task.input_size, task.output_size) == (29, 3, 3)
    # 12 of each class to train, 10 of each to test.
    assert task.trivial_loss == pytest.approx(math.log(3), abs=1e-12)
    # 18 and 18 are left of 23 and 22 to train, and the test has 15 of each.
    assert build("series").trivial_loss == pytest.approx(math.log(2), abs=1e-3)


def test_the_content_is_the_identity_and_the_place_is_not(tmp_path, monkeypatch):
    before, _ = resolve_task("series", {})
    ts_files.write(tmp_path)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    moved, _ = resolve_task("series", {})
    assert moved == before
    assert moved.source is not None
    test = tmp_path / "GunPoint" / "GunPoint_TEST.ts"
    test.write_text(test.read_text().replace("# Noise", "# Other noise"))
    changed, _ = resolve_task("series", {})
    assert changed.options == before.options
    assert changed.source != before.source


def test_files_without_a_folder_of_their_own(tmp_path, monkeypatch):
    ts_files.write(tmp_path / "sets")
    for part in ts_files.COUNTS:
        shutil.copy(tmp_path / "sets" / "GunPoint" / f"GunPoint_{part}.ts", tmp_path)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert aeon.locate("GunPoint") == tmp_path / "GunPoint_TRAIN.ts"
    # Without the test file beside it, a training file is no such set.
    (tmp_path / "GunPoint_TEST.ts").unlink()
    monkeypatch.setattr(aeon, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="GunPoint_TEST"):
        aeon.locate("GunPoint")


def test_the_package_is_read_without_being_imported(tmp_path, monkeypatch):
    package = tmp_path / "site" / "aeon"
    ts_files.write(package / "datasets" / "data")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.delenv("WORKBENCH_DATA")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert aeon.locate("JapaneseVowels") == package / "datasets" / "data" / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts"
    assert "aeon" not in sys.modules
    with pytest.raises(UserError, match="aeon, which brings it along, is installed without it"):
        aeon.locate("ACSF1")


def test_a_missing_set_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(aeon, "find_spec", lambda name: None)
    assert main(["train", "--task", "series", "--out", str(tmp_path / "out"), *TRAIN]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"--data-dir {tmp_path} with GunPoint_TRAIN.ts and GunPoint_TEST.ts in it" in line
    assert not (tmp_path / "out").exists()


def test_unequal_lengths_train(tmp_path):
    out = tmp_path / "out"
    assert (
        main(["train", "--task", "series", "--task.series.dataset", "JapaneseVowels", "--out", str(out), *TRAIN]) == 0
    )
    assert len(list(out.glob("runs/series/gru/*/seed-0/result.json"))) == 1


@pytest.mark.skipif(not INSTALLED, reason="aeon, which brings the real data sets along, is not installed")
@pytest.mark.parametrize(
    ("name", "steps", "channels", "classes", "counts"),
    [
        ("ACSF1", (1460, 1460), 1, 10, (100, 100)),
        ("ArrowHead", (251, 251), 1, 3, (36, 175)),
        ("BasicMotions", (100, 100), 6, 4, (40, 40)),
        ("GunPoint", (150, 150), 1, 2, (50, 150)),
        ("ItalyPowerDemand", (24, 24), 1, 2, (67, 1029)),
        ("JapaneseVowels", (7, 29), 12, 9, (270, 370)),
        ("OSULeaf", (427, 427), 1, 6, (200, 242)),
        ("PickupGestureWiimoteZ", (29, 361), 1, 10, (50, 50)),
    ],
)
def test_the_real_sets_are_as_described(name, steps, channels, classes, counts, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATA")
    task = Series(dataset=name)
    loaded = task.loaded
    parts = {part: loaded.parts[part].lengths for part in ("train", "validation", "test")}
    lengths = np.concatenate(list(parts.values()))
    assert (lengths.min(), lengths.max()) == steps
    assert (task.input_size, task.output_size) == (channels, classes)
    assert (len(parts["train"]) + len(parts["validation"]), len(parts["test"])) == counts
