"""Launchers of commands: files for sbatch that do their work, and jobs of submitit that are preempted."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fake_jobs import FakeJobs
from tests.workbench.experiments import finish, small
from workbench.cli.compare import build_parser
from workbench.cli.launching import LaunchOptions
from workbench.cli.main import main
from workbench.cli.options import RunOptions, take_options
from workbench.cli.parser import parse_arguments
from workbench.errors import UserError
from workbench.execution import execute_runs
from workbench.launchers import ray_cluster, slurm
from workbench.launchers.batch_file import write_batch_file
from workbench.launchers.job_array import JobArray, drop_options, parse_options
from workbench.launchers.remote_pool import RemotePool
from workbench.run_folder import run_folder, run_lock

COMPARE = ["compare", "--tasks", "addition", "--architectures", "gru", "--wandb", "off"]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def directives(text: str) -> dict[str, str]:
    """The options of sbatch in a file."""
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH ")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def command_of(text: str) -> list[str]:
    """The words of the command that a file runs."""
    (line,) = (line for line in text.splitlines() if " -m workbench " in line)
    return shlex.split(line.removesuffix(" &"))


@pytest.mark.parametrize(
    "arguments",
    [
        [*COMPARE, "--out", "a folder;"],
        ["suite", "track", "--architectures", "gru", "--out", "s"],
        ["reproduce", "rda-table-1", "--scale", "small"],
    ],
    ids=["compare", "suite", "reproduce"],
)
def test_a_file_has_the_same_command_in_an_array(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--launcher", "print", "--job-count=16", "--job-time", "90m", "--slurm", "partition=gpu;mem=8G"]
    text = printed([*arguments, *options, "--workers", "3", "--threads", "2"], capsys)
    assert directives(text) == {
        "job-name": f"workbench-{arguments[0]}",
        "array": "0-15",
        "cpus-per-task": "6",
        "time": "1:30:00",
        "signal": "B:USR1@120",
        "open-mode": "append",
        "chdir": str(tmp_path),
        "partition": "gpu",
        "mem": "8G",
        "requeue": "",
    }
    assert command_of(text) == [sys.executable, "-m", "workbench", *arguments, "--workers", "3", "--threads", "2"]
    # Nothing was begun.
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_asked_for_unless_its_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*COMPARE, "--out", "x", "--launcher", "print", "--device"]
    assert "gres" not in directives(printed([*arguments, "auto"], capsys))
    assert directives(printed([*arguments, "cuda"], capsys))["gres"] == "gpu:1"
    assert directives(printed([*arguments, "auto", "--gpus-per-job", "1"], capsys))["gres"] == "gpu:1"
    named = directives(printed([*arguments, "cuda", "--slurm", "gpus=h100:1"], capsys))
    assert (named.get("gres"), named["gpus"]) == (None, "h100:1")


def test_the_launcher_of_a_file_is_not_that_of_the_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("tasks: addition\narchitectures: gru\nlauncher: print\nslurm: partition=x\nout: o\n")
    arguments = command_of(printed(["compare", "--config", str(file)], capsys))[3:]
    assert arguments[-2:] == ["--launcher", "local"]
    # Nor is the address of a cluster, without which it would be refused.
    file.write_text(file.read_text().replace("launcher: print\n", "launcher: ray\nray_address: auto\n"))
    values, _ = parse_arguments(build_parser(), arguments[1:])
    launch = take_options(LaunchOptions, values)
    assert (launch.launcher, launch.ray_address) == ("local", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slurm", "partition=a b"], "slurm must be options of sbatch such as"),
        (["--slurm", "partition=a\n#SBATCH --x=y"], "slurm must be options of sbatch such as"),
        (["--slurm", "array=0-9"], "slurm: array is given by the launcher"),
        (["--job-time", "2m"], "name five minutes at least"),
        (["--job-count", "0"], "job_count must be"),
        (["--launcher", "pbs"], "--launcher 'pbs' is unknown; known: local, ray, slurm, print"),
        (["--ray-address", "auto"], "ray_address is given, but the launcher is not ray; add --launcher ray"),
        (["--launcher", "ray", "--ray-address", "ray://h:1"], "ray_address must be auto or HOST:PORT"),
        (["--gpus-per-job", "0.5"], "gpus_per_job must be 0 or 1 on SLURM"),
        (["--gpus-per-job", "2"], "gpus_per_job must be at most 1, not 2"),
        (["--gpus-per-job", ".nan"], "gpus_per_job must be a number, not nan"),
        (["--gpus-per-job", "1", "--device", "cpu"], "gpus_per_job is 1, but the device is cpu"),
        (["--gpus-per-job", "0", "--device", "cuda"], "gpus_per_job is 0, but the device is cuda"),
    ],
)
def test_a_mistake_is_a_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPARE, "--out", "x", "--launcher", "print", *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")
def test_without_slurm_a_line_says_what_there_is(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*COMPARE, "--out", str(tmp_path / "x"), "--launcher", "slurm"]) == 2
    assert "there is no SLURM here" in capsys.readouterr().err


def test_without_submitit_a_line_says_how_to_get_it(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    assert main([*COMPARE, "--out", str(tmp_path / "x"), "--launcher", "slurm"]) == 2
    assert "pip install 'sequence-workbench[slurm]'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("address", [[], ["--ray-address", "auto"]], ids=["here", "named"])
def test_without_ray_a_line_says_how_to_get_it(address: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    assert main([*COMPARE, "--out", str(tmp_path / "x"), "--launcher", "ray", *address]) == 2
    captured = capsys.readouterr().err
    assert "pip install 'sequence-workbench[ray]'" in captured
    assert captured.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_where_no_cluster_answers_a_line_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    monkeypatch.setattr(ray_cluster, "CONNECT_SCRIPT", "raise ConnectionError('Could not find any running instance')")
    assert main([*COMPARE, "--out", str(tmp_path / "x"), "--launcher", "ray", "--ray-address", "node1:6379"]) == 2
    captured = capsys.readouterr().err
    assert "no Ray cluster can be used at 'node1:6379': Could not find any running instance; name one" in captured
    assert captured.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_options_are_dropped_with_their_values() -> None:
    words = ["--a", "1", "--b=2", "--job-time", "3", "--c", "--a=4", "x", "--a"]
    assert list(drop_options(words, {"--a", "--job-time"})) == ["--b=2", "--c", "x"]
    assert parse_options(" partition=a ;; gres=gpu:2;") == (("partition", "a"), ("gres", "gpu:2"))


STANDS_FOR_THE_COMMAND = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
open(sys.argv[1], "w").close()
time.sleep(60 if len(sys.argv) > 2 else 0)
sys.exit(5)
"""


