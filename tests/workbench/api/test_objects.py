"""Tasks and architectures given as objects: their names, the identity of their code, and other processes."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

import architectures.gru
import workbench
from tests.workbench.api.cells import new_notebook, run_cell
from tests.workbench.api.conftest import LENGTHS, TINY
from workbench.api.parts import name_part
from workbench.given_classes import GIVEN
from workbench.tasks.addition import Addition

LAYER = """
    import torch
    from torch import nn
    WIDTH = {width}
    class Layer(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.core = nn.Linear(size, WIDTH)
        def forward(self, x):
            return {function}(self.core(x))
"""
NET = """
    class Net(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.layer = Layer(input_size)
        def forward(self, x):
            return self.layer(x).cumsum(1)
"""
TASK = """
    import dataclasses
    from workbench.tasks.addition import Addition
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine(Addition):
        length: int = 5
"""


@pytest.fixture(autouse=True)
def no_class_is_left(monkeypatch):
    from architectures import registry

    monkeypatch.setattr("architectures.registry._defined", dict(registry._defined))
    before = dict(GIVEN)
    yield
    GIVEN.clear()
    GIVEN.update(before)


def source_of(namespace, name="Net"):
    """Returns the hash of a class of a notebook, given as it is now."""
    label, _ = name_part("architecture", namespace[name])
    return GIVEN["architecture", label].source


def notebook(width=3, function="torch.tanh"):
    namespace = new_notebook()
    run_cell(LAYER.format(width=width, function=function), namespace)
    run_cell(NET, namespace)
    return namespace


def test_a_class_goes_by_its_name_its_path_or_the_catalogue():
    assert name_part("architecture", "rda") == ("rda", {})
    assert name_part("architecture", architectures.gru.GRU) == ("gru", {})
    assert name_part("task", Addition) == ("addition", {})
    assert name_part("task", Addition(length=7)) == ("addition", {"length": 7})
    assert name_part("task", Addition()) == ("addition", {})
    assert name_part("architecture", notebook()["Net"]) == ("Net", {})


def test_a_module_that_can_be_imported_goes_by_its_path(on_path):
    import importlib

    on_path("my_models", "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n")
    module = importlib.import_module("my_models")
    assert name_part("architecture", module.Mine) == ("my_models:Mine", {})


def test_the_code_of_a_cell_and_all_that_it_uses_is_its_identity():
    first = source_of(notebook())
    assert source_of(notebook()) == first
    # Another cell, which the class is built of; and a number that it uses.
    assert source_of(notebook(function="torch.relu")) != first
    assert source_of(notebook(width=4)) != first
    namespace = notebook()
    run_cell("x = 1\nself = 2\ncumsum = 3", namespace)
    assert source_of(namespace) == first
    run_cell(NET.replace("cumsum(1)", "cumsum(1) * 2"), namespace)
    assert source_of(namespace) != first


def test_a_class_without_functions_is_found_in_the_newest_cell():
    namespace = new_notebook()
    run_cell("from architectures.gru import GRU\nclass Plain(GRU):\n    causal = True", namespace)
    first = source_of(namespace, "Plain")
    run_cell("class Plain(GRU):\n    causal = bool(1)", namespace)
    assert source_of(namespace, "Plain") != first


def test_code_that_nobody_can_read_is_refused():
    namespace = new_notebook()
    exec("from torch import nn\nclass Gone(nn.Linear):\n    def forward(self, x):\n        return x", namespace)
    with pytest.raises(workbench.UserError, match=r"the code of Gone cannot be read, .* in a notebook's cell"):
        name_part("architecture", namespace["Gone"])


def test_classes_of_a_notebook_are_trained_in_other_processes(tmp_path):
    namespace = notebook()
    run_cell(TASK, namespace)
    results = workbench.compare(
        [namespace["Mine"]], ["rnn", namespace["Net"]], out=tmp_path / "out", seeds=1, hidden_size=3, workers=2, **TINY
    )
    assert results.failures == ()
    folder = results.finished[1].folder
    assert folder.relative_to(tmp_path / "out").parts[:3] == ("runs", "Mine", "Net")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["architecture"]["source"] == source_of(namespace)
    assert config["task"]["options"] == {"length": 5}
    # The same numbers as in this process: the parameters are those of a layer of 3 units and the read-out.
    assert json.loads((folder / "result.json").read_text())["parameters"] == (2 + 1) * 3 + 3 + 1
    # Another session has the results, but not the code.
    GIVEN.clear()
    with pytest.raises(workbench.UserError, match=r"is a class that .* give it again, as in workbench.analyze\(fo"):
        workbench.analyze(tmp_path / "out", probes="gradient_decay", workers=1, progress=False)
    assert not (folder / "analysis.json").exists()
    workbench.analyze(
        tmp_path / "out",
        parts=[namespace["Mine"], namespace["Net"]],
        probes="gradient_decay",
        sequences=2,
        directions=2,
        workers=1,
        progress=False,
    )
    assert "gradient_decay" in json.loads((folder / "analysis.json").read_text())["probes"]
    assert workbench.load(tmp_path / "out").report().exists()


def test_what_cannot_be_pickled_is_trained_in_this_process(tmp_path, capsys, monkeypatch):
    from workbench.run_pool import RunPool

    namespace = notebook()
    namespace["lock"] = threading.Lock()
    run_cell(NET.replace("return self", "assert lock is not None\n            return self"), namespace)
    monkeypatch.setattr(RunPool, "run", lambda *arguments: pytest.fail("in another process"))
    results = workbench.compare("addition", namespace["Net"], out=tmp_path, seeds=2, hidden_size=3, **TINY)
    assert list(results.runs["status"]) == ["finished", "finished"]
    assert "Net cannot be sent to other processes (" in capsys.readouterr().err


def test_options_go_with_objects(tmp_path):
    task = Addition(length=6)
    results = workbench.compare(
        task,
        [architectures.gru.GRU, "rnn"],
        out=tmp_path,
        seeds=1,
        hidden_size=3,
        workers=1,
        architecture_options={architectures.gru.GRU: {"num_layers": 2}, "rnn": {"hidden_size": 5}},
        **TINY,
    )
    assert list(results.runs["hidden_size"]) == [3, 5]
    assert [run.experiment.architecture.options["num_layers"] for run in results.finished] == [2, 1]
    assert {run.experiment.task.options["length"] for run in results.finished} == {dataclasses.asdict(task)["length"]}


def test_where_results_are_kept_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = {**TINY, "progress": True}
    results = workbench.train("addition", "rnn", hidden_size=3, task_options=LENGTHS["addition"], **options)
    assert results.folder == Path("workbench-results")
    assert f"results are kept in {tmp_path / 'workbench-results'}" in capsys.readouterr().err
    assert len(results) == 1


def test_a_comparison_runs_in_any_thread(tmp_path):
    results = []

    def work():
        options: dict[str, Any] = {"out": tmp_path, "hidden_size": 3, "task_options": LENGTHS["addition"]}
        results.append(workbench.train("addition", "rnn", **options, **TINY))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(results[0].runs) == 1


def test_an_interrupt_saves_what_is_under_way_and_is_raised(tmp_path, monkeypatch):
    import signal

    from workbench.run_pool import RunPool

    run = RunPool.run

    def interrupted(pool, experiments, listen):
        def react(index, event):
            listen(index, event)
            if event.kind == "finished":
                signal.raise_signal(signal.SIGINT)

        run(pool, experiments, react)

    monkeypatch.setattr(RunPool, "run", interrupted)
    lengths = {"addition": LENGTHS["addition"]}
    options: dict[str, Any] = {
        "out": tmp_path,
        "seeds": 3,
        "hidden_size": 3,
        "workers": 1,
        "task_options": lengths,
        **TINY,
    }
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted: 1 of 3 runs are finished; the same call resumes them"):
        workbench.compare("addition", "rnn", **options)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(workbench.load(tmp_path)) == 1
    monkeypatch.setattr(RunPool, "run", run)
    assert len(workbench.compare("addition", "rnn", **options)) == 3


def test_a_run_that_fails_is_told_and_the_others_are_there(tmp_path, capsys):
    namespace = new_notebook()
    run_cell(
        """
        from torch import nn
        class Fails(nn.Module):
            def __init__(self, input_size, hidden_size):
                super().__init__()
                self.core = nn.Linear(input_size, hidden_size)
            def forward(self, x):
                if self.training:
                    raise RuntimeError("as planned")
                return self.core(x)
        """,
        namespace,
    )
    options: dict[str, Any] = {"out": tmp_path, "seeds": 1, "hidden_size": 3, "workers": 1, **TINY}
    results = workbench.compare("addition", ["rnn", namespace["Fails"]], **options)
    assert list(results.runs["architecture"]) == ["rnn"]
    assert len(results.failures) == 1
    assert "as planned" in results.failures[0]
    assert "as planned" in capsys.readouterr().err
    with pytest.raises(workbench.UserError, match="as planned"):
        workbench.train("addition", namespace["Fails"], out=tmp_path, hidden_size=3, **TINY)
