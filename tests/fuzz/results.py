"""A folder of results to fuzz commands with, and ways in which a folder, or a file, comes to be damaged."""

import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests import idx_files, text_files, ts_files
from tests.fuzz import texts
from tests.workbench.experiments import finish, small
from workbench.cli.main import main
from workbench.files import write_yaml

QUICK = ("--steps", "4", "--batch-size", "3", "--log-every", "2", "--evaluation-size", "6", "--hidden-size", "4")
"""A budget that takes a fraction of a second."""
LENGTH = ("--task.addition.length", "6")


def prepare(folder: Path, *, full: bool) -> None:
    """Makes what cases are given: data files, folders of results, an archive.

    Args:
        folder: an existing folder.
        full: with probes' results, a sweep and the report, which takes half a minute; without, only two runs.
    """
    idx_files.write(folder / "data" / "mnist")
    text_files.write(folder / "data" / "text" / "enwik8")
    ts_files.write(folder / "data")
    (folder / "data" / "tinyshakespeare.txt").write_bytes(text_files.random_words(3000))
    results = folder / "results"
    results.mkdir()
    for name in ("gru", "tcn"):
        finish(small(name), results)
    write_yaml(results / "comparison.yaml", {"tasks": ["addition"], "architectures": ["gru", "tcn"], "seeds": 1})
    if full:
        _run(
            "analyze", results, "--probes", "gradient_decay", "--workers", "1", "--sequences", "2", "--directions", "2"
        )
        _run("sync", results, "--dry-run")
        _run(
            *("sweep", "run", "--tasks", "addition", "--architectures", "gru", "--trials", "2", "--seeds", "1"),
            *(*QUICK, *LENGTH, "--workers", "1", "--wandb", "off", "--out", folder / "tuned"),
        )
    else:
        shutil.copytree(results, folder / "tuned")
    _run("export", results, "--to", folder / "results.tar.gz")


def _run(*words: Any) -> None:
    status = main(list(map(str, words)))
    assert status == 0, f"workbench {' '.join(map(str, words))} ended with status {status}"


def place(source: Path, folder: Path) -> None:
    """Copies what cases are given into the folder of one, the data aside."""
    for name in ("results", "tuned"):
        shutil.copytree(source / name, folder / name)
    shutil.copy(source / "results.tar.gz", folder)


def damage(folder: Path, rng: Random) -> str:
    """Damages a file or a folder somewhere below a folder; returns what was done."""
    places = sorted(path for path in folder.rglob("*") if path.name != ".lock" and not path.is_symlink())
    if not places:
        return "nothing"
    path = rng.choice([each for each in places if each.is_file()] or places)
    if rng.random() < 0.1:
        path = rng.choice(places)
    label = str(path.relative_to(folder.parent))
    how = rng.randrange(11)
    if path.is_dir() or how == 0:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if rng.random() < 0.5:
            return f"{label} removed"
        if path.parent.exists() and rng.random() < 0.5:
            os.symlink(rng.choice((path.name, "..", "/nonexistent", "/etc")), path)
            return f"{label} a link"
        path.write_bytes(texts.document(rng))
        return f"{label} a file"
    if how == 1:
        path.unlink()
        path.mkdir()
        return f"{label} a folder"
    if how == 2:
        whole = path.read_bytes()
        path.write_bytes(whole[: rng.randint(0, max(0, len(whole) - 1))])
        return f"{label} cut short"
    if how == 3:
        content = bytearray(path.read_bytes() or b"x")
        for _ in range(rng.choice((1, 5, 50))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        return f"{label} with other bytes"
    if how <= 8 and path.suffix in (".json", ".yaml", ".csv"):
        try:
            return f"{label}: {_change_value(path, rng)}"
        except (ValueError, RecursionError, yaml.YAMLError):
            # An earlier damage has left nothing to be read.
            pass
    path.write_bytes(texts.document(rng))
    return f"{label} replaced"


def _change_value(path: Path, rng: Random) -> str:
    """Changes one value in a file that stays readable; returns which."""
    if path.suffix == ".csv":
        rows = path.read_text(encoding="utf-8").split("\n")
        cells = rows[row := rng.randrange(len(rows))].split(",")
        cells[column := rng.randrange(len(cells))] = texts.text(rng)
        rows[row] = ",".join(cells)
        path.write_bytes("\n".join(rows).encode(errors="surrogatepass"))
        return f"row {row}, column {column}"
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    keys: list[Any] = []
    node = whole
    while isinstance(node, dict | list) and node and (not keys or rng.random() < 0.7):
        parent, key = node, rng.choice([*node] if isinstance(node, dict) else range(len(node)))
        keys.append(key)
        node = parent[key]
    if not keys:
        whole = texts.plain(rng)
    elif rng.random() < 0.25 and isinstance(parent, dict):
        del parent[key]
        keys.append("(removed)")
    elif rng.random() < 0.2 and isinstance(parent, dict):
        parent[texts.text(rng)] = texts.plain(rng)
        keys.append("(one more)")
    else:
        parent[key] = texts.plain(rng)
    path.write_bytes(json.dumps(whole).encode(errors="surrogatepass"))
    return ".".join(map(str, keys))
