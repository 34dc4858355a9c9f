"""Runs as they are stored, without training: what commands that only handle folders are tested with."""

from pathlib import Path

from tests.workbench.experiments import small
from workbench.config import Experiment
from workbench.files import write_json, write_yaml
from workbench.run_folder import run_folder

TRIVIAL = {
    "parameters": 3,
    "state_size": 5,
    "receptive_field": None,
    "time": 8,
    "trivial_loss": 0.167,
    "criterion": None,
    "solved_at": None,
    "solved_at_mean50": None,
}


def start_run(out: Path, experiment: Experiment) -> Path:
    """Stores a run that was interrupted after its first rows; returns its folder."""
    folder = run_folder(out, experiment)
    folder.mkdir(parents=True)
    write_yaml(folder / "config.yaml", experiment.to_dict())
    (folder / "metrics.csv").write_text("step,train/loss\n5,0.5\n")
    (folder / "last.ckpt").write_bytes(b"half of the weights")
    return folder


def store_run(out: Path, experiment: Experiment, *, loss: float = 0.25, diverged: bool = False) -> Path:
    """Stores a finished run; returns its folder."""
    folder = start_run(out, experiment)
    (folder / "metrics.csv").write_text("step,train/loss\n5,0.5\n10,0.25\n")
    (folder / "last.ckpt").write_bytes(b"the weights")
    write_json(folder / "timing.json", {"seconds": 1.5, "seconds_per_step": 0.125})
    write_json(folder / "analysis.json", {"schema": 1, "probes": {}})
    ending = {"status": "diverged", "diverged_at": 4, "test": None}
    if not diverged:
        ending = {"status": "finished", "diverged_at": None, "test": {"loss": loss}}
    ending |= {"identity": experiment.identity, "seed": experiment.seed, "steps": 12}
    write_json(folder / "result.json", {**TRIVIAL, **ending})
    return folder


def store_results(out: Path) -> dict[str, Path]:
    """Stores two finished runs of gru and one of rnn, a diverged and an interrupted one; returns their folders."""
    return {
        "gru 0": store_run(out, small("gru")),
        "gru 1": store_run(out, small("gru", seed=1)),
        "rnn 0": store_run(out, small("rnn", "copy", task_options={"length": 5})),
        "diverged": store_run(out, small("rnn", seed=2), diverged=True),
        "interrupted": start_run(out, small("rnn", seed=3)),
    }


def read_files(out: Path) -> dict[str, bytes]:
    """Returns the content of every file in a folder, by its path; the locks of runs left out."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
