"""Account of this machine: found as W&B finds it, with errors in one line and in time, whatever hangs."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from analysis.dashboards.mirror import account as account_module
from analysis.dashboards.mirror.account import fetch_account, redact
from analysis.dashboards.mirror.session import load_session
from tests.analysis.dashboards.wandb_server import KEY, clean_environment, run_server, silent_port
from workbench.errors import UserError

pytestmark = [
    pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning"),
]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Sets the environment of a user; W&B reads its settings again."""
    import wandb

    def set_environment(backend=None, **more):
        # Ends the service of earlier tests while the variable that names it is still there.
        wandb.teardown()
        for name in set(os.environ):
            monkeypatch.delenv(name)
        for name, value in clean_environment(tmp_path / "home", backend, **more).items():
            monkeypatch.setenv(name, value)
        wandb.teardown()

    monkeypatch.chdir(tmp_path)
    yield set_environment
    wandb.teardown()
    monkeypatch.undo()
    wandb.teardown()


@pytest.fixture
def backend():
    with run_server() as server:
        yield server


def error_line(**options):
    """Returns the one-line error."""
    with pytest.raises(UserError) as refused:
        fetch_account(**options)
    line = str(refused.value)
    assert "\n" not in line
    assert KEY not in line
    return line


def test_the_server_is_asked_once_whose_key_this_is(machine, backend):
    machine(backend)
    account = fetch_account()
    assert (account.entity, account.username, account.base_url) == ("someone", "someone", backend.url)
    assert backend.operations == {("Viewer", ""): 1}


def test_a_key_is_found_in_the_netrc_file_and_the_server_and_entity_in_the_settings(machine, backend, tmp_path):
    machine()
    (tmp_path / "home" / "netrc").write_text(f"machine {backend.url.removeprefix('http://')} login user password {KEY}")
    folder = tmp_path / "home" / ".config" / "wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text(f"[default]\nbase_url = {backend.url}\nentity = the-team\n")
    assert fetch_account().entity == "the-team"


def write_settings(folder, url):
    folder.mkdir(parents=True)
    (folder / "settings").write_text(f"[default]\nbase_url = {url}\nentity = theirs\n")


@pytest.mark.parametrize("name", ["wandb", ".wandb"])
def test_settings_in_the_current_folder_do_not_say_who_gets_the_key(machine, backend, tmp_path, monkeypatch, name):
    with run_server() as theirs:
        out = tmp_path / "results"
        write_settings(out / name, theirs.url)
        monkeypatch.chdir(out)
        # The user's own settings name the server, and lose against those of the current folder in W&B itself.
        write_settings(tmp_path / "home" / ".config" / "wandb", backend.url)
        machine(WANDB_API_KEY=KEY, WANDB_ENTITY="mine")
        account = fetch_account()
        assert (account.base_url, account.entity) == (backend.url, "mine")
        assert not theirs.operations


