"""Tasks of recall against their definitions, one example and one step at a time, with the step that is asked for."""

from typing import Any

import pytest
import torch

from workbench.tasks import build, make_generator
from workbench.tasks.agreement import ANSWERS, NOUNS, WORDS

CPU = torch.device("cpu")


def listen(name: str, options: Any, x: list[int]) -> list[tuple[int, int, int]]:
    """Returns the step, the answer and the source of everything that is asked, as a listener has it."""
    if name == "phone":
        return listen_to_phone(options, x)
    if name == "agreement":
        return listen_to_sentences(x)
    asked: list[tuple[int, int, int]] = []
    if name == "selective-copy":
        shown = [(symbol, step) for step, symbol in enumerate(x) if symbol < options.categories]
        marks = [step for step, symbol in enumerate(x) if symbol == options.categories + 1]
        return [(mark, *pair) for mark, pair in zip(marks, shown, strict=True)]
    if name == "induction":
        first, last = (step for step, symbol in enumerate(x) if symbol == options.vocabulary - 1)
        assert last == len(x) - 1
        return [(last, x[first + 1], first + 1)]
    half, values = options.vocabulary // 2, {}
    pairs = options.pairs if name == "mqar" else options.keys * options.writes
    context = 2 * pairs + getattr(options, "noise", 0)
    step = 0
    while step < context:
        if x[step] < options.vocabulary:
            assert 1 <= x[step] < half <= x[step + 1]
            values[x[step]] = (x[step + 1] - half, step + 1)
            step += 1
        step += 1
    assert step == context
    for step in range(context, len(x), 2):
        if not getattr(options, "random_non_queries", False) and x[step]:
            asked.append((step, *values.pop(x[step])))
    assert getattr(options, "random_non_queries", False) or not values
    return asked


def listen_to_phone(options: Any, x: list[int]) -> list[tuple[int, int, int]]:
    mark = next(step for step, symbol in enumerate(x) if symbol >= 12)
    digits = [(symbol, step) for step, symbol in enumerate(x) if symbol < 10]
    assert all(x[step] == 10 for step in range(mark + 1, len(x)))
    text = "".join(str(symbol) if symbol < 10 else {10: " ", 11: "-"}[symbol] for symbol in x[:mark])
    if options.separators:
        assert [len(part) for part in text.rstrip().split("-")] == list(options.segments)
    else:
        assert len(text.rstrip()) == sum(options.segments)
    assert len(text) == sum(options.segments) + len(options.segments) - 1 + options.length
    if options.recall == "segment":
        before = sum(options.segments[: x[mark] - 12])
        digits = digits[before : before + options.segments[x[mark] - 12]]
    return [(mark + 1 + place, *digit) for place, digit in enumerate(digits)]


def listen_to_sentences(x: list[int]) -> list[tuple[int, int, int]]:
    vocabulary, asked = NOUNS + WORDS, []
    pronouns = {"man": "his", "king": "his", "woman": "her", "queen": "her", "dog": "its", "river": "its"}
    subject = (0, "")
    words = [vocabulary[symbol] for symbol in x]
    for step, word in enumerate(words):
        if word in NOUNS and words[step + 1] == "," and words[step + 2] == "which":
            subject = (step, word)
        plural = subject[1] not in pronouns
        if word == "<verb>":
            asked.append((step, ANSWERS.index("wagged (plural)" if plural else "wagged (singular)"), subject[0]))
        if word == "<pronoun>":
            asked.append((step, ANSWERS.index("their" if plural else pronouns[subject[1]]), subject[0]))
    return asked


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mqar", {}),
        ("mqar", {"pairs": 3, "noise": 4, "length": 17, "vocabulary": 9, "power": 1.0}),
        ("forgetting-recall", {}),
        ("forgetting-recall", {"keys": 2, "writes": 4, "length": 25, "vocabulary": 18}),
        ("selective-copy", {"length": 12, "items": 4, "categories": 3}),
        ("induction", {"length": 9, "vocabulary": 4}),
        ("agreement", {}),
        ("agreement", {"attractors": 0, "sentences": 3, "length": 29}),
        ("agreement", {"attractors": 2, "sentences": 1, "length": 15}),
        ("phone", {}),
        ("phone", {"separators": False, "segments": (2, 1), "length": 4}),
        ("phone", {"recall": "segment", "segments": (1, 3, 2), "length": 1}),
    ],
)
def test_what_is_asked_is_what_a_listener_heard(name: str, options: dict[str, Any]) -> None:
    task = build(name, **options)
    batch = task.sample(40, make_generator(CPU, name))
    assert batch.recall is not None
    assert batch.source is not None
    for index, x in enumerate(batch.x.tolist()):
        expected = listen(name, task, x)
        assert batch.recall[index].nonzero().flatten().tolist() == sorted(step for step, _, _ in expected)
        for step, answer, source in expected:
            assert (int(batch.target[index, step]), int(batch.source[index, step])) == (answer, source)
    assert torch.equal(batch.source >= 0, batch.recall)


