"""The file for sbatch that starts the jobs of an array, and queues those again that run out of time."""

from workbench.launchers.job_array import DEFAULT_JOBS, JobArray, join_words

WARNING_SECONDS = 120
"""Seconds before its end at which a job is told to save: a checkpoint of a large model on a slow disk takes a while."""

TEMPLATE = """#!/bin/bash
# {jobs} jobs that share the runs of one folder: sbatch FILE starts them; so does each further sbatch, at any time.
{directives}

# A job whose time is nearly up saves its runs (status {saved}) and is queued again; SLURM does so with a preempted one.
again=no
trap 'again=yes; kill -TERM "$work" 2>/dev/null' USR1
trap 'kill -TERM "$work" 2>/dev/null' TERM INT
{command} &
work=$!
status=0
while kill -0 "$work" 2>/dev/null; do
    wait "$work"
    status=$?
done
if [ "$again" = yes ] && [ "$status" -eq {saved} ]; then
    exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


def write_batch_file(array: JobArray, saved: int) -> str:
    """Returns the text of the file.

    Args:
        array: the jobs.
        saved: exit status of the command after it was stopped, and has saved what was under way.
    """
    jobs = array.jobs or DEFAULT_JOBS
    hours, minutes = divmod(array.minutes, 60)
    options = {
        "job-name": array.name,
        "array": f"0-{jobs - 1}",
        "cpus-per-task": str(array.cpus),
        "time": f"{hours}:{minutes:02}:00",
        "signal": f"B:USR1@{WARNING_SECONDS}",
        "open-mode": "append",
        "chdir": str(array.folder),
    }
    named = {name for name, _ in array.options}
    if array.gpus and not named & {"gres", "gpus", "gpus-per-node", "gpus-per-task"}:
        options["gres"] = f"gpu:{array.gpus:g}"
    lines = [f"#SBATCH --{name}={value}" for name, value in (*options.items(), *array.options)]
    directives = "\n".join([*lines, "#SBATCH --requeue"])
    return TEMPLATE.format(jobs=jobs, directives=directives, command=join_words(array.command), saved=saved)
