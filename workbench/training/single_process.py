"""The cluster environment of a run: one process, whatever a launcher's variables say."""

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only


class SingleProcess(LightningEnvironment):
    """A run trains in one process.

    Under SLURM, LSF, MPI or torchrun Lightning would take the launcher's variables for its own, and refuse to train or
    wait for other processes. The bench starts its processes itself, one for each run.
    """

    def __init__(self) -> None:
        super().__init__()
        # Lightning derives it from the launcher's variables when it is imported.
        rank_zero_only.rank = 0  # type: ignore[attr-defined]

    @property
    def creates_processes_externally(self) -> bool:
        """Returns False: no launcher starts processes of one run."""
        return False

    def world_size(self) -> int:
        """Returns 1."""
        return 1

    def global_rank(self) -> int:
        """Returns 0."""
        return 0

    def local_rank(self) -> int:
        """Returns 0."""
        return 0

    def node_rank(self) -> int:
        """Returns 0."""
        return 0