def test_wandb_reads_the_current_folder_again_where_others_use_it(machine, tmp_path, monkeypatch):
    from wandb.sdk import wandb_setup

    machine(WANDB_API_KEY=KEY, WANDB_BASE_URL="http://127.0.0.1:9")
    write_settings(tmp_path / "wandb", "http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    before = type(load_session().settings).read_system_settings
    assert wandb_setup.singleton().settings.entity is None
    assert type(load_session().settings).read_system_settings is before
    assert wandb_setup.singleton().settings.read_system_settings().sources


def test_without_a_key_nothing_is_asked(machine, backend):
    machine(WANDB_BASE_URL=backend.url)
    begun = time.monotonic()
    assert f"wandb login --host {backend.url}, or set WANDB_API_KEY" in error_line()
    assert time.monotonic() - begun < 2
    assert not backend.operations


@pytest.mark.parametrize("key", ["abc", "x" * 30, "k" * 39 + "!", "й" * 40, "abc-" + "y" * 39])
def test_a_malformed_key_is_not_sent(machine, backend, key):
    machine(WANDB_BASE_URL=backend.url, WANDB_API_KEY=key)
    line = error_line()
    assert "key is invalid" in line
    assert key not in line
    assert not backend.operations


def test_a_refused_key_is_told(machine, backend):
    machine(backend)
    backend.key = "another"
    assert "refuses the key" in error_line()


def test_a_key_of_nobody_is_refused(machine, backend, monkeypatch):
    machine(backend)
    monkeypatch.setattr(type(backend), "on_viewer", lambda self, given: {"viewer": None})
    assert "refuses the key" in error_line()


@pytest.mark.parametrize(
    ("status", "line"), [(403, "refuses the key"), (500, "status 500"), (404, "status 404"), (302, "status 302")]
)
def test_a_server_that_answers_otherwise_is_told_of(machine, backend, status, line):
    machine(backend)
    backend.refuse = lambda what, run: status
    assert line in error_line()


@contextmanager
def answering_port(raw):
    """Opens a port that gives one answer, and yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def serve():
            with bound.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(raw)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"data": []}', b"[" * 100_000, b"\xff\xfe"])
def test_another_kind_of_server_is_reported(machine, body):
    with answering_port(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    ) as address:
        machine(WANDB_BASE_URL=address, WANDB_API_KEY=KEY)
        assert "not a W&B server" in error_line()


def test_nobody_else_is_asked_where_a_server_sends_elsewhere(machine, backend):
    with answering_port(
        b"HTTP/1.1 307 Elsewhere\r\nLocation: %s/graphql\r\nContent-Length: 0\r\n\r\n" % backend.url.encode()
    ) as address:
        machine(WANDB_BASE_URL=address, WANDB_API_KEY=KEY)
        assert f"status 307 at {address}" in error_line()


@pytest.mark.slow
@pytest.mark.parametrize("drip", [b"", b"H"])
def test_a_server_that_never_comes_to_an_end_is_given_up(machine, drip):
    with silent_port(drip) as port:
        machine(WANDB_BASE_URL=f"http://127.0.0.1:{port}", WANDB_API_KEY=KEY)
        begun = time.monotonic()
        line = error_line(seconds=1.0)
    assert time.monotonic() - begun < 3
    assert "did not answer" in line or "cannot be reached" in line
    assert f"127.0.0.1:{port}" in line


def test_an_answer_that_trickles_is_given_up(machine):
    with silent_port(b"HTTP/1.1 200 OK\r\nX: ") as port:
        machine(WANDB_BASE_URL=f"http://127.0.0.1:{port}", WANDB_API_KEY=KEY)
        begun = time.monotonic()
        error_line(seconds=1.0)
    assert time.monotonic() - begun < 3


def test_a_name_server_that_hangs_is_given_up(machine, monkeypatch):
    machine(WANDB_BASE_URL="http://wandb.example", WANDB_API_KEY=KEY)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: over.wait(20) or [])
    begun = time.monotonic()
    line = error_line(seconds=1.0)
    assert time.monotonic() - begun < 3
    assert "http://wandb.example" in line
    over.set()


def test_a_closed_port_is_told_at_once(machine):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    machine(WANDB_BASE_URL=f"http://127.0.0.1:{port}", WANDB_API_KEY=KEY)
    begun = time.monotonic()
    assert f"cannot be reached at http://127.0.0.1:{port}" in error_line()
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("dead", [True, False])
def test_a_dead_proxy_is_named_without_its_password(machine, dead):
    with silent_port() as port:
        if not dead:
            port = 9
        proxy = f"http://me:open-sesame@127.0.0.1:{port}"
        machine(WANDB_BASE_URL="https://wandb.example", WANDB_API_KEY=KEY, HTTPS_PROXY=proxy, HTTP_PROXY=proxy)
        line = error_line(seconds=1.0)
    assert f"http://127.0.0.1:{port}" in line
    assert "open-sesame" not in line
    assert "wandb.example" in line


@pytest.mark.parametrize("url", ["ftp://wandb.example", "nonsense", "http://", "https://wandb.ai"])
def test_an_invalid_address_is_one_line(machine, url):
    machine(WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    assert "W&B" in error_line(seconds=1.0)


def test_without_wandb_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(account_module, "find_spec", lambda name: None)
    assert "pip install 'sequence-workbench[wandb]'" in error_line()


def test_a_url_is_shown_without_who_signs_in_by_it():
    assert redact("https://me:secret@host:1/path/") == "https://host:1/path"
    assert redact("me:secret@host:3128") == "host:3128"
