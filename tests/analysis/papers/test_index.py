"""Index of pages: progress, verdict and machines of every preset."""

import json

import pytest

from analysis.papers import index, preset_files
from workbench.errors import UserError


def page_content(**changes):
    return {
        "preset": "rda-table-1",
        "scale": "full",
        "runs": {"finished": 15, "asked": 15},
        "share": 1.0,
        "verdict": "the same order",
        "machines": ["Slow (cpu)"],
        "seconds": 5,
    } | changes


def index_lines(path):
    text = path.read_text()
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}, text


def test_every_preset_has_a_line_and_what_is_not_run_says_so(tmp_path):
    lines, _ = index_lines(index.write_index(tmp_path))
    assert tuple(lines) == preset_files.preset_names()
    assert all(row[1:] == ["not run", "not run", "not run"] for row in lines.values())


def test_a_page_is_named_with_how_far_it_is_its_verdict_and_its_machines(tmp_path):
    (tmp_path / "rda-table-1-full.json").write_text(json.dumps(page_content()))
    half = page_content(
        runs={"finished": 7, "asked": 15}, share=0.512, verdict="too *few*", machines=["Slow (cpu)", "Fast (cuda)"]
    )
    (tmp_path / "rda-table-1-small.json").write_text(json.dumps(half))
    lines, text = index_lines(index.write_index(tmp_path))
    assert lines["rda-table-1"][1:] == [
        "[done](rda-table-1-full.md): the same order (B)",
        "not run",
        r"[partial, 7 of 15 runs (51 %)](rda-table-1-small.md): too \*few\* (B, A)",
    ]
    assert text.endswith("- A: Fast (cuda)\n- B: Slow (cpu)\n")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "no JSON",
        "{}",
        json.dumps(page_content(runs=[])),
        json.dumps(page_content(runs={})),
        json.dumps(page_content(share="1")),
    ],
)
def test_what_is_no_page_of_ours_is_refused(text, tmp_path):
    (tmp_path / "rda-table-1-full.json").write_text(text)
    with pytest.raises(UserError, match=r"rda-table-1-full\.json"):
        index.write_index(tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_pages_that_are_computed_otherwise_stand_beside_the_usual_one(tmp_path):
    for name in ("rda-table-1-full", "rda-table-1-full-bf16", "rda-table-1-full-bf16-drawn-on-device"):
        (tmp_path / f"{name}.json").write_text(json.dumps(page_content(verdict=f"that of {len(name)}")))
    lines, _ = index_lines(index.write_index(tmp_path))
    assert lines["rda-table-1"][1:] == [
        "[done](rda-table-1-full.md): that of 16 (A)<br>"
        "[done, bf16](rda-table-1-full-bf16.md): that of 21 (A)<br>"
        "[done, bf16 drawn on device](rda-table-1-full-bf16-drawn-on-device.md): that of 37 (A)",
        "not run",
        "not run",
    ]
