"""The pages of docs/: what they link is there, what they have one type parses, and the site has its reference."""

import importlib.util
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from analysis.profile.output import format_median
from analysis.statistics import MedianInterval
from workbench.cli.main import COMMANDS
from workbench.cli.parser import parse_arguments
from workbench.tasks.catalogue import QUESTION_OF

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "results" not in path.parts)
GUIDES = [page for page in PAGES if "```sh\nworkbench" in page.read_text(encoding="utf-8")]


def read_commands(page):
    """The workbench's commands in a page's shell blocks, on one line each; not of loops."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("exec ") for line in lines if line.removeprefix("exec ").startswith("workbench ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_links_is_there(page):
    linked = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    made = {"reference/command-line.md"}
    missing = [path for path in linked if path not in made and not (page.parent / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_commands_of_a_guide_parse(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaky.py").write_text("from architectures.lstm import LSTM\n\n\nclass Leaky(LSTM):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    commands = read_commands(page)
    assert commands
    for command in commands:
        _, name, *arguments = shlex.split(command)
        module = COMMANDS[name][0]
        if name == "sweep":
            module = f"{module}.{arguments.pop(0)}"
        given = [arguments.pop(0), "", ""] if name == "dashboard" else []
        # An unknown option or an unreadable value is an error.
        parse_arguments(import_module(module).build_parser(*given), arguments)


def test_the_page_of_tasks_has_every_task_under_its_question():
    rows = re.findall(
        r"^\| (\w+) \| ((?:`[\w-]+`(?:, )?)+) \|", (DOCS / "reference" / "tasks.md").read_text(), re.MULTILINE
    )
    written = {name: question for question, names in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert written == dict(QUESTION_OF)


def test_every_page_is_in_the_navigation_or_left_out_on_purpose():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        return [page for part in (entry if isinstance(entry, list) else entry.values()) for page in pages(part)]

    shown = pages(config["nav"])
    assert len(shown) == len(set(shown))
    assert {str(page.relative_to(DOCS)) for page in PAGES} - set(shown) == set()


def test_the_site_has_the_help_of_every_command():
    spec = importlib.util.spec_from_file_location("site_pages", DOCS / "site_pages.py")
    assert spec is not None
    assert spec.loader is not None
    site_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(site_pages)
    text = site_pages.read_help(["sweep", "status"])
    assert "usage: workbench sweep status" in text
    assert site_pages.LINK.sub(site_pages.point_into_docs, "[a](docs/runs.md#x) [b](SECURITY.md)") == (
        "[a](runs.md#x) [b](SECURITY.md)"
    )


@pytest.mark.parametrize(
    ("heading", "files"),
    [
        ("batch, steps, units", ("cpu-20-200-64", "cpu-1-1000-128")),
        ("A source of 20 words", ("cpu-100-40-128",)),
        ("With two threads", ("cpu-100-200-250",)),
    ],
)
def test_the_costs_on_the_page_are_those_that_were_measured(heading, files):
    page = (DOCS / "profile.md").read_text(encoding="utf-8")
    table = re.search(r"^(\|.*\n)+", page[page.index(heading) - 2 :], re.MULTILINE)
    assert table is not None
    written = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", table[0], re.MULTILINE)
    measured: dict[str, list[str]] = {}
    for name in files:
        for row in json.loads((DOCS / "measurements" / f"{name}.json").read_text())["rows"]:
            ratio = row["forward_backward"]["ratio_to_baseline"]
            if row["architecture"] != "torch.nn.LSTM":
                measured.setdefault(row["architecture"], []).append(format_median(MedianInterval(**ratio)))
    assert written == [(name, " | ".join(ratios)) for name, ratios in measured.items()]
    assert written


@pytest.mark.parametrize(("sizes", "name"), [("100, 64", "training-20-100-64"), ("20, 32", "training-20-20-32")])
def test_the_costs_of_a_training_step_are_those_that_were_measured(sizes, name):
    measured = json.loads((DOCS / "measurements" / f"{name}.json").read_text())
    assert measured["settings"]["repeats"] == 30
    cells = [format_median(MedianInterval(**row["ratio"])) for row in measured["training"]]
    assert [row["architecture"] for row in measured["training"]] == ["rnn", "lstm", "rda"]
    assert f"| {sizes} | {' | '.join(cells)} |\n" in (DOCS / "profile.md").read_text(encoding="utf-8")
