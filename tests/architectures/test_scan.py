"""Tests of the linear recurrence: every way to compute it, against a loop over the steps and finite differences."""

from typing import Any

import pytest
import torch
from torch import Tensor

from architectures.kernels import linear_scan, native
from architectures.kernels.scan import scan_by_doubling, scan_by_loop
from tests.architectures.cases import assert_close, noise

SHAPES = [(1, 1, 1), (3, 1, 7), (1, 9, 2), (2, 17, 5), (5, 12, 33), (9, 3, 64)]
Operands = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(params=["eager", "compiled"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Each available backend."""
    if request.param == "compiled" and (reason := native.unavailable_reason()):
        pytest.skip(reason)
    return request.param


def random_operands(batch: int, time: int, units: int, is_complex: bool, constant: bool) -> Operands:
    """Returns a, b and the start; factors lie within and beyond 1."""
    width = 2 * units if is_complex else units
    a = noise(*([width] if constant else [batch, time, width]), seed=1)
    a = a / 2 if is_complex else a.sigmoid() * 1.1
    return a.requires_grad_(), noise(batch, time, width).requires_grad_(), noise(batch, width, seed=2).requires_grad_()


def naive(a: Tensor, b: Tensor, start: Tensor, is_complex: bool) -> Tensor:
    """Computes the recurrence as it is written, with complex numbers as tensors of PyTorch's own."""
    if is_complex:
        a, b, start = (torch.complex(*value.chunk(2, dim=-1)) for value in (a, b, start))
    h, steps = start, []
    for t in range(b.shape[1]):
        h = (a if a.ndim == 1 else a[:, t]) * h + b[:, t]
        steps.append(torch.cat([h.real, h.imag], dim=-1) if is_complex else h)
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("batch", "time", "units"), SHAPES)
def test_it_is_a_loop(backend: Any, batch: int, time: int, units: int, is_complex: bool, constant: bool) -> None:
    """Values and the gradients of all operands, of single ones too, from gradients of any layout."""
    operands = random_operands(batch, time, units, is_complex, constant)
    h = linear_scan(*operands, is_complex=is_complex, backend=backend)
    expected = naive(*operands, is_complex)
    assert_close(h, expected)
    probe = noise(*h.shape, seed=3)
    wanted = torch.autograd.grad(expected, operands, probe)
    assert_close(torch.autograd.grad(h, operands, probe, retain_graph=True), wanted)
    spread = probe.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert_close(torch.autograd.grad(h, operands, spread, retain_graph=True), wanted)
    ones = torch.autograd.grad(h, operands, torch.ones_like(probe), retain_graph=True)
    assert_close(torch.autograd.grad(h.sum(), operands), ones)
    for index, value in enumerate(operands):
        one = [other if other is value else other.detach() for other in operands]
        again = linear_scan(*one, is_complex=is_complex, backend=backend)
        assert torch.equal(again, h)
        assert_close(torch.autograd.grad(again, value, probe)[0], wanted[index])
    with torch.no_grad():
        assert torch.equal(linear_scan(*operands, is_complex=is_complex, backend=backend), h)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("is_complex", [False, True])
def test_gradients_are_those_of_finite_differences(backend: Any, is_complex: bool, constant: bool) -> None:
    operands = random_operands(2, 5, 3, is_complex, constant)
    assert torch.autograd.gradcheck(
        lambda a, b, start: linear_scan(a, b, start, is_complex=is_complex, backend=backend), operands
    )


@pytest.mark.parametrize(("batch", "time", "units"), SHAPES)
def test_doubling_is_the_loop(batch: int, time: int, units: int) -> None:
    """What devices without a loop compute, for real and complex numbers, and for constant factors."""
    for is_complex in (False, True):
        for constant in (False, True):
            operands = [value.detach() for value in random_operands(batch, time, units, is_complex, constant)]
            if is_complex:
                operands = [torch.complex(*value.chunk(2, dim=-1)) for value in operands]
            assert_close(scan_by_doubling(*operands), scan_by_loop(*operands))


def test_operands_may_lie_anywhere_in_memory(backend: Any) -> None:
    """As slices of a product for several gates, with strides, or expanded."""
    a, b, start = (value.detach() for value in random_operands(3, 7, 5, False, False))
    expected = linear_scan(a, b, start, backend=backend)
    side_by_side = torch.cat([a, b], dim=2)
    assert torch.equal(linear_scan(side_by_side[..., :5], side_by_side[..., 5:], start, backend=backend), expected)
    turned = b.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(linear_scan(a, turned, start.t().contiguous().t(), backend=backend), expected)
    one = linear_scan(a[:1].expand_as(a), b, start, backend=backend)
    assert torch.equal(one, linear_scan(a[:1].repeat(3, 1, 1), b, start, backend=backend))


@pytest.mark.parametrize("is_complex", [False, True])
def test_single_precision_holds_over_long_sequences(backend: Any, is_complex: bool) -> None:
    """20,000 steps, with factors from nothing to almost 1, differ from double precision by less than 1e-5 of the
    largest number, in values and in gradients; so does the way of other devices."""
    time, units = 20_000, 8
    size = noise(1, time, units, seed=1).mul(4).add(5).sigmoid()
    if is_complex:
        angle = noise(1, time, units, seed=4)
        a = torch.cat([size * angle.cos(), size * angle.sin()], dim=2)
    else:
        a = size
    # Rounded first: how exact the operands are is not the question.
    a, b, start = (value.float().double() for value in (a, noise(1, time, a.shape[2]), noise(1, a.shape[2], seed=2)))

    def outcome(dtype: torch.dtype) -> list[Tensor]:
        operands = [value.to(dtype, copy=True).requires_grad_() for value in (a, b, start)]
        h = linear_scan(operands[0], operands[1], operands[2], is_complex=is_complex, backend=backend)
        probe = noise(*h.shape, seed=3).to(dtype)
        return [h.detach(), *torch.autograd.grad(h, operands, probe)]

    for single, double in zip(outcome(torch.float32), outcome(torch.float64), strict=True):
        assert (single - double).abs().max() < 1e-5 * double.abs().max()
    if not is_complex:
        doubled = scan_by_doubling(a.float(), b.float(), start.float())
        assert (doubled - scan_by_loop(a, b, start)).abs().max() < 1e-5 * doubled.abs().max()


def test_half_precision_is_summed_in_float32(backend: Any) -> None:
    """A sum of 3,000 ones, which would stop growing at 256 in bfloat16, and at 2,048 in float16."""
    for dtype in (torch.float16, torch.bfloat16):
        ones = torch.ones(1, 3000, 2, dtype=dtype)
        h = linear_scan(ones, ones, torch.zeros(1, 2, dtype=dtype), backend=None if backend == "compiled" else backend)
        assert h.dtype == dtype
        assert torch.equal(h[0, -1], torch.full((2,), 3000.0).to(dtype))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert linear_scan(ones, ones, torch.zeros(1, 2, dtype=dtype)).dtype == torch.float32


def test_the_number_of_threads_changes_no_bit(backend: Any) -> None:
    """One row is shared by the threads, too."""
    threads, results = torch.get_num_threads(), []
    operands = random_operands(1, 7, 70, True, False)
    try:
        for number in (1, 2, 5):
            torch.set_num_threads(number)
            h = linear_scan(*operands, is_complex=True, backend=backend)
            results.append((h.detach(), *torch.autograd.grad(h.square().sum(), operands)))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_nan_reaches_its_own_unit_from_its_step_on(backend: Any) -> None:
    a, b, start = (value.detach() for value in random_operands(2, 6, 19, False, False))
    b[0, 2, 17] = torch.nan
    is_nan = linear_scan(a, b, start, backend=backend).isnan()
    assert is_nan[0, 2:, 17].all()
    assert is_nan.sum() == 4


@pytest.mark.parametrize(
    ("shapes", "is_complex", "reason"),
    [
        (((2, 4), (2, 4), (2, 4)), False, r"b must be \(batch, time, units\)"),
        (((2, 3, 5), (2, 3, 4), (2, 4)), False, "a must be of the shape of b"),
        (((3,), (2, 3, 4), (2, 4)), False, "a must be of the shape of b"),
        (((4,), (2, 3, 4), (1, 4)), False, r"the start must be \(2, 4\)"),
        (((3,), (2, 3, 3), (2, 3)), True, "as many imaginary as real parts"),
    ],
)
def test_operands_that_do_not_fit_are_refused(
    shapes: tuple[tuple[int, ...], ...], is_complex: bool, reason: str
) -> None:
    a, b, start = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=reason):
        linear_scan(a, b, start, is_complex=is_complex)
