"""Tests of the averages' recurrence against double precision on the CPU, and for equal repetitions."""

import functools

import pytest
import torch

from tests.gpu.devices import each_backend, size_for
from tests.gpu.problems import EXACT, Problem, poison_free_memory, random_problem, relative_errors, solve

LIMITS = {"highest": 1e-5, "high": 3e-3, "medium": 2e-2, "bf16": 2e-2}
"""Limits of ||result - exact|| / ||exact|| by precision."""
REPEATS = 20


@functools.cache
def problem_and_solution(seed, device):
    """Returns a problem of a size for the device, and its exact solution."""
    problem = random_problem(
        seed,
        batch=size_for(device, cpu=5, cuda=140),
        time=size_for(device, cpu=20, cuda=150),
        units=size_for(device, cpu=20, cuda=300),
    )
    return problem, solve(problem, "cpu", "eager", EXACT)


@pytest.mark.parametrize("arithmetic", [*LIMITS])
@pytest.mark.parametrize("seed", range(6))
@each_backend("eager")
def test_random_problems_are_solved(device, backend, seed, arithmetic, record_property):
    """One process solves a problem in all precisions: nothing cached for one may be used for the next."""
    problem, exact = problem_and_solution(seed, device)
    precisions = ("bf16", "high") if arithmetic == "bf16" else ("float32", arithmetic)
    errors = relative_errors(solve(problem, device, backend, torch.float32, *precisions), exact)
    record_property("of y, r, l", errors[0])
    record_property("of gradients", errors[1])
    assert errors[0] < LIMITS[arithmetic]
    # The backward pass amplifies errors of the eager backend, too.
    eager_errors = relative_errors(solve(problem, device, "eager", torch.float32, *precisions), exact)
    assert errors[1] < max(LIMITS[arithmetic], 4 * eager_errors[1])


@pytest.mark.parametrize("hidden_tanh", [False, True])
@pytest.mark.parametrize("discounted", [False, True])
@each_backend("eager")
def test_repeats_in_memory_that_held_nan_give_the_same_bits(device, backend, discounted, hidden_tanh, record_property):
    """A race shows as differing bits, and unwritten memory as NaN."""
    problem = Problem(
        batch=size_for(device, cpu=3, cuda=100),
        time=size_for(device, cpu=7, cuda=300),
        units=size_for(device, cpu=6, cuda=250),
        inputs=2,
        options={"attention": "softplus", "hidden_tanh": hidden_tanh, "output_tanh": True},
        discounted=discounted,
        carried=True,
    )
    first, *others = solutions = [solve(problem, device, backend)]
    errors = []
    exact = solve(problem, "cpu", "eager", EXACT)
    for _ in range(REPEATS):
        poison_free_memory(first)
        solutions.append(solve(problem, device, backend))
        errors.append(relative_errors(solutions[-1], exact))
    first, *others = solutions
    record_property("errors of gradients", sorted({error[1] for error in errors}))
    assert all(torch.isfinite(value).all() for solution in solutions for value in solution)
    assert max(error[0] for error in errors) < LIMITS["highest"]
    differing = [index for index, solution in enumerate(others) if not all(map(torch.equal, solution, first))]
    assert not differing, f"repeats {differing} of {REPEATS} differ from the first"
