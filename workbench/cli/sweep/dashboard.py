"""`workbench sweep dashboard`: the trials in a browser, by optuna-dashboard."""

from importlib.util import find_spec

from workbench.cli.output import warn
from workbench.cli.parser import Parser
from workbench.cli.sweep.storage_options import StorageOptions, add_location_options, find_storage_url
from workbench.errors import UserError
from workbench.validation import check_int

DESCRIPTION = """Show the trials of a sweep in a browser, by optuna-dashboard, until Ctrl-C.

It listens on 127.0.0.1 alone. What is changed or deleted there is changed in the store, for every worker."""

EXAMPLES = """examples:
  workbench sweep dashboard tuned
  workbench sweep dashboard --storage postgresql+psycopg://me@host/sweeps --port 9000
  ssh -L 8080:127.0.0.1:8080 host      (from elsewhere: then open http://127.0.0.1:8080/)
"""


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit status."""
    values = build_parser().parse_args(arguments)
    port = values.port
    check_int("port", port, least=0, most=65535)
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs optuna-dashboard: pip install 'sequence-workbench[dashboard]'")
    url = find_storage_url(values.dir, values.storage)
    from analysis.dashboards.server.wsgi import HOST, bind_server, same_origin_only, serve_until_stopped
    from sweeps.storage import connect
    from sweeps.storage_retry import with_retries
    from sweeps.studies import load_studies
    from sweeps.worker import silence_optuna

    silence_optuna()
    options = StorageOptions()
    storage = connect(url, heartbeat=options.heartbeat, grace=options.grace, log=warn)
    with_retries(lambda: load_studies(storage), warn)
    import optuna_dashboard

    with bind_server(port) as server:
        server.set_app(same_origin_only(optuna_dashboard.wsgi(storage), server.server_port))
        serve_until_stopped(server, f"the trials are shown at http://{HOST}:{server.server_port}/ until Ctrl-C")
    return 0


def build_parser() -> Parser:
    """Returns the parser of the command."""
    parser = add_location_options(Parser(prog="workbench sweep dashboard", description=DESCRIPTION, examples=EXAMPLES))
    parser.add_argument("--port", type=int, default=8080, help="to listen on; 0 for any free port")
    return parser
