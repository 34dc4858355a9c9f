"""A pytest plugin that selects tests for a GPU and records the outcome of every test.

The record has a line for each test, so that it is complete even if the process is killed.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

MAX_MESSAGE_LENGTH = 4000
"""Characters of a message that are kept, from its end, which says what was wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gpu")
    group.addoption("--record", default=None, help="a file for the outcome of every test")
    group.addoption("--on-gpu", action="store_true", help="only tests that use a GPU")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--record")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ResultRecorder(Path(path)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Ends a worker in which a GPU error has left nothing that works; another one continues."""
    if torch.cuda.is_available() and "PYTEST_XDIST_WORKER" in os.environ:
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            os._exit(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--on-gpu"):
        selected = [item for item in items if uses_gpu(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in selected])
        items[:] = selected


def uses_gpu(item: pytest.Item) -> bool:
    """Returns whether a test is marked `gpu`, or its module's DEVICE is a GPU."""
    device = getattr(getattr(item, "module", None), "DEVICE", None)
    return item.get_closest_marker("gpu") is not None or (isinstance(device, torch.device) and device.type == "cuda")


class ResultRecorder:
    """Recorder of test outcomes, as JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.collected = False

    def write(self, **line: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # With xdist the workers collect, and this session has no items.
        if session.items:
            self.write(collected=[item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        if not self.collected:
            self.collected = True
            self.write(collected=ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(test=report.nodeid, outcome="error", seconds=0.0, message=failure_message(report), measured={})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        broken = report.when != "call" and report.failed
        self.write(
            test=report.nodeid,
            outcome="error" if broken else report.outcome,
            seconds=round(report.duration, 3),
            message=None if report.passed else failure_message(report),
            measured={name: json_value(value) for name, value in report.user_properties},
        )


def json_value(value: object) -> object:
    """Returns a value that strict JSON can represent: infinities and NaN as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def failure_message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Returns the message of a failure, an error or a skip."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return report.longreprtext[-MAX_MESSAGE_LENGTH:]
