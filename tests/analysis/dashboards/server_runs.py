"""Folders of results with unfinished runs, and requests to WSGI applications, for tests of the server."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from workbench.comparison import Comparison
from workbench.config import Budget, Experiment
from workbench.files import write_text, write_yaml
from workbench.run_folder import run_folder


def write_comparison(out: Path, architectures: tuple[str, ...] = ("lstm", "gru"), seeds: int = 2) -> list[Experiment]:
    """Writes a `comparison.yaml`: 1,000 steps per run, a row every 100. Returns its experiments."""
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


def write_unfinished_run(
    out: Path, experiment: Experiment, losses: Iterable[float] = (), name: str = "val/loss"
) -> Path:
    """Writes the files of an unfinished run: a row every `log_every` steps. Returns its folder."""
    folder = run_folder(out, experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "config.yaml", experiment.to_dict())
    every = experiment.budget.log_every
    rows = [f"{every * (index + 1)},{loss * 2},{loss},0.001" for index, loss in enumerate(losses)]
    if rows:
        write_text(folder / "metrics.csv", "\n".join([f"step,train/loss,{name},learning_rate", *rows, ""]))
    (folder / ".lock").touch()
    return folder


class Answer:
    """Answer of a WSGI application."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def request(app: Callable[..., Any], path: str, method: str = "GET", **environ: str) -> Answer:
    """Sends a request for a path, percent-decoded, to a WSGI application as a server would (PEP 3333)."""
    answer = Answer()
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), **environ}
    setup_testing_defaults(environ)

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
        answer.status, answer.headers = int(status.split()[0]), dict(headers)

    body = app(environ, start)
    answer.body = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return answer
