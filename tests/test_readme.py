"""Every command and every example of the README is run, and W&B's own commands of docs/dashboards.md."""

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from pathlib import Path

import pytest

import architectures
from tests import text_files
from tests.analysis.dashboards.wandb_server import clean_environment, run_server
from tests.forked_command import forked_command, run_command
from workbench.cli.execution import OUT_OF_TIME
from workbench.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
DASHBOARDS = (ROOT / "docs/dashboards.md").read_text(encoding="utf-8")
SWEEP = ["sweep", "run", "--tasks", "digits", "--architectures", "rnn"]
# Appended to what trains: later flags win, and two steps show that the command works.
QUICK = [
    *("--steps", "2", "--batch-size", "2", "--log-every", "1", "--evaluation-size", "3"),
    *("--hidden-size", "4", "--wandb", "off", "--workers", "1"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the README's own modules in it, where its commands are given one after another."""
    folder = tmp_path_factory.mktemp("desk")
    for kind, text in BLOCKS:
        if kind == "python" and (name := re.match(r"# (\w+\.py)\n", text)):
            (folder / name[1]).write_text(text)
    shutil.copytree(ROOT / "examples", folder / "examples")
    text_files.write(folder / "book.txt")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results with a run, a report and records for W&B; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "results"
    assert main(["train", "--task", "digits", "--architecture", "rnn", *QUICK[:-4], "--out", str(out)]) == 0
    assert main(["report", str(out)]) == 0
    return out


def test_the_readme_has_what_the_tests_look_for():
    assert len(COMMANDS) >= 9
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("workbench")])
def test_a_command_does_what_it_says(command, desk, tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(desk)
    _, *arguments = shlex.split(command)
    if arguments[0] == "report" and "other-results" not in arguments:
        # It is made again from what the commands above it left.
        assert main(["train", "--task", "digits", "--architecture", "rnn", *QUICK[:-2], "--out", "results"]) == 0
    if arguments[0] == "analyze":
        # A folder of its own: it takes every run of one, and those of the commands above are many.
        monkeypatch.chdir(tmp_path)
        assert main(["train", "--task", "digits", "--architecture", "rnn", *QUICK[:-2], "--out", "results"]) == 0
        arguments = [*arguments, "--sequences", "2", "--directions", "2", "--longest", "50", "--workers", "1"]
    if arguments[0] in ("rm", "export", "import") or "other-results" in arguments:
        # Folders of their own, as archives and pages are not overwritten.
        monkeypatch.chdir(tmp_path)
        for folder in ("results", "other-results"):
            shutil.copytree(request.getfixturevalue("trained"), folder, symlinks=True)
    if arguments[0] == "import":
        assert main(["export", "results", "--to", "results.tar.gz"]) == 0
    if arguments[0] in ("status", "view", "sync", "dashboard"):
        monkeypatch.chdir(tmp_path)
        shutil.copytree(request.getfixturevalue("trained"), "results", symlinks=True)
        pretend(monkeypatch)
    if arguments[0] == "sync":
        # In a process of its own, as W&B keeps the server that it first knew.
        environment = clean_environment(tmp_path / "home", request.getfixturevalue("backend"))
        with forked_command(run_command, arguments, folder=tmp_path, environment=environment) as process:
            assert process.wait() == 0, process.errors
        return
    if arguments[0] == "sweep":
        if "--config" in arguments:
            arguments += ["--trials", "1", "--seeds", "1", *QUICK]
        elif not Path("tuned/sweep.yaml").exists():
            assert main([*SWEEP, "--trials", "1", "--seeds", "1", *QUICK, "--out", "tuned"]) == 0
    if arguments[0] == "reproduce" and "--list" not in arguments:
        # There are no shorter ones: it looks at everything, and then the time is up.
        assert main([*arguments, "--time-limit", "0.01s"]) == OUT_OF_TIME, capsys.readouterr().err
        return
    if arguments[0] in ("compare", "demo") or arguments[:2] == ["sweep", "run"]:
        arguments = with_fewer_architectures(arguments)
    tiny = ["--lengths", "5", "--batch-size", "2", "--hidden-size", "4", "--repeats", "1"]
    if arguments[0] == "profile":
        # What is told of one architecture is told of all.
        request.getfixturevalue("short_measurements")
        request.getfixturevalue("no_memory_peaks")
        named = arguments[arguments.index("--architectures") + 1].split(",")
        assert set(named) <= set(architectures.names())
        tiny += ["--architectures", named[-1]]
    quick = [*QUICK, "--seeds", "1"]
    extra = {"train": QUICK[:-2], "compare": quick, "demo": quick, "profile": tiny}.get(arguments[0], [])
    if "results/comparison.yaml" in arguments and not Path("results/comparison.yaml").exists():
        given = ["--tasks", "addition", "--architectures", "gru", *QUICK, "--seeds", "1"]
        assert main(["compare", *given, "--out", "results"]) == 0
    assert main([*arguments, *extra]) == 0, capsys.readouterr().err


def with_fewer_architectures(arguments):
    """The arguments for the last architecture, and for those with options; all that are named have to be known."""
    given = arguments[arguments.index("--architectures") + 1] if "--architectures" in arguments else "rda"
    named = given.split(",")
    assert {name for name in named if ":" not in name} <= set(architectures.names())
    if any(argument.endswith("comparison.yaml") for argument in arguments):
        # Its options are for what it compares.
        return arguments
    kept = [name for name in named[:-1] if any(each.startswith(f"--architecture.{name}.") for each in arguments)]
    return [*arguments, "--architectures", ",".join([*kept, named[-1]])]


def pretend(monkeypatch):
    """What would run until Ctrl-C ends at once, and what goes to W&B's workspaces and reports does not leave."""
    from analysis.dashboards.mirror import account
    from analysis.dashboards.mirror.account import Account
    from analysis.dashboards.server import wsgi
    from analysis.dashboards.workspace import push

    me = Account(entity="me", username="me", base_url="https://wandb.example", app_url="https://wandb.example")
    monkeypatch.setattr(account, "fetch_account", lambda: me)
    monkeypatch.setattr(wsgi, "serve_until_stopped", lambda server, line: print(line))
    monkeypatch.setattr(push, "save_workspace", lambda space: "https://wandb.example/workspace")
    monkeypatch.setattr(push, "prepare_report", lambda *given, **named: type("Report", (), {"id": "r"}))
    monkeypatch.setattr(push, "save_report", lambda made: "https://wandb.example/report")


@pytest.fixture
def backend():
    with run_server() as backend:
        yield backend


@pytest.mark.parametrize("command", re.findall(r"^wandb leet .*", DASHBOARDS, re.MULTILINE))
def test_a_command_of_wandb_shows_the_records(command, trained, monkeypatch):
    monkeypatch.chdir(trained.parent)
    # Side by side W&B shows them by their folders, which end with their ids.
    wanted = ["digits/rnn/seed-0", "test/loss"] if "inspect" in command else ["Runs", "offline-run-"]
    said = screen(["sh", "-c", f"{shlex.quote(sys.executable)} -m {command}"], wanted)
    assert all(each in said for each in wanted), said


def screen(command, wanted):
    """What a program writes to a terminal of its own, until all that is wanted is there; for half a minute at most."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"},
                             start_new_session=True)  # fmt: skip
    os.close(theirs)
    said, until = "", time.monotonic() + 30
    while not all(each in said for each in wanted) and time.monotonic() < until:
        try:
            if select.select([ours], [], [], 1)[0]:
                said += os.read(ours, 65536).decode(errors="replace")
        except OSError:
            # It has ended, and with it the terminal.
            break
    # With what it has started: the viewer itself is a process of its own.
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    os.close(ours)
    return said


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make")])
def test_a_make_target_exists(command):
    said = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_the_demo_is_a_small_suite(tmp_path):
    import yaml

    from workbench.comparison import Comparison
    from workbench.tasks.catalogue import question_of

    demo = Comparison.from_dict(yaml.safe_load((ROOT / "examples/demo.yaml").read_text()))
    assert set(demo.architectures) <= set(architectures.names())
    assert len(demo.architectures) == 6
    assert [question_of(name) for name in demo.tasks] == ["hold", "forget", "track", "find", "real"]
    assert demo.seeds >= 3
    assert len({e.identity for e in demo.experiments()}) == 30


def test_what_the_readme_links_is_there():
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(linked) >= 3
    assert [path for path in linked if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "python" and not text.startswith("# ")])
def test_an_example_runs(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with forked_command(run_example, text, folder=tmp_path) as process:
        assert process.wait() == 0, process.errors


def run_example(text):
    """Runs an example; a warning is an error."""
    warnings.simplefilter("error")
    exec(text, {"__name__": "__main__"})


def test_an_architecture_of_ones_own_keeps_the_laws_it_claims(desk, monkeypatch):
    import torch

    monkeypatch.syspath_prepend(str(desk))
    encoder = architectures.build("leaky:Leaky", 3, hidden_size=4).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    y, _ = encoder(x)
    first, state = encoder(x[:, :5])
    second, _ = encoder(x[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), y)
    trace = encoder.trace(x)
    assert trace.retention is not None
    assert trace.write is not None
    assert trace.content is not None
    row, _ = architectures.influence(trace.retention, trace.write, -1)
    torch.testing.assert_close((row * trace.content).sum(1), y[:, -1])
