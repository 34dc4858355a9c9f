"""The next character of a text: its parts, and the stretches of its streams."""

import itertools
import math
from collections import Counter

import pytest
import torch

from tests import text_files
from workbench.data import text
from workbench.errors import UserError
from workbench.tasks import build
from workbench.tasks.text import NextCharacter

CPU = torch.device("cpu")


@pytest.fixture
def task(tmp_path):
    """A text of 10,000 bytes: 9,000 to train, 500 to validate, 500 to test."""
    path = tmp_path / "words.txt"
    path.write_bytes(text_files.random_words(10_000, seed=1))
    return NextCharacter(file=str(path), length=40)


def decode(task, numbers):
    """Returns symbols as bytes."""
    return bytes(task.text.alphabet[number] for number in numbers.tolist())


def read_text(task):
    from pathlib import Path

    return Path(task.file).read_bytes()


def test_the_parts_are_the_text_in_its_order(task):
    parts = [decode(task, torch.from_numpy(part)) for part in (task.text.train, task.text.validation, task.text.test)]
    assert list(map(len, parts)) == [9000, 500, 500]
    assert b"".join(parts) == read_text(task)
    assert task.symbols == task.output_size == len(set(parts[0]))


def test_an_epoch_reads_each_stream_stretch_by_stretch(task):
    size, train = 3, read_text(task)[:9000]
    count = task.steps_per_epoch(size)
    assert count == (9000 - 40) // 3 // 40 == 74
    for epoch in (0, 1):
        batches = [task.train(epoch * count + place, size, 7, CPU) for place in range(count)]
        assert [task.begins(epoch * count + place, size) for place in range(count)] == [True] + [False] * (count - 1)
        begins = []
        for stream in range(size):
            read = decode(task, torch.cat([batch.x[stream] for batch in batches]))
            answered = decode(task, torch.cat([batch.target[stream] for batch in batches]))
            assert len(read) == count * 40
            begins.append(train.find(read))
            assert answered == train[begins[-1] + 1 :][: len(read)]
        assert 0 <= begins[0] < 40
        assert [begin - begins[0] for begin in begins] == [0, 2986, 2 * 2986]


def test_epochs_and_seeds_begin_at_other_places(task):
    count = task.steps_per_epoch(3)
    first = {decode(task, task.train(epoch * count, 3, seed, CPU).x[0]) for epoch in range(4) for seed in range(4)}
    assert len(first) > 8


def test_fixed_parts_are_read_in_streams_of_whole_stretches(task):
    batch = task.fixed("test", 1000, CPU)
    # 12 stretches of 40 fit into 499 steps; so many streams of one stretch each.
    assert batch.x.shape == (12, 40)
    assert decode(task, batch.x.flatten()) == read_text(task)[9500:][:480]
    assert decode(task, batch.target.flatten()) == read_text(task)[9501:][:480]
    long = NextCharacter(file=task.file, length=8).fixed("validation", 45, CPU)
    # 45 of the 62 stretches, in 20 streams of 2.
    assert long.x.shape == (20, 16)
    assert decode(task, long.x.flatten()) == read_text(task)[9000:][:320]


def test_the_trivial_loss_is_the_entropy_of_a_byte_given_the_one_before(task):
    train = read_text(task)[:9000]
    pairs, before = Counter(itertools.pairwise(train)), Counter(train[:-1])
    expected = -sum(n * math.log(n / before[first]) for (first, _), n in pairs.items()) / 8999
    assert task.trivial_loss == pytest.approx(expected, abs=1e-12)


def test_bits_per_character_are_the_loss_in_bits(task):
    batch = task.train(0, 2, 0, CPU)
    prediction = torch.zeros(2, 40, task.symbols)
    assert task.metrics(prediction, batch)["bits_per_character"] == pytest.approx(math.log2(task.symbols))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"short", "has 5 bytes"),
        (b"ab" * 475 + b"a" * 49 + b"\xff" + b"ab" * 25, "the test part of .* has the byte 0xff"),
        (b"ab" * 475 + b"a" * 49 + b"?" + b"ab" * 25, r"the test part of .* has the byte 0x3f \('\?'\)"),
    ],
)
def test_a_text_that_cannot_be_cut_is_one_line(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        text.load(str(path))
    assert "\n" not in str(refused.value)


def test_a_text_that_is_not_there_or_too_short_for_a_batch_is_one_line(tmp_path, task):
    with pytest.raises(UserError, match=r"there is no file .*gone.txt"):
        text.load(str(tmp_path / "gone.txt"))
    with pytest.raises(ValueError, match="too few for 300 streams of 40 steps"):
        task.train(0, 300, 0, CPU)
    with pytest.raises(ValueError, match=r"the test part of .* has 500 bytes, and length is 600"):
        NextCharacter(file=task.file, length=600).fixed("test", 10, CPU)


def test_a_text_is_found_below_the_folder_of_data():
    assert build("text").symbols == len(set(text_files.random_words(text_files.SIZE)[: text_files.SIZE * 9 // 10]))
    assert NextCharacter(file="text/enwik8").text.digest == NextCharacter().text.digest
    assert build("text").data is not None, "it is not the published one"


def test_a_text_that_has_changed_is_read_anew(task):
    from pathlib import Path

    before = task.data
    Path(task.file).write_bytes(text_files.random_words(10_000, seed=2))
    assert task.data != before
