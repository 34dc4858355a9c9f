"""`workbench view`: the results, and what is being trained, in a browser."""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.validation import check_int

if TYPE_CHECKING:
    from analysis.dashboards.server.wsgi import App

DESCRIPTION = """Show a folder of results in a browser, until Ctrl-C: report, progress, curves so far, files and trials.

It listens on 127.0.0.1 alone and only shows: nothing in DIR is changed, and no run is disturbed. It may be started at
any time of a comparison or a sweep, and be left running beside it."""

EXAMPLES = """examples:
  workbench view results
  workbench view results --watch       (while `workbench compare --out results` trains)
  workbench view results --port 8080
  ssh -L 8080:127.0.0.1:8080 host      (from elsewhere: then open http://127.0.0.1:8080/)
"""
RESULTS = ("runs", "comparison.yaml", "sweep.yaml", "report.html", "untrained")
"""One of which every folder of results has."""
MAX_CONNECTIONS = 10
"""Added to the niceness of this process: what is being trained comes first."""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    check_int("port", values.port, least=0, most=65535)
    out = folder(values.dir)
    from analysis.dashboards.server.app import View
    from analysis.dashboards.server.wsgi import HOST, listen, same_origin_only, until_stopped, with_headers

    sweep = out.resolve()
    with listen(values.port) as server:
        view = View(out, watch=values.watch, trials=lambda say: dashboard(sweep, say))
        server.set_app(with_headers(same_origin_only(view, server.server_port)))
        with suppress(OSError, AttributeError):
            os.nice(MAX_CONNECTIONS)
        until_stopped(server, f"{out} is shown at http://{HOST}:{server.server_port}/ until Ctrl-C")
    return 0


def folder(given: str) -> Path:
    """The folder of results.

    Raises:
        UserError: if there is none.
    """
    out = Path(given)
    try:
        if not out.is_dir():
            raise UserError(f"there is no folder {out}; name the one that was given as --out")
        there = any((out / name).exists() for name in RESULTS)
    except (OSError, ValueError) as error:
        raise UserError(f"{given!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not there:
        raise UserError(f"{out} holds no results, which would have runs/ or a report.html; name the folder of --out")
    return out


def dashboard(out: Path, say: Callable[[str], None]) -> "App":
    """optuna-dashboard's application for the sweep in a folder.

    Args:
        out: the folder.
        say: is given a line before each pause, while the store is out of reach.

    Raises:
        UserError: if it is not installed, or the store cannot be opened.
    """
    if find_spec("optuna_dashboard") is None:
        raise UserError("they need optuna-dashboard: pip install 'sequence-workbench[dashboard]'")
    try:
        from sweeps.retry import with_retries
        from sweeps.storage import connect
        from sweeps.studies import load_studies
        from sweeps.worker import silence_optuna
        from workbench.cli.sweep.dashboard import describe_status
        from workbench.cli.sweep.storage_options import StorageOptions
    except ImportError as error:
        raise UserError(f"they need {error.name}: pip install 'sequence-workbench[sweeps]'") from None

    url = describe_status(str(out), None)
    silence_optuna()
    # What it says of few trials would stand on the terminal of whoever looks, again and again.
    warnings.filterwarnings("ignore", module="optuna")
    store = StorageOptions()
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=say)
    with_retries(lambda: load_studies(storage), say)
    import optuna_dashboard

    app: App = optuna_dashboard.wsgi(storage)
    return app


def parser() -> Parser:
    """The command's options."""
    made = Parser(prog="workbench view", description=DESCRIPTION, examples=EXAMPLES)
    made.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    made.add_argument("--port", type=int, default=0, help="to listen on; 0 for any that is free")
    made.add_argument("--watch", action="store_true", help="the page of progress comes first, and renews itself")
    return made
