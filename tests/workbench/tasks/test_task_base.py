"""Criteria and seeds."""

import math

import pytest
import torch

from workbench.tasks import Criterion, make_generator

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("above", "or_equal", "met"),
    [(True, False, [False, False, True]), (True, True, [False, True, True]), (False, False, [True, False, False])],
)
def test_a_criterion_is_met_on_its_side_of_the_bound(above: bool, or_equal: bool, met: list[bool]) -> None:
    criterion = Criterion(metric="accuracy", bound=0.5, above=above, or_equal=or_equal)
    assert [criterion.met(value) for value in (0.4, 0.5, 0.6)] == met
    assert not criterion.met(math.nan)


def test_a_criterion_reads_as_it_is_written_in_tables() -> None:
    assert str(Criterion(metric="accuracy", bound=1.0, above=True, or_equal=True)) == "accuracy >= 1"
    assert str(Criterion(metric="loss", bound=0.001, above=False)) == "loss < 0.001"


def test_streams_are_a_function_of_the_key() -> None:
    keys: list[tuple[int | str, ...]] = [("train", 0, 1), ("train", 1, 0), ("train", 10), ("test",), (1, 0), ("1", "0")]
    draws = [tuple(torch.rand(4, generator=make_generator(CPU, *key)).tolist()) for key in keys]
    assert len(set(draws)) == len(keys)
    assert draws == [tuple(torch.rand(4, generator=make_generator(CPU, *key)).tolist()) for key in keys]
