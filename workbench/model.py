"""An architecture with what a task needs around it: symbols in, answers out."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

import architectures
from architectures.initialisation import xavier_
from architectures.state import State
from workbench.config import Experiment, Part
from workbench.seeding import seed_everything
from workbench.tasks import Task
from workbench.tasks import build as build_task


class Model(nn.Module):
    """Embedding, where the task has symbols; encoder; linear read-out.

    Args:
        task: what is to be answered.
        architecture: the encoder's name and options.
        embedding_size: symbols become learned vectors of this size; `None`: one-hot vectors.

    Raises:
        ValueError, TypeError: if the encoder cannot be built so.
    """

    def __init__(self, task: Task, architecture: Part, embedding_size: int | None = None) -> None:
        super().__init__()
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
        """Answers a batch.

        Args:
            x: (batch, time, input_size) features, or (batch, time) symbols.
            lengths: (batch,) the valid steps of right-padded sequences.
            state: where an earlier call stopped.

        Returns:
            (batch, output_size) read at the last valid step, or (batch, time, output_size), by the task; and the
            encoder's state.
        """
        y, state = self.encoder(self.features(x), state, lengths)
        if not self.readout_every:
            last = y.shape[1] - 1 if lengths is None else lengths - 1
            y = y[torch.arange(len(y), device=y.device), last]
        return self.readout(y), state

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.readout.weight.device

    def features(self, x: Tensor) -> Tensor:
        """What the encoder reads: (batch, time, features)."""
        if self.symbols is None:
            return x
        if self.embedding is not None:
            return self.embedding(x)  # type: ignore[no-any-return]
        return one_hot(x, self.symbols).to(self.readout.weight.dtype)


def parameters(model: nn.Module) -> int:
    """The number of numbers that training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def count_parameters(task: Task, architecture: Part, embedding_size: int | None = None) -> int:
    """The parameters of a model that is never made: memory is neither taken nor initialised.

    Raises:
        ValueError, TypeError: if it cannot be built so.
    """
    return parameters(meta_model(task, architecture, embedding_size))


def meta_model(task: Task, architecture: Part, embedding_size: int | None = None) -> Model:
    """A model of the right form that holds no numbers, where its architecture lets itself be built so."""
    try:
        with torch.device("meta"):
            return Model(task, architecture, embedding_size)
    except NotImplementedError:
        # Its constructor looks at values, so it needs real ones.
        return Model(task, architecture, embedding_size)


def seeded_model(experiment: Experiment) -> tuple[Task, Model]:
    """An experiment's task and its model, freshly initialised: a function of the experiment alone."""
    task = build_task(experiment.task.name, **experiment.task.options)
    seed_everything("weights", experiment.seed)
    return task, Model(task, experiment.architecture, experiment.embedding_size)
