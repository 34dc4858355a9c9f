"""The example notebook, from a wheel, in an empty folder, beside a file that has the name of one of our packages."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.results import finished_runs

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "own_data.ipynb"
QUICK = {r"steps=300": "steps=4", r"log_every=50": "log_every=2", r"sequences=8": "sequences=2"}


@pytest.fixture
def kernel_environment(tmp_path, monkeypatch):
    """A kernel of this interpreter, which finds this project and keeps its own files out of the user's folders."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name))
    kernel = tmp_path / "home" / "JUPYTER_DATA_DIR" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        '{"argv": ["' + '", "'.join(command) + '"], "display_name": "Python 3", "language": "python"}'
    )


def outputs(cell, kind):
    """Returns what a cell printed on stdout or stderr."""
    return "".join(part["text"] for part in cell.outputs if part.get("name") == kind)


def test_it_has_less_than_thirty_lines_of_code():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    lines = [line for cell in cells for line in cell.source.splitlines() if line.strip()]
    assert len(lines) < 30
    assert all(not cell.outputs for cell in cells)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_it_runs_from_a_wheel_beside_a_file_called_analysis(tmp_path, kernel_environment, installed):
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "analysis.py").write_text("answer = 42\n")
    notebook = nbformat.read(installed / "workbench" / "examples" / NOTEBOOK.name, as_version=4)
    for cell in notebook.cells:
        for pattern, replacement in QUICK.items():
            cell.source = re.sub(pattern, replacement, cell.source)
    # As after an installation: behind the user's folder.
    path = f"import sys\nsys.path.insert(sys.path.index('') + 1, {str(installed)!r})"
    # The user's own module stays theirs.
    own = "import analysis\nprint(analysis.answer)"
    where = "import workbench\nprint(workbench.__file__)"
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in (path, own)] + [
        *notebook.cells,
        nbformat.v4.new_code_cell(own),
        nbformat.v4.new_code_cell(where),
    ]
    NotebookClient(notebook, timeout=800, kernel_name="python3", resources={"metadata": {"path": str(desk)}}).execute()
    _, before, *cells, after, location = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert outputs(before, "stdout") == outputs(after, "stdout") == "42\n"
    assert Path(outputs(location, "stdout").strip()).parents[1] == installed
    first, again = cells[2], cells[-1]
    plan = "6 runs: 3 architectures x 1 task x 2 seeds; none is finished yet; 2 at a time on cpu"
    assert plan in outputs(first, "stderr")
    (shown,) = [part["data"]["text/html"] for part in first.outputs if "data" in part]
    assert "Averages" in shown
    assert [part["output_type"] for cell in cells[3:5] for part in cell.outputs if "image/png" in part.get("data", {})]
    # With one number changed everything is trained again, and told; the earlier runs stay.
    told = outputs(again, "stderr")
    assert re.search(r"the data of file:mine.npz changed since the 6 runs of it in results: they are kept", told)
    runs = list(finished_runs(desk / "results"))
    assert len(runs) == 12
    by_source = {run.experiment.task.source for run in runs}
    assert len(by_source) == 2
    assert {run.folder.parents[1].name for run in runs} == {"lstm", "rda", "Averages"}
    assert (desk / "results" / "report.html").exists()
