"""The page in Chromium: it fits a phone, makes no requests, logs no errors, and answers to mouse and keyboard."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
    for architecture, loss, parameters in (("lstm", 0.02, 90_000), ("gru", 0.001, 30_000), ("tcn", 0.1, 1_000)):
        for seed in (0, 1):
            run = experiment(architecture, task_options={"length": 2000}, seed=seed)
            write_run(out, run, loss=loss * (1 + seed), parameters=parameters, solved_at_mean50=900 if seed else None)
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
    edges = page.evaluate(
        "[...document.querySelectorAll('.scatter-drawing, .curves, .doubts')].filter(each => each.checkVisibility())"
        ".map(each => each.getBoundingClientRect().right)"
    )
    assert max(edges) <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    assert messages == []
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [page_path.as_uri()]
    page.close()


def test_the_wide_table_scrolls_in_its_own_box(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(page_path.as_uri())
    inside, outside = page.evaluate(
        "(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.scroll'))",
    )
    assert inside > outside
    page.close()


@pytest.fixture
def page(browser: Any, page_path: Path) -> Iterator[Any]:
    """The page as a reader first sees it on a small laptop, on its second task."""
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    page.goto(page_path.as_uri())
    page.locator("#task").select_option(label="addition, length=2000")
    yield page
    page.close()


def names(page: Any) -> list[str]:
    """Returns the names in the matrix that is shown, from top to bottom."""
    rows = page.locator("article.task:visible table.matrix tbody th[scope=row]").all_inner_texts()
    return [text.strip() for text in rows]


def test_the_answer_stands_above_the_fold(page: Any) -> None:
    for query in (".headline", ".doubts", "table.matrix", ".scatter-drawing"):
        box = page.locator(f"article.task:visible {query}").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 700, query


def test_a_phone_shows_the_answer_its_cost_and_what_to_distrust_first(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(page_path.as_uri())
    page.locator("#task").select_option(label="addition, length=2000")
    cost = page.locator("article.task:visible .cost")
    assert cost.inner_text().startswith("Cost. gru has 30,000 parameters and 1.00 times the time of lstm; lstm 90,000")
    for query in (".headline", ".cost", ".doubts"):
        box = page.locator(f"article.task:visible {query}").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 844, query
    legend = page.locator("article.task:visible .legend").inner_text()
    assert "at step the step by which half of the seeds had solved it" in legend
    page.close()


def test_rows_are_sorted_by_a_click_on_a_heading(page: Any) -> None:
    assert names(page) == ["gru", "lstm", "tcn"]
    heading = page.get_by_role("columnheader", name="parameters")
    heading.get_by_role("button").click()
    assert names(page) == ["tcn", "gru", "lstm"]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").press("Enter")
    assert names(page) == ["lstm", "gru", "tcn"]
    assert heading.get_attribute("aria-sort") == "descending"


def test_rows_and_families_are_hidden_and_shown(page: Any) -> None:
    labels = page.locator("article.task:visible .scatter-drawing .label")
    assert sorted(labels.all_text_contents()) == ["gru", "lstm", "tcn"]
    page.locator("article.task:visible").get_by_label("show lstm").uncheck()
    assert sorted(labels.all_text_contents()) == ["gru", "tcn"]
    family = page.get_by_role("button", name="gated")
    family.click()
    assert labels.all_text_contents() == ["tcn"]
    assert family.get_attribute("aria-pressed") == "false"
    family.click()
    assert sorted(labels.all_text_contents()) == ["gru", "lstm", "tcn"]


def test_axes_are_logarithmic_or_linear(page: Any) -> None:
    dots = page.locator(
        "article.task:visible tbody tr[data-label=tcn] .dots circle, article.task:visible tbody tr .trivial"
    )

    def place(loss: float, scale: str) -> float:
        ends = (math.log(0.001), math.log(1 / 6)) if scale == "log" else (0.001, 1 / 6)
        # The highest and the lowest value are 4 % of the axis from its ends.
        value = math.log(loss) if scale == "log" else loss
        high, low = max(ends[1], math.log(0.2) if scale == "log" else 0.2), ends[0]
        return 5 + 120 * (0.04 + (value - low) / (high - low)) / 1.08

    tcn = page.locator("article.task:visible tbody tr[data-label=tcn] .dots circle")
    assert dots.count() > 2
    for scale in ("log", "linear"):
        page.get_by_label("log axes").set_checked(scale == "log")
        places = [float(x) for x in tcn.evaluate_all("dots => dots.map(dot => dot.getAttribute('cx'))")]
        assert places == pytest.approx([place(0.1, scale), place(0.2, scale)], abs=0.2)


def test_cost_is_a_choice(page: Any) -> None:
    drawing = page.locator("article.task:visible .scatter-drawing")
    page.locator("article.task:visible").get_by_label("Cost").select_option("seconds")
    assert "seconds a step" in drawing.text_content()
    assert "Test loss against seconds a step" in drawing.get_attribute("aria-label")


def test_curves_are_drawn_and_zoomed(page: Any) -> None:
    page.locator("article.task:visible").get_by_label("curve of gru").click()
    box = page.locator("#addition-length-2000 .curves")
    box.locator("canvas").wait_for()
    # The link brings the curve to the fore, once it is drawn.
    page.wait_for_function("document.activeElement.textContent.startsWith('gru')")
    box.get_by_role("button", name="gru").click()
    assert box.get_by_role("button", name="gru").get_attribute("aria-pressed") == "false"
    assert box.locator("canvas").count() == 1
    for name in ("zoom in on steps", "later steps", "zoom out of steps", "show all steps"):
        box.get_by_role("button", name=name).click()


def test_tables_and_figures_are_saved(page: Any) -> None:
    article = page.locator("article.task:visible")
    with page.expect_download() as started:
        article.get_by_role("button", name="save as CSV").click()
    lines = Path(started.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith('architecture,"test loss, each seed",mean,solved,at step,parameters,time / lstm')
    assert [line.split(",")[0] for line in lines[1:]] == ["gru", "lstm", "tcn"]
    with page.expect_download() as started:
        article.get_by_role("button", name="save this figure as SVG").click()
    drawing = ElementTree.parse(started.value.path()).getroot()
    assert drawing.tag.endswith("svg")
    assert len([each for each in drawing.iter() if each.tag.endswith("circle")]) == 6
    with page.expect_download() as started:
        article.get_by_role("button", name="save this figure as PNG").click()
    assert Path(started.value.path()).read_bytes().startswith(b"\x89PNG")


def test_links_open_what_is_folded_away(browser: Any, page_path: Path) -> None:
    page = browser.new_page()
    page.goto(f"{page_path.as_uri()}#reading")
    page.evaluate("document.querySelector('#reading dt').id = 'term'")
    page.evaluate("location.hash = '#term'")
    page.locator("#term").wait_for(state="visible")
    page.goto(f"{page_path.as_uri()}#answer-addition-length-2000")
    assert page.locator("#answer-addition-length-2000").is_visible()
    page.close()


def test_without_a_script_everything_is_there(browser: Any, page_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(page_path.as_uri())
    for anchor in ("addition-length-1000", "addition-length-2000"):
        article = page.locator(f"#answer-{anchor}")
        assert article.locator("table.matrix").is_visible()
        assert article.locator(".scatter-drawing").is_visible()
        assert page.locator(f"#{anchor} .card svg").is_visible()
    assert not page.locator("#controls").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_accessibility_is_broken(browser: Any, page_path: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    # The checker is a script that the page's policy would not allow.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": 1200, "height": 700})
    page = context.new_page()
    page.goto(page_path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    rules = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
    result = page.evaluate("rules => axe.run(document, { runOnly: rules })", rules)
    broken = {each["id"]: [node["html"] for node in each["nodes"]] for each in result["violations"]}
    assert broken == {}
    assert len(result["passes"]) > 20
    context.close()


def test_every_control_has_a_name_and_is_reached_by_keyboard(page: Any) -> None:
    controls = page.locator("button:visible, select:visible, input:visible")
    assert controls.count() > 15
    nameless = controls.evaluate_all(
        "all => all.filter(each => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))"
        ".map(each => each.outerHTML)"
    )
    assert nameless == []
    assert controls.evaluate_all("all => all.every(each => each.tabIndex === 0)")
