"""Jobs on a Ray cluster, each a command in a process of its own; one whose node is lost is started on another."""

import os
import platform
import secrets
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from workbench.errors import UserError
from workbench.files import describe_error
from workbench.launchers.job_array import JOBS_FOLDER, JobArray
from workbench.launchers.ray_actors import DONE, STOPPED, Actor, RayActors
from workbench.launchers.ray_cluster import ActorKind, check_ray, join_cluster
from workbench.process_pool import describe_exit

POLL_SECONDS = 0.2
EXIT_SECONDS = 60.0
"""Seconds that jobs may take to end by themselves once all runs are finished: each writes the report, too."""
PASSED_ON = ("PG", "WORKBENCH_", "WANDB_", "MLFLOW_")
"""Beginnings of the names of variables that are set in the jobs as they are here."""


class JobActor(Actor):
    """An actor that runs a command in a process of its own.

    Args:
        command: words of the command line; the first is the interpreter, for which the actor's own is taken.
        folder: where it is run.
        log: file that its output is appended to.
        path: folders of modules that the command finds beside those of the interpreter.
        environment: variables that are set here, unless they are set already.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, log: Path, path: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        super().__init__(path, environment)
        self.command = (sys.executable, "-m", "workbench.launchers.attached_command", *command[2:])
        self.folder, self.log, self.path = folder, log, path

    def run(self) -> str:
        """Runs the command to its end, or until it is stopped and has saved its runs.

        Returns:
            DONE, STOPPED if there may be work left, or an error message in one line if the command was refused.
        """
        try:
            for folder in (self.folder, self.log.parent):
                if not folder.is_dir():
                    return f"{platform.node()} has no folder {folder}; all nodes must share it, under the same path"
            return self._describe_end(self._run_process())
        except OSError as error:
            return f"a job cannot be run on {platform.node()}: {describe_error(error)}"
        finally:
            # Ends a call that waits for lines.
            self.lines.put(None)

    def _run_process(self) -> int:
        path = dict.fromkeys([*self.path, *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        told = False
        # Its standard input stays open as long as this process lives: see `attached_command`.
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                self.command, cwd=self.folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            ) as process,
        ):
            while (status := process.poll()) is None:
                if self.stop_asked and not told:
                    told = True
                    process.send_signal(signal.SIGTERM)
                time.sleep(POLL_SECONDS)
        return status

    def _describe_end(self, status: int) -> str:
        if status == 0:
            return DONE
        if status == 2:
            return f"a job on {platform.node()} has ended: {last_line(self.log)}"
        if not self.stop_asked:
            self.lines.put(f"a job on {platform.node()} is over: {describe_exit(status)}; see {self.log}")
        return STOPPED


class RayJobs:
    """The jobs of an array, on a Ray cluster.

    Args:
        array: the jobs.
        out: the folder of results.
        address: `auto` or host:port of a running cluster; `None` starts one on this machine, which ends with the jobs.
        log: receives lines that a user should know.
    """

    def __init__(self, array: JobArray, out: Path, address: str | None, log: Callable[[str], None]) -> None:
        self.array, self.address, self.log = array, address, log
        self.folder = (out / JOBS_FOLDER).absolute()
        self.names = f"ray-{secrets.token_hex(4)}"
        self._actors: RayActors | None = None
        self._cluster = ExitStack()

    def check(self) -> None:
        """Makes sure that there is a cluster.

        Raises:
            UserError: if Ray is not installed, or no cluster answers.
        """
        check_ray(self.address)

    def start(self) -> str:
        """Joins the cluster and starts the jobs; returns a line about them.

        Raises:
            UserError: if the cluster is out of reach, or no node has room for a job.
        """
        array = self.array
        kind = ActorKind(
            name="job",
            remedy="ask for fewer --workers or --threads, or for another --gpus-per-job",
            cpus=array.cpus,
            gpus=array.gpus,
        )
        cluster = self._cluster.enter_context(join_cluster(self.address, kind, array.jobs))
        capacity, started = cluster.capacity(), 0
        count = array.jobs or capacity
        self.folder.mkdir(parents=True, exist_ok=True)
        variables = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}

        def start_actor() -> Any:
            nonlocal started
            log = self.folder / f"{self.names}-{started}.log"
            started += 1
            return cluster.start_actor(JobActor, array.command, array.folder, log, own_path(), variables)

        self._actors = RayActors(
            cluster=cluster, start_actor=start_actor, after_loss="another is started in its place", log=self.log
        )
        self._cluster.callback(self._actors.kill)
        self._actors.start(count)
        return f"{count} jobs are started on Ray, {self.names}; their output is in {self.folder}"

    @property
    def started(self) -> bool:
        """Whether they have been placed, or wait for room."""
        return self._actors is not None

    def ended(self) -> bool:
        """Returns whether no job is left that may train; starts those again whose nodes were lost.

        Raises:
            UserError: if a job was refused.
        """
        return not self._work(0)

    def leave(self) -> str:
        """Stops the jobs, as they end with this process; returns a line about them, once they have saved their runs."""
        while self._work(POLL_SECONDS, stop=True):
            pass
        return f"the jobs ({self.names}) have saved what was under way"

    def close(self, *, finished: bool) -> None:
        """Ends the jobs and leaves the cluster.

        Args:
            finished: whether all runs are over, of which the jobs learn in a moment; then they end by themselves.
        """
        # What goes wrong now concerns nobody any more.
        with self._cluster, suppress(UserError):
            over_at = time.monotonic() + (EXIT_SECONDS if finished else 0)
            while time.monotonic() < over_at and self._work(POLL_SECONDS):
                pass

    def _work(self, seconds: float, *, stop: bool = False) -> bool:
        """Handles what has happened to the jobs, and returns whether one is left.

        Raises:
            UserError: if one was refused, and so all are over.
        """
        if self._actors is None or self._actors.work(seconds, stop=stop):
            return self._actors is not None
        if self._actors.error:
            raise UserError(self._actors.error)
        return False


def own_path() -> tuple[str, ...]:
    """Returns what `sys.path` has beside the folders of the interpreter: those of the user's own modules.

    Among them is the folder of this package, where it is not installed.
    """
    interpreter = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(
        folder
        for folder in sys.path
        if os.path.isdir(folder) and folder not in interpreter and not folder.endswith("lib-dynload")
    )


def last_line(log: Path) -> str:
    """Returns the last line of a command's output, which says why it was refused."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"see {log}"
