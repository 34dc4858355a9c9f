"""Panels of the workspace refer only to names that W&B's own viewer finds in the offline records."""

import json

import pytest

from analysis.dashboards.workspace import build, serialization
from tests.analysis.dashboards.panel_names import named_metrics
from tests.analysis.dashboards.wandb_reader import LoggedRecord

pytest.importorskip("wandb_workspaces")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def logged(mirrored):
    state_paths = [*mirrored.glob("runs/*/*/*/seed-*/wandb.json"), mirrored / "wandb/comparison.json"]
    return [LoggedRecord(mirrored / json.loads(path.read_text())["folder"]) for path in state_paths]


def nested_keys(values, prefix=""):
    """Yields the keys of a configuration, joined by dots as W&B names them."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from nested_keys(value, f"{prefix}{key}.")


@pytest.mark.slow
def test_panels_name_only_what_was_logged(mirrored, logged, tmp_path):
    path = tmp_path / "dashboard.json"
    serialization.write_workspace(build.build_workspace(mirrored), path)
    names = named_metrics(serialization.read_workspace(path))
    logged_names = {name for record in logged for name in record.names}
    # W&B joins nested entries of a summary by dots: the best value of a metric.
    logged_names |= {
        f"{name}.{key}"
        for record in logged
        for name, value in record.summary.items()
        if isinstance(value, dict)
        for key in value
    }
    logged_names |= {f"config.{key}" for record in logged for key in nested_keys(record.config)}
    assert names - logged_names == set()
    # The essentials are there: learning, the probes that were used, cost, the trials and the report.
    for name in ("val/loss", "test/loss", "cost/parameters", "trial/loss", "report/page", "config.architecture.name"):
        assert name in names
    assert any(name.startswith("probe/memory_length/") for name in names)
    assert any(name.startswith("curve/discount_dynamics/") for name in names)
    assert any(name.startswith("figure/") for name in names)


def test_charts_name_only_columns_that_their_table_has(mirrored, logged):
    tables: dict[str, set[str]] = {}
    for record in logged:
        for name in record.media:
            if name.startswith("curve/"):
                tables.setdefault(name, set()).update(record.table(name)[0])
    charts = [
        panel
        for section in build.build_workspace(mirrored).sections
        for panel in section.panels
        if type(panel).__name__ == "CustomChart"
    ]
    assert len(charts) > 3
    for chart in charts:
        columns = tables[chart.query["summaryTable"]["tableKey"]]
        assert {*chart.chart_fields.values()} <= columns
