"""The steps at which symbols to be recalled were shown, `Batch.source`."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tasks import Batch, build, make_generator

CPU = torch.device("cpu")
OPTIONS = {
    "copy": {"length": 7, "items": 3, "categories": 4},
    "copy-memory": {"length": 5, "items": 4, "categories": 3},
    "multicopy": {"copies": 3, "items": 2, "gap": 4, "categories": 5},
}


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(sorted(OPTIONS)), seed=st.integers(0, 10**6))
def test_the_source_is_where_a_listener_heard_it(name: str, seed: int) -> None:
    """A queue of the symbols with their steps, from which each recalled symbol is taken, gives the same steps."""
    task = build(name, **OPTIONS[name])
    batch = task.sample(6, make_generator(CPU, seed))
    assert batch.source is not None
    assert batch.source.shape == batch.x.shape
    categories = OPTIONS[name]["categories"]
    for x, target, source in zip(batch.x.tolist(), batch.target.tolist(), batch.source.tolist(), strict=True):
        shown: list[tuple[int, int]] = []
        for step, (symbol, answer) in enumerate(zip(x, target, strict=True)):
            if answer < categories:
                assert shown.pop(0) == (answer, source[step])
            else:
                assert source[step] == -1
            if symbol < categories:
                shown.append((symbol, step))
        assert not shown


def test_the_lags_of_each_task() -> None:
    def lags(name: str) -> set[int]:
        batch = build(name, **OPTIONS[name]).sample(500, make_generator(CPU, "lags"))
        assert batch.recall is not None
        assert batch.source is not None
        _, step = batch.recall.nonzero(as_tuple=True)
        return set((step - batch.source[batch.recall]).tolist())

    # Copy: the mark at steps S .. S + T - 1, and item j recalled j + 1 steps later.
    assert lags("copy") == set(range(4, 11))
    assert lags("copy-memory") == {5 + 4}
    assert lags("multicopy") == {2 + 4 + 1}


@pytest.mark.parametrize("name", ["addition", "classify-length", "alternation", "digits"])
def test_other_tasks_have_none(name: str) -> None:
    assert build(name).sample(3, make_generator(CPU, 0)).source is None


def test_it_goes_where_the_batch_goes() -> None:
    batch = build("copy").sample(5, make_generator(CPU, 0))
    assert batch.source is not None
    assert torch.equal(batch[1:3].source, batch.source[1:3])  # type: ignore[arg-type]
    moved = batch.to(torch.device("meta")).source
    assert moved is not None
    assert moved.device.type == "meta"
    assert Batch(x=batch.x, target=batch.target)[:2].source is None
