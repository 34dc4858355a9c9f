"""Tests of what every architecture does with input that is not a float32 tensor: it works, or one line says why not."""

import warnings
from typing import Any

import pytest
import torch

import architectures
from tests.architectures.cases import DEFAULT_CASES, INPUT_SIZE, Case, make_encoder, noise, parametrize_cases

EVERY_NAME = parametrize_cases(DEFAULT_CASES)


@EVERY_NAME
def test_what_is_no_ordinary_tensor_is_refused(case: Case) -> None:
    """Arrays, lists, sparse and nested tensors, in calls and traces, as input and as lengths."""
    encoder, x = make_encoder(case), noise(2, 4, INPUT_SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # once a process, that they are a prototype
        nested = torch.nested.nested_tensor([x[0], x[1, :2]])
    cases: list[tuple[Any, str]] = [
        (x.numpy(), r"x must be a tensor, .* not numpy\.ndarray"),
        (x.tolist(), r"x must be a tensor, .* not builtins\.list"),
        (x.to_sparse(), "x must be an ordinary, dense tensor, not a torch.sparse_coo one"),
        (nested, "x must be an ordinary, dense tensor, not a nested one"),
    ]
    for wrong, reason in cases:
        for call in (encoder, encoder.trace):
            with pytest.raises(TypeError, match=reason):
                call(wrong)
    with pytest.raises(TypeError, match=r"lengths must be a tensor, .* not builtins\.list"):
        encoder(x, lengths=[4, 2])


@EVERY_NAME
def test_input_of_another_type_than_the_weights_is_refused(case: Case) -> None:
    encoder, x = make_encoder(case, dtype=torch.float32), noise(2, 4, INPUT_SIZE)
    for wrong in (x, x.half(), x.long(), x > 0, x.to(torch.complex64)):
        with pytest.raises(TypeError, match=rf"x is {wrong.dtype}, but the encoder's weights are torch.float32"):
            encoder(wrong)
    with pytest.raises(ValueError, match="x is on meta, but the encoder's weights are on cpu"):
        encoder(x.float().to("meta"))


@EVERY_NAME
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_agrees_with_double(case: Case, dtype: torch.dtype) -> None:
    """To the digits that it has: outputs, gradients, the trace, and from a carried state."""
    encoder, x = make_encoder(case, fresh=True), noise(2, 6, INPUT_SIZE).to(dtype)
    low = make_encoder(case, fresh=True, dtype=dtype)
    encoder.load_state_dict(low.state_dict())
    expected, _ = encoder(x.double())
    y, state = low(x[:, :4]) if case.causal else low(x)
    assert y.dtype == dtype
    if case.causal:
        y = torch.cat([y, low(x[:, 4:], state)[0]], dim=1)
    tolerance = 30 * torch.finfo(dtype).eps
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(low.trace(x).y.double(), expected, rtol=tolerance, atol=tolerance)
    y.float().sum().backward()
    expected.sum().backward()
    total = torch.cat([parameter.grad.flatten() for parameter in encoder.parameters() if parameter.grad is not None])
    actual = torch.cat([parameter.grad.flatten() for parameter in low.parameters() if parameter.grad is not None])
    assert float((actual.double() - total).norm()) <= tolerance * float(total.norm())


def test_under_autocast_every_floating_type_is_taken() -> None:
    """PyTorch converts the operands of products itself; a processor without bfloat16 computes the LSTM in float32."""
    encoder, x = architectures.build("lstm", 3, hidden_size=4), noise(2, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = encoder(x.bfloat16())
        encoder(x.bfloat16(), state)
        with pytest.raises(TypeError, match=r"x is torch\.int64"):
            encoder(x.long())
    has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert y.dtype == (torch.bfloat16 if has_bfloat16 else torch.float32)
