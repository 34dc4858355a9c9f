"""A Ray cluster, as those who have work for it use it."""

import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sweeps.station import Station
from sweeps.worker import Order
from workbench.errors import UserError

CALLS = 4
"""That a worker's process takes at a time: its work, news of it, its name, and a stop."""


class LostError(Exception):
    """A process on the cluster is no more; the message says in a line how it came to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayCluster:
    """A cluster that this process has joined.

    Args:
        ray: the module.
        order: what its workers do.
    """

    ray: Any
    order: Order

    @property
    def needs(self) -> dict[str, float]:
        """What a worker takes of a node, by Ray's names."""
        return {"CPU": self.order.threads, **({"GPU": 1} if self.order.device == "cuda" else {})}

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """What Ray knows of each node that is alive."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def room(self) -> int:
        """How many workers its nodes have place for, if nothing else runs there.

        Raises:
            UserError: if there is no place for a single one.
        """
        free: list[list[float]] = [
            [node["Resources"].get(name, 0) / amount for name, amount in self.needs.items()] for node in self.nodes
        ]
        places = sum(math.floor(min(each)) for each in free)
        if places == 0:
            wanted = " and ".join(f"{amount:g} {name}" for name, amount in self.needs.items())
            raise UserError(
                f"no node of the Ray cluster has {wanted} for a worker; ask for fewer --threads, or the cpu"
            )
        return places

    def machines(self) -> int:
        """How many machines it has, by their addresses."""
        return len({node["NodeManagerAddress"] for node in self.nodes})

    def hire(self) -> Any:
        """A process with a worker in it, on whichever node has room, now or later."""
        threads = str(self.order.threads)
        options = {
            "num_cpus": self.needs["CPU"],
            "num_gpus": self.needs.get("GPU", 0),
            "max_concurrency": CALLS,
            # For libraries that read it when imported.
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}},
        }
        # What libpq reads, the password above all; not as part of what Ray shows of a process's environment.
        variables = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        return self.ray.remote(Station).options(**options).remote(self.order, tuple(sys.path), variables)

    def wait(self, asked: Sequence[Any], seconds: float) -> list[Any]:
        """Those of the answers that are there, after so many seconds or once one is.

        Raises:
            UserError: if the cluster itself is gone.
        """
        try:
            ready, _ = self.ray.wait(list(asked), timeout=seconds, fetch_local=False)
        except self.ray.exceptions.RayError as error:
            raise UserError(f"the Ray cluster is lost: {cause(error)}; the same command goes on from there") from None
        return list(ready)

    def answer(self, asked: Any) -> Any:
        """What a call returned.

        Raises:
            LostError: if its process is no more.
        """
        try:
            return self.ray.get(asked)
        except self.ray.exceptions.RayError as error:
            raise LostError(cause(error)) from None

    def kill(self, actor: Any) -> None:
        """Ends a process, if it has not ended yet."""
        with suppress(self.ray.exceptions.RayError, ValueError):
            self.ray.kill(actor)


def cause(error: Exception) -> str:
    """How a process was lost, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A traceback from the node ends with what went wrong; all else that Ray says begins with it.
    raised = [line for line in lines if line.split(":")[0].endswith("Error")]
    return (raised or lines or [type(error).__name__])[-1 if raised else 0]
