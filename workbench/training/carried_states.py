"""The encoder's states that one batch leaves for the next, in memory and in a checkpoint."""

from typing import Any

import torch

from architectures.state import State, detach, map_state
from workbench.errors import UserError

CARRIED, CARRIED_BY_RANK = "carried", "carried_by_rank"
"""Keys of the carried state in a checkpoint, part of the file format: of one batch a step, or of several."""


class CarriedStates:
    """The state after the last batch of each place in a step, for batches that continue from it.

    Args:
        task: the name of what is trained on, as errors say it.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.by_part: dict[int, State] = {}

    def keep(self, part: int, state: State) -> None:
        """Keeps the state after the batch in a place of a step, without its graph."""
        self.by_part[part] = detach(state)

    def get(self, part: int, device: torch.device) -> State:
        """Returns the state after the last batch in a place of a step, on a device.

        Raises:
            UserError: if there was no batch in this place.
        """
        if part not in self.by_part:
            raise UserError(
                f"a batch of {self.task} continues the one before, whose state is not there; train with the same "
                "accumulate_grad_batches and number of ranks from beginning to end"
            )
        return map_state(lambda tensor: tensor.to(device), self.by_part[part])

    def save(self, checkpoint: dict[str, Any], ranks: int) -> None:
        """Writes the states of all ranks to a checkpoint. Every rank calls it: Lightning saves on one, and asks all."""
        if ranks == 1 and self.by_part.keys() <= {0}:
            checkpoint[CARRIED] = self.by_part.get(0)
            return
        states: list[Any] = [self.by_part]
        if ranks > 1:
            mine = {part: map_state(lambda tensor: tensor.cpu(), state) for part, state in self.by_part.items()}
            states = [None] * ranks
            torch.distributed.all_gather_object(states, mine)
        checkpoint[CARRIED_BY_RANK] = states

    def load(self, checkpoint: dict[str, Any], ranks: int | None, rank: int = 0) -> None:
        """Restores this rank's states; checkpoints of runs that carry nothing may lack them.

        Args:
            checkpoint: what a file holds.
            ranks: how many there are now; `None` outside of a Trainer.
            rank: which of them this is.

        Raises:
            UserError: if they were carried on another number of ranks.
        """
        by_rank = checkpoint.get(CARRIED_BY_RANK)
        if by_rank is None:
            carried = checkpoint.get(CARRIED)
            by_rank = [{} if carried is None else {0: carried}]
            self.by_part = by_rank[0]
        if ranks is None:
            return
        if len(by_rank) != ranks:
            raise UserError(
                f"the checkpoint has the states that {len(by_rank)} ranks carried from batch to batch, and there are "
                f"{ranks} now; continue with {len(by_rank)}"
            )
        self.by_part = by_rank[rank]
