"""The page in Chromium: it fits a phone, makes no requests and logs no errors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.report import build
from tests.analysis.report_runs import experiment, write_run

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("comparison")
    long_name = "a_package_with_a_long_name.and_a_module_with_one:AndAClassWhoseNameDoesNotEnd"
    for architecture in ("lstm", "rda-sigmoid-id", "han-bidirectional", long_name, "<script>alert(1)</script>:X"):
        for seed in (0, 1):
            run = experiment(architecture, task_options={"length": 1000}, seed=seed)
            write_run(out, run, loss=0.1 + seed / 50, accuracy=0.9, accuracies=(0.5, 0.7, 0.9))
    return build.write_report(out)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_is_quiet(browser: Any, page_path: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Figures keep to the page, and on white.
    for box in page.evaluate(
        "[...document.querySelectorAll('.card svg')].map(each => each.getBoundingClientRect().right)"
    ):
        assert 0 < box <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    assert messages == []
    assert requests == [page_path.as_uri()]
    page.close()


def test_the_wide_table_scrolls_in_its_own_box(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(page_path.as_uri())
    inside, outside = page.evaluate(
        "(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.scroll'))",
    )
    assert inside > outside
    page.close()
