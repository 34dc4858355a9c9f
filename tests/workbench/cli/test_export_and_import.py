"""`workbench export` and `workbench import`: what is carried, what is refused, and how it is merged."""

import gzip
import hashlib
import io
import json
import re
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.workbench.cli.stored_runs import read_files, start_run, store_results, store_run
from tests.workbench.experiments import small
from workbench import archive_merge
from workbench.cli.main import main
from workbench.files import read_json, write_json
from workbench.results import read_run
from workbench.run_folder import BusyError, run_lock


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Results with runs, a comparison, a report, a sweep's files and probes of an untrained model; and their archive.

    Not to be changed.
    """
    folder = tmp_path_factory.mktemp("stored")
    out, archive = folder / "results", folder / "results.tar.gz"
    store_results(out)
    (out / "comparison.yaml").write_text("tasks: [addition]\narchitectures: [gru]\n")
    (out / "report.html").write_text("<p>all</p>")
    (out / "comparison.csv").write_text("task\n")
    for name in ("figures/addition.svg", "tables/results.tex", "wandb/debug.log", "notes.txt", "dashboard.json"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(name)
    (out / "sweep.yaml").write_text("tasks: [addition]\n")
    with closing(sqlite3.connect(out / "sweep.db")) as store, store:
        store.execute("CREATE TABLE trials (number)")
        store.execute("INSERT INTO trials VALUES (7)")
    untrained = start_run(folder / "other", small("lstm")).relative_to(folder / "other/runs")
    (out / "untrained" / untrained).mkdir(parents=True)
    (out / "untrained" / untrained / "analysis.json").write_text("{}")
    assert main(["export", str(out), "--to", str(archive)]) == 0
    return out, archive


@pytest.fixture
def out(stored, tmp_path):
    shutil.copytree(stored[0], tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def archive(stored, tmp_path, capsys):
    capsys.readouterr()
    shutil.copy(stored[1], tmp_path / "results.tar.gz")
    return tmp_path / "results.tar.gz"


def read_member(tar, member):
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def members(path):
    """Returns the members of an archive by their names, in their order."""
    with tarfile.open(path) as tar:
        return {member.name: read_member(tar, member) for member in tar}


def test_an_archive_holds_what_is_finished_and_a_manifest_of_it(out, tmp_path, capsys):
    paths = [tmp_path / f"{name}.tar.gz" for name in ("one", "two", "with-weights")]
    assert main(["export", str(out), "--to", str(paths[0])]) == 0
    held = members(paths[0])
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{paths[0]}: 4 finished runs, {len(held) - 1} files, ")
    assert captured.err == "workbench: 1 unfinished runs are left out\n"
    files = read_files(out)
    finished = {path.rpartition("/")[0] for path in files if path.endswith("result.json")}
    wanted = {
        *(f"{run}/{name}" for run in finished for name in ("config.yaml", "metrics.csv", "result.json")),
        *(f"{run}/{name}" for run in finished for name in ("timing.json", "analysis.json")),
        *("comparison.yaml", "comparison.csv", "report.html", "figures/addition.svg", "tables/results.tex"),
        *("sweep.yaml", "sweep.db"),
        *(path for path in files if path.startswith("untrained/")),
    }
    names = [*held]
    assert names[0] == "manifest.json"
    assert {*names[1:]} == wanted
    assert all(held[name] == files[name] for name in wanted - {"sweep.db"})
    manifest = json.loads(held["manifest.json"])
    assert manifest["format"] == 1
    assert [(file["path"], file["bytes"], file["sha256"]) for file in manifest["files"]] == [
        (name, len(held[name]), hashlib.sha256(held[name]).hexdigest()) for name in names[1:]
    ]
    assert main(["export", str(out), "--to", str(paths[1])]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert main(["export", str(out), "--to", str(paths[2]), "--checkpoints"]) == 0
    assert {*members(paths[2])} - {*held} == {f"{run}/last.ckpt" for run in finished}


def test_what_was_exported_is_imported_byte_for_byte(archive, tmp_path, capsys):
    there = tmp_path / "there"
    assert main(["import", str(archive), "--out", str(there)]) == 0
    assert capsys.readouterr().out == f"{there}: 4 runs placed, 0 were there already\n"
    held = members(archive)
    del held["manifest.json"]
    assert read_files(there) == held
    with closing(sqlite3.connect(there / "sweep.db")) as store:
        assert store.execute("SELECT number FROM trials").fetchall() == [(7,)]
    before = read_files(there)
    assert main(["import", str(archive), "--out", str(there)]) == 0
    assert capsys.readouterr().out == f"{there}: 0 runs placed, 4 were there already\n"
    assert read_files(there) == before


def test_results_are_merged_and_nothing_of_ones_own_is_lost(archive, out, tmp_path, capsys):
    there = tmp_path / "there"
    own = store_run(there, small("lstm"))
    known = store_run(there, small("gru"))
    # Another machine takes another time, and was not probed.
    write_json(known / "timing.json", {"seconds": 99.0})
    (known / "analysis.json").unlink()
    probed = store_run(there, small("gru", seed=1))
    (probed / "analysis.json").write_text('{"mine": 1}')
    begun = start_run(there, small("rnn", seed=2))
    (begun / "error.log").write_text("it was interrupted")
    (there / "comparison.yaml").write_text("tasks: [copy]\n")
    (there / "report.html").write_text("<p>mine</p>")
    before = read_files(there)
    assert main(["import", str(archive), "--out", str(there)]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        f"{there}: 2 runs placed, 2 were there already (1 of them got what they lacked); "
        f"workbench report {there} makes the report again\n"
    )
    assert captured.err == f"workbench: {probed / 'analysis.json'} is another in {archive}: it is kept as it is\n"
    after = read_files(there)
    changed = {path for path in before if before[path] != after.get(path)}
    # An interrupted run has become the finished one, of which nothing of the half-trained weights is left.
    place = begun.relative_to(there).as_posix()
    assert changed == {f"{place}/metrics.csv", f"{place}/last.ckpt", f"{place}/error.log"}
    assert not {f"{place}/last.ckpt", f"{place}/error.log"} & {*after}
    assert read_run(begun).diverged
    assert after[f"{known.relative_to(there).as_posix()}/analysis.json"] == b'{\n  "schema": 1,\n  "probes": {}\n}\n'
    assert after["comparison-1.yaml"] == (out / "comparison.yaml").read_bytes()
    assert "figures/addition.svg" not in after
    assert read_run(own).result["test"] == {"loss": 0.25}


def refused(archive, out, capsys):
    """Imports what must be refused; returns the one line that says why."""
    before = read_files(out) if out.exists() else None
    assert main(["import", str(archive), "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert (read_files(out) if out.exists() else None) == before
    assert not (out / ".import").exists()
    return line


def test_a_finished_run_that_differs_is_never_overwritten(archive, tmp_path, capsys):
    there = tmp_path / "there"
    run = store_run(there, small("gru"), loss=0.5)
    assert f"{run} differs from what the archive has there" in refused(archive, there, capsys)
    (there / "sweep.yaml").write_text("tasks: [copy]\n")
    assert f"{run} and 1 more differs" in refused(archive, there, capsys)


def test_nor_one_that_is_being_trained(archive, tmp_path, capsys):
    there = tmp_path / "there"
    begun = start_run(there, small("gru"))
    with run_lock(begun):
        assert f"another process is at work on {begun}" in refused(archive, there, capsys)


def test_a_known_run_that_is_locked_is_found_before_anything_is_placed(archive, tmp_path, capsys):
    there = tmp_path / "there"
    known = store_run(there, small("gru", seed=1))
    (known / "analysis.json").unlink()
    with run_lock(known):
        assert f"another process is at work on {known}" in refused(archive, there, capsys)
    assert main(["import", str(archive), "--out", str(there)]) == 0
    assert "3 runs placed, 1 were there already (1 of them got what they lacked)" in capsys.readouterr().out


def test_a_run_that_lacks_nothing_is_not_waited_for(archive, tmp_path, capsys):
    there = tmp_path / "there"
    with run_lock(store_run(there, small("gru", seed=1))):
        assert main(["import", str(archive), "--out", str(there)]) == 0
    assert "3 runs placed, 1 were there already;" in capsys.readouterr().out


def test_a_run_that_is_locked_meanwhile_leaves_the_rest_to_the_next_import(archive, tmp_path, capsys, monkeypatch):
    there, place = tmp_path / "there", archive_merge.place_run
    placed: list[Path] = []

    def place_two(source, target):
        if len(placed) == 2:
            raise BusyError(f"another process is at work on {target}")
        placed.append(target)
        place(source, target)

    monkeypatch.setattr(archive_merge, "place_run", place_two)
    assert main(["import", str(archive), "--out", str(there)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; the same command then imports the 2 runs that are left")
    monkeypatch.undo()
    assert main(["import", str(archive), "--out", str(there)]) == 0
    assert "2 runs placed, 2 were there already" in capsys.readouterr().out
    assert (
        read_files(there).items() >= {name: text for name, text in members(archive).items() if "runs" in name}.items()
    )


def test_a_sweep_comes_back_into_the_folder_it_came_from(archive, out, capsys):
    with closing(sqlite3.connect(out / "sweep.db")) as store:
        # The same rows in other bytes.
        store.execute("PRAGMA page_size = 8192")
        store.execute("VACUUM")
    before = read_files(out)
    assert before["sweep.db"] != members(archive)["sweep.db"]
    assert main(["import", str(archive), "--out", str(out)]) == 0
    assert "0 runs placed, 4 were there already" in capsys.readouterr().out
    assert read_files(out) == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trials SET number = 8",
        "INSERT INTO trials VALUES (8)",
        "CREATE TABLE other (number)",
        "DELETE FROM trials",
    ],
)
def test_a_sweep_that_differs_is_refused(change, archive, out, capsys):
    with closing(sqlite3.connect(out / "sweep.db")) as store, store:
        store.execute(change)
    assert f"{out / 'sweep.db'} differs from what the archive has there" in refused(archive, out, capsys)


def test_what_is_no_store_is_one_line(archive, out, tmp_path, capsys):
    repack(archive, edit("sweep.db", b"SQLite format 3\x00 but not one"))
    assert f"{out / 'sweep.db'} differs" in refused(archive, out, capsys)
    (out / "sweep.db").write_bytes(b"text")
    assert f"{out / 'sweep.db'} cannot be read as a sweep's store" in refused(archive, out, capsys)


def test_nothing_is_written_through_a_link(archive, tmp_path, capsys):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    (there / "runs").mkdir(parents=True)
    elsewhere.mkdir()
    (there / "runs/addition").symlink_to(elsewhere)
    assert f"{there / 'runs/addition'} is a link" in refused(archive, there, capsys)
    assert list(elsewhere.iterdir()) == []


def repack(archive, change, *, listed=True):
    """Writes an archive again, with members that `change` has edited: (header, content) by name.

    Args:
        archive: the file.
        change: called with the members.
        listed: whether the manifest lists what is there then.
    """
    entries = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            entries[member.name] = (member, read_member(tar, member))
    change(entries)
    if listed:
        manifest = json.loads(entries["manifest.json"][1])
        manifest["files"] = [
            {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, (_, content) in entries.items()
            if name != "manifest.json"
        ]
        entries["manifest.json"] = (tarfile.TarInfo("manifest.json"), json.dumps(manifest).encode())
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in entries.values():
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))


def add(name, content=b"x", **header):
    def change(entries):
        member = tarfile.TarInfo(name)
        for key, value in header.items():
            setattr(member, key, value)
        entries[name] = (member, content)

    return change


def edit(suffix, content):
    def change(entries):
        name = next(name for name in entries if name.endswith(suffix))
        entries[name] = (entries[name][0], content)

    return change


def drop(suffix):
    def change(entries):
        del entries[next(name for name in entries if name.endswith(suffix))]

    return change


RUN = "runs/addition/gru/0123456789ab/seed-0"


@pytest.mark.parametrize(
    ("change", "listed", "message"),
    [
        (add("notes.txt"), False, "it holds 'notes.txt', which its manifest does not list"),
        (add("notes.txt"), True, "it lists 'notes.txt', which is no file of results"),
        (add("../evil.py"), False, "a member is unsafe: '../evil.py' would be extracted"),
        (add("../evil.py"), True, "it lists '../evil.py'"),
        (add("/tmp/evil"), False, "it holds '/tmp/evil'"),
        (add("/report.html"), True, "it lists '/report.html'"),
        (add("runs/../../../x/seed-0/config.yaml"), True, "it lists 'runs/../"),
        (add("figures/../evil.svg"), True, "it lists 'figures/../evil.svg'"),
        (add(f"{RUN}/config.py"), True, "which is no file of results"),
        (add("tuning.csv", type=tarfile.SYMTYPE, linkname="/etc/passwd"), True, "a member is unsafe: "),
        (add("tuning.csv", b"", type=tarfile.SYMTYPE, linkname="report.html"), True, "is not a plain file"),
        (add("tuning.csv", b"", type=tarfile.LNKTYPE, linkname="report.html"), True, "is not a plain file"),
        (add("tuning.csv", b"", type=tarfile.FIFOTYPE), True, "a member is unsafe: "),
        (add("tuning.csv", b"", type=tarfile.CHRTYPE), True, "a member is unsafe: "),
        (edit("report.html", b"<p>oth</p>"), False, "report.html is damaged: its hash is not that of the manifest"),
        (edit("report.html", b"<p>longer</p>"), False, "report.html has 13 bytes in it, and 10 by its manifest"),
        (drop("report.html"), False, "it lacks report.html, which its manifest lists"),
        (drop("manifest.json"), False, "it has no manifest.json at its beginning"),
        (edit("manifest.json", b"{"), False, "its manifest is not JSON"),
        (edit("manifest.json", b'{"format": 2}'), False, "it has format 2, and this version reads 1"),
        (edit("manifest.json", b"[" * 100_000), False, "its manifest is not JSON"),
        (drop("seed-0/config.yaml"), True, "cannot be imported: there is no file runs/.*config.yaml"),
        (drop("seed-0/metrics.csv"), True, "has no metrics.csv"),
        (edit("seed-0/result.json", b"{}"), True, "was not written by this bench"),
        (edit("seed-0/result.json", b"[" * 100_000), True, "it is nested too deeply"),
        (edit("seed-0/config.yaml", b"!!python/object/apply:os.getcwd []"), True, "not readable YAML"),
        (add(f"{RUN}/last.ckpt"), True, "belongs to no run in it"),
        (add("sweep/addition/gru.json", b"{}"), True, "was not written by this bench"),
    ],
)
def test_what_is_not_an_archive_of_results_is_refused(change, listed, message, archive, tmp_path, capsys):
    repack(archive, change, listed=listed)
    there = tmp_path / "there"
    assert re.search(message, refused(archive, there, capsys))
    assert not there.exists()
    assert not list(tmp_path.rglob("evil*"))


def test_a_run_in_anothers_folder_is_refused(archive, tmp_path, capsys):
    def rename(entries):
        for name in [name for name in entries if "/gru/" in name and "/seed-0/" in name]:
            member, content = entries.pop(name)
            member.name = name.replace("seed-0", "seed-5")
            entries[member.name] = (member, content)

    repack(archive, rename)
    assert "seed-5 is not the folder of the run in it" in refused(archive, tmp_path / "there", capsys)


def test_a_name_twice_is_refused(archive, tmp_path, capsys):
    with tarfile.open(archive) as tar:
        entries = [(member, read_member(tar, member)) for member in tar]
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in [*entries, entries[-1]]:
            tar.addfile(member, io.BytesIO(content))
    assert "or holds it twice" in refused(archive, tmp_path / "there", capsys)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_damaged_archive_is_one_line(share, archive, tmp_path, capsys):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(share * len(whole))])
    assert str(archive) in refused(archive, tmp_path / "there", capsys)
    broken = bytearray(whole)
    broken[int(share * len(whole))] ^= 0xFF
    archive.write_bytes(broken)
    assert str(archive) in refused(archive, tmp_path / "there", capsys)


def test_a_file_of_another_kind_is_one_line(tmp_path, capsys):
    path = tmp_path / "x.tar.gz"
    assert "cannot be opened: No such file" in refused(path, tmp_path / "there", capsys)
    assert "cannot be opened: Is a directory" in refused(tmp_path, tmp_path / "there", capsys)
    path.write_bytes(gzip.compress(b"text"))
    assert "is damaged, or was not written by workbench export" in refused(path, tmp_path / "there", capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "name the folder of results and the archive: DIR --to FILE.tar.gz"),
        (["export", "results"], "name the archive: --to FILE.tar.gz"),
        (["export", "results", "--to", "x.zip"], "--to names the archive, FILE.tar.gz or FILE.tgz, not 'x.zip'"),
        (["export", "results", "--to", "absent/x.tgz"], "there is no folder absent"),
        (["export", "results", "--to", "results.tar.gz"], "results.tar.gz exists already"),
        (["export", "absent", "--to", "x.tgz"], "there is no folder absent"),
        (["export", "results/runs", "--to", "x.tgz"], "results/runs lies in the folder of results results; name that"),
        (["export", "empty", "--to", "x.tgz"], "there are no finished runs in empty"),
        (["import"], "name the archive and a folder for the results: FILE --out DIR"),
        (["import", "results.tar.gz", "--out", "results/runs"], "results/runs lies in the folder of results results"),
        (["import", "results.tar.gz", "--out", "results.tar.gz"], "results.tar.gz is a file"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, out, archive, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "x.tgz").exists()


def test_a_damaged_run_is_not_exported(out, tmp_path, capsys):
    result = next(out.glob("runs/*/*/*/*/result.json"))
    write_json(result, {**read_json(result), "seed": 9})
    assert main(["export", str(out), "--to", str(tmp_path / "x.tgz")]) == 2
    assert "belongs to another configuration" in capsys.readouterr().err
    assert not (tmp_path / "x.tgz").exists()
