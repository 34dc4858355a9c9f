"""Every snippet of docs/api.md is run, one after another, as in one notebook."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import workbench
from tests.workbench.api.cells import new_notebook, run_cell

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
QUICK = {
    r"steps=\d+": "steps=4, batch_size=4, evaluation_size=8",
    r"seeds=\d+": "seeds=1",
    r"trials=\d+": "trials=2",
    r"repeats=\d+": "repeats=1",
}
"""Fewer of everything: that it works shows in a few steps, too."""


@pytest.fixture
def quick_kernel(monkeypatch, tmp_path, short_measurements, no_memory_peaks):
    monkeypatch.chdir(tmp_path)
    yield new_notebook()
    plt.close("all")


@pytest.mark.slow
def test_the_snippets_do_what_they_say(quick_kernel, capsys):
    snippets = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(snippets) == 11
    for snippet in snippets:
        for pattern, replacement in QUICK.items():
            snippet = re.sub(pattern, replacement, snippet)
        run_cell(snippet, quick_kernel)
    results, tuned = quick_kernel["results"], quick_kernel["tuned"]
    assert set(results.runs["architecture"]) == {"lstm", "Convolution", "GRU"}
    assert quick_kernel["y"].shape == (4, 10, 16)
    assert set(quick_kernel["numbers"]["probe"]) == {"memory_length", "gradient_decay"}
    assert list(quick_kernel["one"].runs["seed"]) == [7]
    assert list(quick_kernel["costs"]["architecture"])[1:] == ["lstm", "GRU"]
    assert len(tuned.trials) == 4
    assert set(tuned.runs["architecture"]) == {"lstm", "gru"}
    widths = [json.loads(params)["hidden_size"] for params in tuned.trials["params"]]
    assert set(widths) <= {16, 64}
    assert list(quick_kernel["mine"].runs["task"]) == ["file:mine.npz"] * 2
    assert "unknown task 'adding'" in capsys.readouterr().out
    assert Path("results.pdf").exists()


def test_every_name_is_documented_and_there():
    text = (PAGE.parent / "reference" / "api.md").read_text(encoding="utf-8")
    members = re.search(r"members: \[(.*)\]", text)
    assert members is not None
    named = members[1].split(", ")
    assert set(named) == set(workbench.__all__)
    for name in workbench.__all__:
        assert getattr(workbench, name).__doc__, name
    assert set(workbench.__all__) <= set(dir(workbench))
    with pytest.raises(AttributeError, match="has no attribute 'comparee'"):
        workbench.comparee  # noqa: B018
