"""`workbench sweep dashboard`: the trials in a browser, by optuna-dashboard."""

from importlib.util import find_spec
from pathlib import Path

from analysis.dashboards.server.wsgi import HOST, listen, same_origin_only, until_stopped
from sweeps.retry import with_retries
from sweeps.storage import connect
from sweeps.studies import load_studies
from sweeps.worker import silence_optuna
from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.load import with_folder
from workbench.cli.sweep.storage_options import StorageOptions, check_exists, recorded_storage
from workbench.errors import UserError
from workbench.validation import check_int

DESCRIPTION = """Show the trials of a sweep in a browser, by optuna-dashboard, until Ctrl-C.

It listens on 127.0.0.1 alone. What is changed or deleted there is changed in the store, for every worker."""

EXAMPLES = """examples:
  workbench sweep dashboard tuned
  workbench sweep dashboard --storage postgresql+psycopg://me@host/sweeps --port 9000
  ssh -L 8080:127.0.0.1:8080 host      (from elsewhere: then open http://127.0.0.1:8080/)
"""


def main(given: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = parser().parse_args(given)
    port = values.port
    check_int("port", port, least=0, most=65535)
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs optuna-dashboard: pip install 'sequence-workbench[dashboard]'")
    url = describe_status(values.dir, values.storage)
    silence_optuna()
    store = StorageOptions()
    storage = connect(url, heartbeat=store.heartbeat, grace=store.grace, say=warn)
    with_retries(lambda: load_studies(storage), warn)
    import optuna_dashboard

    with listen(port) as server:
        server.set_app(same_origin_only(optuna_dashboard.wsgi(storage), server.server_port))
        until_stopped(server, f"the trials are shown at http://{HOST}:{server.server_port}/ until Ctrl-C")
    return 0


def describe_status(folder: str | None, storage: str | None) -> str:
    """The URL of a sweep's store, which is there.

    Raises:
        UserError: if there is no such sweep, or no such file: none is made by looking at it.
    """
    if folder is None and storage is None:
        raise UserError("name a sweep's folder, or its store: --storage URL")
    out = None if folder is None else Path(folder)
    kept = None if out is None else recorded_storage(out).get("storage")
    url = StorageOptions(storage=storage or kept).url(out)
    check_exists(url)
    return url


def parser() -> Parser:
    """The command's options."""
    made = with_folder(Parser(prog="workbench sweep dashboard", description=DESCRIPTION, examples=EXAMPLES))
    made.add_argument("--port", type=int, default=8080, help="to listen on; 0 for any that is free")
    return made
