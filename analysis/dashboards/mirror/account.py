"""Whose W&B account this machine is signed in to, found out within seconds, whatever hangs."""

import io
import json
import threading
import time
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from workbench.errors import UserError
from workbench.files import one_line

QUERY = "query Viewer { viewer { entity username } }"
LIMIT = 1 << 20
"""Bytes of an answer that are read: a server that says more is not W&B's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is signed in, and where."""

    entity: str | None
    """To which runs go unless another one is named: W&B's setting, else the user's own default."""
    username: str | None
    base_url: str
    """Of the server's API."""
    app_url: str
    """Of its pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How to reach a server: what W&B's settings say."""

    base_url: str
    app_url: str
    key: str = field(repr=False)
    entity: str | None
    proxies: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    verify: bool


def signed_in(seconds: float = 5.0) -> Account:
    """Asks the W&B server once whose key this machine has. Nothing is asked of the user.

    The key is looked for where W&B looks: in `WANDB_API_KEY`, in the netrc file, in W&B's settings.

    Args:
        seconds: after which it is given up: name servers and proxies that never answer have no limit of their own.

    Raises:
        UserError: if W&B is not installed, there is no key, or it is refused, or the server cannot be reached.
    """
    if find_spec("wandb") is None:
        raise UserError("W&B is not installed: pip install 'sequence-workbench[wandb]'")
    end = time.monotonic() + seconds
    door = read_server_settings()
    found: list[Account | UserError] = []

    def look() -> None:
        try:
            found.append(query_viewer(door, max(0.1, end - time.monotonic())))
        except UserError as error:
            found.append(error)
        except Exception as error:
            # Whatever a hostile answer or a strange setting leads to; the kind says enough, a text might hold the key.
            found.append(UserError(f"W&B cannot be reached at {redact(door.base_url)}: {type(error).__name__}"))

    # A daemon, so that the process can end while a look-up hangs.
    thread = threading.Thread(target=look, name="wandb-account", daemon=True)
    thread.start()
    thread.join(max(0.1, end - time.monotonic()))
    if not found:
        raise UserError(
            f"W&B did not answer within {seconds:g} seconds at {redact(door.base_url)}{open_connection(door)}"
        )
    if isinstance(found[0], UserError):
        raise found[0]
    return found[0]


def read_server_settings() -> ServerSettings:
    """The server and the key, as W&B itself finds them.

    Raises:
        UserError: if there is no key, or none that can be one.
    """
    from wandb.errors import AuthenticationError
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib import urls, wbauth

    try:
        # It tells on stderr which files it has read.
        with redirect_stderr(io.StringIO()):
            settings = wandb_setup.singleton().settings
            host = wbauth.HostUrl(settings.base_url)
            auth = wbauth.authenticate_session(
                host=host, source="workbench sync", prompt=False, update_session=False, no_offline=True
            )
    except AuthenticationError as error:
        raise UserError(f"W&B's key cannot be one: {one_line(error).rstrip('.')}; sign in again: wandb login") from None
    except (ValueError, OSError) as error:
        # Pydantic repeats what it was given, which may hold a password: only what is wrong with it is shown.
        why = "; ".join(item["msg"] for item in error.errors()) if hasattr(error, "errors") else type(error).__name__
        raise UserError(f"W&B's settings or its key cannot be read ({why}); see WANDB_BASE_URL and NETRC") from None
    if auth is None:
        elsewhere = "" if settings.base_url == urls.DEFAULT_BASE_URL else f" --host {redact(host.url)}"
        raise UserError(f"no W&B account is signed in on this machine: wandb login{elsewhere}, or set WANDB_API_KEY")
    if not isinstance(auth, wbauth.AuthApiKey):
        raise UserError("W&B is asked with an API key, not with an identity token: wandb login, or set WANDB_API_KEY")
    if not auth.api_key.isascii():
        raise UserError("W&B's key cannot be one: it has letters that no key has; sign in again: wandb login")
    proxies = {"http": settings.http_proxy, "https": settings.https_proxy}
    return ServerSettings(
        base_url=host.url,
        app_url=host.app_url,
        key=auth.api_key,
        entity=settings.entity or None,
        proxies={scheme: proxy for scheme, proxy in proxies.items() if proxy},
        headers=dict(settings.x_extra_http_headers or {}),
        verify=not settings.insecure_disable_ssl,
    )


def query_viewer(door: ServerSettings, seconds: float) -> Account:
    """Asks the server who the key belongs to.

    Raises:
        UserError: if it does not say.
    """
    import requests

    where = redact(door.base_url)
    try:
        with (
            requests.Session() as session,
            session.post(
                f"{door.base_url}/graphql",
                json={"query": QUERY},
                auth=("api", door.key),
                headers=door.headers,
                proxies=door.proxies,
                verify=door.verify,
                timeout=seconds,
                # Nobody else is to be given the key.
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            status = response.status_code
            response.raw.decode_content = True
            body = response.raw.read(LIMIT)
    except requests.exceptions.ProxyError:
        raise UserError(
            f"W&B cannot be reached at {where}: it is refused{open_connection(door) or ' by the proxy'}"
        ) from None
    except requests.exceptions.SSLError:
        raise UserError(f"W&B cannot be reached at {where}: its certificate is not accepted") from None
    except requests.exceptions.Timeout:
        raise UserError(f"W&B did not answer within {seconds:.0f} seconds at {where}{open_connection(door)}") from None
    except requests.exceptions.ConnectionError:
        raise UserError(f"W&B cannot be reached at {where}{open_connection(door)}: is there a network?") from None
    refused = f"W&B refuses the key of this machine at {where}; sign in again: wandb login --relogin"
    if status in (401, 403):
        raise UserError(refused)
    if status != 200:
        raise UserError(f"W&B answered with status {status} at {where}; try again later")
    answer = parse_viewer(body)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or "viewer" not in data:
        raise UserError(f"what answers at {where} is no W&B server; is WANDB_BASE_URL right?")
    viewer = data["viewer"]
    if not isinstance(viewer, dict):
        raise UserError(refused)
    entity, username = (value if isinstance(value, str) else None for value in map(viewer.get, ("entity", "username")))
    return Account(
        entity=door.entity or entity or None, username=username, base_url=door.base_url, app_url=door.app_url
    )


def parse_viewer(body: bytes) -> Any:
    """JSON, or `None` where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def open_connection(door: ServerSettings) -> str:
    """Which proxy the server is asked through, in words; its password is nobody's business."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(door.base_url, {**get_environ_proxies(door.base_url), **door.proxies})
    return "" if proxy is None else f" through the proxy {redact(proxy)}"


def redact(url: str) -> str:
    """A URL without who signs in by it."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if parts.scheme else host
