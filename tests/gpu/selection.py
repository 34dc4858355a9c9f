"""A pytest plugin: keeps what a GPU is needed for, and writes down what comes of every test, line by line, so that it
is known even if the process is killed."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

LONGEST = 4000
"""Characters of a message that are kept: its end says what was wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gpu")
    group.addoption("--record", default=None, help="a file for what comes of every test")
    group.addoption("--on-gpu", action="store_true", help="only tests that use a GPU")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(Path(path)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Some errors of a GPU leave nothing that works in a process; then another one goes on."""
    if torch.cuda.is_available() and "PYTEST_XDIST_WORKER" in os.environ:
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            os._exit(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--on-gpu"):
        kept = [item for item in items if uses_gpu(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def uses_gpu(item: pytest.Item) -> bool:
    """Whether a test is marked so, or is of a module that runs on whatever DEVICE there is."""
    device = getattr(getattr(item, "module", None), "DEVICE", None)
    return item.get_closest_marker("gpu") is not None or (isinstance(device, torch.device) and device.type == "cuda")


class Record:
    """Writes to a file, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.collected = False

    def write(self, **line: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # With workers, they collect, and this session has nothing.
        if session.items:
            self.write(collected=[item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if not self.collected:
            self.collected = True
            self.write(collected=ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(test=report.nodeid, outcome="error", seconds=0.0, message=message(report), measured={})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        broken = report.when != "call" and report.failed
        self.write(
            test=report.nodeid,
            outcome="error" if broken else report.outcome,
            seconds=round(report.duration, 3),
            message=None if report.passed else message(report),
            measured={name: finite(value) for name, value in report.user_properties},
        )


def finite(value: object) -> object:
    """What strict JSON has no number for, as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return report.longreprtext[-LONGEST:]
