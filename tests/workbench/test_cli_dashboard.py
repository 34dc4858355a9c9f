"""`workbench dashboard`: workspaces as files and in W&B, and one-line errors for mistakes."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("wandb_workspaces", reason="pip install 'sequence-workbench[workspaces]'")

from analysis.dashboards.workspace import push as pushing
from analysis.dashboards.workspace import serialization
from tests.analysis.report_runs import experiment, write_run
from workbench.cli import dashboard, main
from workbench.errors import UserError


@pytest.fixture
def out(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    write_run(folder, experiment("lstm"))
    write_run(folder, experiment("gru", task="copy", task_options={"length": 20}))
    return folder


@pytest.fixture
def account(monkeypatch):
    """Replaces the check of the account by one that succeeds, or that raises an error."""

    def stand_in(problem=None, entity="me"):
        def signed_in(seconds=9.0):
            if problem:
                raise UserError(problem)
            return SimpleNamespace(entity=entity)

        monkeypatch.setitem(sys.modules, "analysis.dashboards.mirror.account", SimpleNamespace(fetch_account=signed_in))

    return stand_in


def run(capsys, *arguments):
    status = main.main(["dashboard", *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


def one_line(text):
    return text.startswith("workbench: ") and text.count("\n") == 1


def test_build_writes_a_file_that_can_be_read_and_writes_it_again(out, capsys):
    status, output, error = run(capsys, "build", out)
    path = out / "dashboard.json"
    assert (status, error) == (0, "")
    assert output.startswith(f"{path}: ")
    assert "Learning, Cost" in output
    first = path.read_bytes()
    assert (serialization.read_workspace(path).entity, serialization.read_workspace(path).project) == (
        "",
        "sequence-workbench",
    )
    assert run(capsys, "build", out)[0] == 0
    assert path.read_bytes() == first


def test_build_takes_a_file_an_account_a_project_and_tasks(out, capsys, tmp_path):
    path = tmp_path / "deep" / "own.json"
    arguments = ("--out", path, "--entity", "team", "--project", "own", "--task", "copy, addition,")
    assert run(capsys, "build", out, *arguments)[0] == 0
    read = serialization.read_workspace(path)
    assert (read.entity, read.project) == ("team", "own")
    assert "copy" in read.runset_settings.filters
    assert not (out / "dashboard.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "copi"), "did you mean 'copy'"),
        (("--task", " , "), "--task needs a task's name"),
        (("--task",), "--task"),
        (("--project", "a/b"), "--project"),
        (("--project", ""), "--project"),
        (("--entity", "x" * 200), "--entity"),
        (("--out", "comparison.csv"), "left as it is"),
        (("--out", "."), "is a folder"),
        (("--outt", "x"), "did you mean"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(out, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(out)
    (out / "comparison.csv").write_text("task\n")
    before = sorted(path.name for path in out.iterdir())
    status, output, error = run(capsys, "build", out, *arguments)
    assert (status, output) == (2, "")
    assert one_line(error)
    assert message in error
    assert sorted(path.name for path in out.iterdir()) == before
    assert (out / "comparison.csv").read_text() == "task\n"


@pytest.mark.parametrize("command", ["build", "push"])
def test_a_folder_that_is_not_there_is_said(out, capsys, account, command):
    account()
    status, _, error = run(capsys, command, out / "none")
    assert status == 2
    assert one_line(error)
    assert "no folder" in error


def test_build_without_the_extra_says_how_to_get_it(out, capsys, monkeypatch):
    from analysis.dashboards.workspace import panels

    panels.load_library.cache_clear()
    monkeypatch.setattr(panels, "find_spec", lambda name: None)
    for command in ("build", "push"):
        status, _, error = run(capsys, command, out)
        assert status == 2
        assert one_line(error)
        assert "pip install 'sequence-workbench[workspaces]'" in error
    assert not (out / "dashboard.json").exists()


def test_push_without_a_key_is_one_line_and_sends_nothing(out, capsys, account, monkeypatch):
    def refused(*arguments):
        raise AssertionError("nothing may be sent")

    monkeypatch.setattr(pushing, "save_workspace", refused)
    monkeypatch.setattr(pushing, "save_report", refused)
    account("no account is logged in on this machine: wandb login")
    status, output, error = run(capsys, "push", out)
    assert (status, output, error) == (2, "", "workbench: no account is logged in on this machine: wandb login\n")
    assert not (out / "wandb").exists()


def test_push_says_where_both_are(out, capsys, account, monkeypatch):
    seen = []

    def workspace(space):
        seen.append((space.entity, space.project))
        return "https://w.example/w"

    monkeypatch.setattr(pushing, "save_workspace", workspace)
    monkeypatch.setattr(pushing, "save_report", lambda report: f"https://w.example/{report.entity}")
    account()
    assert run(capsys, "push", out) == (0, "workspace: https://w.example/w\nreport: https://w.example/me\n", "")
    assert run(capsys, "push", out, "--entity", "team", "--project", "own")[0] == 0
    assert seen == [("me", "sequence-workbench"), ("team", "own")]
    assert set(json.loads((out / "wandb" / "dashboard.json").read_text())) == {"me/sequence-workbench", "team/own"}


def test_an_account_without_an_entity_is_asked_for_one(out, capsys, account, monkeypatch):
    monkeypatch.setattr(pushing, "save_workspace", lambda space: "https://w.example/w")
    monkeypatch.setattr(pushing, "save_report", lambda report: "https://w.example/r")
    account(entity=None)
    status, _, error = run(capsys, "push", out)
    assert status == 2
    assert one_line(error)
    assert "--entity" in error
    assert run(capsys, "push", out, "--entity", "me")[0] == 0


def test_what_the_server_refuses_is_one_line(out, capsys, account, monkeypatch):
    def refused(space):
        raise RuntimeError("500\nserver error")

    monkeypatch.setattr(pushing, "save_workspace", refused)
    account()
    status, _, error = run(capsys, "push", out)
    assert status == 2
    assert one_line(error)
    assert "W&B did not take the workspace: 500 server error" in error


def test_the_command_explains_itself(out, capsys):
    assert run(capsys)[0] == 2
    assert "build" in run(capsys, "--help")[1]
    status, _, error = run(capsys, "bild")
    assert status == 2
    assert "did you mean 'build'" in error
    for command in ("build", "push"):
        with pytest.raises(SystemExit) as raised:
            dashboard.main([command, "--help"])
        assert raised.value.code == 0
        assert "examples:" in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    heavy = "{'wandb', 'wandb_workspaces', 'lightning', 'pandas', 'matplotlib'}"
    code = f"import sys, workbench.cli.dashboard as d; d.main(['--help']); sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
