"""Writer of records in W&B's offline format, as if they had been logged while the run was trained."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from analysis.dashboards.mirror.naming import STEP
from analysis.dashboards.mirror.record import Record
from analysis.dashboards.mirror.record_paths import UnknownFormatError, make_paths_relative
from analysis.dashboards.mirror.session import load_session
from analysis.dashboards.mirror.state import RECORDS_FOLDER, WORK_FOLDER, Destination
from workbench.errors import UserError

STAGING_FOLDER = "staged"
"""Below `RECORDS_FOLDER`: copies that W&B makes of attached files, by the name of the record's folder."""

FOREIGN_SETTINGS = {
    **dict.fromkeys(("sweep_id", "sweep_param_path", "resume", "resume_from", "fork_from", "run_notes")),
    **dict.fromkeys(("config_paths", "launch_config_path", "git_remote_url", "git_commit")),
    "launch": False,
}
"""Settings that W&B takes from the environment alone, where they were meant for another run, such as that of a sweep's
agent, whose parameters would become values of this record's configuration. Each with what stands for none."""

LOG_LINKS = ("debug.log", "debug-internal.log", "debug-core.log")
"""Links to the logs of the last record, which W&B puts beside the records."""


def write_offline_run(record: Record, out: Path, destination: Destination) -> Path:
    """Writes a record as an offline W&B run.

    Returns:
        Its folder, relative to `out`.

    Raises:
        UserError: if W&B's settings make it use another id or another folder.
    """
    run = begin_run(record, out, destination, mode="offline")
    folder = Path(run.dir).parent
    with redirect_staging(out / RECORDS_FOLDER / STAGING_FOLDER / folder.name):
        try:
            check_place(run, record, out)
            define_metrics(run, record)
            for row in record.history:
                run.log(dict(row))
            if record.images or record.pages:
                run.log(wandb_media(record))
            # Not in the history, where W&B would plot the number of rows of a table against the training steps.
            log_result(run, record)
        finally:
            # Otherwise the next run would write into this one.
            run.finish()
    hide_machine(folder)
    return folder.resolve().relative_to(out.resolve())


def begin_run(record: Record, out: Path, destination: Destination, **settings: Any) -> Any:
    """Begins a W&B run that says nothing about this machine, whatever the environment was made for.

    Args:
        record: what it is; nothing of it is logged.
        out: the folder of results.
        destination: project and entity.
        settings: W&B's settings, such as its mode, beside those that are the same for all.
    """
    import wandb

    out.joinpath(RECORDS_FOLDER).mkdir(exist_ok=True)
    session = load_session().settings
    for name, none in FOREIGN_SETTINGS.items():
        setattr(session, name, none)
    return wandb.init(
        project=destination.project,
        entity=destination.entity,
        # Absolute: W&B writes in another process, which may have another working directory.
        dir=out.resolve(),
        id=record.id,
        name=record.name,
        group=record.group,
        job_type=record.job_type,
        tags=list(record.tags),
        config=dict(record.config),
        settings=wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
            # Otherwise the name of this machine is in the record.
            host="",
            # The environment may set these.
            sagemaker_disable=True,
            use_dot_wandb=False,
            x_sync_dir_suffix="",
            **settings,
        ),
    )


def check_place(run: Any, record: Record, out: Path) -> None:
    """Makes sure that a W&B run has the id of its record, and its folder where records are.

    Raises:
        UserError: if W&B's settings make it use another one.
    """
    folder = Path(run.dir).parent
    if (run.id, folder.resolve().parent) != (record.id, (out / RECORDS_FOLDER).resolve()):
        raise UserError(f"W&B would write {record.id} as {run.id} in {folder}")


def define_metrics(run: Any, record: Record) -> None:
    """Tells W&B what to draw metrics against, and which of their values count."""
    run.define_metric(STEP, hidden=True)
    # The summary keeps the best value of these metrics, and the last value of all others.
    run.define_metric("*", step_metric=STEP)
    for name, direction in record.best.items():
        run.define_metric(name, step_metric=STEP, summary=direction)


def log_result(run: Any, record: Record) -> None:
    """Logs what a record has beside its rows: its summary with its tables, and its files."""
    import wandb

    run.summary.update({**record.summary, **wandb_tables(record)})
    for name, path in record.files.items():
        artifact = wandb.Artifact(f"{Path(name).stem}-{record.id}", type="checkpoint")
        artifact.add_file(str(path), name=name)
        run.log_artifact(artifact)


def hide_machine(folder: Path) -> None:
    """Removes from a record's folder what says where on which machine it was written, and is needed for nothing.

    W&B's logs are full of it, and so are the paths of attached files.
    """
    shutil.rmtree(folder / "logs", ignore_errors=True)
    for name in LOG_LINKS:
        with suppress(OSError):
            if folder.with_name(name).is_symlink():
                folder.with_name(name).unlink()
    for file in folder.glob("run-*.wandb"):
        # A later version may have another format; a record with absolute paths is still a whole one.
        with suppress(UnknownFormatError):
            make_paths_relative(file, folder.resolve().parent / WORK_FOLDER)


def wandb_tables(record: Record) -> dict[str, Any]:
    """Returns a record's tables as W&B tables."""
    import wandb

    return {
        # A column may hold numbers and texts: the values of an option.
        name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows], allow_mixed_types=True)
        for name, table in record.tables.items()
    }


def wandb_media(record: Record) -> dict[str, Any]:
    """Returns a record's images and pages as W&B media."""
    import wandb

    images = {name: wandb.Image(str(path)) for name, path in record.images.items()}
    return {**images, **{name: wandb.Html(str(path), inject=False) for name, path in record.pages.items()}}


@contextmanager
def redirect_staging(folder: Path) -> Iterator[None]:
    """Makes W&B keep its copies of attached files in this folder, instead of the user's home."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before
