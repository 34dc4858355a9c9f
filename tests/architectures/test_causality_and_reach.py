"""Laws 2 and 3: outputs depend on no later step, and on exactly the steps of the receptive field."""

import math

import pytest
import torch
from torch import Tensor

from architectures import Encoder, build
from tests.architectures.cases import ATTENTION, CASES, INPUT_SIZE, Case, make_encoder, noise, parametrize_cases


def sensitivity(encoder: Encoder, time: int, step: int, seed: int = 0) -> Tensor:
    """Returns (time,) the largest absolute gradient of a random projection of y[:, step], for every step of x."""
    # Many sequences of large numbers, so that rectifiers, whose biases may be negative, close no path in all of them.
    x = (4 * noise(128, time, INPUT_SIZE, seed=seed)).requires_grad_()
    y = encoder(x)[0][:, step]
    (grad,) = torch.autograd.grad((y * noise(*y.shape, seed=seed + 1)).sum(), x)
    return grad.abs().amax((0, 2))


@parametrize_cases(CASES)
def test_no_output_depends_on_later_inputs(case: Case) -> None:
    """The gradient is exactly 0 for every later step, but not for the step itself. Bidirectional encoders depend on
    later steps."""
    encoder, time = make_encoder(case), 11
    assert encoder.causal is case.causal
    # The first steps, the last ones, and one between.
    for step in (0, 1, 5, time - 2, time - 1):
        felt = sensitivity(encoder, time, step)
        # Over a source the output is 0.
        assert bool(felt[step] > 0) is (step >= case.source)
        later = felt[step + 1 :]
        seen = 0 if case.causal else len(later) if case.field is None else min(len(later), case.field - 1)
        assert torch.count_nonzero(later) == seen


@parametrize_cases(case for case in CASES if case.field is not None)
def test_the_receptive_field_is_exact(case: Case) -> None:
    """The gradient is nonzero at every lag of the field, the last one included, and exactly 0 beyond; for bidirectional
    encoders in both directions."""
    encoder = make_encoder(case)
    field = encoder.receptive_field
    assert field == case.field
    assert field is not None
    time = 2 * field + 5
    step = time // 2
    expected = torch.zeros(time, dtype=torch.bool)
    expected[step - field + 1 : step + 1 if case.causal else step + field] = True
    torch.testing.assert_close(sensitivity(encoder, time, step) > 0, expected)


@parametrize_cases(case for case in CASES if case.field is None)
def test_an_unbounded_field_reaches_the_first_step(case: Case) -> None:
    """The encoder claims no bound, and the first of 60 steps still has an effect."""
    encoder = make_encoder(case)
    assert encoder.receptive_field is None
    assert sensitivity(encoder, 60, 59)[0] > 0


@parametrize_cases(CASES)
def test_path_length_counts_hops_within_the_field_alone(case: Case) -> None:
    """A recurrence takes a hop for each step and each layer, a hierarchy one a level, convolutions two a block, and
    bidirectional encoders one more for their projection. Negative lags and lags beyond the field are errors. Those of
    `test_path_length` are counted there, too."""
    encoder = make_encoder(case)
    lags = range(case.field or 1000)
    if case.field is None:
        layers = case.options.get("num_layers", 1)
        if case.name == "clockwork-rnn":
            # The slowest of eight modules, or as many as there are units, acts at every 2^(g - 1)-th step.
            period = 2 ** (min(case.options.get("num_modules", 8), case.options["hidden_size"]) - 1)
            expected = [math.floor(lag / period) + layers for lag in lags]
        elif case.name == "rhn":
            expected = [3 * (lag + layers) for lag in lags]
        elif case.name == "rnn-attention":
            # Beyond the step itself the average is one hop more, whatever the lag.
            expected = [layers + min(lag, 1) for lag in lags]
        elif case.name in {*ATTENTION, "linear-attention"}:
            expected = [layers] * len(lags)
        elif case.name in ("mamba2", "gated-deltanet"):
            # A convolution of four taps in every block.
            expected = [max(0, lag - 3 * layers) + layers for lag in lags]
        elif case.name == "han-memory":
            expected = [layers] * len(lags)
        elif case.name == "seq2seq":
            expected = [layers + min(lag, 1) for lag in lags]
        elif case.name == "seq2seq-fixed":
            # c, and what lies between the encoder's ends and the source's farthest step.
            two_ways = case.options.get("bidirectional", True)
            farthest = 1 + (case.source - 1) // 2 if two_ways else case.source
            expected = [layers + min(lag, farthest) for lag in lags]
        else:
            expected = [lag + layers for lag in lags]
    elif case.name == "tcn":
        blocks = len(list(encoder.trace(noise(1, 1, INPUT_SIZE)).levels or ())) - 1
        expected = [blocks * (1 if case.options.get("block") == "wavenet" else 2)] * len(lags)
    else:
        levels = case.options.get("num_layers", 3 if case.field == 27 else 2)
        expected = [levels + (0 if case.causal else 1)] * len(lags)
    assert [encoder.path_length(lag) for lag in lags] == expected
    with pytest.raises(ValueError, match="0 or more steps back"):
        encoder.path_length(-1)
    if case.field is not None:
        with pytest.raises(ValueError, match=f"beyond the receptive field of {case.field} steps"):
            encoder.path_length(case.field)


@pytest.mark.parametrize("reach", [1, 2, 4, 5, 27, 28, 784, 1000, 1001, 9999, 10_000, 10_001, 1_000_000, 1_000_001])
def test_depth_and_window_are_the_least_that_cover_a_reach(reach: int) -> None:
    """The field covers the reach, and one block or one step of window less would not. Another level is added only if
    windows of 100 do not suffice."""
    han = build("han", 1, hidden_size=2, reach=reach)
    levels, field = han.path_length(0), han.receptive_field
    assert levels == next(n for n in (2, 3, 4) if 100**n >= reach)
    k = next(k for k in range(1, 101) if k**levels >= reach)
    assert field == k**levels
    tcn = build("tcn", 1, hidden_size=1, kernel_size=3, reach=reach)
    blocks = next(n for n in range(1, 30) if 1 + 4 * (2**n - 1) >= reach)
    assert tcn.path_length(0) == 2 * blocks
    assert tcn.receptive_field == 1 + 4 * (2**blocks - 1)
    wavenet = build("tcn", 1, hidden_size=1, kernel_size=2, reach=reach, block="wavenet", rounds=3)
    blocks = next(n for n in range(1, 30) if 1 + 3 * (2**n - 1) >= reach)
    assert wavenet.path_length(0) == 3 * blocks
    assert wavenet.receptive_field == 1 + 3 * (2**blocks - 1)


def test_a_given_window_or_depth_stays() -> None:
    """The other one is then the least that covers the reach; if both are given, the reach has no effect."""
    for window, num_layers, reach, expected in [
        (10, None, 1000, 10**3),
        (10, None, 1001, 10**4),
        (None, 3, 1000, 10**3),
        (None, 3, 1001, 11**3),
        (None, 1, 777, 777),
        (7, 2, 1000, 49),
        (1, None, 1, 1),
    ]:
        encoder = build("han", 1, hidden_size=2, window=window, num_layers=num_layers, reach=reach)
        assert encoder.receptive_field == expected
    with pytest.raises(ValueError, match="windows of 1 step never reach 1000"):
        build("han", 1, hidden_size=2, window=1)
    assert build("tcn", 1, hidden_size=1, kernel_size=2, num_layers=2, reach=1000).receptive_field == 7
