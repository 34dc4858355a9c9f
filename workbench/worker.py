"""A process that runs experiments one after another and reports to the one that started it."""

import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from workbench.config import Experiment
from workbench.errors import UserError
from workbench.files import one_line, write_text
from workbench.folder import folder_of
from workbench.memory import keep_memory
from workbench.processes import Told, end_with_parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the experiment under way."""

    kind: Literal["step", "note", "finished", "stopped", "refused", "failed"]
    step: int = 0
    text: str = ""


def work(connection: Connection, out: Path, device: str, threads: int) -> None:
    """Runs the experiments that come over the connection until `None` does. Meant to be a process's target."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Before PyTorch takes its first memory.
    keep_memory()
    from workbench.run import Machine, run

    line = Told(connection)
    while isinstance(experiment := connection.recv(), Experiment):
        try:
            finished = run(
                experiment,
                out,
                Machine(device=device, threads=threads),
                stop=line.stopped,
                progress=lambda step: line.send(Event(kind="step", step=step)),
                note=lambda text: line.send(Event(kind="note", text=text)),
            )
            line.send(Event(kind="stopped" if finished is None else "finished"))
        except UserError as error:
            line.send(Event(kind="refused", text=str(error)))
        except Exception as error:
            line.send(Event(kind="failed", text=f"{reason(error)}{kept(experiment, out)}"))


def reason(error: Exception) -> str:
    """Why a run failed, in a line."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU has too little memory left; fewer --workers, or a smaller --batch-size, take less"
    return f"{type(error).__name__}: {one_line(error)}"


def kept(experiment: Experiment, out: Path) -> str:
    """Writes the traceback of the present exception beside the run, and says where."""
    path = folder_of(out, experiment) / "error.log"
    try:
        write_text(path, traceback.format_exc())
    except OSError:
        return ""
    return f" (see {path})"
