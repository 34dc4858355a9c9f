"""Law 6: long sequences of large numbers give finite values and gradients."""

import pytest
import torch

from tests.architectures.cases import ATTENTION, CASES, INPUT_SIZE, Case, make_encoder, noise, parametrize_cases

TIME = 20_000
SHORTER = 600
"""Steps of those that take a second for a thousand."""
BLOCKS = 1500
"""Steps of attention to all of them: enough to be computed block by block."""


def check_finite(case: Case, time: int) -> None:
    """Checks a sequence in single precision, a thousand times larger than usual. Architectures with a `reach` get the
    whole length."""
    reach = {"reach": time} if "reach" in case.options else {}
    encoder = make_encoder(case, dtype=torch.float32, fresh=True, **reach)
    x = (1000 * noise(1, time, INPUT_SIZE, dtype=torch.float32)).requires_grad_()
    y, _ = encoder(x)
    assert y.isfinite().all()
    (y * noise(*y.shape, seed=1, dtype=torch.float32)).sum().backward()
    for name, value in [("x", x), *encoder.named_parameters()]:
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name


@parametrize_cases(CASES, slow=lambda case: True)
def test_long_and_large_stays_finite(case: Case) -> None:
    check_finite(case, SHORTER if case.stepwise else BLOCKS if case.name in ATTENTION else TIME)


@pytest.mark.slow
@parametrize_cases(case for case in CASES if case.stepwise or case.name in ATTENTION)
def test_as_long_stays_finite_where_that_takes_seconds(case: Case) -> None:
    check_finite(case, TIME)
