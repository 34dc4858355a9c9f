"""Tests of the tasks of a source and an answer: their definitions, trivial losses and floors, and answers fed back."""

import math
from typing import Any

import pytest
import torch

from tests.workbench.experiments import small
from workbench.free_running import run_free
from workbench.resolve import find_warnings
from workbench.tasks import build, make_generator
from workbench.training import SequenceModule

CPU = torch.device("cpu")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"order": "same", "fertility": 1},
    {"order": "reversed", "fertility": 3, "words": 11, "length": 6, "shortest": 1},
    {"distance": 3, "length": 10, "shortest": 10, "words": 8},
    {"distance": 1, "length": 5, "shortest": 2, "words": 7, "fertility": 3},
]


def translation(task: Any, words: list[int]) -> list[tuple[int, int]]:
    """Returns the words of a translation, each with the place in the source of the word that it translates."""
    names, count = {}, 0
    for word in range(task.words):
        names[word] = list(range(count, count + 1 + word % task.fertility))
        count += len(names[word])
    places = list(range(len(words)))
    if task.order == "reversed":
        places.reverse()
    if task.order == "local":
        size, kinds = task.distance + 1, [word // task.fertility % 2 for word in words]
        blocks = [places[start : start + size] for start in range(0, len(places), size)]
        places = [
            place for block in blocks for place in (reversed(block) if kinds[block[0]] == kinds[block[-1]] else block)
        ]
    return [(name, place) for place in places for name in names[words[place]]]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_translation_word_by_word(options: dict[str, Any]) -> None:
    task: Any = build("translate", **options)
    batch = task.sample(60, make_generator(CPU, "translate"))
    blank, mark = task.symbols - 2, task.symbols - 1
    assert batch.recall is not None
    assert batch.source is not None
    lengths = set()
    for x, target, recall, source in zip(batch.x, batch.target, batch.recall, batch.source, strict=True):
        given = x[: task.length].tolist()
        words = [word for word in given if word != blank]
        lengths.add(len(words))
        first = task.length - len(words)
        assert given == [blank] * first + words
        answer = translation(task, words)
        asked = recall.nonzero().flatten().tolist()
        assert asked == list(range(task.length, task.length + len(answer)))
        assert target[recall].tolist() == [name for name, _ in answer]
        assert source[recall].tolist() == [first + place for _, place in answer]
        assert (source[~recall] == -1).all()
        fed = [mark, *(task.words + name for name, _ in answer)][: task.steps - task.length]
        assert x[task.length :].tolist() == fed + [blank] * (task.steps - task.length - len(fed))
    assert min(lengths) >= task.lengths[0]
    assert max(lengths) == task.length


@pytest.mark.parametrize("options", OPTIONS)
def test_whatever_came_before_leaves_the_trivial_loss(options: dict[str, Any]) -> None:
    """The best answer from the word before, and from the place in the translation as well, is no better."""
    task: Any = build("translate", **options)
    batch = task.sample(6000, make_generator(CPU, "trivial"))
    example, step = batch.recall.nonzero(as_tuple=True)
    target, before = batch.target[example, step], batch.x[example, step]
    for known in (before, before * task.steps + step % task.steps):
        if len(known.unique()) * task.output_size > len(target) / 50:
            # Too few examples of each to tell a law from chance.
            continue
        counts = torch.zeros(int(known.max()) + 1, task.output_size, dtype=torch.double)
        counts.index_put_((known, target), torch.ones((), dtype=torch.double), accumulate=True)
        loss = -(counts / counts.sum(1, keepdim=True))[known, target].log().mean()
        assert float(loss) == pytest.approx(task.trivial_loss, rel=0.03)
    firsts = [task.words * math.log(task.words) / sum(1 + word % task.fertility for word in range(task.words))]
    assert task.trivial_loss == pytest.approx(firsts[0], abs=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_bag_of_words(options: dict[str, Any]) -> None:
    """Who knows the words of a source, but not their places, is asked for one of them, or for the rest of one."""
    task: Any = build("translate", **options)
    batch = task.sample(3000, make_generator(CPU, "bag"))
    counts = torch.stack([(batch.x[:, : task.length] == word).sum(1) for word in range(task.words)], dim=1).double()
    shares = counts / counts.sum(1, keepdim=True)
    example, step = batch.recall.nonzero(as_tuple=True)
    word = batch.x[example, batch.source[example, step]]
    # The first part of each word's translation is one that does not follow from the part before.
    starts = torch.tensor([sum(1 + other % task.fertility for other in range(word)) for word in range(task.words)])
    begins = batch.target[example, step] == starts[word]
    p = torch.where(begins, shares[example, word], 1.0)
    best = torch.where(begins, shares.max(1).values[example], 1.0)
    floor = task.floors["bag of words"]
    assert float(-p.log().mean()) == pytest.approx(floor.loss, rel=0.02)
    assert float(best.mean()) == pytest.approx(floor.accuracy, abs=0.015)


def test_the_name_of_a_digit_letter_by_letter() -> None:
    task: Any = build("one-to-many")
    digits: Any = build("digits")
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    letters = "." + "".join(sorted({*"".join(names)}))
    batch, plain = task.fixed("test", 300, CPU), digits.fixed("test", 300, CPU)
    assert batch.x.shape == (300, 7, 64 + 17)
    assert torch.equal(batch.x[:, 0, :64], plain.x.squeeze(2))
    for x, target, recall, source, digit in zip(
        batch.x, batch.target, batch.recall, batch.source, plain.target.tolist(), strict=True
    ):
        name = names[digit] + "."
        assert "".join(letters[index] for index in target[recall]) == name
        assert recall.tolist() == [1 <= step <= len(name) for step in range(7)]
        assert source.tolist() == [0 if asked else -1 for asked in recall]
        assert x[0, 64:].sum() == x[1:, :64].abs().sum() == 0
        assert x[1, 64:].tolist() == [0.0] * 16 + [1.0]
        for step, letter in enumerate(name[:5], start=2):
            assert x[step, 64:].nonzero().flatten().tolist() == [letters.index(letter)]


def test_what_is_known_of_a_name_without_its_picture() -> None:
    """By counting: from all letters so far, from the place alone, and from the letter before alone."""
    task: Any = build("one-to-many")
    batch = task.train(0, 1078, 0, CPU)
    example, step = batch.recall.nonzero(as_tuple=True)
    target = batch.target[example, step].tolist()
    before = batch.x[..., 64:].argmax(2)
    so_far = [tuple(before[row, 1 : at + 1].tolist()) for row, at in zip(example, step, strict=True)]
    floors = task.floors
    expected = {
        "so far": (so_far, task.trivial_loss, None),
        "time": (step.tolist(), floors["knows the time"].loss, floors["knows the time"].accuracy),
        "before": ([key[-1] for key in so_far], floors["present step"].loss, floors["present step"].accuracy),
    }
    for known, loss, accuracy in expected.values():
        laws: dict[Any, dict[int, int]] = {}
        for key, letter in zip(known, target, strict=True):
            law = laws.setdefault(key, {})
            law[letter] = law.get(letter, 0) + 1
        surprise = -sum(count * math.log(count / sum(law.values())) for law in laws.values() for count in law.values())
        assert surprise / len(target) == pytest.approx(loss, abs=1e-6)
        if accuracy is not None:
            assert sum(max(law.values()) for law in laws.values()) / len(target) == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("name", ["translate", "one-to-many"])
@pytest.mark.parametrize("causal", [True, False])
def test_answers_are_fed_back_as_inputs(name: str, causal: bool) -> None:
    """A model that is always right is fed exactly the inputs of training; one that is wrong, its own answers."""
    task: Any = build(name)
    batch = task.fixed("test", 9, CPU)
    right = 10 * torch.nn.functional.one_hot(batch.target, task.output_size).float()
    for shift in (0, 1):
        answers, read = right.roll(shift, dims=2), [torch.empty(0)]

        def predict(x: Any, state: Any, answers: Any = answers, read: Any = read) -> Any:
            at = 0 if state is None else state
            read[0] = x if state is None else torch.cat([read[0], x], dim=1)
            return answers[:, at : at + x.shape[1]], at + x.shape[1]

        prediction = run_free(predict, task, batch, causal)
        assert torch.equal(prediction, answers)
        inputs = read[0]
        assert inputs.shape == batch.x.shape
        asked = batch.recall[:, task.prompt - 1 : -1]
        same = (inputs[:, task.prompt :] == batch.x[:, task.prompt :]).reshape(9, asked.shape[1], -1).all(2)
        assert same[asked].all() if shift == 0 else not same[asked].any()
        assert torch.equal(inputs[:, : task.prompt], batch.x[:, : task.prompt])


def test_evaluation_tells_both_accuracies_and_training_one() -> None:
    """Of an untrained model's own answers hardly any is right, so that the two differ."""
    module = SequenceModule.from_experiment(small("seq2seq", "one-to-many"))
    batch = module.task.fixed("test", 100, CPU)
    scores = module.evaluate(batch)
    assert set(scores) == {"loss", "accuracy", "free_accuracy"}
    assert set(module.compute_scores(batch)[0]) == {"loss", "accuracy"}

    def predict(x: Any, state: Any) -> Any:
        return module.predict(x, None, state)

    module.eval()
    prediction = run_free(predict, module.task, batch, causal=True)
    expected = module.task.metrics(prediction, batch)["accuracy"]
    assert scores["free_accuracy"] == pytest.approx(float(expected), abs=1e-6)


def test_encoder_and_decoder_get_the_source_of_a_task() -> None:
    options: dict[str, Any] = {"task_options": {"length": 7, "words": 4}}
    experiment = small("seq2seq", "translate", **options)
    assert experiment.architecture.options["source"] == 7
    assert find_warnings(experiment) == []
    assert small("seq2seq", "one-to-many").architecture.options["source"] == 1
    assert find_warnings(small("seq2seq", "translate", architecture_options={"source": 3}, **options)) == [
        "seq2seq takes the first 3 of the steps for its source, but that of translate ends after 7; "
        "set its option source"
    ]
    assert find_warnings(small("seq2seq", "copy")) == [
        "seq2seq takes the first 1 of the steps for its source, but that of copy ends nowhere; set its option source"
    ]
    (line,) = find_warnings(small("bidirectional", "translate", **options))
    assert line.startswith("bidirectional looks ahead, and in translate each input is the answer of the step before")
