"""Import of results: the runs of an archive are merged into a folder of results, each whole or not at all."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from workbench.archive_contents import PATTERNS, Manifest
from workbench.archive_reader import unpack
from workbench.checkpoints import LAST
from workbench.errors import UserError
from workbench.files import read_json
from workbench.locks import file_lock
from workbench.run_folder import BusyError, check_free, check_writable, run_lock
from workbench.store_contents import STORE_FILE, copy_store, is_same_store

STAGING_FOLDER = ".import"
LOCK_FILE = ".import.lock"
RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an import has done."""

    placed: int
    """Runs that were not finished here before."""
    present: int
    """Runs that were finished here before, with the same result."""
    completed: int
    """Those of them to which probes or weights were added."""
    report_placed: bool
    """True if the archive's report is that of the folder now."""
    kept: tuple[str, ...]
    """Files that are others here than in the archive, and were kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePlan:
    """What has to be done with the files of an archive, known before any of it is done."""

    new_runs: tuple[str, ...]
    known_runs: tuple[str, ...]
    lacking_runs: tuple[str, ...]
    """Those of the known runs to which something is added."""
    moves: tuple[tuple[str, str], ...]
    """Files outside of runs that are to be placed, each with the path that it is to have."""
    report: bool
    """True if the archive's report is placed."""
    kept: tuple[str, ...]