def test_queries_among_other_symbols() -> None:
    """With any symbols between queries, the queries are those that `recall` names."""
    task: Any = build("mqar", pairs=3, random_non_queries=True)
    batch = task.sample(50, make_generator(CPU, "queries"))
    assert batch.recall is not None
    assert batch.source is not None
    example, step = batch.recall.nonzero(as_tuple=True)
    source = batch.source[example, step]
    assert torch.equal(batch.x[example, step], batch.x[example, source - 1])
    assert torch.equal(32 + batch.target[example, step], batch.x[example, source])
    assert (batch.x[:, 6:][~batch.recall[:, 6:]] > 0).float().mean() > 0.9


def test_queries_come_soon_rather_than_late() -> None:
    """The first place has 1 / sum_i i^-0.99 of the weight."""
    task = build("mqar", pairs=1, length=202, power=0.01)
    recall = task.sample(20_000, make_generator(CPU, "gaps")).recall
    assert recall is not None
    weights = torch.arange(1, 101, dtype=torch.double) ** -0.99
    shares = recall[:, 2::2].double().mean(0)
    assert shares[:3].tolist() == pytest.approx((weights / weights.sum())[:3].tolist(), abs=0.01)
    assert float(shares[50:].sum()) == pytest.approx(float((weights / weights.sum())[50:].sum()), abs=0.01)
    assert not recall[:, 1::2].any()


@pytest.mark.parametrize(("depth", "place"), [(0.0, 0), (0.5, 4), (1.0, 8), (None, None)])
def test_a_needle(depth: float | None, place: int | None) -> None:
    task = build("needle", length=10, features=3, depth=depth)
    batch = task.sample(200, make_generator(CPU, "needle"))
    assert batch.source is not None
    example, step = (batch.x[:, :, 3] == 1).nonzero(as_tuple=True)
    assert torch.equal(example, torch.arange(200))
    assert step.unique().tolist() == (list(range(9)) if place is None else [place])
    assert torch.equal(batch.target, batch.x[example, step, :3])
    assert torch.equal(batch.source[:, -1], step)
    assert (batch.source[:, :-1] == -1).all()
    assert ((batch.x[:, :, 3] == 0) | (batch.x[:, :, 3] == 1)).all()


@pytest.mark.parametrize(("length", "frames"), [(40, 4), (8, 8), (23, 2)])
def test_stills(length: int, frames: int) -> None:
    task = build("stills", length=length, frames=frames, features=3, noise=0.0)
    batch = task.sample(100, make_generator(CPU, "stills"))
    assert batch.source is not None
    for x, target, source in zip(batch.x, batch.target, batch.source, strict=True):
        film = [tuple(frame) for frame in x[:-1, :3].tolist()]
        order = list(dict.fromkeys(film))
        assert len(order) == frames
        assert film == sorted(film, key=order.index)
        assert all(film.count(frame) >= max(1, length // (2 * frames)) for frame in order)
        question = x[-1].tolist()
        assert question[:3] == [0, 0, 0]
        assert sum(question) == 1
        asked = question[3:].index(1)
        assert tuple(target.tolist()) == order[asked]
        assert film[int(source[-1])] == order[asked]
        assert int(source[-1]) == length - 1 or film[int(source[-1]) + 1] != order[asked]


def test_the_noise_of_stills() -> None:
    task = build("stills", length=200, frames=2, features=3, noise=0.5)
    film = task.sample(400, make_generator(CPU, "noise")).x[:, :50, :3]
    # The first frame stays for 50 steps at least.
    assert float(film.std(1).mean()) == pytest.approx(0.5, abs=0.01)
    assert float(film.mean(1).std()) == pytest.approx(1.0, abs=0.05)
