"""`workbench sweep dashboard`: trials served on the loopback interface, and one-line errors for mistakes."""

import json
import re
import signal
import socket
import urllib.error
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import create_studies
from sweeps.sweep import Sweep
from tests.forked_command import forked_command
from tests.sockets import listening_addresses
from workbench.cli.main import main
from workbench.cli.sweep import dashboard
from workbench.cli.sweep.storage_options import find_storage_url
from workbench.errors import UserError
from workbench.files import write_yaml

SWEEP = {"tasks": ["addition"], "architectures": ["rnn", "gru"], "trials": 3, "seeds": 1, "steps": 5}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a sweep whose studies have been created."""
    pytest.importorskip("optuna_dashboard", reason="pip install 'sequence-workbench[dashboard]'")
    folder = tmp_path_factory.mktemp("out")
    sweep = Sweep.from_dict(SWEEP)
    storage = connect(default_url(folder), heartbeat=10, grace=30, log=print)
    create_studies(storage, sweep.specs(), sweep.trials)
    storage.close()
    write_yaml(folder / "sweep.yaml", sweep.to_dict())
    return folder


@contextmanager
def serve(out):
    """Runs the command; yields its process and its port."""
    with TemporaryDirectory() as folder, forked_command(show, str(out), folder=Path(folder)) as process:
        process.wait_until(lambda: process.output.endswith("\n"))
        match = re.search(r"http://127\.0\.0\.1:(\d+)/", process.output)
        assert match, process.output
        yield process, int(match[1])


def show(out):
    warnings.simplefilter("error", ResourceWarning)
    return main(["sweep", "dashboard", out, "--port", "0"])


@pytest.fixture(scope="module")
def served(out):
    """The running command: its process and its port."""
    with serve(out) as served:
        yield served


def ask(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, answer.read().decode()


def test_it_shows_the_studies_on_the_loopback_alone(served):
    process, port = served
    assert listening_addresses(process.pid) == [("0100007F", port)]
    status, page = ask(port, "/")
    assert status == 200
    assert "Optuna Dashboard" in page
    status, text = ask(port, "/api/studies")
    assert status == 200
    names = {study["study_name"] for study in json.loads(text)["study_summaries"]}
    assert names == {"addition/rnn", "addition/gru"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_requests_of_other_sites_are_refused(served, headers):
    _, port = served
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(port, "/api/studies", **{name: text.format(port=port) for name, text in headers.items()})
    assert raised.value.code == 403
    assert "study" not in raised.value.read().decode()
    raised.value.close()


def test_its_own_pages_are_answered_by_either_name(served):
    _, port = served
    for name in ("localhost", "127.0.0.1"):
        assert ask(port, "/api/studies", Host=f"{name}:{port}", Origin=f"http://{name}:{port}")[0] == 200


def test_a_port_that_is_taken_is_a_line(served, out, capsys):
    _, port = served
    assert main(["sweep", "dashboard", str(out), "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"workbench: port {port} is taken; name another one, or 0 for any free port: --port"


def test_ctrl_c_ends_it_quietly(out):
    with serve(out) as (process, port):
        assert ask(port, "/")[0] == 200
        process.signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert (process.output.count("\n"), process.errors) == (1, "")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a sweep's folder, or its store"),
        (["absent"], "there is no folder absent"),
        (["empty"], "empty holds no sweep"),
        (["lost"], r"there is no store /.*/lost/sweep\.db; put it back"),
        (["--storage", "sqlite:///none.db"], r"there is no store /.*/none\.db"),
        (["--storage", "nosuch://x"], "no store is called 'nosuch'"),
        (["lost", "--port", "70000"], "port must be at most 65535, not 70000"),
        (["lost", "--port", "-1"], "port must be at least 0, not -1"),
        (["lost", "--prt", "1"], "unknown option --prt; did you mean '--port'"),
    ],
)
def test_a_mistake_is_a_line_and_makes_no_file(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)
    for name in ("empty", "lost"):
        (tmp_path / name).mkdir()
    write_yaml(tmp_path / "lost" / "sweep.yaml", Sweep.from_dict(SWEEP).to_dict())
    before = sorted(tmp_path.rglob("*"))
    assert main(["sweep", "dashboard", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert re.search(message, line)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_store_may_be_named_beside_the_folder_or_kept_in_it(out, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)
    elsewhere = "postgresql+psycopg://me@host/sweeps"
    write_yaml(tmp_path / "sweep.yaml", {**Sweep.from_dict(SWEEP).to_dict(), "storage": elsewhere})
    with pytest.raises(UserError, match="names a store on host, which is not connected to unless you name it too"):
        find_storage_url(str(tmp_path), None)
    assert find_storage_url(str(tmp_path), elsewhere) == elsewhere
    assert find_storage_url(str(tmp_path), default_url(out)) == default_url(out)
    assert find_storage_url(str(out), None) == default_url(out)


def test_a_missing_package_is_a_line_that_names_the_extra(out, monkeypatch, capsys):
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    assert main(["sweep", "dashboard", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sequence-workbench[dashboard]" in line
