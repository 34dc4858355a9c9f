"""A W&B server for tests, on the loopback: as much of its protocol as wandb-core asks for when it sends offline runs.

It keeps what it is given as W&B does, lines of a stream by their place, so that what is sent twice is there once; and
it can be told to refuse, to break, or to wait.
"""

import base64
import json
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

KEY = "0123456789" * 4
HISTORY = "wandb-history.jsonl"
OPERATION = re.compile(r"\s*(?:query|mutation)\s+(\w+)")
Answer = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Received:
    """A run as the server has it."""

    path: str
    """`entity/project/id`."""
    config: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    """Name, group, tags and so on, as last said."""
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    """Of the streamed files, by place."""
    files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False
    streamed: list[tuple[str, int, int]] = field(default_factory=list)
    """Every piece of a stream: the file, the place, the number of lines."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows, without W&B's own columns."""
        rows = [json.loads(line) for _, line in sorted(self.lines.get(HISTORY, {}).items())]
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]

    @property
    def summary(self) -> dict[str, Any]:
        """As it was in the end."""
        found: dict[str, Any] = json.loads(self.files["wandb-summary.json"])
        return found


@dataclass(slots=True, kw_only=True)
class Backend:
    """What the server has been given, and how it is to behave."""

    key: str = KEY
    entity: str = "someone"
    refuse: Callable[[str, str], int | None] = lambda what, run: None
    """Given an operation's name, `PUT` or `stream`, and a run's id: a status to answer with instead."""
    hold: Callable[[str, str], None] = lambda what, run: None
    """Called likewise before an answer; may wait."""
    counts: bool = False
    """Whether it tells how many lines a run already has: wandb-core then puts those that it sends behind them. As W&B
    documents it, a run that is begun again under its id is overwritten."""
    runs: dict[str, Received] = field(default_factory=dict)
    """By `project/id`."""
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their ids: name, entity, project, type, run, files, state."""
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often what was asked of which run."""
    unknown: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, what: str, given: Answer) -> Answer:
        """To one GraphQL operation."""
        method = getattr(self, f"on_{what.lower()}", None)
        if method is None:
            self.unknown.append(what)
            return {"errors": [{"message": f"this server knows no {what}"}]}
        with self.lock:
            return {"data": method(given)}

    def on_viewer(self, given: Answer) -> Answer:
        account = {"id": "V", "entity": self.entity, "username": "someone", "email": "", "flags": "{}"}
        return {"viewer": {**account, "teams": {"edges": []}}}

    def on_serverfeaturesquery(self, given: Answer) -> Answer:
        return {"serverInfo": {"features": []}}

    def on_upsertbucket(self, given: Answer) -> Answer:
        place = f"{given['project']}/{given['name']}"
        inserted = place not in self.runs
        run = self.runs.setdefault(place, Received(path=f"{given.get('entity') or self.entity}/{place}"))
        run.asked |= {key: value for key, value in given.items() if value is not None}
        if given.get("config"):
            run.config |= {key: entry["value"] for key, entry in json.loads(given["config"]).items()}
        entity, project, name = run.path.split("/")
        bucket = {
            "id": f"B-{name}",
            "name": name,
            "displayName": run.asked.get("displayName"),
            "description": None,
            "config": given.get("config"),
            "sweepName": None,
            "project": {"id": "P", "name": project, "entity": {"id": "E", "name": entity}},
            "historyLineCount": len(run.lines.get(HISTORY, {})) if self.counts else 0,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def on_createrunfiles(self, given: Answer) -> Answer:
        base = f"{self.url}/put/run/{given['project']}/{given['run']}"
        files = [{"name": name, "uploadUrl": f"{base}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def on_createartifact(self, given: Answer) -> Answer:
        asked = given["input"]
        name = f"A{len(self.artifacts)}"
        self.artifacts[name] = {
            "name": asked["artifactCollectionName"],
            "entity": asked["entityName"],
            "project": asked["projectName"],
            "type": asked["artifactTypeName"],
            "run": asked["runName"],
            "files": {},
            "state": "PENDING",
        }
        made = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": made}}

    def on_createartifactmanifest(self, given: Answer) -> Answer:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(given["artifactID"])}}

    def on_updateartifactmanifest(self, given: Answer) -> Answer:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(given["artifactManifestID"][1:])}}

    def _manifest(self, artifact: str) -> Answer:
        file = {"id": f"F{artifact}", "uploadUrl": self._place(artifact, "wandb_manifest.json"), "uploadHeaders": []}
        return {"id": f"M{artifact}", "file": file}

    def _place(self, artifact: str, name: str) -> str:
        return f"{self.url}/put/artifact/{artifact}/{self.artifacts[artifact]['run']}/{name}"

    def on_createartifactfiles(self, given: Answer) -> Answer:
        nodes: list[Answer] = [
            {
                "storagePath": f"wandb_artifacts/{asked['name']}",
                "uploadUrl": self._place(asked["artifactID"], asked["name"]),
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": asked["artifactID"]},
            }
            for asked in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def on_commitartifact(self, given: Answer) -> Answer:
        self.artifacts[given["artifactID"]]["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": ""}}}

    def stream(self, place: str, given: Answer) -> Answer:
        """Keeps a piece of a run's stream."""
        with self.lock:
            run = self.runs[place]
            for name, piece in (given.get("files") or {}).items():
                run.streamed.append((name, piece["offset"], len(piece["content"])))
                run.lines.setdefault(name, {}).update(enumerate(piece["content"], piece["offset"]))
            run.complete = run.complete or bool(given.get("complete"))
        return {}

    def put(self, kind: str, rest: list[str], body: bytes) -> Answer:
        """Keeps a file."""
        with self.lock:
            if kind == "run":
                self.runs["/".join(rest[:2])].files["/".join(rest[2:])] = body
            else:
                self.artifacts[rest[0]]["files"]["/".join(rest[2:])] = body
        return {}


