"""W&B server for tests, on the loopback interface, with the part of the protocol that sends offline runs.

It keeps data as W&B does, lines of a stream by their position, so that a line that is sent twice is there once; and it
can be set to refuse, to fail, or to wait.
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
STREAMS = {"historyLineCount": HISTORY, "eventsLineCount": "wandb-events.jsonl", "logLineCount": "output.log"}
"""Streamed files by the names of their numbers of lines."""
OPERATION = re.compile(r"\s*(?:query|mutation)\s+(\w+)")
JsonObject = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class ReceivedRun:
    """A run as the server has received it."""

    path: str
    """`entity/project/id`."""
    config: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    """Name, group, tags and so on, as last sent."""
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    """Lines of the streamed files, by position."""
    files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False
    streamed: list[tuple[str, int, int]] = field(default_factory=list)
    """Every piece of a stream: the file, the position, the number of lines."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows, without W&B's own columns."""
        rows = [json.loads(line) for _, line in sorted(self.lines.get(HISTORY, {}).items())]
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]

    @property
    def summary(self) -> dict[str, Any]:
        """The final summary."""
        summary: dict[str, Any] = json.loads(self.files["wandb-summary.json"])
        return summary


@dataclass(slots=True, kw_only=True)
class Backend:
    """Everything that the server has received, and how it behaves."""

    key: str = KEY
    entity: str = "someone"
    refuse: Callable[[str, str], int | None] = lambda what, run: None
    """Returns a status to answer with instead, from an operation's name, `PUT` or `stream`, and a run's id."""
    hold: Callable[[str, str], None] = lambda what, run: None
    """Called with the same arguments before an answer; may wait."""
    reports_line_count: bool = False
    """Whether it reports how many lines a run already has: wandb-core then appends new lines to them. As W&B documents
    it, a run that is started again under its id is overwritten."""
    runs: dict[str, ReceivedRun] = field(default_factory=dict)
    """By `project/id`."""
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their ids: name, entity, project, type, run, files, state."""
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of requests, by operation and run."""
    unknown: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, what: str, variables: JsonObject) -> JsonObject:
        """Answers a GraphQL operation."""
        method = getattr(self, f"on_{what.lower()}", None)
        if method is None:
            self.unknown.append(what)
            return {"errors": [{"message": f"this server does not know {what}"}]}
        with self.lock:
            return {"data": method(variables)}

    def on_viewer(self, variables: JsonObject) -> JsonObject:
        account = {"id": "V", "entity": self.entity, "username": "someone", "email": "", "flags": "{}"}
        return {"viewer": {**account, "teams": {"edges": []}}}

    def on_serverfeaturesquery(self, variables: JsonObject) -> JsonObject:
        return {"serverInfo": {"features": []}}

    def on_upsertbucket(self, variables: JsonObject) -> JsonObject:
        key = f"{variables['project']}/{variables['name']}"
        inserted = key not in self.runs
        run = self.runs.setdefault(key, ReceivedRun(path=f"{variables.get('entity') or self.entity}/{key}"))
        run.variables |= {key: value for key, value in variables.items() if value is not None}
        if variables.get("config"):
            run.config |= {key: entry["value"] for key, entry in json.loads(variables["config"]).items()}
        entity, project, name = run.path.split("/")
        bucket = {
            "id": f"B-{name}",
            "name": name,
            "displayName": run.variables.get("displayName"),
            "description": None,
            "config": variables.get("config"),
            "sweepName": None,
            "project": {"id": "P", "name": project, "entity": {"id": "E", "name": entity}},
            "historyLineCount": len(run.lines.get(HISTORY, {})) if self.reports_line_count else 0,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def on_runresumestatus(self, variables: JsonObject) -> JsonObject:
        """Answers what is known of a run that may be resumed."""
        run = self.runs.get(f"{variables['project']}/{variables['name']}")
        if run is None:
            return {"model": {"bucket": None}}
        counts = {name: len(run.lines.get(file, {})) for name, file in STREAMS.items()}
        rows = [line for _, line in sorted(run.lines.get(HISTORY, {}).items())]
        bucket = {
            "id": f"B-{variables['name']}",
            "name": variables["name"],
            "summaryMetrics": rows[-1] if rows else "{}",
            "displayName": run.variables.get("displayName"),
            "historyTail": json.dumps(rows[-1:]),
            "eventsTail": "[]",
            "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
            "tags": run.variables.get("tags") or [],
            "wandbConfig": '{"t": 1}',
            **counts,
        }
        return {"model": {"bucket": bucket}}

    def on_createrunfiles(self, variables: JsonObject) -> JsonObject:
        base = f"{self.url}/put/run/{variables['project']}/{variables['run']}"
        files = [{"name": name, "uploadUrl": f"{base}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def on_createartifact(self, variables: JsonObject) -> JsonObject:
        values = variables["input"]
        name = f"A{len(self.artifacts)}"
        self.artifacts[name] = {
            "name": values["artifactCollectionName"],
            "entity": values["entityName"],
            "project": values["projectName"],
            "type": values["artifactTypeName"],
            "run": values["runName"],
            "files": {},
            "state": "PENDING",
        }
        artifact = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def on_createartifactmanifest(self, variables: JsonObject) -> JsonObject:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(variables["artifactID"])}}

    def on_updateartifactmanifest(self, variables: JsonObject) -> JsonObject:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(variables["artifactManifestID"][1:])}}

    def _manifest(self, artifact: str) -> JsonObject:
        file = {
            "id": f"F{artifact}",
            "uploadUrl": self._upload_url(artifact, "wandb_manifest.json"),
            "uploadHeaders": [],
        }
        return {"id": f"M{artifact}", "file": file}

    def _upload_url(self, artifact: str, name: str) -> str:
        return f"{self.url}/put/artifact/{artifact}/{self.artifacts[artifact]['run']}/{name}"

    def on_createartifactfiles(self, variables: JsonObject) -> JsonObject:
        nodes: list[JsonObject] = [
            {
                "storagePath": f"wandb_artifacts/{values['name']}",
                "uploadUrl": self._upload_url(values["artifactID"], values["name"]),
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": values["artifactID"]},
            }
            for values in variables["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def on_commitartifact(self, variables: JsonObject) -> JsonObject:
        self.artifacts[variables["artifactID"]]["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}

    def stream(self, key: str, variables: JsonObject) -> JsonObject:
        """Stores a piece of a run's stream."""
        with self.lock:
            run = self.runs[key]
            for name, piece in (variables.get("files") or {}).items():
                run.streamed.append((name, piece["offset"], len(piece["content"])))
                run.lines.setdefault(name, {}).update(enumerate(piece["content"], piece["offset"]))
            run.complete = run.complete or bool(variables.get("complete"))
        return {}

    def put(self, kind: str, rest: list[str], body: bytes) -> JsonObject:
        """Stores a file."""
        with self.lock:
            if kind == "run":
                self.runs["/".join(rest[:2])].files["/".join(rest[2:])] = body
            else:
                self.artifacts[rest[0]]["files"]["/".join(rest[2:])] = body
        return {}


class Handler(BaseHTTPRequestHandler):
    """Handler that parses requests."""

    protocol_version = "HTTP/1.1"
    backend: Backend

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return

    def handle(self) -> None:
        """Handles a connection, which may break when its client is killed."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.body()
        path = urlsplit(self.path).path
        wanted = "Basic " + base64.b64encode(f"api:{self.backend.key}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.reply(401, {"errors": [{"message": "user is not logged in"}]})
            return
        request = json.loads(body)
        if path != "/graphql":
            _, _, _, project, run, _ = path.split("/")
            self.answer_unless_refused("stream", run, lambda: self.backend.stream(f"{project}/{run}", request))
            return
        match = OPERATION.match(request["query"])
        what, variables = match[1] if match else "?", request.get("variables") or {}
        run = variables.get("name") or variables.get("run") or (variables.get("input") or {}).get("runName") or ""
        self.answer_unless_refused(what, run, lambda: self.backend.answer(what, variables))

    def do_PUT(self) -> None:
        body = self.body()
        _, _, kind, *rest = unquote(urlsplit(self.path).path).split("/")
        self.answer_unless_refused("PUT", rest[1], lambda: self.backend.put(kind, rest, body))

    def answer_unless_refused(self, what: str, run: str, answer: Callable[[], JsonObject]) -> None:
        """Answers a request, unless it is to be refused."""
        with self.backend.lock:
            self.backend.operations[what, run] += 1
        self.backend.hold(what, run)
        status = self.backend.refuse(what, run)
        if status is None:
            self.reply(200, answer())
        else:
            self.reply(status, {"errors": [{"message": f"set to refuse {what}"}]})

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, value: JsonObject) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Server(ThreadingHTTPServer):
    """Server that does not wait for clients that are gone."""

    daemon_threads = True
    block_on_close = False


@contextmanager
def run_server() -> Iterator[Backend]:
    """Runs a server on a free port of the loopback interface."""
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
    """Returns the environment of a user on a fresh machine, without W&B settings, proxies and accounts."""
    foreign = re.compile(r"(?i)WANDB|.*_proxy$|NETRC|XDG_|(HOME|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$")
    inherited = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    home.mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(home), "NETRC": str(home / "netrc"), "WANDB_ERROR_REPORTING": "false", "OMP_NUM_THREADS": "1"}
    account = {} if backend is None else {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": KEY}
    # Retries follow at once, so that no test has to wait for them.
    retries = {
        f"WANDB__{part}_RETRY_{which}": value
        for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
        for which, value in {"MAX": "1", "WAIT_MIN_SECONDS": "0.05", "WAIT_MAX_SECONDS": "0.1"}.items()
    }
    return {**inherited, **own, **account, **retries, **more}


@contextmanager
def silent_port(drip: bytes = b"") -> Iterator[int]:
    """Opens a port that accepts connections and never answers, or sends a byte now and then; yields its number."""
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not stop.wait(0.05):
                connection.sendall(drip)

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


def sync_processes(out: Path) -> list[bytes]:
    """Returns the command lines of the running syncs of a folder, and of their W&B services."""
    variable = f"WANDB_DIR={out.resolve()}/".encode()
    command_lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if variable in (folder / "environ").read_bytes():
                command_lines.append((folder / "cmdline").read_bytes())
    return command_lines
