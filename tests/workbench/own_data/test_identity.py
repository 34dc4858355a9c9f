"""The content of a file is the experiment, not the place where it lies; a changed file is told, and trained anew."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.text_files import random_words
from tests.workbench.experiments import finish
from tests.workbench.own_data.own_files import TRAIN, long_table, own, series, write_csv
from workbench.cli.main import main
from workbench.comparison import Comparison
from workbench.config import Budget, Experiment
from workbench.errors import UserError
from workbench.files import read_yaml
from workbench.results import finished_runs
from workbench.tasks.file_names import handle, short_name

TASK = """
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import torch
from torch.nn.functional import mse_loss
from workbench.tasks import Batch, Task

PLACE = Path(__file__).parent / "stored" / "values.npy"


@dataclass(frozen=True, kw_only=True)
class Stored(Task):
    readout = "last"
    input_size = output_size = 1
    file: str = ""

    @property
    def steps(self):
        return 5

    @property
    def trivial_loss(self):
        return 1.0

    def sample(self, size, generator):
        values = torch.from_numpy(np.load(self.file or PLACE)).float()
        x = values[torch.randint(len(values), (size,), generator=generator)].unsqueeze(2)
        return Batch(x=x, target=x[:, 0])

    def loss(self, prediction, batch):
        return mse_loss(prediction, batch.target)
