"""What a request is answered with, and the headers that keep every answer to this machine."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, Any

from dashboards.serving import App

TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'"
PAGE = (
    f"{NOTHING}; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; frame-src 'self'; frame-ancestors 'none'"
)
"""Of our pages. Figures are styled by attributes, and hold heat maps as data."""
DOCUMENT = f"{NOTHING}; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox allow-same-origin"
"""Of what was written to the folder: it may look as it likes, and do nothing."""
ALWAYS = {
    "Content-Security-Policy": f"{NOTHING}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a body and what it is."""

    body: bytes | IO[bytes] = b""
    """A file is closed once it is sent."""
    size: int | None = None
    """Of a file: as much of it is sent."""
    kind: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    policy: str | None = None
    """A `Content-Security-Policy`; by default one that allows nothing."""
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answers as WSGI has it."""
        size = self.size if not isinstance(self.body, bytes) else len(self.body)
        headers = {"Content-Type": self.kind, "Content-Length": str(size), **self.headers}
        if self.policy is not None:
            headers["Content-Security-Policy"] = self.policy
        start(f"{self.status.value} {self.status.phrase}", list(headers.items()))
        if isinstance(self.body, bytes):
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]
        if environ["REQUEST_METHOD"] == "HEAD":
            self.body.close()
            return []
        return sent(self.body, size or 0)


def sent(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file in blocks, and no more of it than was announced, should it grow meanwhile."""
    with file:
        while size > 0 and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block


def line(status: HTTPStatus, text: str, **headers: str) -> Answer:
    """A line of plain text."""
    return Answer(body=f"{text}\n".encode(), status=status, headers=headers)


def unless_seen(text: str, environ: dict[str, Any]) -> Answer:
    """A part of a page, or that it is what the one who asks has already."""
    tag = version(text)
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        return Answer(status=HTTPStatus.NOT_MODIFIED, kind=HTML, headers={"ETag": tag})
    return Answer(body=text.encode("utf-8", "replace"), kind=HTML, headers={"ETag": tag})


def version(text: str) -> str:
    """What tells a text from others."""
    return f'"{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]}"'


def guarded(app: App) -> App:
    """The application with the headers that every answer has; what it says itself stays."""

    def answering(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said = {name.lower() for name, _ in headers}
            added = [(name, value) for name, value in ALWAYS.items() if name.lower() not in said]
            return start(status, [*headers, *added], *rest)

        return app(environ, begin)

    return answering
