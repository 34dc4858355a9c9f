"""The W&B mirror: the same numbers as the files, and never in the way."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.workbench.experiments import finish, small
from workbench import mirror
from workbench.files import read_json
from workbench.folder import folder_of
from workbench.mirror import Mirror, flat
from workbench.results import pruned
from workbench.run import run

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")


def refuse(line):
    pytest.fail(line)


def inspect(folder):
    """An offline run's records, read back by W&B's own viewer."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines() if line.strip()]


@needs_wandb
def test_every_number_of_a_run_is_mirrored_and_read_back(tmp_path):
    finished = finish(small(steps=12), tmp_path)
    with Mirror(tmp_path, "offline", "the-project", refuse) as offline:
        offline.add(finished)
    mark = read_json(finished.folder / "wandb.json")
    records = inspect(tmp_path / mark["folder"])
    (described,) = [record["run"] for record in records if record["type"] == "run"]
    assert described["run_group"] == finished.experiment.identity
    assert described["job_type"] == "addition"
    assert described["tags"] == ["addition", "gru", "finished"]
    assert described["project"] == "the-project"
    config = {key: value for key, value in described["config"]["update"].items() if key != "_wandb"}
    assert config == json.loads(json.dumps(finished.experiment.to_dict()), parse_float=lambda text: float(text))
    rows = [record["history"]["item"] for record in records if record["type"] == "history"]
    kept = [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]
    assert kept == finished.metrics().to_dict("records")
    summary: dict[str, object] = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"]["update"]
    for key, value in flat(finished.result).items():
        assert summary[key] == value, key


@needs_wandb
def test_a_run_is_mirrored_once_and_each_into_a_record_of_its_own(tmp_path):
    runs = [finish(small(seed=seed, steps=4), tmp_path) for seed in (0, 1)]
    for _ in range(2):
        with Mirror(tmp_path, "offline", "p", refuse) as offline:
            for finished in runs:
                offline.add(finished)
    folders = [read_json(finished.folder / "wandb.json")["folder"] for finished in runs]
    assert len({*folders}) == len(list(tmp_path.glob("wandb/offline-run-*"))) == 2


def test_without_wandb_it_says_so_once_and_training_is_not_disturbed(tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "find_spec", lambda name: None)
    said: list[str] = []
    with Mirror(tmp_path, "offline", "p", said.append) as silent:
        for _ in range(2):
            silent.add(finish(small(steps=2), tmp_path))
    assert len(said) == 1
    assert "W&B is not installed" in said[0]


def test_a_mirror_that_breaks_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError("disk\nfull")

    monkeypatch.setattr(mirror, "write_offline", broken)
    finished = finish(small(steps=2), tmp_path)
    said: list[str] = []
    with Mirror(tmp_path, "offline", "p", said.append) as offline:
        offline.add(finished)
    assert said == [f"W&B could not mirror {finished.folder}: disk full; the results are complete without it"]
    assert not (finished.folder / "wandb.json").exists()


@needs_wandb
def test_online_without_an_account_says_what_is_missing_and_keeps_everything(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    finished = finish(small(steps=2), tmp_path)
    said: list[str] = []
    with Mirror(tmp_path, "online", "p", said.append) as online:
        online.add(finished)
    online.send([finished])
    (line,) = said
    assert "no account is logged in" in line
    assert not read_json(finished.folder / "wandb.json")["sent"]
    assert (tmp_path / read_json(finished.folder / "wandb.json")["folder"]).is_dir()


@needs_wandb
def test_a_trial_is_mirrored_with_its_study_and_how_it_ended_and_again_once_it_went_on(tmp_path):
    experiment = small(steps=12)
    seen: list[dict[str, float]] = []
    assert run(experiment, tmp_path, stop=lambda: bool(seen), watch=seen.append) is None
    with Mirror(tmp_path, "offline", "p", refuse) as offline:
        given_up = pruned(folder_of(tmp_path, experiment))
        offline.add(given_up, group="addition/gru", state="pruned")
    mark = read_json(given_up.folder / "wandb.json")
    (described,) = [record["run"] for record in inspect(tmp_path / mark["folder"]) if record["type"] == "run"]
    assert described["run_group"] == "addition/gru"
    assert described["tags"] == ["addition", "gru", "pruned"]
    with Mirror(tmp_path, "offline", "p", refuse) as offline:
        offline.add(given_up, group="addition/gru", state="pruned")
    assert read_json(given_up.folder / "wandb.json") == mark, "it was mirrored twice"
    with Mirror(tmp_path, "offline", "p", refuse) as offline:
        offline.add(finish(experiment, tmp_path), group="addition/gru", state="complete")
    assert read_json(given_up.folder / "wandb.json")["status"] == "finished"
