"""`workbench view`: results served on the loopback interface, and one-line errors for mistakes."""

import re
import signal
import socket
import time
import urllib.error
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.analysis.report_runs import experiment, write_run
from tests.forked_command import forked_command
from tests.sockets import listening_addresses
from workbench.cli import view
from workbench.errors import UserError


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder of results."""
    folder = tmp_path_factory.mktemp("results")
    write_run(folder, experiment("lstm"))
    return folder


@contextmanager
def serving(out, *arguments):
    """Starts the command; yields its process and its port."""
    with (
        TemporaryDirectory() as folder,
        forked_command(serve, str(out), *arguments, folder=Path(folder)) as process,
    ):
        process.wait_until(lambda: process.output.endswith("\n"))
        said = rf"{re.escape(str(out))} is shown at http://127\.0\.0\.1:(\d+)/ until Ctrl-C\n"
        match = re.fullmatch(said, process.output)
        assert match, (process.output, process.errors)
        yield process, int(match[1])


def serve(*arguments):
    warnings.simplefilter("error", ResourceWarning)
    return view.main(list(arguments))


def ask(port, path, method="GET", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def error_code(port, path, method="GET", **headers):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(port, path, method, **headers)
    error.value.close()
    return error.value.code


def test_it_serves_on_the_loopback_alone_and_only_itself(out):
    with serving(out) as (process, port):
        assert listening_addresses(process.pid) == [("0100007F", port)]
        assert "<strong>1 of 1</strong>" in ask(port, "/")
        assert "<svg" in ask(port, "/progress")
        assert "val/loss" in ask(port, "/files/" + str(next(out.rglob("metrics.csv")).relative_to(out)))
        for path in ("/files/%2e%2e/x.csv", "/files/..%2fx.csv", "/files/%2fetc%2fpasswd", "/files/a%00.csv", "/x"):
            assert error_code(port, path) == 404
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{port}"}, {"Origin": "http://evil.example"}):
            assert error_code(port, "/", **headers) == 403
        assert error_code(port, "/api/studies", "POST") == 405
        assert "Progress" in ask(port, "/", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly_while_requests_are_open(out, number):
    with serving(out, "--watch") as (process, port):
        half = socket.create_connection(("127.0.0.1", port), timeout=20)
        half.sendall(b"GET / HTTP/1.1\r\nHost:")
        # The first curves take a second or more: what draws them is loaded for them.
        drawing = socket.create_connection(("127.0.0.1", port), timeout=20)
        drawing.sendall(f"GET /progress/curves HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        time.sleep(0.3)
        process.signal(number)
        status = process.wait(30)
        half.close()
        drawing.close()
        assert (status, process.output.count("\n"), process.errors) == (0, 1, "")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_browser_that_leaves_is_not_worth_a_word(out):
    with serving(out) as (process, port):
        (out / "big.csv").write_bytes(b"x" * 20_000_000)
        for request in (b"GET /files/big.csv HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % port, b"GET", b"\0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as left:
                left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                left.sendall(request)
        (out / "big.csv").unlink()
        assert "Progress" in ask(port, "/")
        process.signal(signal.SIGTERM)
        process.wait(30)
        assert (process.output.count("\n"), process.errors) == (1, "")


def test_a_port_that_is_taken_is_a_line(out):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is taken; name another one, or 0 .*--port"):
            view.main([str(out), "--port", str(port)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "there is no folder absent; name the one"),
        (["file"], "there is no folder file"),
        (["empty"], "empty holds no results"),
        (["a" * 5000], "cannot be read|there is no folder"),
        (["a\0b"], "cannot be read|there is no folder"),
        ([], "dir"),
        (["empty", "--port", "70000"], "port must be at most 65535, not 70000"),
        (["empty", "--port", "-1"], "port must be at least 0, not -1"),
        (["empty", "--port", "x"], "--port: "),
        (["empty", "--wach"], "unknown option --wach; did you mean '--watch'"),
    ],
)
def test_a_mistake_is_a_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=message) as raised:
        view.main(arguments)
    assert "\n" not in str(raised.value)


def test_trials_of_a_sweep_are_shown_and_cannot_be_changed(out, tmp_path, monkeypatch):
    pytest.importorskip("optuna_dashboard", reason="pip install 'sequence-workbench[dashboard]'")
    from sweeps.storage import connect
    from sweeps.storage_url import default_url
    from sweeps.studies import create_studies
    from sweeps.sweep import Sweep
    from workbench.files import write_yaml

    values = {"tasks": ["addition"], "architectures": ["rnn", "gru"], "trials": 3, "seeds": 1, "steps": 5}
    sweep = Sweep.from_dict(values)
    storage = connect(default_url(tmp_path), heartbeat=10, grace=30, log=print)
    create_studies(storage, sweep.specs(), sweep.trials)
    storage.close()
    write_yaml(tmp_path / "sweep.yaml", sweep.to_dict())
    with serving(tmp_path) as (_, port):
        # On a busy machine the page says for a while that the store is being opened.
        deadline = time.monotonic() + 60
        while '<iframe src="/dashboard"' not in (page := ask(port, "/trials")) and time.monotonic() < deadline:
            assert "the store is being opened" in page
        assert '<iframe src="/dashboard"' in page
        assert "addition/gru" in ask(port, "/api/studies")
        assert "Optuna Dashboard" in ask(port, "/dashboard")
        assert error_code(port, "/api/studies/1", "DELETE") == 405
        assert "addition/gru" in ask(port, "/api/studies")


def test_without_the_extra_or_the_store_there_is_a_line(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)
    (tmp_path / "sweep.yaml").write_text("tasks: [addition]\n")
    with pytest.raises(UserError, match=r"there is no store .*sweep\.db"):
        view.trials_app(tmp_path, print)
    monkeypatch.setattr(view, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sequence-workbench\[dashboard\]'"):
        view.trials_app(tmp_path, print)
