"""Secrets of a store: they are in no list of processes and in no file of the results."""

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from sweeps import local_launcher
from sweeps.local_launcher import LocalLauncher, TrialConnection, TrialEvent
from sweeps.storage_url import without_password
from sweeps.worker import WorkerConfig

PROC = Path("/proc")
pytestmark = pytest.mark.skipif(
    not (PROC / "self" / "cmdline").exists(), reason="there is no list of processes in /proc"
)


def tell_what_others_see(connection, config):
    """Stands in for a worker: says what the list of processes has of it, and that it has the URL all the same."""
    line = TrialConnection(connection)
    line.send(TrialEvent(kind="ready"))
    seen = b"".join((PROC / "self" / name).read_bytes() for name in ("cmdline", "environ"))
    line.send(TrialEvent(kind="note", text=f"{b'hush' in seen} {'hush' in config.url}"))
    line.send(TrialEvent(kind="over"))


def test_a_worker_gets_the_password_neither_as_an_argument_nor_in_its_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(local_launcher, "run_worker", tell_what_others_see)
    texts: list[str] = []
    LocalLauncher(
        config=WorkerConfig(url="postgresql+psycopg://me:hush@host/db", study_names=(), out=tmp_path),
        workers=1,
        on_event=lambda slot, event: texts.append(event.text),
        on_lost_trial=lambda *lost: pytest.fail(str(lost)),
    ).run()
    assert [text for text in texts if text] == ["False True"]


def command_lines(session: int) -> set[bytes]:
    """Returns the command lines of the processes of a session, as every user of the machine sees them."""
    lines = set()
    for folder in PROC.glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                lines.add((folder / "cmdline").read_bytes())
        except OSError:
            continue
    return lines


@pytest.mark.slow
def test_a_sweep_on_a_server_shows_its_password_nowhere(postgresql, server, tmp_path):
    from tests.sweeps.postgres import PASSWORD

    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "workbench", "sweep", "run", "--tasks", "addition", "--task.addition.length", "6"),
        *("--architectures", "rnn", "--trials", "2", "--seeds", "1", "--steps", "4", "--batch-size", "2"),
        *("--evaluation-size", "4", "--log-every", "1", "--device", "cpu", "--workers", "2", "--hidden-size", "4"),
        *("--storage", without_password(postgresql), "--out", str(out)),
    ]
    environment = {**os.environ, "PGPASSWORD": PASSWORD, "OMP_NUM_THREADS": "1"}
    seen: set[bytes] = set()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        while process.poll() is None:
            seen |= command_lines(process.pid)
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, said
    assert len(seen) > 1, "the workers have command lines of their own"
    spellings = {spell(PASSWORD).encode() for spell in (str, quote, quote_plus, lambda text: quote(text, safe=""))}
    texts = [said, *seen, *(path.read_bytes() for path in out.rglob("*") if path.is_file())]
    assert not [text for text in texts if any(spelling in text for spelling in spellings)]
    with server.connection(server.port) as connection:
        activity = connection.execute("SELECT query, application_name FROM pg_stat_activity").fetchall()
    assert PASSWORD not in str(activity)
