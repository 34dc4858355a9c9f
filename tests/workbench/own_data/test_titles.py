"""Titles of tasks that read files are short, and still tell variants apart."""

from analysis.variant_names import task_title, variant_key, variant_titles
from tests.workbench.own_data.own_files import long_table, series, write_csv
from workbench.resolve import resolve_task
from workbench.tasks.file_names import with_absolute_paths, without_folders


def test_a_title_has_what_does_not_go_without_saying(tmp_path):
    path = write_csv(tmp_path, long_table())
    part, _ = resolve_task("file:" + path, {})
    assert task_title(part.name, part.options) == "file:mydata.csv, target=label"
    other, _ = resolve_task("file:" + path, {"scale": "none", "test": 0.2})
    assert task_title(other.name, other.options) == "file:mydata.csv, target=label, test=0.2, scale=none"
    forecast, _ = resolve_task("file:" + write_csv(tmp_path, series(), "prices.csv"), {"target": "price", "horizon": 2})
    assert task_title(forecast.name, forecast.options) == "file:prices.csv, target=price, horizon=2, window=9"


def test_variants_that_differ_in_what_the_title_leaves_out_are_told_apart(tmp_path):
    path = write_csv(tmp_path, long_table())
    parts = [resolve_task("file:" + path, {"features": features})[0] for features in ("u", "v")]
    titles = variant_titles(parts)
    assert [titles[variant_key(part.name, part.options, part.source)] for part in parts] == [
        "file:mydata.csv, target=label, features=u",
        "file:mydata.csv, target=label, features=v",
    ]
    changed = long_table().replace({"label": {"c": "d"}})
    parts.append(resolve_task("file:" + write_csv(tmp_path, changed), {"features": "u"})[0])
    titles = variant_titles([parts[0], parts[2]])
    assert [titles[variant_key(part.name, part.options, part.source)] for part in (parts[0], parts[2])] == [
        f"file:mydata.csv, target=label, data {part.source[:7]}" for part in (parts[0], parts[2]) if part.source
    ]


def test_what_is_sent_has_no_folders_and_what_is_kept_finds_the_file_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, long_table())
    settings = {"tasks": ["file:mydata.csv", "addition"], "task": {"file:mydata.csv": {"scale": "none"}}, "seeds": 3}
    kept = with_absolute_paths(settings)
    name = f"file:{tmp_path}/mydata.csv"
    assert kept == {"tasks": [name, "addition"], "task": {name: {"scale": "none"}}, "seeds": 3}
    assert without_folders(kept) == settings