def import_archive(archive: Path, out: Path) -> Import:
    """Merges an archive into a folder of results. Nothing is changed unless all of it can be merged.

    Whoever locks a run after that was found, or kills the import, leaves the rest of the runs to the next import.

    Args:
        archive: written by `workbench.archive_writer`.
        out: the folder of results, which is made if it is missing.

    Raises:
        UserError: if the archive is damaged, or something finished in the folder differs from it.
        BusyError: if another process is at work on one of its runs there.
    """
    with staging_folder(out) as staging:
        manifest = unpack(archive, staging)
        plan = plan_merge(manifest, staging, out)
        done = 0
        try:
            for folder in plan.new_runs:
                place_run(staging / folder, out / folder)
                done += 1
            for folder in plan.lacking_runs:
                complete_run(staging / folder, out / folder)
                done += 1
        except BusyError as error:
            left = len(plan.new_runs) + len(plan.lacking_runs) - done
            raise BusyError(f"{error}; the same command then imports the {left} runs that are left") from None
        for path, target in plan.moves:
            (out / target).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).replace(out / target)
    return Import(
        placed=len(plan.new_runs),
        present=len(plan.known_runs),
        completed=len(plan.lacking_runs),
        report_placed=plan.report,
        kept=plan.kept,
    )


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Yields an empty folder in a folder of results for one import, and removes it; also `out`, if it was made in vain.

    Raises:
        UserError: if another import is under way, or nothing can be written.
    """
    made = [folder for folder in (out / "runs", out) if not folder.exists()]
    check_writable(out)
    staging = out / STAGING_FOLDER
    lock = ExitStack()
    try:
        lock.enter_context(file_lock(out / LOCK_FILE, timeout=0))
    except Timeout:
        raise UserError(f"another import into {out} is under way; wait until it has ended") from None
    try:
        # What a killed import has left.
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir()
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        # Nobody waits for it: a second import is refused at once.
        with suppress(PermissionError):
            # Windows keeps a file that is open.
            (out / LOCK_FILE).unlink(missing_ok=True)
        lock.close()
        for folder in made:
            with suppress(OSError):
                # This fails, as it should, if something is in it by now.
                folder.rmdir()


def plan_merge(manifest: Manifest, staging: Path, out: Path) -> MergePlan:
    """Compares an archive with a folder of results, and changes nothing.

    Raises:
        UserError: if a finished run or a sweep in the folder differs from the archive's, or a link is in the way.
        BusyError: if another process is at work on a run that something is to be written to.
    """
    for file in manifest.files:
        refuse_links(out, file.path)
    new_runs = [folder for folder in manifest.run_folders if not (out / folder / RESULT_FILE).exists()]
    known_runs = [folder for folder in manifest.run_folders if folder not in new_runs]
    had_results = next(out.glob(f"runs/*/*/*/seed-*/{RESULT_FILE}"), None) is not None
    report = not had_results and not (out / "report.html").exists()
    conflicts = [folder for folder in known_runs if not is_same_run(staging / folder, out / folder)]
    moves: list[tuple[str, str]] = []
    kept: list[str] = []
    taken = {path.name for path in out.iterdir()}
    for file in manifest.files:
        if file.kind in ("run", "checkpoint") or (file.kind == "report" and not report):
            continue
        if file.kind == "comparison":
            if (name := free_comparison_name(staging / file.path, out, taken)) is not None:
                taken.add(name)
                moves.append((file.path, name))
        elif not (out / file.path).exists():
            moves.append((file.path, file.path))
        elif not is_same_content(file.path, staging, out):
            (conflicts if file.kind == "study" else kept).append(file.path)
    if conflicts:
        more = f" and {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
        raise UserError(
            f"{out / conflicts[0]}{more} differs from what the archive has there; import into another folder, or "
            "remove it first (workbench rm removes runs); nothing was changed"
        )
    lacking_runs = [folder for folder in known_runs if missing_files(staging / folder, out / folder)]
    for folder in known_runs:
        probes, own = staging / folder / "analysis.json", out / folder / "analysis.json"
        if probes.exists() and own.exists() and not is_same_file(probes, own):
            kept.append(f"{folder}/analysis.json")
    for folder in (*new_runs, *lacking_runs):
        check_free(out / folder)
    return MergePlan(
        new_runs=tuple(new_runs),
        known_runs=tuple(known_runs),
        lacking_runs=tuple(lacking_runs),
        moves=tuple(moves),
        report=report,
        kept=tuple(kept),
    )


def refuse_links(out: Path, path: str) -> None:
    """Refuses a path below a folder of results that a link is part of.

    Raises:
        UserError: if one is.
    """
    place = out
    for name in path.split("/"):
        place /= name
        if place.is_symlink():
            raise UserError(f"{place} is a link, through which nothing is imported; nothing was changed")


def is_same_run(one: Path, other: Path) -> bool:
    """Returns whether two finished runs have the same result and the same metrics; how long they took may differ."""
    try:
        return read_json(one / RESULT_FILE) == read_json(other / RESULT_FILE) and is_same_file(
            one / "metrics.csv", other / "metrics.csv"
        )
    except (UserError, OSError):
        return False


def is_same_file(one: Path, other: Path) -> bool:
    """Returns whether two files hold the same bytes."""
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def is_same_content(path: str, staging: Path, out: Path) -> bool:
    """Returns whether a file of the archive holds what is in its place; a sweep's store is compared by its tables.

    Raises:
        UserError: if what is there is no store.
    """
    if path != STORE_FILE:
        return is_same_file(staging / path, out / path)
    # A copy as of one moment, as the archive's is.
    return is_same_store(staging / path, copy_store(out / path, staging / "store-of-the-folder"))


def free_comparison_name(path: Path, out: Path, taken: set[str]) -> str | None:
    """Returns the name that a comparison of the archive gets in `out`; `None` if the same one is there already.

    Args:
        path: the comparison's file.
        out: the folder of results.
        taken: names that are not free.
    """
    names = [name for name in taken if PATTERNS["comparison"].fullmatch(name) and (out / name).is_file()]
    if any(is_same_file(path, out / name) for name in names):
        return None
    if path.name not in taken:
        return path.name
    numbers = [int(match[1]) for name in taken if (match := re.fullmatch(r"comparison-(\d+)\.yaml", name))]
    return f"comparison-{max(numbers, default=0) + 1}.yaml"


def place_run(source: Path, target: Path) -> None:
    """Moves a finished run to its place, its result last: until then the run is an unfinished one.

    What an interrupted run has left there is replaced.

    Raises:
        BusyError: if another process is at work on it.
    """
    with run_lock(target):
        if (target / RESULT_FILE).exists():
            # It was finished a moment ago, with the same configuration.
            return
        for old in [*target.glob("*.ckpt*"), target / "error.log", target / "analysis.json"]:
            old.unlink(missing_ok=True)
        for path in sorted(source.iterdir(), key=lambda path: path.name == RESULT_FILE):
            path.replace(target / path.name)


def missing_files(source: Path, target: Path) -> list[Path]:
    """Returns the files that a finished run lacks, and the archive has: results of probes, trained weights.

    What both have is kept: how long a run took, for one, is never the same.
    """
    has_weights = next(target.glob(f"{LAST}*"), None) is not None
    return [
        path
        for path in sorted(source.iterdir())
        if not (target / path.name).exists() and not (has_weights and path.name.startswith(LAST))
    ]


def complete_run(source: Path, target: Path) -> None:
    """Adds to a finished run what it lacks.

    Raises:
        BusyError: if another process is at work on it.
    """
    with run_lock(target):
        for path in missing_files(source, target):
            path.replace(target / path.name)
