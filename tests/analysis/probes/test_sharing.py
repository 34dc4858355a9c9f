"""Models that several processes probe in one folder: none twice, none left out, and what jobs elsewhere write."""

import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from analysis.probes import model_queue, remote, runner
from analysis.probes.parallel import run_all
from analysis.probes.progress import ProbeProgress
from analysis.probes.records import read_records
from analysis.probes.remote import watch_jobs
from analysis.probes.runner import ProbeEvent, ProbeJob
from tests.analysis.probe_doubles import CountingProbe, probe_options
from tests.analysis.toy_probe import count_parameters, install_probes
from tests.fake_jobs import FakeJobs
from tests.forked_command import forked_command
from tests.local_jobs import local_jobs
from tests.workbench.experiments import finish, small
from workbench.cli.main import main
from workbench.run_folder import run_lock


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a look at what others do cost no time."""
    monkeypatch.setattr(model_queue, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(remote, "POLL_SECONDS", 0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with six finished runs; not to be changed."""
    out = tmp_path_factory.mktemp("trained")
    for name in ("gru", "rnn"):
        for seed in range(3):
            finish(small(name, seed=seed, steps=2), out)
    return out


@pytest.fixture
def out(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("missed", [False, True], ids=["seen", "a moment earlier"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_others_are_at_work_on_is_put_off_and_waited_for(
    out: Path, workers: int, missed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missed:
        # Another process has taken it between the look and the lock.
        monkeypatch.setattr(model_queue, "is_locked", lambda path: False)
        monkeypatch.setattr(model_queue, "read_holder", lambda path: None)
    jobs, _ = runner.find_jobs(out)
    options = probe_options("discount_dynamics")
    events: list[ProbeEvent] = []
    held = ExitStack()
    held.enter_context(run_lock(jobs[0].folder))
    with ProbeProgress(jobs, options.names) as progress:

        def on_event(event: ProbeEvent) -> None:
            events.append(event)
            progress.on_event(event)
            if event.kind == "elsewhere" and len({event.job for event in events if event.kind == "done"}) == 5:
                held.close()

        records = run_all(jobs, options, workers=workers, on_event=on_event)
    done = [event.job for event in events if event.kind == "done"]
    assert sorted(done) == list(range(6))
    assert done[-1] == 0
    assert [read_records(job.folder) for job in jobs] == records
    errors = capsys.readouterr().err
    assert errors.count("waiting for 1 model that others probe: addition gru seed 0 (process ") == 1


def test_what_another_process_has_measured_meanwhile_is_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = CountingProbe()
    install_probes(monkeypatch, toy=probe)
    jobs, _ = runner.find_jobs(out)
    (elsewhere,) = run_all(jobs[:1], probe_options("toy"))
    saved = (jobs[0].folder / "analysis.json").read_bytes()
    (jobs[0].folder / "analysis.json").unlink()
    events: list[ProbeEvent] = []
    held = ExitStack()
    held.enter_context(run_lock(jobs[0].folder))

    def on_event(event: ProbeEvent) -> None:
        events.append(event)
        if event.kind == "elsewhere":
            (jobs[0].folder / "analysis.json").write_bytes(saved)
            held.close()

    records = run_all(jobs, probe_options("toy"), on_event=on_event)
    assert records[0] == elsewhere
    assert [event.kind for event in events if event.job == 0 and event.kind != "elsewhere"] == ["read"]
    assert len(probe.names) == len(jobs)


def analyze_counted(out: str, log: str) -> int:
    """Does what `workbench analyze` does with a slow probe that notes each model that it is applied to."""

    def note(loaded: object) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{loaded.name}\n")  # type: ignore[attr-defined]
        time.sleep(0.3)

    with pytest.MonkeyPatch.context() as patch:
        install_probes(patch, toy=CountingProbe(note))
        jobs, _ = runner.find_jobs(Path(out))
        records = run_all(jobs, probe_options("toy"))
    return 0 if all("toy" in by_name for by_name in records) else 1


def test_two_processes_share_a_folder(out: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ExitStack() as stack:
        commands = []
        for name in "ab":
            (tmp_path / name).mkdir()
            command = forked_command(analyze_counted, str(out), str(log), folder=tmp_path / name)
            commands.append(stack.enter_context(command))
        assert [command.wait() for command in commands] == [0, 0], [command.errors for command in commands]
    assert len(log.read_text().splitlines()) == 6, "a model was probed twice"
    assert list(out.rglob(".lease*")) == []


def watch(jobs: list[ProbeJob], fake: FakeJobs, log: list[str]):
    events: list[ProbeEvent] = []
    records = watch_jobs(jobs, probe_options("toy", "other"), fake, on_event=events.append, log=log.append)
    return records, Counter(event.kind for event in events)


def test_what_jobs_measure_is_waited_for_and_nothing_is_measured_here(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_probes(monkeypatch, toy=count_parameters, other=count_parameters)
    jobs, _ = runner.find_jobs(out)
    run_all(jobs[:1], probe_options("toy"))
    log: list[str] = []
    fake = FakeJobs(
        lambda: run_all(jobs[:3], probe_options("toy", "other")), lambda: run_all(jobs, probe_options("toy", "other"))
    )
    records, kinds = watch(jobs, fake, log)
    assert (kinds, log) == ({"read": 1, "done": 11}, ["2 jobs are submitted, 42"])
    assert records == [read_records(job.folder) for job in jobs]
    # With nothing left to do, no job is started.
    again, kinds = watch(jobs, fake, log)
    assert (again, kinds, fake.starts) == (records, {"read": 12}, 1)


def test_what_jobs_have_left_out_has_failed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters, other=count_parameters)
    jobs, _ = runner.find_jobs(out)
    _, kinds = watch(jobs, FakeJobs(lambda: run_all(jobs[:2], probe_options("toy"))), [])
    assert kinds == {"done": 2, "failed": 10}


def test_a_record_of_other_settings_is_not_what_jobs_were_to_measure(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_probes(monkeypatch, toy=count_parameters, other=count_parameters)
    jobs, _ = runner.find_jobs(out)
    run_all(jobs, probe_options("toy", "other", seed=5))
    records, kinds = watch(jobs, FakeJobs(), [])
    assert kinds == {"failed": 12}
    assert records == [{}] * 6


def test_whoever_stops_waiting_lets_the_jobs_know(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_probes(monkeypatch, toy=count_parameters, other=count_parameters)
    jobs, _ = runner.find_jobs(out)

    def interrupt() -> None:
        raise KeyboardInterrupt

    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        watch(jobs, FakeJobs(interrupt), log)
    assert log[-1] == "no longer waiting"


def test_a_file_for_sbatch_has_the_same_command(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(trained.rglob("*"))
    arguments = ["analyze", str(trained), "--probes", "memory_length"]
    assert main([*arguments, "--launcher", "print", "--job-count", "3", "--job-time", "1h"]) == 0
    text = capsys.readouterr().out
    assert "#SBATCH --array=0-2" in text
    assert f" -m workbench {' '.join(arguments)} --workers 1 &" in text
    assert sorted(trained.rglob("*")) == before


def test_what_jobs_cannot_share_is_a_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = next(trained.glob("runs/*/*/*/*"))
    for arguments, message in (
        ([str(run)], "is one run, which jobs cannot share"),
        ([str(trained), "--again"], "--again lets each job repeat what the others have done"),
    ):
        assert main(["analyze", *arguments, "--launcher", "print"]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


def test_a_signal_of_a_batch_system_is_an_interrupt(out: Path, tmp_path: Path) -> None:
    with forked_command(analyze_slowly, str(out), folder=tmp_path) as command:
        command.wait_until(lambda: (out / "begun").exists())
        command.signal(signal.SIGTERM)
        # By which the file for sbatch knows that the job is to be queued again.
        assert command.wait() == 130
    assert "workbench: interrupted" in command.errors


def analyze_slowly(out: str) -> int:
    """Does what `workbench analyze` does with a probe that takes forever."""

    def wait(loaded: object) -> None:
        (Path(out) / "begun").touch()
        time.sleep(60)

    with pytest.MonkeyPatch.context() as patch:
        install_probes(patch, toy=CountingProbe(wait))
        return main(["analyze", out, "--workers", "1", "--device", "cpu"])


@pytest.mark.slow
def test_jobs_of_submitit_share_the_models_of_a_folder(
    out: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path / "alone")
    arguments = ["--probes", "memory_length,discount_dynamics", "--sequences", "2", "--device", "cpu"]
    with local_jobs(monkeypatch):
        assert main(["analyze", str(out), *arguments, "--launcher", "slurm", "--job-count", "2"]) == 0
    shared = capsys.readouterr()
    assert "2 jobs are submitted" in shared.err
    assert "done by another process" in shared.err
    assert main(["analyze", str(tmp_path / "alone"), *arguments, "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == shared.out.splitlines()[:-1]
    jobs, others = runner.find_jobs(out)[0], runner.find_jobs(tmp_path / "alone")[0]
    assert [read_records(job.folder) for job in jobs] == [read_records(job.folder) for job in others]
    assert (out / "report.html").exists()