@contextmanager
def running_job(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a file as SLURM does, with a command that waits to be stopped, and a scontrol that notes what it is told."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (tools / "scontrol").chmod(0o755)
    command = (sys.executable, "-c", STANDS_FOR_THE_COMMAND, str(tmp_path / "begun"), *arguments)
    array = JobArray(name="n", command=command, folder=tmp_path, jobs=2, cpus=1, gpus=0, minutes=60)
    (tmp_path / "job.sbatch").write_text(write_batch_file(array, saved=130))
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    with subprocess.Popen(["bash", str(tmp_path / "job.sbatch")], env=environment, text=True) as process:
        yield process


@pytest.mark.parametrize(("number", "told"), [(signal.SIGUSR1, "requeue 17\n"), (signal.SIGTERM, None)])
def test_a_job_that_is_out_of_time_is_queued_again_and_one_that_is_cancelled_is_not(
    number: int, told: str | None, tmp_path: Path
) -> None:
    with running_job(tmp_path, "waits") as process:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(20) == (0 if told else 130)
    assert ((tmp_path / "told").read_text() if told else (tmp_path / "told").exists()) == (told or False)


def test_a_job_has_the_status_of_its_command(tmp_path: Path) -> None:
    with running_job(tmp_path) as process:
        assert process.wait(20) == 5
    assert not (tmp_path / "told").exists()

    def check(self) -> None:
        pass


def execute(out: Path, jobs: FakeJobs, count: int, log: list[str]):
    experiments = [small(seed=seed, steps=2) for seed in range(count)]
    options = {"device": "cpu", "workers": 1, "threads": 1, "say": log.append, "warn": log.append, "quiet": True}
    remote = RemotePool(out, jobs, log.append)
    return execute_runs(experiments, out=out, remote=remote, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a look at what others do cost no time."""
    monkeypatch.setattr("workbench.run_queue.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("workbench.launchers.remote_pool.IDLE_SECONDS", 0.01)


def test_what_jobs_train_is_waited_for_and_nothing_is_trained_here(tmp_path: Path) -> None:
    log: list[str] = []
    jobs = FakeJobs(*(lambda seed=seed: finish(small(seed=seed, steps=2), tmp_path) for seed in range(3)))
    done = execute(tmp_path, jobs, 3, log)
    assert (len(done.runs), done.stopped, jobs.starts) == (3, False, 1)
    assert log == ["2 jobs are submitted, 42"]
    # With nothing left to do, no job is started.
    assert len(execute(tmp_path, jobs, 3, log).runs) == 3
    assert jobs.starts == 1


def test_a_run_that_failed_in_a_job_has_failed_and_the_others_are_waited_for(tmp_path: Path) -> None:
    def fail() -> None:
        folder = run_folder(tmp_path, small(seed=0, steps=2))
        with run_lock(folder):
            (folder / "error.log").write_text("ValueError: no")

    done = execute(tmp_path, FakeJobs(fail, lambda: finish(small(seed=1, steps=2), tmp_path)), 2, [])
    assert len(done.runs) == 1
    assert "it failed in another process" in done.failures[0]


def test_jobs_that_have_ended_too_early_are_a_line(tmp_path: Path) -> None:
    jobs = FakeJobs(lambda: finish(small(seed=1, steps=2), tmp_path))
    with pytest.raises(UserError, match=r"all jobs \(42\) have ended, and 1 of 2 runs are not finished"):
        execute(tmp_path, jobs, 2, [])


def test_whoever_stops_waiting_lets_the_jobs_know(tmp_path: Path) -> None:
    log: list[str] = []
    jobs = FakeJobs(lambda: os.kill(os.getpid(), signal.SIGINT), *[lambda: time.sleep(0.01)] * 50)
    done = execute(tmp_path, jobs, 2, log)
    assert done.stopped
    assert log[-1] == "no longer waiting"
    array = JobArray(name="n", command=(), folder=tmp_path, jobs=1, cpus=1, gpus=0, minutes=9)
    assert "go on until no run is left" in slurm.SlurmJobs(array, tmp_path).leave()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("submitit") is None, reason="submitit is not installed")
def test_jobs_of_submitit_share_a_comparison_and_one_that_is_preempted_goes_on(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    arguments = [
        *("--tasks", "addition", "--task.addition.length", "8", "--architectures", "rnn,gru", "--seeds", "2"),
        *("--steps", "4000", "--log-every", "500", "--batch-size", "4", "--hidden-size", "5", "--evaluation-size", "6"),
        *("--device", "cpu", "--wandb", "off", "--out", str(out)),
    ]
    launch = LaunchOptions(launcher="slurm", job_count=2, job_time="30m")
    jobs = slurm.SlurmJobs(launch.own_array("compare", arguments, RunOptions(out=str(out))), out, cluster="local")
    jobs.check()
    assert "2 jobs are submitted" in jobs.start()
    while not list(out.glob("runs/*/*/*/*/metrics.csv")):
        time.sleep(0.1)
    preempted = jobs._jobs[0]
    # The controller that stands for SLURM passes no signal on; its child is what SLURM would tell.
    controller = preempted._process.pid
    (task,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(task), signal.SIGUSR2)
    for job in jobs._jobs:
        assert job.result() == 0, job.stderr()
    assert jobs.ended()
    assert "Requeued job" in preempted.stdout()
    # It says so, as it does when a signal of any other origin stops it.
    assert "stopping: saving what is under way" in preempted.stderr()
    # Counted without what the other job had finished before this one looked.
    assert re.search(r"\[(\d)/\1\]", preempted.stderr())
    assert len(list(out.glob("runs/*/*/*/*/result.json"))) == 4


GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "many-machines.md"


def test_the_guides_files_for_sbatch_are_accepted(tmp_path: Path, monkeypatch, capsys) -> None:
    """By an sbatch that reads a file as SLURM does, as far as the shell goes."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\ncat > submitted && bash -n submitted && echo Submitted batch job 17\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("workbench compare")]
    commands = [shlex.split(line)[1:] for line in lines if "--launcher print" in line]
    assert len(commands) == 2
    for command in commands:
        text = printed(command, capsys)
        said = subprocess.run(["./sbatch"], input=text, capture_output=True, text=True, check=True).stdout
        assert said == "Submitted batch job 17\n"
        launcher = command.index("--launcher")
        assert command_of(text)[3 : 3 + launcher] == command[:launcher]
    (tmp_path / "mine").write_text(
        (GUIDE.parent / "cluster.md").read_text().split("```sh\n#!/bin/bash")[1].split("```")[0]
    )
    subprocess.run(["bash", "-n", "mine"], check=True)


def test_the_guides_loop_starts_the_command_on_every_machine(tmp_path: Path) -> None:
    """With an ssh that stays here, and a command that notes how it was called."""
    (loop,) = (block for block in GUIDE.read_text().split("```sh\n")[1:] if "ssh " in block)
    project = tmp_path / "shared" / "project"
    (project / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "ssh").write_text('#!/bin/sh\nexec bash -c "$2\nwait"\n')
    (project / ".venv/bin/workbench").write_text('#!/bin/sh\necho "$PWD $*"\n')
    for tool in (tmp_path / "ssh", project / ".venv/bin/workbench"):
        tool.chmod(0o755)
    script = loop.split("```")[0].replace("/shared/project", str(project))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-e", "-c", script], env=environment, check=True)
    logs = {path.name: path.read_text() for path in project.glob("*.log")}
    said = f"{project} compare --tasks addition,copy --architectures lstm,rda --out results\n"
    assert logs == {f"node{n}.log": said for n in (1, 2, 3)}
