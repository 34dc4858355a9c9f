"""A record in W&B's own format, offline: as if it had been logged while the run was trained."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.dashboards.mirror.naming import STEP
from analysis.dashboards.mirror.record import Record
from analysis.dashboards.mirror.state import FOLDER, Destination
from workbench.errors import UserError

STAGED = "staged"
"""Below `FOLDER`: copies that W&B makes of what goes along with a record, by the record's folder."""

OF_ANOTHER_RUN = ("sweep_id", "resume", "resume_from", "fork_from", "run_notes")
"""Settings of W&B that only the environment says: of a run that whoever set it had in mind."""


def write_offline(record: Record, out: Path, place: Destination) -> Path:
    """Writes a record as an offline W&B run.

    Returns:
        Its folder, relative to `out`.

    Raises:
        UserError: if W&B's settings have it call the record something else, or put it elsewhere.
    """
    import wandb
    from wandb.sdk import wandb_setup

    out.joinpath(FOLDER).mkdir(exist_ok=True)
    settings = wandb.Settings(
        mode="offline",
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
        # The environment may say otherwise.
        sagemaker_disable=True,
        use_dot_wandb=False,
        x_sync_dir_suffix="",
    )
    session = wandb_setup.singleton().settings
    for name in OF_ANOTHER_RUN:
        setattr(session, name, None)
    run = wandb.init(
        project=place.project,
        entity=place.entity,
        # Absolute: W&B writes in a process of its own, which may be at home elsewhere.
        dir=out.resolve(),
        id=record.id,
        name=record.name,
        group=record.group,
        job_type=record.job_type,
        tags=list(record.tags),
        config=dict(record.config),
        settings=settings,
    )
    folder = Path(run.dir).parent
    with move_staged(out / FOLDER / STAGED / folder.name):
        try:
            if (run.id, folder.resolve().parent) != (record.id, (out / FOLDER).resolve()):
                raise UserError(f"W&B would write {record.id} as {run.id} in {folder}")
            run.define_metric(STEP, hidden=True)
            # The best value of a metric is the summary's; of all others the last one.
            run.define_metric("*", step_metric=STEP)
            for name, which in record.best.items():
                run.define_metric(name, step_metric=STEP, summary=which)
            for row in record.history:
                run.log(dict(row))
            if record.images or record.pages:
                run.log(displayed_values(record))
            # Not in the history: there W&B would draw how many rows a table has against the steps of training.
            run.summary.update({**record.summary, **wandb_tables(record)})
            for name, path in record.files.items():
                artifact = wandb.Artifact(f"{Path(name).stem}-{record.id}", type="checkpoint")
                artifact.add_file(str(path), name=name)
                run.log_artifact(artifact)
        finally:
            # Without it the next run would write into this one.
            run.finish()
    return folder.resolve().relative_to(out.resolve())


def wandb_tables(record: Record) -> dict[str, Any]:
    """A record's tables as W&B's."""
    import wandb

    return {
        # A column may hold numbers and texts: what an option was set to.
        name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows], allow_mixed_types=True)
        for name, table in record.tables.items()
    }


def displayed_values(record: Record) -> dict[str, Any]:
    """A record's images and pages as W&B's."""
    import wandb

    images = {name: wandb.Image(str(path)) for name, path in record.images.items()}
    return {**images, **{name: wandb.Html(str(path), inject=False) for name, path in record.pages.items()}}


@contextmanager
def move_staged(folder: Path) -> Iterator[None]:
    """Has W&B keep its copies of what goes along in a folder of ours, and not in the user's home."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before
