"""The model of an experiment: an architecture between an embedding of symbols and a linear read-out."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import architectures
from architectures.base import check_lengths, padding_mask
from architectures.initialisation import xavier_
from architectures.recording import is_transformed
from architectures.state import State
from workbench.config import Experiment, Part
from workbench.errors import UserError
from workbench.seeding import seed_everything
from workbench.tasks import Task
from workbench.tasks import build as build_task


class Model(nn.Module):
    """Embedding, if the task has symbols; encoder; linear read-out.

    Args:
        task: what the model is for.
        architecture: the encoder's name and options.
        embedding_size: symbols become learned vectors of this size; `None`: one-hot vectors.

    Raises:
        ValueError, TypeError: if the encoder cannot be built with these options.
    """

    def __init__(self, task: Task, architecture: Part, embedding_size: int | None = None) -> None:
        super().__init__()
        self.task_name = type(task).__name__
        self.readout_every, self.symbols = task.readout == "every", task.symbols
        self.embedding: nn.Embedding | None = None
        size = task.input_size
        if embedding_size is not None:
            if task.symbols is None:
                raise ValueError("embedding_size is for tasks of symbols; this one has features")
            self.embedding, size = nn.Embedding(task.symbols, embedding_size), embedding_size
        self.encoder = architectures.build(architecture.name, size, **architecture.options)
        self.readout = nn.Linear(self.encoder.output_size, task.output_size)
        xavier_(self.readout.weight, self.readout.in_features, self.readout.out_features)
        nn.init.zeros_(self.readout.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State = None) -> tuple[Tensor, State]:
        """Returns predictions for a batch, and the encoder's state after it.

        Args:
            x: (batch, time, input_size) features, or (batch, time) symbols.
            lengths: (batch,) the valid steps of right-padded sequences, at least 1. What lies behind them changes
                nothing: features may be NaN there, and symbols lie outside the alphabet.
            state: the encoder's state after an earlier call that this one continues.

        Returns:
            (batch, output_size), read at the last valid step, or (batch, time, output_size), as the task has it; and
            the state.

        Raises:
            UserError: if a sequence has no steps. On a GPU, where the lengths are not looked at, it counts as one step,
                in which x is 0.
            ValueError, TypeError: if x or lengths do not fit the task in another way.
        """
        # Transformed lengths have no values: whoever transforms the call asks before.
        if lengths is not None and not is_transformed():
            self.refuse_empty_sequences(x, lengths)
        y, state = self.encoder(self.features(x, lengths), state, lengths)
        if not self.readout_every:
            last = y.shape[1] - 1 if lengths is None else lengths.long().clamp(min=1) - 1
            y = y[torch.arange(len(y), device=y.device), last]
        return self.readout(y), state

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self.readout.weight.device

    def refuse_empty_sequences(self, x: Tensor, lengths: Tensor) -> None:
        """Raises a UserError if a sequence of x (batch, time, ...) has length 0; on a GPU nothing is read or raised."""
        if lengths.device.type == "cpu" and 0 in (values := lengths.tolist()):
            raise UserError(
                f"a batch of {self.task_name} has a sequence of length 0, number {values.index(0) + 1} of "
                f"{len(values)}; lengths have to lie in 1 .. {x.shape[1]}"
            )

    def features(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the encoder's input, (batch, time, features).

        Args:
            x: (batch, time, input_size) features, or (batch, time) symbols.
            lengths: (batch,) the steps behind which x is read as 0, whatever it holds.
        """
        if lengths is not None:
            check_lengths(x, lengths)
            behind = padding_mask(x, lengths)
            x = x.masked_fill(behind if x.ndim == 2 else behind.unsqueeze(2), 0)
        if self.symbols is None:
            return x
        if self.embedding is not None:
            return self.embedding(x)  # type: ignore[no-any-return]
        return one_hot(x, self.symbols).to(self.readout.weight.dtype)


def count_trainable_parameters(model: nn.Module) -> int:
    """Returns the number of numbers that training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_parameters(task: Task, architecture: Part, embedding_size: int | None = None) -> int:
    """Returns the number of parameters of a model, without allocating or initialising it.

    Raises:
        ValueError, TypeError: if it cannot be built with these options.
    """
    return count_trainable_parameters(meta_model(task, architecture, embedding_size))


def meta_model(task: Task, architecture: Part, embedding_size: int | None = None) -> Model:
    """Returns a model on PyTorch's meta device, without values.

    If the architecture cannot be built there, the model is a real one.
    """
    try:
        with torch.device("meta"):
            return Model(task, architecture, embedding_size)
    except NotImplementedError:
        # Its constructor reads values, so it needs real ones.
        return Model(task, architecture, embedding_size)


def seeded_model(experiment: Experiment) -> tuple[Task, Model]:
    """Returns an experiment's task and its model, freshly initialised: a function of the experiment alone."""
    task = build_task(experiment.task.name, **experiment.task.arguments)
    seed_everything("weights", experiment.seed)
    return task, Model(task, experiment.architecture, experiment.embedding_size)
