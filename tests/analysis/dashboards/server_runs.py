"""Folders of results at every stage of their lives, for the pages that show them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from workbench.comparison import Comparison
from workbench.config import Budget, Experiment
from workbench.files import write_text, write_yaml
from workbench.run_folder import run_folder


def compared(out: Path, architectures: tuple[str, ...] = ("lstm", "gru"), seeds: int = 2) -> list[Experiment]:
    """Writes down what a comparison asks for: 1,000 steps a run, a row every 100."""
    comparison = Comparison(
        tasks=("addition",),
        architectures=architectures,
        seeds=seeds,
        hidden_size=4,
        task={"addition": {"length": 10}},
        budget=Budget(steps=1000, log_every=100),
    )
    write_yaml(out / "comparison.yaml", comparison.to_dict())
    return comparison.experiments()


def begun(out: Path, experiment: Experiment, losses: Iterable[float] = (), name: str = "val/loss") -> Path:
    """Writes what a run leaves before it is finished: a row every `log_every` steps. Returns its folder."""
    folder = run_folder(out, experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "config.yaml", experiment.to_dict())
    every = experiment.budget.log_every
    rows = [f"{every * (index + 1)},{loss * 2},{loss},0.001" for index, loss in enumerate(losses)]
    if rows:
        write_text(folder / "metrics.csv", "\n".join([f"step,train/loss,{name},learning_rate", *rows, ""]))
    (folder / ".lock").touch()
    return folder


class Asked:
    """What a WSGI application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def ask(app: Callable[..., Any], path: str, method: str = "GET", **environ: str) -> Asked:
    """Asks a WSGI application for a path, percent-decoded already, as a server would (PEP 3333)."""
    asked, given = Asked(), {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), **environ}
    setup_testing_defaults(given)

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
        asked.status, asked.headers = int(status.split()[0]), dict(headers)

    answer = app(given, start)
    asked.body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return asked
