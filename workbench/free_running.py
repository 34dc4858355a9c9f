"""Answers of a model that are fed back as its next inputs, where training has the right ones (teacher forcing)."""

from collections.abc import Callable

import torch
from torch import Tensor

from architectures.state import State
from workbench.tasks import Batch, Task

PREFIX = "free_"
"""What the names of metrics begin with that are those of answers which were fed back."""

Predict = Callable[[Tensor, State], tuple[Tensor, State]]
"""From inputs, (batch, time) or (batch, time, features), and a state to predictions and the state after them."""


@torch.no_grad()
def run_free(predict: Predict, task: Task, batch: Batch, causal: bool) -> Tensor:
    """Returns predictions for a batch, (batch, time, classes), of whose inputs only the prompt is given.

    A causal model goes on from its state; another one reads all inputs so far again at every step, as its earlier
    answers may not see later inputs.

    Args:
        predict: what computes predictions.
        task: that has a prompt.
        batch: some examples.
        causal: whether the model is.
    """
    assert task.prompt is not None
    x = batch.x[:, : task.prompt]
    prediction, state = predict(x, None)
    predictions = [prediction]
    for _ in range(task.prompt, batch.x.shape[1]):
        fed = task.feed(prediction[:, -1].argmax(-1)).unsqueeze(1).to(x.dtype)
        x = fed if causal else torch.cat([x, fed], dim=1)
        prediction, state = predict(x, state if causal else None)
        predictions.append(prediction[:, -1:])
    return torch.cat(predictions, dim=1)
