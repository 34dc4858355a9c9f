"""Every panel of the workspace names what W&B's own viewer finds logged in the offline records, and nothing else."""

import json

import pytest

from analysis.dashboards.workspace import build, serialization
from tests.analysis.dashboards.panel_names import named_metrics
from tests.analysis.dashboards.wandb_reader import Logged

pytest.importorskip("wandb_workspaces")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def logged(mirrored):
    marks = [*mirrored.glob("runs/*/*/*/seed-*/wandb.json"), mirrored / "wandb/comparison.json"]
    return [Logged(mirrored / json.loads(path.read_text())["folder"]) for path in marks]


def nested(values, prefix=""):
    """The keys of a configuration, joined by dots as W&B names them."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from nested(value, f"{prefix}{key}.")


def test_panels_name_only_what_was_logged(mirrored, logged, tmp_path):
    path = tmp_path / "dashboard.json"
    serialization.write(build.workspace(mirrored), path)
    names = named_metrics(serialization.read(path))
    known = {name for record in logged for name in record.names}
    # W&B shows the entries of what is nested in a summary behind dots: the best value of a metric.
    known |= {f"{name}.{key}" for record in logged for name, value in record.summary.items() if isinstance(value, dict)
              for key in value}  # fmt: skip
    known |= {f"config.{key}" for record in logged for key in nested(record.config)}
    assert names - known == set()
    # What it is for is there: learning, the probes that were used, cost, the trials and the report.
    for wanted in ("val/loss", "test/loss", "cost/parameters", "trial/loss", "report/page", "config.architecture.name"):
        assert wanted in names
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
        for section in build.workspace(mirrored).sections
        for panel in section.panels
        if type(panel).__name__ == "CustomChart"
    ]
    assert len(charts) > 3
    for chart in charts:
        columns = tables[chart.query["summaryTable"]["tableKey"]]
        assert {*chart.chart_fields.values()} <= columns
