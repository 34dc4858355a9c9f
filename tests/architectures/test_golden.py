"""Law 9: five training steps with a fixed seed give the recorded losses."""

import json

import pytest

import architectures
from tests.architectures.record_golden import GOLDEN, losses

RECORDED: dict[str, list[float]] = json.loads(GOLDEN.read_text())


def test_every_name_is_recorded() -> None:
    """`python -m tests.architectures.record_golden` records a new one."""
    assert set(RECORDED) == set(architectures.names())


@pytest.mark.parametrize("name", architectures.names())
def test_training_gives_the_recorded_losses(name: str) -> None:
    """In double precision, in which other processors agree to far more than 8 digits."""
    assert losses(name) == pytest.approx(RECORDED[name], rel=1e-8, abs=0)
