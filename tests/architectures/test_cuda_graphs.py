"""The recurrence of the averages in chunks, as CUDA graphs and without, against the eager one."""

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

from architectures.kernels import ATTENTIONS, START, Attention, autograd, cuda_graphs, eager
from architectures.kernels.cuda_graphs import BackwardChunk, ForwardChunk
from tests.architectures.cases import close, noise
from tests.architectures.graph_double import Tape, recorded
from tests.architectures.test_kernels import operands

CHOICES = [*itertools.product(ATTENTIONS, (False, True), (False, True))]
chosen = pytest.mark.parametrize(("attention", "hidden_tanh", "discounted"), CHOICES)
on_a_gpu = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"))
anywhere = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_a_gpu)])
Captures = list[Callable[[], object]]
USUAL, CAPTURED = cuda_graphs.CHUNK_STEPS, cuda_graphs.capture
EXP: dict[str, Any] = {"attention": "exp", "hidden_tanh": True}


@pytest.fixture(autouse=True)
def captures(monkeypatch: pytest.MonkeyPatch) -> Captures:
    """What was captured, a chunk's pass each; chunks of 4 and of 2 steps, none of them there before. On the CPU what is
    captured is done again as a graph would do it."""
    found: Captures = []

    def captured(work: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
        found.append(original(work, device, stream) if device.type == "cuda" else recorded(work))
        return found[-1]

    original = cuda_graphs.capture
    monkeypatch.setattr(cuda_graphs, "capture", captured)
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", (4, 2))
    monkeypatch.setattr(cuda_graphs, "forward_chunk", functools.lru_cache(cuda_graphs.MAX_CACHED_GRAPHS)(ForwardChunk))
    monkeypatch.setattr(
        cuda_graphs, "backward_chunk", functools.lru_cache(cuda_graphs.MAX_CACHED_GRAPHS)(BackwardChunk)
    )
    return found


def given(batch: int, steps: int, units: int = 5, discounted: bool = True, **to: Any) -> tuple[Tensor, ...]:
    """All operands, r and l carried in from before."""
    carried = noise(batch, units, seed=7).requires_grad_()
    values = (*operands(batch, steps, units, discounted), carried)
    return tuple(value.detach().to(**to).requires_grad_() for value in values)


def averaged(inputs: tuple[Tensor, ...], passes: Any, **options: Any) -> tuple[Tensor, ...]:
    x, weight_x, bias, weight_h, r, l = inputs
    return autograd.average(x, weight_x, bias, weight_h, r, l, output_tanh=False, passes=passes, **options)


def all_states(inputs: tuple[Tensor, ...], passes: Any, **options: Any) -> tuple[Tensor, ...]:
    x, weight_x, bias, weight_h, r, l = inputs
    return autograd.states(x, weight_x, bias, weight_h, r, l, passes=passes, **options)


def derived(found: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The gradients, with respect to every operand, of a sum in which no two numbers count alike."""
    probes = (noise(*value.shape, seed=20 + index).to(value) for index, value in enumerate(found))
    total = torch.stack([(value * probe).sum() for value, probe in zip(found, probes, strict=True)]).sum()
    return torch.autograd.grad(total, inputs)


def agree(inputs: tuple[Tensor, ...], tolerance: float = 1e-11, **options: Any) -> None:
    """Values and gradients are the eager ones, whichever of the values gradients come from."""
    for run, parts in (averaged, ([0], [1], [2], [0, 1, 2])), (all_states, ([0], [1], [0, 1])):
        found, expected = run(inputs, cuda_graphs, **options), run(inputs, eager, **options)
        close(found, expected, tolerance)
        for some in parts:
            mine = run(inputs, cuda_graphs, **options)
            theirs = run(inputs, eager, **options)
            close(
                derived(tuple(mine[i] for i in some), inputs),
                derived(tuple(theirs[i] for i in some), inputs),
                tolerance,
            )


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 2), (1, 3), (3, 4), (3, 7), (1, 8), (3, 11)])
@anywhere
@chosen
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
    inputs = given(batch, steps, discounted=discounted, device=device)
    agree(inputs, attention=attention, hidden_tanh=hidden_tanh)


@pytest.mark.parametrize("hidden_tanh", [False, True])
@anywhere
def test_chunks_agree_in_single_precision(device: str, hidden_tanh: bool) -> None:
    agree(given(3, 11, device=device, dtype=torch.float32), 2e-5, attention="sigmoid", hidden_tanh=hidden_tanh)


@pytest.mark.parametrize(("steps", "kinds"), [(64, 1), (200, 2), (141, 2), (7, 0)])
@anywhere
def test_chunks_of_the_usual_length_agree(
    monkeypatch: pytest.MonkeyPatch, captures: Captures, device: str, steps: int, kinds: int
) -> None:
    """From where a sequence starts, and with a capture for each length of chunks that it falls into."""
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", USUAL)
    x, *rest, l = given(2, steps, 3, device=device)
    inputs = (x, *rest, torch.full_like(l, START).requires_grad_())
    found, expected = averaged(inputs, cuda_graphs, **EXP), averaged(inputs, eager, **EXP)
    close(found, expected)
    close(derived(found[:2], inputs), derived(expected[:2], inputs))
    assert len(captures) == 2 * kinds


@anywhere
def test_without_gradients_values_are_the_same(captures: Captures, device: str) -> None:
    """Of no step what only a backward pass would need is kept, or copied."""
    inputs = given(3, 7, device=device)
    expected, states = averaged(inputs, cuda_graphs, **EXP), all_states(inputs, cuda_graphs, **EXP)
    with torch.no_grad():
        close(averaged(inputs, cuda_graphs, **EXP), expected, 0.0)
        close(all_states(inputs, cuda_graphs, **EXP), states, 0.0)
    # Two lengths of chunks, for the last l or all of them, with all the rest or without.
    assert len(captures) == 8


@anywhere
def test_training_may_follow_inference(device: str) -> None:
    """Chunks that were made in inference mode serve outside of it, and the other way round."""
    inputs = given(3, 7, device=device)
    with torch.inference_mode():
        before = averaged(inputs, cuda_graphs, **EXP)
    agree(inputs, **EXP)
    with torch.no_grad():
        close(averaged(inputs, cuda_graphs, **EXP), before, 0.0)
    with torch.inference_mode():
        close(averaged(inputs, cuda_graphs, **EXP), before, 0.0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first first", "last first"])
@pytest.mark.parametrize("lengths", [(7, 7), (7, 12), (4, 4)])
@anywhere
def test_two_calls_may_be_under_way(
    device: str, lengths: tuple[int, int], order: tuple[int, int], captures: Captures
) -> None:
    """What was put out and what is kept for the backward pass is not what the next call overwrites."""
    calls = []
    for scale, steps in enumerate(lengths, start=1):
        inputs = tuple((value / scale).detach().requires_grad_() for value in given(3, steps, device=device))
        calls.append((inputs, averaged(inputs, cuda_graphs, **EXP), averaged(inputs, eager, **EXP)))
    results = {index: derived(calls[index][1], calls[index][0]) for index in order}
    for index, (inputs, found, expected) in enumerate(calls):
        close(found, expected, 1e-11)
        close(results[index], derived(expected, inputs), 1e-11)


@anywhere
def test_each_kind_of_chunk_is_captured_once(captures: Captures, device: str) -> None:
    def after(steps: int, batch: int = 3, units: int = 5, of: tuple[int, ...] = (0, 1, 2), **options: Any) -> int:
        inputs = given(batch, steps, units, device=device)
        found = averaged(inputs, cuda_graphs, **{**EXP, **options})
        derived(tuple(found[index] for index in of), inputs)
        return len(captures)

    assert after(1) == 0
    assert after(9) == 2
    assert after(9) == after(5) == after(12) == after(1) == 2
    assert after(7) == after(6) == after(2) == 4
    # Gradients of h alone, and of the last state alone: the latter come in as R and L.
    assert after(4, of=(0,)) == 4
    assert after(4, of=(1,)) == after(8, of=(2,)) == after(8, of=(1, 2)) == 5
    assert after(4, batch=2) == after(4, batch=3) == 7
    assert after(4, units=6) == 9
    assert after(4, attention="sigmoid") == 11
    assert after(4, hidden_tanh=False) == 13
    assert after(4) == 13


def test_layers_of_other_inputs_share_a_backward_pass(captures: Captures) -> None:
    for inputs in (2, 6):
        x, weight_x, *rest = given(3, 4)
        x, weight_x = (torch.cat([value] * (inputs // 2), dim) for value, dim in ((x, 2), (weight_x, 0)))
        agree((x, weight_x, *rest), **EXP)
    forwards, backwards = cuda_graphs.forward_chunk.cache_info(), cuda_graphs.backward_chunk.cache_info()
    assert (forwards.misses, backwards.misses) == (4, 2 + 3)
    assert len(captures) == 9


def test_few_chunks_are_remembered(monkeypatch: pytest.MonkeyPatch, captures: Captures) -> None:
    """Those used last; what is forgotten is captured again."""
    monkeypatch.setattr(cuda_graphs, "forward_chunk", functools.lru_cache(2)(ForwardChunk))
    with torch.no_grad():
        for batch, number in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
            inputs = given(batch, 4)
            close(averaged(inputs, cuda_graphs, **EXP), averaged(inputs, eager, **EXP), 1e-12)
            assert len(captures) == number
    assert cuda_graphs.forward_chunk.cache_info().currsize == 2


@anywhere
def test_every_run_reads_all_that_it_uses(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """And leaves nothing behind: chunks whose memory is filled with NaN after every pass give the same bits."""
    made: list[ForwardChunk | BackwardChunk] = []

    def remembered(kind: Any) -> Any:
        @functools.cache
        def make(*form: Any) -> Any:
            made.append(kind(*form))
            return made[-1]

        return make

    monkeypatch.setattr(cuda_graphs, "forward_chunk", remembered(ForwardChunk))
    monkeypatch.setattr(cuda_graphs, "backward_chunk", remembered(BackwardChunk))
    inputs = given(3, 11, device=device)
    options = {"attention": "softplus", "hidden_tanh": True}
    first = averaged(inputs, cuda_graphs, **options)
    grads = derived(first, inputs)
    assert len(made) == 4

    def poisoning(one_pass: Any) -> Any:
        def run(*args: Any) -> Any:
            result = one_pass(*args)
            for chunk in made:
                poison(chunk)
            return result

        return run

    passes = SimpleNamespace(forward=poisoning(cuda_graphs.forward), backward=poisoning(cuda_graphs.backward))
    for _ in range(2):
        again = averaged(inputs, passes, **options)
        close(again, first, 0.0)
        close(derived(again, inputs), grads, 0.0)


def poison(chunk: ForwardChunk | BackwardChunk) -> None:
    """Fills all memory of a chunk's own with NaN."""
    own = {**vars(chunk), "saved": chunk.saved.tensors(), "outside": getattr(chunk, "outside", ())}
    for values in own.values():
        for value in values if isinstance(values, tuple) else (values,):
            if isinstance(value, Tensor):
                value.fill_(torch.nan)


@anywhere
def test_threads_do_not_meet_in_a_chunk(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    inputs = [tuple((v / (1 + i)).detach().requires_grad_() for v in given(3, 8, device=device)) for i in range(3)]
    expected = [averaged(each, eager, **EXP) for each in inputs]
    wanted = [derived(found, each) for found, each in zip(expected, inputs, strict=True)]
    results: dict[int, Any] = {}
    capture: Any = cuda_graphs.capture

    def slowed(work: Callable[[], object], device: torch.device, stream: int = 0) -> Callable[[], object]:
        replay = capture(work, device, stream)

        def slow() -> None:
            time.sleep(0.002)
            replay()
            time.sleep(0.002)

        return slow

    monkeypatch.setattr(cuda_graphs, "capture", slowed)

    def work(index: int) -> None:
        found = averaged(inputs[index], cuda_graphs, **EXP)
        results[index] = found, derived(found, inputs[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(3):
        close(results[index], (expected[index], wanted[index]), 1e-11)


@pytest.mark.parametrize("steps", [(64, 8), (4, 2), (6,)])
def test_pieces_are_all_steps_in_order(monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]) -> None:
    monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", steps)
    for total in range(200):
        pieces = cuda_graphs._pieces(total)
        assert [t for some in pieces for t in range(some.start, some.stop)] == [*range(total)]
        sizes = [some.stop - some.start for some in pieces]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(size not in steps for size in sizes) <= 1
        assert all(0 < size < steps[-1] for size in sizes if size not in steps)


@anywhere
def test_float32_products_have_the_precision_of_the_time(captures: Captures, device: str) -> None:
    """A chunk captured in one precision does not serve when another is asked for."""
    inputs = given(3, 4, device=device, dtype=torch.float32)
    precision = torch.get_float32_matmul_precision()
    try:
        for number, name in enumerate(("highest", "high", "highest"), start=1):
            torch.set_float32_matmul_precision(name)
            with torch.no_grad():
                averaged(inputs, cuda_graphs, **EXP)
            assert len(captures) == min(number, 2)
    finally:
        torch.set_float32_matmul_precision(precision)


@anywhere
def test_a_backward_pass_under_autocast_is_exact(device: str) -> None:
    """And leaves no graph behind that is less so."""
    inputs = given(3, 11, device=device, dtype=torch.float32)
    found, again, expected = (averaged(inputs, passes, **EXP) for passes in (cuda_graphs, cuda_graphs, eager))
    wanted = derived(expected, inputs)
    # Only the recurrence's own part: what comes after the loop is not a chunk's.
    with torch.autocast(device, torch.bfloat16):
        under = derived(found, inputs)
    close(under[4:], wanted[4:], 2e-5)
    close(derived(again, inputs), wanted, 2e-5)


def test_what_a_chunk_launches_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations outside of the graphs are as many for 32 steps as for 4, forward and backward."""
    monkeypatch.setattr(cuda_graphs, "capture", lambda work, device, stream: lambda: None)
    counts = set()
    for steps in (4, 32):
        monkeypatch.setattr(cuda_graphs, "CHUNK_STEPS", (steps,))
        inputs = given(3, steps)
        derived(averaged(inputs, cuda_graphs, **EXP), inputs)
        with Tape() as tape:
            derived(averaged(inputs, cuda_graphs, **EXP), inputs)
        counts.add(len(tape.calls))
    assert len(counts) == 1


def test_inside_another_recording_nothing_is_captured(monkeypatch: pytest.MonkeyPatch, captures: Captures) -> None:
    monkeypatch.setattr(cuda_graphs, "_is_capturing", lambda device: True)
    agree(given(3, 11), **EXP)
    assert not captures


@pytest.mark.gpu
@on_a_gpu[1]
def test_a_graph_around_it_holds_all_of_it(captures: Captures) -> None:
    """A caller's own graph, of a whole forward pass."""
    inputs = given(3, 11, device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad():
        expected = averaged(inputs, eager, **EXP)
        with torch.cuda.stream(side):
            averaged(inputs, eager, **EXP)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):
            found = averaged(inputs, cuda_graphs, **EXP)
    for value in found:
        value.fill_(torch.nan)
    graph.replay()
    close(found, expected)
    assert not captures


@pytest.mark.gpu
@on_a_gpu[1]
def test_streams_do_not_share_memory(captures: Captures) -> None:
    """Two streams at work at once, with chunks of the same form."""
    streams = [torch.cuda.Stream() for _ in range(2)]
    inputs = [tuple((v / (1 + i)).detach().requires_grad_() for v in given(3, 40, device="cuda")) for i in range(2)]
    expected = [averaged(each, eager, **EXP) for each in inputs]
    torch.cuda.synchronize()
    found: list[Any] = []
    for _ in range(5):
        found = []
        for stream, each in zip(streams, inputs, strict=True):
            with torch.cuda.stream(stream):
                found.append(averaged(each, cuda_graphs, **EXP))
    torch.cuda.synchronize()
    close(found, expected)
    assert len(captures) == 2


@anywhere
def test_a_capture_does_again_what_was_done(device: str) -> None:
    """With what is in the memory then, and not when it was captured."""
    a, b = torch.zeros(3, device=device), torch.zeros(3, device=device)
    replay = CAPTURED(lambda: torch.add(a, 1, out=b), a.device)
    for number in (1.0, 5.0):
        a.fill_(number)
        replay()
        close(b, torch.full_like(b, number + 1), 0.0)
