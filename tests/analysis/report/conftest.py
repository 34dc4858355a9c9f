"""Fixtures of the report's tests: figures as SVG alone."""

from tests.figure_formats import _svg_alone, all_default_formats  # noqa: F401
