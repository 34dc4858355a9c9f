"""`workbench view` in Chromium: pages fit, load nothing from elsewhere, and move while something is trained."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from analysis.dashboards.server import live_curves
from analysis.dashboards.server.app import ResultsApp
from analysis.dashboards.server.wsgi import bind_server, same_origin_only, with_default_headers
from tests.analysis.dashboards.server_runs import write_comparison, write_unfinished_run
from tests.analysis.report.test_in_a_browser import CHROMIUM, FLAGS
from tests.analysis.report_runs import experiment, write_run
from workbench.run_folder import run_lock

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
LONG = "a_package_with_a_long_name.and_a_module_with_one:AndAClassWhoseNameDoesNotEnd"
EVIL = "<script>alert(1)</script>:X"


@contextmanager
def serve(out: Path, *, watch: bool) -> Iterator[tuple[str, Any]]:
    """Runs a server in a thread, and yields its address and the server."""
    with bind_server(0) as server:
        server.set_app(with_default_headers(same_origin_only(ResultsApp(out, watch=watch), server.server_port)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Returns a function that opens pages and records their complaints and requests."""
    pages = []

    def page(**options: Any) -> Any:
        page = browser.new_page(**options)
        page.complaints, page.requests = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.requests.append(request.url))
        pages.append(page)
        return page

    yield page
    for opened in pages:
        opened.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from analysis.report import build

    out = tmp_path_factory.mktemp("results")
    for architecture in ("lstm", LONG, EVIL):
        for seed in (0, 1):
            write_run(out, experiment(architecture, seed=seed), accuracies=(0.5, 0.7, 0.9))
    build.write_report(out)
    folder = write_unfinished_run(out, experiment(f"rnn{EVIL}"), [0.3, 0.2])
    (folder / "error.log").write_text(f"ValueError: <img src=x onerror=alert(1)> {'long' * 100}\n")
    (out / "comparison.yaml").write_text(f"'{EVIL}': 1\n")
    return out


@pytest.mark.parametrize(
    ("path", "width", "scheme"),
    [
        ("/", 390, "dark"),
        ("/progress", 390, "light"),
        ("/progress", 1200, "dark"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("/", 1200, "light"), ("/files", 390, "light"), ("/files", 1200, "dark"))
        ),
    ],
)
def test_pages_fit_and_are_quiet(results: Path, open_page: Any, path: str, width: int, scheme: str) -> None:
    with serve(results, watch=path == "/progress") as (address, _):
        page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(address + path)
        if path == "/progress":
            page.wait_for_selector("#curves svg")
            assert "<script>alert(1)</script>" in page.inner_text("#runs")
            assert "<img src=x onerror=alert(1)>" in page.inner_text("#runs")
            background = "getComputedStyle(document.querySelector('.card')).backgroundColor"
            assert page.evaluate(background) == "rgb(255, 255, 255)"
        if path == "/":
            frame = page.frame(url=f"{address}/report.html")
            frame.wait_for_selector("h1")
            assert frame.evaluate("document.documentElement.scrollWidth") <= width
            # It fills the height of the window, and keeps its own style.
            assert frame.evaluate("innerHeight") > 650
            dark = "rgb(20, 23, 27)"
            color = frame.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (color == dark) is (scheme == "dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints == []
        urls = [url for url in page.requests if not url.startswith("data:")]
        assert urls
        assert all(url.startswith(f"{address}/") for url in urls), urls


@pytest.mark.slow
def test_bars_and_curves_move_without_loading_the_page_again(
    tmp_path: Path, open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_curves, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(live_curves, "REST_FACTOR", 0)
    expect = sync_api.expect
    experiments = write_comparison(tmp_path, ("lstm", "gru", "rwa", "tcn"), seeds=8)
    folder = write_unfinished_run(tmp_path, experiments[0], [0.5, 0.4])
    with serve(tmp_path, watch=True) as (address, server):
        page = open_page(viewport={"width": 600, "height": 500})
        page.goto(address)
        page.wait_for_selector("#curves svg")
        first = "#runs tbody tr:first-child"
        assert page.inner_text(f"{first} .state") == "interrupted"
        assert page.get_attribute(f"{first} progress", "value") == "0.2000"
        page.evaluate("window.mark = document.querySelector('#runs table'); scrollTo(0, 300)")
        before = page.evaluate("document.querySelector('#curves svg').outerHTML")
        with run_lock(folder):
            write_unfinished_run(tmp_path, experiments[0], [0.5, 0.4, 0.3])
            # wait_for_function would evaluate text, which the page's policy forbids.
            expect(page.locator(f"{first} progress")).to_have_attribute("value", "0.3000", timeout=20_000)
            expect(page.locator(f"{first} .state")).to_have_text(re.compile("^running"), timeout=20_000)
            for _ in range(100):
                if page.evaluate("document.querySelector('#curves svg').outerHTML") != before:
                    break
                page.wait_for_timeout(200)
            else:
                pytest.fail("the curves have not moved")
        expect(page.locator(f"{first} .state")).to_have_text("interrupted", timeout=20_000)
        # In place: the table is the same element, and the page is scrolled as it was.
        assert page.evaluate("window.mark === document.querySelector('#runs table')")
        assert page.evaluate("scrollY") == 300
        assert page.complaints == []
        assert page.is_hidden("#gone")
        server.set_app(lambda environ, start: start("503 Service Unavailable", []) or [])
        page.wait_for_selector("#gone", state="visible")
        assert "The server has gone" in page.inner_text("#gone")
        server.set_app(with_default_headers(same_origin_only(ResultsApp(tmp_path, watch=True), server.server_port)))
        page.wait_for_selector("#gone", state="hidden")


@pytest.mark.slow
def test_without_script_the_page_loads_again(tmp_path: Path, open_page: Any) -> None:
    write_unfinished_run(tmp_path, write_comparison(tmp_path)[0], [0.5, 0.4])
    with serve(tmp_path, watch=True) as (address, _):
        page = open_page(java_script_enabled=False)
        page.goto(address)
        page.wait_for_url(f"{address}/progress?whole", timeout=20_000)
        page.wait_for_selector("#curves svg")
        assert page.complaints == []


@pytest.mark.slow
def test_trials_are_shown_by_optuna_dashboard(tmp_path: Path, open_page: Any) -> None:
    pytest.importorskip("optuna_dashboard", reason="pip install 'sequence-workbench[dashboard]'")
    from sweeps.storage import connect
    from sweeps.storage_url import default_url
    from sweeps.studies import create_studies
    from sweeps.sweep import Sweep
    from workbench.cli.view import trials_app
    from workbench.files import write_yaml

    sweep = Sweep.from_dict({"tasks": ["addition"], "architectures": ["gru"], "trials": 3, "seeds": 1, "steps": 5})
    storage = connect(default_url(tmp_path), heartbeat=10, grace=30, log=print)
    create_studies(storage, sweep.specs(), sweep.trials)
    storage.close()
    write_yaml(tmp_path / "sweep.yaml", sweep.to_dict())
    with bind_server(0) as server:
        view = ResultsApp(tmp_path, watch=False, trials=lambda log: trials_app(tmp_path, log))
        server.set_app(with_default_headers(same_origin_only(view, server.server_port)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        try:
            page = open_page(viewport={"width": 1200, "height": 800})
            page.goto(f"{address}/trials")
            page.frame_locator("iframe").get_by_text("addition/gru").first.wait_for(timeout=30_000)
            urls = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
            assert all(url.startswith(f"{address}/") for url in urls), urls
            assert page.complaints == []
        finally:
            server.shutdown()
            thread.join()
