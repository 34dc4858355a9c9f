"""Gradients of several modules of one configuration at a time: their models are stacked, and run as one.

Stacked are the models alone, by `torch.func.vmap`. Losses and metrics are computed for each module by itself, as where
it trains alone, so that a task may do what it likes. The backward pass is one again.
"""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from architectures.limits import quote
from architectures.recording import transformed
from architectures.state import State, iter_tensors, map_state
from workbench.files import describe_error
from workbench.training.batches import TrainingBatch
from workbench.training.loop import add_gradients
from workbench.training.sequence_module import SequenceModule

SLOW_OPERATION = "There is a performance drop because we have not yet implemented the batching rule"
"""What PyTorch warns of where an operation has no version for stacks, and runs for one model after another."""
REASONS = {
    "randomness": "it draws random numbers in training, such as dropout's, which are to be each seed's own",
    "autograd.Function": "it has a gradient that is written by hand, which PyTorch cannot stack",
    "data-dependent": "what it computes depends on the values of its data",
    ".item()": "what it computes depends on the values of its data",
    "is not possible because there exists a Tensor": "it writes into its tensors",
}
"""What PyTorch's messages mean, by a part of each."""


@dataclass(slots=True, kw_only=True)
class Step:
    """A module's step that waits for its gradients."""

    module: SequenceModule
    batch: TrainingBatch
    batch_idx: int = 0
    scores: dict[str, Tensor] | None = None
    """Its scores, once the gradients are there."""
    error: Exception | None = None
    """What went wrong instead."""


def compute_together(steps: Sequence[Step]) -> Exception | None:
    """Adds the gradients of every step to its module's parameters, and notes its scores, or its error.

    Steps whose batches differ in shape are stacks of their own.

    Args:
        steps: of modules of one configuration.

    Returns:
        What a stack has raised all of whose steps went well alone, after that: it is no fault of any of them.
    """
    stacks: dict[Hashable, list[Step]] = {}
    for step in steps:
        stacks.setdefault(stack_key(step), []).append(step)
    obstacle = None
    for stack in stacks.values():
        if len(stack) > 1:
            compute_stacked(stack)
        errors = [step.error for step in stack]
        if len(stack) == 1 or all(is_fault(error) for error in errors):
            # What failed for all may be the fault of one of them, which alone is the only one to fail.
            for step in stack:
                step.module.zero_grad()
                compute_alone(step)
            obstacle = obstacle or (errors[0] if all(step.error is None for step in stack) else None)
    return obstacle


def compute_alone(step: Step) -> None:
    """Adds the gradients of a step to its module's parameters, as a run alone does."""
    step.scores = step.error = None
    try:
        step.scores = add_gradients(step.module, step.batch, step.batch_idx)
    except Exception as error:
        step.error = error


def compute_stacked(steps: Sequence[Step]) -> None:
    """Does so for several steps with equal keys, by one forward and one backward pass."""
    states: list[tuple[Step, State]] = []
    try:
        losses = []
        for step, (prediction, state, penalty) in zip(steps, predict_stacked(steps), strict=True):
            # As if its own forward pass had just ended: a custom loss may draw.
            step.module.seed_step(step.batch)
            try:
                step.scores = step.module.score(prediction, step.batch, penalty)
            except Exception as error:
                step.error = error
                continue
            losses.append(step.scores["loss"])
            if step.module.task.stateful:
                states.append((step, state))
        if losses:
            torch.stack(losses).sum().backward()
        # Only now: whoever fails is tried again, from the state before.
        for step, state in states:
            # A copy, as a checkpoint would hold the states of all modules otherwise.
            step.module.carried_states.keep(step.batch.part, map_state(torch.clone, state))
    except Exception as error:
        for step in steps:
            step.scores, step.error = None, step.error or error


def predict_stacked(steps: Sequence[Step]) -> list[tuple[Tensor, State, Tensor | None]]:
    """Returns the prediction of every step, the state after it, and the encoder's penalty, from one forward pass.

    Raises:
        Exception: if the model does what cannot be stacked, such as to draw random numbers, or a batch is wrong.
    """
    models, batches = [step.module.model for step in steps], [step.batch for step in steps]
    for model, batch in zip(models, batches, strict=True):
        if batch.lengths is not None:
            model.refuse_empty_sequences(batch.x, batch.lengths)
    model, encoder = models[0], models[0].encoder
    penalty, states = encoder.penalty, [step.module.state_before(step.batch) for step in steps]
    # Only tensors pass the border of a stack: trees of tensors are taken apart, and put together again.
    inputs = [[batch.x] if batch.lengths is None else [batch.x, batch.lengths] for batch in batches]
    tree: State = None

    def run(tensors: dict[str, Tensor], inputs: list[Tensor], parts: list[Tensor]) -> list[Tensor]:
        nonlocal tree
        x, lengths = inputs[0], inputs[1] if len(inputs) > 1 else None
        y, tree = functional_call(model, tensors, (x, lengths, fill_state(states[0], parts)))
        return [y, *iter_tensors(tree), *([] if encoder.penalty is None else [encoder.penalty])]

    try:
        with transformed(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", SLOW_OPERATION)
            outputs = vmap(run, randomness="error")(
                # Stacking is differentiable: the gradient of a stack arrives in the parameters that it was made of.
                stack_mappings([dict([*model.named_parameters(), *model.named_buffers()]) for model in models]),
                stack_lists(inputs),
                stack_lists([list(iter_tensors(state)) for state in states]),
            )
    finally:
        # What a stack has left there means nothing outside of it.
        encoder.penalty = penalty
    parts = len(list(iter_tensors(tree)))
    return [
        (y, fill_state(tree, rest[:parts]), rest[parts] if len(rest) > parts else None)
        for y, *rest in zip(*(output.unbind() for output in outputs), strict=True)
    ]


def stack_key(step: Step) -> Hashable:
    """Returns what steps of one stack have in common: the shapes of what goes into their models."""
    batch, state = step.batch, step.module.state_before(step.batch)
    parts = tuple((tensor.shape, tensor.dtype) for tensor in iter_tensors(state))
    return batch.x.shape, batch.x.dtype, batch.lengths is None, parts


def fill_state(tree: State, tensors: Sequence[Tensor]) -> State:
    """Returns a state of the shape of `tree` with other tensors, from left to right."""
    left = iter(tensors)
    return map_state(lambda _: next(left), tree)


def stack_mappings(mappings: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns one tensor, (mappings, ...), for each name of mappings of the same names."""
    return {name: torch.stack([mapping[name] for mapping in mappings]) for name in mappings[0]}


def stack_lists(lists: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Returns one tensor, (lists, ...), for each place of lists of the same length."""
    return [torch.stack(tensors) for tensors in zip(*lists, strict=True)]


def is_fault(error: Exception | None) -> bool:
    """Returns whether an error is that of a step, and not of the many that a GPU has too little memory for."""
    return error is not None and not isinstance(error, torch.OutOfMemoryError)


def describe_obstacle(error: BaseException) -> str:
    """Returns why steps cannot be stacked, in a line, from what they have raised."""
    text = describe_error(error)
    for part, reason in REASONS.items():
        if part in text:
            return reason
    return f"to try it raises {type(error).__name__}: {quote(text)}"
