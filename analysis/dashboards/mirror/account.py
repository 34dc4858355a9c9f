"""W&B account of this machine, looked up within seconds whatever hangs.

W&B's public `wandb.Api` cannot replace this: it prompts where there is no key, and for an unreachable host, a missing
network and an error of the server alike it reports, after its whole timeout, that its own service is busy (0.31).
"""

import io
import json
import threading
import time
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from analysis.dashboards.mirror.session import load_session
from workbench.errors import UserError
from workbench.files import describe_error

VIEWER_QUERY = "query Viewer { viewer { entity username } }"
MAX_ANSWER_BYTES = 1 << 20
"""Bytes of an answer that are read; no W&B server sends more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A signed-in user and the server."""

    entity: str | None
    """Entity that runs go to by default: the one in W&B's settings, else the user's default entity."""
    username: str | None
    base_url: str
    """URL of the server's API."""
    app_url: str
    """URL of the server's web pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Address, key and connection options of a W&B server, from W&B's settings."""

    base_url: str
    app_url: str
    key: str = field(repr=False)
    entity: str | None
    proxies: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    verify: bool


def fetch_account(seconds: float = 5.0) -> Account:
    """Asks the W&B server once who the key of this machine belongs to; never prompts.

    The key is looked up where W&B looks: in `WANDB_API_KEY`, in the netrc file, in W&B's settings.

    Args:
        seconds: time limit of the whole request; name servers and proxies that never answer have no limit themselves.

    Raises:
        UserError: if W&B is not installed, there is no key, it is refused, or the server cannot be reached.
    """
    if find_spec("wandb") is None:
        raise UserError("W&B is not installed: pip install 'sequence-workbench[wandb]'")
    deadline = time.monotonic() + seconds
    server = read_server_settings()
    results: list[Account | UserError] = []

    def query() -> None:
        try:
            results.append(query_viewer(server, max(0.1, deadline - time.monotonic())))
        except UserError as error:
            results.append(error)
        except Exception as error:
            # A hostile answer or a strange setting: the type of the error says enough, its text might hold the key.
            results.append(UserError(f"W&B cannot be reached at {redact(server.base_url)}: {type(error).__name__}"))

    # A daemon thread, so that the process can end while the request hangs.
    thread = threading.Thread(target=query, name="wandb-account", daemon=True)
    thread.start()
    thread.join(max(0.1, deadline - time.monotonic()))
    if not results:
        raise UserError(
            f"W&B did not answer within {seconds:g} seconds at {redact(server.base_url)}{describe_proxy(server)}"
        )
    if isinstance(results[0], UserError):
        raise results[0]
    return results[0]


def read_server_settings() -> ServerSettings:
    """Reads the server and the key as W&B itself does, but for settings in the current folder.

    Raises:
        UserError: if there is no key, or it is malformed.
    """
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib import urls, wbauth

    try:
        # W&B prints on stderr which files it has read.
        with redirect_stderr(io.StringIO()):
            # Not wandb.setup() and wandb.login(): they start a service, ask the server, and change the session's key.
            settings = load_session().settings
            host = wbauth.HostUrl(settings.base_url)
            auth = wbauth.authenticate_session(
                host=host, source="workbench sync", prompt=False, update_session=False, no_offline=True
            )
    except AuthenticationError as error:
        raise UserError(
            f"W&B's key is invalid: {describe_error(error).rstrip('.')}; sign in again: wandb login"
        ) from None
    except (ValueError, OSError) as error:
        # Pydantic repeats its input, which may hold a password: only its messages are shown.
        why = "; ".join(item["msg"] for item in error.errors()) if hasattr(error, "errors") else type(error).__name__
        raise UserError(f"W&B's settings or its key cannot be read ({why}); see WANDB_BASE_URL and NETRC") from None
    if auth is None:
        elsewhere = "" if settings.base_url == urls.DEFAULT_BASE_URL else f" --host {redact(host.url)}"
        raise UserError(f"no W&B account is signed in on this machine: wandb login{elsewhere}, or set WANDB_API_KEY")
    if not isinstance(auth, wbauth.AuthApiKey):
        raise UserError("W&B is asked with an API key, not with an identity token: wandb login, or set WANDB_API_KEY")
    if not auth.api_key.isascii():
        raise UserError("W&B's key is invalid: it has letters that no key has; sign in again: wandb login")
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


def query_viewer(server: ServerSettings, seconds: float) -> Account:
    """Asks the server who the key belongs to.

    Raises:
        UserError: if the server does not say.
    """
    import requests

    where = redact(server.base_url)
    try:
        with (
            requests.Session() as session,
            session.post(
                f"{server.base_url}/graphql",
                json={"query": VIEWER_QUERY},
                auth=("api", server.key),
                headers=server.headers,
                proxies=server.proxies,
                verify=server.verify,
                timeout=seconds,
                # No other server may get the key.
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            status = response.status_code
            response.raw.decode_content = True
            body = response.raw.read(MAX_ANSWER_BYTES)
    except requests.exceptions.ProxyError:
        raise UserError(
            f"W&B cannot be reached at {where}: it is refused{describe_proxy(server) or ' by the proxy'}"
        ) from None
    except requests.exceptions.SSLError:
        raise UserError(f"W&B cannot be reached at {where}: its certificate is not accepted") from None
    except requests.exceptions.Timeout:
        raise UserError(f"W&B did not answer within {seconds:.0f} seconds at {where}{describe_proxy(server)}") from None
    except requests.exceptions.ConnectionError:
        raise UserError(f"W&B cannot be reached at {where}{describe_proxy(server)}: is there a network?") from None
    refused = f"W&B refuses the key of this machine at {where}; sign in again: wandb login --relogin"
    if status in (401, 403):
        raise UserError(refused)
    if status != 200:
        raise UserError(f"W&B answered with status {status} at {where}; try again later")
    answer = parse_json(body)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or "viewer" not in data:
        raise UserError(f"the server at {where} is not a W&B server; is WANDB_BASE_URL right?")
    viewer = data["viewer"]
    if not isinstance(viewer, dict):
        raise UserError(refused)
    entity, username = (value if isinstance(value, str) else None for value in map(viewer.get, ("entity", "username")))
    return Account(
        entity=server.entity or entity or None, username=username, base_url=server.base_url, app_url=server.app_url
    )


def parse_json(body: bytes) -> Any:
    """Parses JSON; returns `None` for anything else."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def describe_proxy(server: ServerSettings) -> str:
    """Returns " through the proxy URL" without the proxy's password, or nothing if there is no proxy."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(server.base_url, {**get_environ_proxies(server.base_url), **server.proxies})
    return "" if proxy is None else f" through the proxy {redact(proxy)}"


def redact(url: str) -> str:
    """Returns a URL without user name and password."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if parts.scheme else host
