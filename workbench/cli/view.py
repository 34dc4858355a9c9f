"""`workbench view`: a folder of results in a browser, while runs are trained or afterwards."""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.options import existing_folder
from workbench.cli.parser import Parser
from workbench.errors import UserError
from workbench.validation import check_int

if TYPE_CHECKING:
    from analysis.dashboards.server.wsgi import WsgiApp

DESCRIPTION = """Show a folder of results in a browser, until Ctrl-C: report, progress, curves so far, files and trials.

It listens on 127.0.0.1 alone and only shows: nothing in DIR is changed, and no run is disturbed. It may be started at
any time of a comparison or a sweep, and be left running beside it."""

EXAMPLES = """examples:
  workbench view results
  workbench view results --watch       (while `workbench compare --out results` trains)
  workbench view results --port 8080
  ssh -L 8080:127.0.0.1:8080 host      (from elsewhere: then open http://127.0.0.1:8080/)
"""
RESULT_FILES = ("runs", "comparison.yaml", "sweep.yaml", "report.html", "untrained")
"""Files and folders, at least one of which is in every folder of results."""
NICENESS = 10
"""Added to the niceness of this process, so that training comes first."""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    check_int("port", values.port, least=0, most=65535)
    out = check_results(values.dir)
    from analysis.dashboards.server.app import ResultsApp
    from analysis.dashboards.server.wsgi import (
        HOST,
        bind_server,
        same_origin_only,
        serve_until_stopped,
        with_default_headers,
    )

    sweep_folder = out.resolve()
    with bind_server(values.port) as server:
        app = ResultsApp(out, watch=values.watch, trials=lambda log: trials_app(sweep_folder, log))
        server.set_app(with_default_headers(same_origin_only(app, server.server_port)))
        with suppress(OSError, AttributeError):
            os.nice(NICENESS)
        serve_until_stopped(server, f"{out} is shown at http://{HOST}:{server.server_port}/ until Ctrl-C")
    return 0


def check_results(path: str) -> Path:
    """Returns the folder of results that was named.

    Raises:
        UserError: if there is no such folder, or there are no results in it.
    """
    out = Path(path)
    try:
        existing_folder(out)
        has_results = any((out / name).exists() for name in RESULT_FILES)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not has_results:
        raise UserError(f"{out} holds no results, which would have runs/ or a report.html; name the folder of --out")
    return out


def trials_app(out: Path, log: Callable[[str], None]) -> "WsgiApp":
    """Returns optuna-dashboard's application for the sweep in a folder.

    Args:
        out: the folder of results.
        log: receives a line before each pause, while the store is out of reach.

    Raises:
        UserError: if it is not installed, or the store cannot be opened.
    """
    if find_spec("optuna_dashboard") is None:
        raise UserError("they need optuna-dashboard: pip install 'sequence-workbench[dashboard]'")
    try:
        from sweeps.storage import connect
        from sweeps.storage_retry import with_retries
        from sweeps.studies import load_studies
        from sweeps.worker import silence_optuna
        from workbench.cli.sweep.storage_options import StorageOptions, find_storage_url
    except ImportError as error:
        raise UserError(f"they need {error.name}: pip install 'sequence-workbench[sweeps]'") from None

    url = find_storage_url(str(out), None)
    silence_optuna()
    # Its warnings about studies with few trials would appear on the terminal at every look.
    warnings.filterwarnings("ignore", module="optuna")
    options = StorageOptions()
    storage = connect(url, heartbeat=options.heartbeat, grace=options.grace, log=log, read_only=True)
    with_retries(lambda: load_studies(storage), log)
    import optuna_dashboard

    app: WsgiApp = optuna_dashboard.wsgi(storage)
    return app


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = Parser(prog="workbench view", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("dir", type=str, help="the folder that was named as --out", metavar="DIR")
    parser.add_argument("--port", type=int, default=0, help="to listen on; 0 for any free port")
    parser.add_argument(
        "--watch", action="store_true", help="show the progress page first, and let pages renew themselves"
    )
    return parser