"""


def experiment(task: str, **options: object) -> Experiment:
    """Returns a quick experiment on a task."""
    comparison = Comparison(
        tasks=(task,),
        architectures=("gru",),
        seeds=1,
        hidden_size=3,
        task={task: options},
        budget=Budget(steps=4, batch_size=3, log_every=2, evaluation_size=5),
    )
    return comparison.experiments()[0]


def train(task, out, *further, status=0):
    assert main(["train", "--task", task, "--out", str(out), *TRAIN, *further]) == status


def change_one_number(path):
    """Changes one digit behind the last point of a file, which keeps its size."""
    content = Path(path).read_bytes()
    position = content.rindex(b".") + 2
    digit = b"1" if content[position : position + 1] != b"1" else b"2"
    Path(path).write_bytes(content[:position] + digit + content[position + 1 :])


def test_a_changed_number_is_another_experiment_and_told(tmp_path, capsys):
    path, out = write_csv(tmp_path, long_table()), tmp_path / "out"
    train(f"file:{path}", out)
    train(f"file:{path}", out)
    captured = capsys.readouterr().err
    assert "1 of 1 runs are finished already" in captured
    assert "changed" not in captured
    change_one_number(path)
    train(f"file:{path}", out)
    captured = capsys.readouterr().err
    told = f"the data of file:mydata.csv changed since the run of it in {out}: it is kept, and with what is there now"
    assert told in captured
    assert "finished already" not in captured
    runs = list(finished_runs(out))
    assert len({run.experiment.identity for run in runs}) == len(runs) == 2
    assert runs[0].experiment.task.options == runs[1].experiment.task.options
    # Told once: from then on there are results of the file as it is.
    train(f"file:{path}", out)
    assert "changed" not in capsys.readouterr().err


def test_a_moved_file_is_the_same_experiment(tmp_path, capsys, monkeypatch):
    path, out = write_csv(tmp_path, long_table()), tmp_path / "out"
    train(f"file:{path}", out)
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(path, tmp_path / "elsewhere")
    train(f"file:{moved}", out)
    assert "1 of 1 runs are finished already" in capsys.readouterr().err
    (run,) = finished_runs(out)
    assert run.folder.parts[-4:-2] == ("file-mydata.csv", "gru")
    # Neither what is hashed nor what W&B and reports show has the path in it, except for where to find it again.
    assert str(tmp_path) not in json.dumps(run.experiment.to_dict())
    assert read_yaml(run.folder / "config.yaml")["task"]["path"] == path
    # As it was left, or below the folder of data.
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "elsewhere"))
    assert own("mydata.csv").data == own(moved).data


def test_two_files_of_one_name_are_told_apart(tmp_path, capsys):
    folders = [tmp_path / name for name in "ab"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        write_csv(folder, long_table(seed=seed))
    names = [f"file:{folder}/mydata.csv" for folder in folders]
    comparison = Comparison(tasks=tuple(names), architectures=("gru",), seeds=1)
    one, two = comparison.experiments()
    assert one.task.name == two.task.name == "file:mydata.csv"
    assert one.identity != two.identity
    assert [one.task.path, two.task.path] == [name.removeprefix("file:") for name in names]
    with pytest.raises(
        UserError, match=r"for task 'mydata', and 2 files are called so; name the file in full: --task.file:PATH"
    ):
        Comparison(tasks=tuple(names), architectures=("gru",), task={"mydata": {"scale": "none"}})
    chosen = Comparison(tasks=tuple(names), architectures=("gru",), seeds=1, task={names[1]: {"scale": "none"}})
    assert [part.task.options["scale"] for part in chosen.experiments()] == ["standard", "none"]


@pytest.mark.parametrize("key", ["mydata", "mydata.csv", "file:mydata.csv", "file:{path}", "{path}"])
def test_options_are_given_by_a_handle(tmp_path, key, capsys):
    path = write_csv(tmp_path, long_table())
    key = key.format(path=path)
    comparison = Comparison(tasks=(f"file:{path}",), architectures=("gru",), seeds=1, task={key: {"scale": "none"}})
    assert comparison.experiments()[0].task.options["scale"] == "none"
    train(f"file:{path}", tmp_path / "out", f"--task.{key}.scale", "minmax", f"--task.{key}.test", "0.2")
    (run,) = finished_runs(tmp_path / "out")
    assert (run.experiment.task.options["scale"], run.experiment.task.options["test"]) == ("minmax", 0.2)


def test_options_in_a_yaml_file_and_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, long_table())
    settings = {
        "tasks": ["file:mydata.csv"],
        "architectures": ["gru"],
        "seeds": 1,
        "task": {"mydata": {"scale": "none", "test": 0.2}},
        "hidden_size": 3,
        "steps": 4,
        "batch_size": 3,
        "log_every": 2,
        "wandb": "off",
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr("analysis.report.build.write_report", lambda out, **_: out)
    arguments = ["compare", "--config", "own.yaml", "--out", "out", "--task.mydata.csv.scale", "minmax"]
    assert main(arguments) == 0
    (run,) = finished_runs(tmp_path / "out")
    assert (run.experiment.task.options["scale"], run.experiment.task.options["test"]) == ("minmax", 0.2)
    assert capsys.readouterr().err.startswith("mydata.csv: 60 sequences of 6 to 11 steps")
    assert main(["compare", "--config", "out/comparison.yaml", "--out", "out"]) == 0
    assert "1 of 1 runs are finished already" in capsys.readouterr().err


def test_one_file_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, long_table())
    with pytest.raises(UserError, match=r"tasks file:mydata.csv and file:./mydata.csv are the same; once is enough"):
        Comparison(tasks=("file:mydata.csv", "file:./mydata.csv"), architectures=("gru",)).experiments()


def test_names_are_short_and_safe():
    assert short_name("file:/home/me/my data (1).csv") == "file:my-data-1-.csv"
    assert short_name("addition") == "addition"
    assert handle("file:data/mydata.tar.csv") == "mydata.tar"
    assert short_name("file:../..") == "file:data"


def test_a_run_is_refused_once_the_file_has_changed_or_is_gone(tmp_path):
    path = write_csv(tmp_path, long_table())
    made = experiment(f"file:{path}")
    change_one_number(path)
    message = r"^the data of task file:mydata.csv is not what the experiment was made with; put it back, or start"
    with pytest.raises(UserError, match=message):
        finish(made, tmp_path / "out")
    write_csv(tmp_path, series())
    with pytest.raises(UserError, match=message):
        finish(made, tmp_path / "out")
    Path(path).unlink()
    with pytest.raises(UserError, match=r"^there is no file .*mydata.csv.*--data-dir"):
        finish(made, tmp_path / "out")


def test_probes_find_the_file_again_or_say_what_is_missing(tmp_path, capsys, monkeypatch):
    path, out = write_csv(tmp_path, long_table()), tmp_path / "out"
    train(f"file:{path}", out)
    (run,) = finished_runs(out)
    probe = ["analyze", str(run.folder), "--probes", "gradient_decay"]
    capsys.readouterr()
    assert main(probe) == 0, capsys.readouterr().err
    capsys.readouterr()
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(path, tmp_path / "elsewhere"))
    assert main([*probe, "--again"]) == 2
    assert f"there is no file {path}" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", "")
        assert main([*probe, "--again", "--data-dir", str(moved.parent)]) == 0
    shutil.move(moved, path)
    change_one_number(path)
    capsys.readouterr()
    assert main([*probe, "--again"]) == 2
    assert (
        "the data of task file:mydata.csv is not what the model was made with; put it back" in capsys.readouterr().err
    )


def test_a_changed_text_is_told(tmp_path, capsys):
    text, out = tmp_path / "book.txt", tmp_path / "out"
    text.write_bytes(random_words(4000))
    options = ["--task.text.file", str(text), "--task.text.length", "10"]
    train("text", out, *options)
    text.write_bytes(random_words(4000, seed=1))
    capsys.readouterr()
    train("text", out, *options)
    assert "the data of text changed since the run of it in" in capsys.readouterr().err
    assert len(list(finished_runs(out))) == 2


@pytest.mark.parametrize("way", ["in the code", "an option"])
def test_a_replaced_file_of_a_custom_task_is_another_experiment(way, tmp_path, capsys, on_path):
    name = on_path("stored_task", TASK) + ":Stored"
    place = tmp_path / "modules" / "stored" / "values.npy" if way == "in the code" else tmp_path / "own.npy"
    place.parent.mkdir(exist_ok=True)
    options = [] if way == "in the code" else [f"--task.{name}.file", str(place)]
    values = np.random.default_rng(0).normal(size=(50, 5))
    np.save(place, values)
    out = tmp_path / "out"
    train(name, out, *options)
    train(name, out, *options)
    assert "1 of 1 runs are finished already" in capsys.readouterr().err
    values[3, 2] += 1
    np.save(place, values)
    train(name, out, *options)
    captured = capsys.readouterr().err
    assert f"the data of {name} changed since the run of it in {out}" in captured
    assert "finished already" not in captured
    assert len(list(finished_runs(out))) == 2


def test_a_custom_task_without_files_keeps_its_identity(on_path):
    from workbench.custom_code import written_hash

    text = TASK.replace("from pathlib import Path\n", "").replace(
        'Path(__file__).parent / "stored" / "values.npy"', "0"
    )
    name = on_path("plain_task", text) + ":Stored"
    assert experiment(name).task.source == written_hash(name)
