"""Figures of tests: as SVG alone, unless a test is about the formats. The PNGs take half of the time of a report."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from analysis import style

USUAL = style.DEFAULT_FORMATS


@contextmanager
def default_formats(*formats: str) -> Iterator[None]:
    """Saves figures in these formats where no others are asked for."""
    with pytest.MonkeyPatch.context() as patch, style.use_formats(formats):
        patch.setattr(style, "DEFAULT_FORMATS", formats)
        yield


@pytest.fixture(scope="package", autouse=True)
def _svg_alone() -> Iterator[None]:
    """To be imported by the conftest of a package whose tests write reports."""
    with default_formats("svg"):
        yield


@pytest.fixture(scope="module")
def all_default_formats() -> Iterator[None]:
    """The formats that users get."""
    with default_formats(*USUAL):
        yield
