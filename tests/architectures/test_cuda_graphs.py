"""Tests of the averages' recurrence in chunks, as CUDA graphs and without, against the eager one."""

import functools
import itertools
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures.kernels import ATTENTIONS, INITIAL_LOG_DENOMINATOR, Attention, autograd, cuda_graphs, eager
from architectures.kernels.cuda_graphs import BackwardChunk, ForwardChunk
from tests.architectures.cases import assert_close, noise
from tests.architectures.graph_double import Tape, record
from tests.architectures.test_kernels import random_operands

CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True))]
each_choice = pytest.mark.parametrize(("attention", "hidden_tanh", "discounted"), CHOICES)
GPU_MARKS = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))
each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU_MARKS)])
Captures = list[Callable[[], object]]
DEFAULT_CHUNK_STEPS, REAL_CAPTURE = cuda_graphs.CHUNK_STEPS, cuda_graphs.capture
EXP: dict[str, Any] = {"attention": "exp", "hidden_tanh": True}


@pytest.fixture(autouse=True)
def captures(monkeypatch: pytest.MonkeyPatch) -> Captures:
    """The replay functions captured so far, one for each chunk's pass; chunks have 4 and 2 steps, and none is cached.

    On the CPU a stand-in records the operations and replays them as a graph would.
    """
    replays: Captures = []

    def capture_and_record(work: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
        replays.append(real_capture(work, device, stream) if device.type == "cuda" else record(work))
        return replays[-1]

    real_capture = cuda_graphs.capture
    monkeypatch.setattr(cuda_graphs, "capture", capture_and_record)
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", (4, 2))
    monkeypatch.setattr(cuda_graphs, "forward_chunk", functools.lru_cache(cuda_graphs.MAX_CACHED_GRAPHS)(ForwardChunk))
    monkeypatch.setattr(
        cuda_graphs, "backward_chunk", functools.lru_cache(cuda_graphs.MAX_CACHED_GRAPHS)(BackwardChunk)
    )
    return replays


def random_inputs(batch: int, steps: int, units: int = 5, discounted: bool = True, **to: Any) -> tuple[Tensor, ...]:
    """Returns all operands, with r and l of a carried state."""
    carried = noise(batch, units, seed=7).requires_grad_()
    values = (*random_operands(batch, steps, units, discounted), carried)
    return tuple(value.detach().to(**to).requires_grad_() for value in values)


def run_average(inputs: tuple[Tensor, ...], passes: Any, **options: Any) -> tuple[Tensor, ...]:
    x, weight_x, bias, weight_h, r, l = inputs
    return autograd.discounted_average(x, weight_x, bias, weight_h, r, l, output_tanh=False, passes=passes, **options)


def run_states(inputs: tuple[Tensor, ...], passes: Any, **options: Any) -> tuple[Tensor, ...]:
    x, weight_x, bias, weight_h, r, l = inputs
    return autograd.discounted_average_states(x, weight_x, bias, weight_h, r, l, passes=passes, **options)


def projected_gradients(results: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Returns the gradients, with respect to every operand, of a random projection."""
    probes = (noise(*value.shape, seed=20 + index).to(value) for index, value in enumerate(results))
    total = torch.stack([(value * probe).sum() for value, probe in zip(results, probes, strict=True)]).sum()
    return torch.autograd.grad(total, inputs)


def check_agreement(inputs: tuple[Tensor, ...], tolerance: float = 1e-11, **options: Any) -> None:
    """Checks that values and gradients are the eager ones, whichever of the values gradients come from."""
    for compute, groups in (run_average, ([0], [1], [2], [0, 1, 2])), (run_states, ([0], [1], [0, 1])):
        results, expected = compute(inputs, cuda_graphs, **options), compute(inputs, eager, **options)
        assert_close(results, expected, tolerance)
        for group in groups:
            graph_results = compute(inputs, cuda_graphs, **options)
            eager_results = compute(inputs, eager, **options)
            assert_close(
                projected_gradients(tuple(graph_results[i] for i in group), inputs),
                projected_gradients(tuple(eager_results[i] for i in group), inputs),
                tolerance,
            )


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 3), (3, 11)])
@each_device
@each_choice
def test_chunks_and_the_eager_loop_agree(
    request: pytest.FixtureRequest,
    attention: Attention,
    hidden_tanh: bool,
    discounted: bool,
    device: str,
    batch: int,
    steps: int,
) -> None:
    """For sequences shorter than a chunk, of one, of several, and of some and a rest."""
    # The switch behind it makes cuBLAS ask for a variable that must be set before it is loaded.
    if device == "cpu":
        request.getfixturevalue("poisoned")
    inputs = random_inputs(batch, steps, discounted=discounted, device=device)
    check_agreement(inputs, attention=attention, hidden_tanh=hidden_tanh)


@pytest.mark.parametrize("hidden_tanh", [False, True])
@each_device
def test_chunks_agree_in_single_precision(device: str, hidden_tanh: bool) -> None:
    check_agreement(
        random_inputs(3, 11, device=device, dtype=torch.float32), 2e-5, attention="sigmoid", hidden_tanh=hidden_tanh
    )


@pytest.mark.parametrize(("steps", "num_lengths"), [(64, 1), (200, 2), (141, 2), (7, 0)])
@each_device
def test_chunks_of_the_usual_length_agree(
    monkeypatch: pytest.MonkeyPatch, captures: Captures, device: str, steps: int, num_lengths: int
) -> None:
    """From where a sequence starts, and with a capture for each length of chunks that it falls into."""
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", DEFAULT_CHUNK_STEPS)
    x, *rest, l = random_inputs(2, steps, 3, device=device)
    inputs = (x, *rest, torch.full_like(l, INITIAL_LOG_DENOMINATOR).requires_grad_())
    results, expected = run_average(inputs, cuda_graphs, **EXP), run_average(inputs, eager, **EXP)
    assert_close(results, expected)
    assert_close(projected_gradients(results[:2], inputs), projected_gradients(expected[:2], inputs))
    assert len(captures) == 2 * num_lengths


@each_device
def test_without_gradients_values_are_the_same(captures: Captures, device: str) -> None:
    """Nothing that only a backward pass needs is saved or copied for a step."""
    inputs = random_inputs(3, 7, device=device)
    expected, states = run_average(inputs, cuda_graphs, **EXP), run_states(inputs, cuda_graphs, **EXP)
    with torch.no_grad():
        assert_close(run_average(inputs, cuda_graphs, **EXP), expected, 0.0)
        assert_close(run_states(inputs, cuda_graphs, **EXP), states, 0.0)
    # Two lengths of chunks, for the last l or all of them, with all the rest or without.
    assert len(captures) == 8


@each_device
def test_training_may_follow_inference(device: str) -> None:
    """Chunks that were made in inference mode serve outside of it, and the other way round."""
    inputs = random_inputs(3, 7, device=device)
    with torch.inference_mode():
        before = run_average(inputs, cuda_graphs, **EXP)
    check_agreement(inputs, **EXP)
    with torch.no_grad():
        assert_close(run_average(inputs, cuda_graphs, **EXP), before, 0.0)
    with torch.inference_mode():
        assert_close(run_average(inputs, cuda_graphs, **EXP), before, 0.0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
@pytest.mark.parametrize("lengths", [(7, 7), (7, 12), (4, 4)])
@each_device
def test_two_calls_may_be_under_way(
    device: str, lengths: tuple[int, int], order: tuple[int, int], captures: Captures
) -> None:
    """The next call overwrites neither the outputs nor what is saved for the backward pass."""
    calls = []
    for scale, steps in enumerate(lengths, start=1):
        inputs = tuple((value / scale).detach().requires_grad_() for value in random_inputs(3, steps, device=device))
        calls.append((inputs, run_average(inputs, cuda_graphs, **EXP), run_average(inputs, eager, **EXP)))
    grads_by_call = {index: projected_gradients(calls[index][1], calls[index][0]) for index in order}
    for index, (inputs, results, expected) in enumerate(calls):
        assert_close(results, expected, 1e-11)
        assert_close(grads_by_call[index], projected_gradients(expected, inputs), 1e-11)


@each_device
def test_each_kind_of_chunk_is_captured_once(captures: Captures, device: str) -> None:
    def captures_after(
        steps: int, batch: int = 3, units: int = 5, outputs: tuple[int, ...] = (0, 1, 2), **options: Any
    ) -> int:
        inputs = random_inputs(batch, steps, units, device=device)
        results = run_average(inputs, cuda_graphs, **{**EXP, **options})
        projected_gradients(tuple(results[index] for index in outputs), inputs)
        return len(captures)

    assert captures_after(1) == 0
    assert captures_after(9) == 2
    assert captures_after(9) == captures_after(5) == captures_after(12) == captures_after(1) == 2
    assert captures_after(7) == captures_after(6) == captures_after(2) == 4
    # Gradients of h alone, and of the last state alone: the latter come in as R and L.
    assert captures_after(4, outputs=(0,)) == 4
    assert captures_after(4, outputs=(1,)) == captures_after(8, outputs=(2,)) == captures_after(8, outputs=(1, 2)) == 5
    assert captures_after(4, batch=2) == captures_after(4, batch=3) == 7
    assert captures_after(4, units=6) == 9
    assert captures_after(4, attention="sigmoid") == 11
    assert captures_after(4, hidden_tanh=False) == 13
    assert captures_after(4) == 13


def test_layers_of_other_inputs_share_a_backward_pass(captures: Captures) -> None:
    for inputs in (2, 6):
        x, weight_x, *rest = random_inputs(3, 4)
        x, weight_x = (torch.cat([value] * (inputs // 2), dim) for value, dim in ((x, 2), (weight_x, 0)))
        check_agreement((x, weight_x, *rest), **EXP)
    forwards, backwards = cuda_graphs.forward_chunk.cache_info(), cuda_graphs.backward_chunk.cache_info()
    assert (forwards.misses, backwards.misses) == (4, 2 + 3)
    assert len(captures) == 9


def test_few_chunks_are_remembered(monkeypatch: pytest.MonkeyPatch, captures: Captures) -> None:
    """Those used last; what is forgotten is captured again."""
    monkeypatch.setattr(cuda_graphs, "forward_chunk", functools.lru_cache(2)(ForwardChunk))
    with torch.no_grad():
        for batch, number in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
            inputs = random_inputs(batch, 4)
            assert_close(run_average(inputs, cuda_graphs, **EXP), run_average(inputs, eager, **EXP), 1e-12)
            assert len(captures) == number
    assert cuda_graphs.forward_chunk.cache_info().currsize == 2


@each_device
def test_every_run_reads_all_that_it_uses(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """Chunks whose memory is filled with NaN after every pass give the same bits."""
    chunks: list[ForwardChunk | BackwardChunk] = []

    def recording_factory(chunk_class: Any) -> Any:
        @functools.cache
        def build(*arguments: Any) -> Any:
            chunks.append(chunk_class(*arguments))
            return chunks[-1]

        return build

    monkeypatch.setattr(cuda_graphs, "forward_chunk", recording_factory(ForwardChunk))
    monkeypatch.setattr(cuda_graphs, "backward_chunk", recording_factory(BackwardChunk))
    inputs = random_inputs(3, 11, device=device)
    options = {"attention": "softplus", "hidden_tanh": True}
    first = run_average(inputs, cuda_graphs, **options)
    grads = projected_gradients(first, inputs)
    assert len(chunks) == 4

    def poisoning(function: Any) -> Any:
        def run(*args: Any) -> Any:
            result = function(*args)
            for chunk in chunks:
                poison(chunk)
            return result

        return run

    passes = SimpleNamespace(forward=poisoning(cuda_graphs.forward), backward=poisoning(cuda_graphs.backward))
    for _ in range(2):
        second = run_average(inputs, passes, **options)
        assert_close(second, first, 0.0)
        assert_close(projected_gradients(second, inputs), grads, 0.0)


def poison(chunk: ForwardChunk | BackwardChunk) -> None:
    """Fills all memory that a chunk owns with NaN."""
    tensors = {**vars(chunk), "saved": chunk.saved.tensors(), "output_grads": getattr(chunk, "output_grads", ())}
    for values in tensors.values():
        for value in values if isinstance(values, tuple) else (values,):
            if isinstance(value, Tensor):
                value.fill_(torch.nan)


@each_device
def test_threads_do_not_meet_in_a_chunk(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    inputs = [
        tuple((v / (1 + i)).detach().requires_grad_() for v in random_inputs(3, 8, device=device)) for i in range(3)
    ]
    expected = [run_average(operands, eager, **EXP) for operands in inputs]
    expected_grads = [projected_gradients(values, operands) for values, operands in zip(expected, inputs, strict=True)]
    results: dict[int, Any] = {}
    capture: Any = cuda_graphs.capture

    def slow_capture(function: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
        replay = capture(function, device, stream)

        def slow_replay() -> None:
            time.sleep(0.002)
            replay()
            time.sleep(0.002)

        return slow_replay

    monkeypatch.setattr(cuda_graphs, "capture", slow_capture)

    def run_thread(index: int) -> None:
        values = run_average(inputs[index], cuda_graphs, **EXP)
        results[index] = values, projected_gradients(values, inputs[index])

    threads = [threading.Thread(target=run_thread, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(3):
        assert_close(results[index], (expected[index], expected_grads[index]), 1e-11)


@pytest.mark.parametrize("steps", [(64, 8), (4, 2), (6,)])
def test_pieces_are_all_steps_in_order(monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]) -> None:
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", steps)
    for total in range(200):
        pieces = cuda_graphs._split_steps(total)
        assert [t for piece in pieces for t in range(piece.start, piece.stop)] == [*range(total)]
        sizes = [piece.stop - piece.start for piece in pieces]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(size not in steps for size in sizes) <= 1
        assert all(0 < size < steps[-1] for size in sizes if size not in steps)


@each_device
def test_float32_products_have_the_current_precision(captures: Captures, device: str) -> None:
    """A chunk captured in one precision does not serve when another is asked for."""
    inputs = random_inputs(3, 4, device=device, dtype=torch.float32)
    precision = torch.get_float32_matmul_precision()
    try:
        for number, name in enumerate(("highest", "high", "highest"), start=1):
            torch.set_float32_matmul_precision(name)
            with torch.no_grad():
                run_average(inputs, cuda_graphs, **EXP)
            assert len(captures) == min(number, 2)
    finally:
        torch.set_float32_matmul_precision(precision)


@each_device
def test_a_backward_pass_under_autocast_is_exact(device: str) -> None:
    """And leaves no graph behind that is less exact."""
    inputs = random_inputs(3, 11, device=device, dtype=torch.float32)
    results, results_again, expected = (
        run_average(inputs, passes, **EXP) for passes in (cuda_graphs, cuda_graphs, eager)
    )
    expected_grads = projected_gradients(expected, inputs)
    # Only the recurrence's own part: what comes after the loop is not a chunk's.
    with torch.autocast(device, torch.bfloat16):
        grads = projected_gradients(results, inputs)
    assert_close(grads[4:], expected_grads[4:], 2e-5)
    assert_close(projected_gradients(results_again, inputs), expected_grads, 2e-5)


def test_what_a_chunk_launches_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations outside of the graphs are as many for 32 steps as for 4, forward and backward."""
    monkeypatch.setattr(cuda_graphs, "capture", lambda work, device, stream: lambda: None)
    counts = set()
    for steps in (4, 32):
        monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", (steps,))
        inputs = random_inputs(3, steps)
        projected_gradients(run_average(inputs, cuda_graphs, **EXP), inputs)
        with Tape() as tape:
            projected_gradients(run_average(inputs, cuda_graphs, **EXP), inputs)
        counts.add(len(tape.calls))
    assert len(counts) == 1


def test_inside_another_recording_nothing_is_captured(monkeypatch: pytest.MonkeyPatch, captures: Captures) -> None:
    monkeypatch.setattr(cuda_graphs, "_is_capturing", lambda device: True)
    check_agreement(random_inputs(3, 11), **EXP)
    assert not captures


@pytest.mark.gpu
@GPU_MARKS[1]
def test_a_surrounding_graph_records_everything(captures: Captures) -> None:
    """A caller's own graph, of a whole forward pass."""
    inputs = random_inputs(3, 11, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad():
        expected = run_average(inputs, eager, **EXP)
        with torch.cuda.stream(side):
            run_average(inputs, eager, **EXP)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):
            results = run_average(inputs, cuda_graphs, **EXP)
    for value in results:
        value.fill_(torch.nan)
    graph.replay()
    assert_close(results, expected)
    assert not captures


@pytest.mark.gpu
@GPU_MARKS[1]
def test_streams_do_not_share_memory(captures: Captures) -> None:
    """Two streams at work at once, with chunks of the same form."""
    streams = [torch.cuda.Stream() for _ in range(2)]
    inputs = [
        tuple((v / (1 + i)).detach().requires_grad_() for v in random_inputs(3, 40, device="cuda")) for i in range(2)
    ]
    expected = [run_average(operands, eager, **EXP) for operands in inputs]
    torch.cuda.synchronize()
    results: list[Any] = []
    for _ in range(5):
        results = []
        for stream, operands in zip(streams, inputs, strict=True):
            with torch.cuda.stream(stream):
                results.append(run_average(operands, cuda_graphs, **EXP))
    torch.cuda.synchronize()
    assert_close(results, expected)
    assert len(captures) == 2


@each_device
def test_a_capture_does_again_what_was_done(device: str) -> None:
    """With what the memory holds at the replay, not at the capture."""
    a, b = torch.zeros(3, device=device), torch.zeros(3, device=device)
    replay = REAL_CAPTURE(lambda: torch.add(a, 1, out=b), a.device)
    for number in (1.0, 5.0):
        a.fill_(number)
        replay()
        assert_close(b, torch.full_like(b, number + 1), 0.0)
