"""The recurrence of the averages against itself in double precision on the CPU, and against itself."""

import functools

import pytest
import torch

from tests.gpu.devices import each_backend, largest
from tests.gpu.recurrences import EXACT, Problem, distances, drawn, poison, solved

LIMITS = {"highest": 1e-5, "high": 3e-3, "medium": 2e-2, "bf16": 2e-2}
"""||found - exact|| / ||exact||."""
REPEATS = 20


@functools.cache
def drawn_and_solved(seed, device):
    """A problem of a size for the device, and its exact solution."""
    problem = drawn(
        seed,
        batch=largest(device, cpu=5, cuda=140),
        time=largest(device, cpu=20, cuda=150),
        units=largest(device, cpu=20, cuda=300),
    )
    return problem, solved(problem, "cpu", "eager", EXACT)


@pytest.mark.parametrize("arithmetic", [*LIMITS])
@pytest.mark.parametrize("seed", range(6))
@each_backend("eager")
def test_random_problems_are_solved(device, backend, seed, arithmetic, record_property):
    """Precisions of one problem follow each other in one process: what is kept from one must not serve the next."""
    problem, exact = drawn_and_solved(seed, device)
    how = ("bf16", "high") if arithmetic == "bf16" else ("float32", arithmetic)
    found = distances(solved(problem, device, backend, torch.float32, *how), exact)
    record_property("of y, r, l", found[0])
    record_property("of gradients", found[1])
    assert found[0] < LIMITS[arithmetic]
    # What a backward pass makes of an error, it makes of the eager one's, too.
    own = distances(solved(problem, device, "eager", torch.float32, *how), exact)
    assert found[1] < max(LIMITS[arithmetic], 4 * own[1])


@pytest.mark.parametrize("hidden_tanh", [False, True])
@pytest.mark.parametrize("discounted", [False, True])
@each_backend("eager")
def test_repeats_in_memory_that_held_nan_give_the_same_bits(device, backend, discounted, hidden_tanh, record_property):
    """A race shows as an error that moves, and what nobody has written as NaN."""
    problem = Problem(
        batch=largest(device, cpu=3, cuda=100),
        time=largest(device, cpu=7, cuda=300),
        units=largest(device, cpu=6, cuda=250),
        inputs=2,
        options={"attention": "softplus", "hidden_tanh": hidden_tanh, "output_tanh": True},
        discounted=discounted,
        carried=True,
    )
    first, *others = found = [solved(problem, device, backend)]
    errors = []
    exact = solved(problem, "cpu", "eager", EXACT)
    for _ in range(REPEATS):
        poison(first)
        found.append(solved(problem, device, backend))
        errors.append(distances(found[-1], exact))
    first, *others = found
    record_property("errors of gradients", sorted({error[1] for error in errors}))
    assert all(torch.isfinite(value).all() for each in found for value in each)
    assert max(error[0] for error in errors) < LIMITS["highest"]
    unlike = [place for place, each in enumerate(others) if not all(map(torch.equal, each, first))]
    assert not unlike, f"repeats {unlike} of {REPEATS} differ from the first"