class Handler(BaseHTTPRequestHandler):
    """Takes requests apart."""

    protocol_version = "HTTP/1.1"
    backend: Backend

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return

    def handle(self) -> None:
        """A client that is killed takes its connection with it."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.body()
        path = urlsplit(self.path).path
        wanted = "Basic " + base64.b64encode(f"api:{self.backend.key}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.say(401, {"errors": [{"message": "user is not logged in"}]})
            return
        given = json.loads(body)
        if path != "/graphql":
            _, _, _, project, run, _ = path.split("/")
            self.judged("stream", run, lambda: self.backend.stream(f"{project}/{run}", given))
            return
        found = OPERATION.match(given["query"])
        what, variables = found[1] if found else "?", given.get("variables") or {}
        run = variables.get("name") or variables.get("run") or (variables.get("input") or {}).get("runName") or ""
        self.judged(what, run, lambda: self.backend.answer(what, variables))

    def do_PUT(self) -> None:
        body = self.body()
        _, _, kind, *rest = unquote(urlsplit(self.path).path).split("/")
        self.judged("PUT", rest[1], lambda: self.backend.put(kind, rest, body))

    def judged(self, what: str, run: str, answer: Callable[[], Answer]) -> None:
        """Answers, unless this is to be refused."""
        with self.backend.lock:
            self.backend.operations[what, run] += 1
        self.backend.hold(what, run)
        status = self.backend.refuse(what, run)
        if status is None:
            self.say(200, answer())
        else:
            self.say(status, {"errors": [{"message": f"told to refuse {what}"}]})

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status: int, value: Answer) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Server(ThreadingHTTPServer):
    """One that does not wait for clients that are gone."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def serving() -> Iterator[Backend]:
    """A server that listens on a free port of the loopback until the end."""
    backend = Backend()
    bound = type("Bound", (Handler,), {"backend": backend})
    with Server(("127.0.0.1", 0), bound) as server:
        backend.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield backend
        finally:
            server.shutdown()
            thread.join()


def clean_environment(home: Path, backend: Backend | None = None, **more: str) -> dict[str, str]:
    """The environment of a user at a machine of its own: nothing of W&B, of proxies or of accounts leaks in."""
    foreign = re.compile(r"(?i)WANDB|.*_proxy$|NETRC|XDG_|(HOME|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    home.mkdir(parents=True, exist_ok=True)
    mine = {"HOME": str(home), "NETRC": str(home / "netrc"), "WANDB_ERROR_REPORTING": "false", "OMP_NUM_THREADS": "1"}
    account = {} if backend is None else {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": KEY}
    # What is retried is retried at once: no test is to wait for it.
    soon = {
        f"WANDB__{part}_RETRY_{which}": value
        for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
        for which, value in {"MAX": "1", "WAIT_MIN_SECONDS": "0.05", "WAIT_MAX_SECONDS": "0.1"}.items()
    }
    return {**kept, **mine, **account, **soon, **more}


@contextmanager
def listening(drip: bytes = b"") -> Iterator[int]:
    """A port that takes every connection and never answers, or only ever another byte; its number."""
    stop = threading.Event()

    def serve(taken: socket.socket) -> None:
        with taken, suppress(OSError):
            while not stop.wait(0.05):
                taken.sendall(drip)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(bound.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as bound:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield bound.getsockname()[1]
        finally:
            stop.set()
            bound.shutdown(socket.SHUT_RDWR)


def at_work(out: Path) -> list[bytes]:
    """Command lines of the syncs of a folder that are running, and of the W&B services that they have started."""
    told = f"WANDB_DIR={out.resolve()}/".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if told in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes())
    return found
