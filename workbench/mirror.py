"""Finished runs mirrored to Weights & Biases. The folders stay the truth; nothing here can lose or delay a result.

A run is written to `out/wandb` in offline mode from its files, once it is finished, so training never waits for a
network. Sending it to an account is a step of its own.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from workbench.errors import UserError
from workbench.files import one_line, read_json, write_json
from workbench.results import Run

Mode = Literal["off", "offline", "online"]
MARK = "wandb.json"
"""Beside a result: under which id it was mirrored, where, and whether it has been sent."""
SEND_SECONDS = 120


class Mirror:
    """Mirrors runs while others are still being trained: in a thread, so that whoever hands out the next experiment
    does not wait for W&B either.

    Args:
        out: the folder of results.
        mode: whether to mirror, and whether to send.
        project: the W&B project.
        say: told in one line what went wrong; nothing is ever raised.
    """

    def __init__(self, out: Path, mode: Mode, project: str, say: Callable[[str], None]) -> None:
        self.out, self.mode, self.project, self.say = out, mode, project, say
        if mode != "off" and find_spec("wandb") is None:
            say("W&B is not installed, so nothing is mirrored; pip install 'sequence-workbench[wandb]' changes that")
            self.mode = "off"
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Waits until everything has been mirrored."""
        self._thread.shutdown()

    def add(self, run: Run, group: str | None = None, state: str | None = None) -> None:
        """Mirrors a run before long, unless that has been done.

        Args:
            run: finished, or pruned.
            group: what it is shown with; by default all seeds of its configuration.
            state: the tag that says how it ended; by default its status.
        """
        if self.mode != "off" and not as_it_is(run):
            self._thread.submit(self._write, run, group or run.experiment.identity, state or run.result["status"])

    def _write(self, run: Run, group: str, state: str) -> None:
        try:
            folder = write_offline(run, self.out, self.project, group, state)
            mark = {"id": run_id(run), "project": self.project, "folder": str(folder), "sent": False}
            write_json(run.folder / MARK, mark | {"status": run.result["status"]})
        except Exception as error:
            self.say(f"W&B could not mirror {run.folder}: {one_line(error)}; the results are complete without it")

    def send(self, runs: list[Run]) -> None:
        """In online mode, sends what has not been sent."""
        if self.mode != "online":
            return
        marks = [(run, mark) for run in runs if (mark := mark_of(run)) and not mark.get("sent")]
        unsent = len(marks)
        for run, mark in marks:
            problem = sync(self.out / mark["folder"], self.project)
            if problem:
                self.say(f"W&B: {unsent} run(s) not sent: {problem}; they are kept in {self.out / 'wandb'}, and "
                         "the same command sends them later")  # fmt: skip
                return
            write_json(run.folder / MARK, mark | {"sent": True})
            unsent -= 1


def mark_of(run: Run) -> dict[str, Any] | None:
    """What is known of a run's mirror; `None` where it has none that can be read."""
    try:
        mark = read_json(run.folder / MARK)
    except UserError:
        return None
    return mark if isinstance(mark.get("folder"), str) else None


def as_it_is(run: Run) -> bool:
    """Whether a run has been mirrored, and has not gone on since."""
    mark = mark_of(run)
    return mark is not None and mark.get("status", run.result["status"]) == run.result["status"]


def run_id(run: Run) -> str:
    """The run's id in its W&B project: the same experiment always has the same."""
    return f"{run.experiment.identity}-{run.experiment.seed}"


def write_offline(run: Run, out: Path, project: str, group: str, state: str) -> Path:
    """Writes a run's configuration, metrics and result as an offline W&B run.

    Returns:
        Its folder, relative to `out`.
    """
    import wandb

    experiment = run.experiment
    out.joinpath("wandb").mkdir(exist_ok=True)
    settings = wandb.Settings(
        mode="offline",
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
    )
    mirrored = wandb.init(
        project=project,
        dir=out,
        id=run_id(run),
        name=f"{experiment.task.name}/{experiment.architecture.name}/seed-{experiment.seed}",
        group=group,
        job_type=experiment.task.name,
        tags=[label[:64] for label in (experiment.task.name, experiment.architecture.name, state)],
        config=experiment.to_dict(),
        settings=settings,
    )
    try:
        folder = Path(mirrored.dir).parent
        mirrored.define_metric("step")
        mirrored.define_metric("*", step_metric="step")
        for row in run.metrics().to_dict("records"):
            mirrored.log(row)
        mirrored.summary.update({**flat(run.result), **{f"timing/{key}": value for key, value in run.timing.items()}})
    finally:
        # Without it the next run would write into this one.
        mirrored.finish()
    return folder.resolve().relative_to(out.resolve())


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by slashes."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flat(value, f"{prefix}{key}/") if isinstance(value, dict) else {prefix + key: value}
    return result


def sync(folder: Path, project: str) -> str | None:
    """Sends one offline run; `None`, or in one line why it could not be sent."""
    import wandb

    if not wandb.api.api_key:
        return "no account is logged in on this machine (wandb login)"
    command = [sys.executable, "-m", "wandb", "sync", "--project", project, str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SEND_SECONDS, env=os.environ | {"WANDB_SILENT": "true"}
        )
    except subprocess.TimeoutExpired:
        return f"the server did not answer within {SEND_SECONDS} seconds"
    return (
        None if done.returncode == 0 else " ".join((done.stderr or done.stdout).split())[-200:] or "wandb sync failed"
    )
