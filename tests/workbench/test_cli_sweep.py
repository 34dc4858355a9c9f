"""`workbench sweep` from its first command to its last, and one-line errors for mistakes."""

import re
import shutil
from pathlib import Path

import optuna
import pytest
import yaml

from workbench.cli.main import main
from workbench.config import TUNING_SEED
from workbench.files import read_yaml
from workbench.study_files import read_studies
from workbench.training import SequenceModule

GIVEN = [
    *("--tasks", "addition", "--task.addition.length", "6", "--architectures", "rnn,gru", "--seeds", "1"),
    *("--steps", "4", "--batch-size", "2", "--log-every", "1", "--evaluation-size", "4", "--hidden-size", "4"),
    *("--space.all.hidden_size", "{low: 2, high: 8}", "--device", "cpu", "--workers", "1", "--wandb", "off"),
]


@pytest.fixture(autouse=True)
def _no_store(monkeypatch):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)


@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory):
    """The folder of a finished sweep; not to be changed."""
    out = tmp_path_factory.mktemp("swept") / "out"
    assert main(["sweep", "run", *GIVEN, "--trials", "2", "--out", str(out)]) == 0
    return out


@pytest.fixture
def sweep_copy(finished_sweep, tmp_path):
    shutil.copytree(finished_sweep, tmp_path / "out")
    return tmp_path / "out"


def runs(out):
    return sorted(path.parent for path in out.glob("runs/*/*/*/seed-*/result.json"))


def run_sweep(capsys, *arguments):
    """Runs a command of `workbench sweep`; returns its status, its output and its errors."""
    capsys.readouterr()
    status = main(["sweep", *map(str, arguments)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return status, captured.out, captured.err


def test_a_sweep_ends_with_tuned_studies_fresh_runs_and_a_report(finished_sweep):
    assert {path.name for path in runs(finished_sweep)} == {f"seed-{TUNING_SEED}", "seed-0"}
    studies = read_studies(finished_sweep)
    assert sorted(study.name for study in studies) == ["addition/gru", "addition/rnn"]
    for study in studies:
        assert len(study.finished_trials) == study.asked == 2
        for identity in (study.winner_identity, study.default_identity):
            assert (
                finished_sweep / "runs" / "addition" / study.architecture / identity / "seed-0" / "result.json"
            ).exists()
    assert (finished_sweep / "report.html").exists()
    assert "storage" not in read_yaml(finished_sweep / "sweep.yaml")


def test_the_same_command_reads_everything_and_more_trials_go_on(sweep_copy, capsys, monkeypatch):
    before = {path: path.stat().st_mtime_ns for folder in runs(sweep_copy) for path in folder.iterdir()}
    monkeypatch.setattr(SequenceModule, "training_step", lambda *args: pytest.fail("trained again"))
    monkeypatch.setattr(
        "workbench.process_pool.start_process", lambda *args, **kwargs: pytest.fail("a worker was started")
    )
    local = ("--device", "cpu", "--wandb", "off", "--workers", "1")
    status, _, err = run_sweep(capsys, "run", "--config", sweep_copy / "sweep.yaml", *local, "--out", sweep_copy)
    assert status == 0
    assert "4 of 4 trials are finished already" in err
    assert {path: path.stat().st_mtime_ns for folder in runs(sweep_copy) for path in folder.iterdir()} == before
    status, _, err = run_sweep(capsys, "run", *GIVEN, "--trials", "1", "--out", sweep_copy)
    assert (status, err.count("\n")) == (2, 1)
    assert "ask for at least as many, not 1" in err
    status, _, err = run_sweep(capsys, "run", *GIVEN, "--trials", "2", "--learning-rate", "0.5", "--out", sweep_copy)
    assert status == 2
    assert "optimization.learning_rate is 0.001, not 0.5" in err


def test_the_winners_file_is_a_comparison_that_reads_the_winners_runs(sweep_copy, capsys, monkeypatch):
    status, out, _ = run_sweep(capsys, "best", sweep_copy, "--yaml", sweep_copy / "best")
    assert status == 0
    files = [sweep_copy / "best" / f"addition-{name}.yaml" for name in ("rnn", "gru")]
    assert out.splitlines()[-2:] == list(map(str, files))
    monkeypatch.setattr("workbench.execution.RunPool.run", lambda self, experiments, listen: expected(experiments))
    for file in files:
        arguments = ["compare", "--config", str(file), "--seeds", "1", "--device", "cpu", "--wandb", "off"]
        assert main([*arguments, "--out", str(sweep_copy)]) == 0
        assert "1 of 1 runs are finished already" in capsys.readouterr().err


def expected(experiments):
    assert experiments == [], "another configuration than the winner's"


def test_status_and_report_tell_what_there_is(sweep_copy, capsys):
    for where in (
        (sweep_copy,),
        ("--storage", f"sqlite:///{sweep_copy}/sweep.db"),
        (sweep_copy, "--storage", f"sqlite:///{sweep_copy}/sweep.db"),
    ):
        status, out, _ = run_sweep(capsys, "status", *where)
        assert status == 0
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["addition/rnn", "2", "2"],
            ["addition/gru", "2", "2"],
        ]
    assert run_sweep(capsys, "status", sweep_copy, "--watch")[0] == 0
    (sweep_copy / "report.html").unlink()
    assert run_sweep(capsys, "report", sweep_copy)[0] == 0
    assert (sweep_copy / "report.html").exists()


@pytest.mark.parametrize("command", ["status", "best", "report"])
def test_what_is_not_there_or_broken_is_a_line(sweep_copy, capsys, tmp_path, command):
    def refused(*where, match):
        status, _, err = run_sweep(capsys, command, *where)
        assert (status, err.count("\n")) == (2, 1), err
        assert re.search(match, err), err

    refused(match="name (a sweep's folder|the folder of a sweep)")
    refused(tmp_path / "none", match="there is no folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", match="holds no sweep")
    shutil.copy(sweep_copy / "sweep.yaml", tmp_path / "kept.yaml")
    values = read_yaml(tmp_path / "kept.yaml")
    wrong = ({"space": [1]}, {"storage": 3}, {"storage": "nowhere"}, {"tasks": 7})
    texts = [yaml.safe_dump({**values, **change}) for change in wrong]
    for text in ("tasks: [", "- 1", "trials: 3\ntasks: 7", *texts):
        (sweep_copy / "sweep.yaml").write_text(text)
        refused(sweep_copy, match=r"sweep\.yaml|storage")
    shutil.copy(tmp_path / "kept.yaml", sweep_copy / "sweep.yaml")
    (sweep_copy / "sweep.db").unlink()
    refused(sweep_copy, match="there is no store")
    assert not (sweep_copy / "sweep.db").exists(), "to look at a sweep makes none"


@pytest.mark.slow
def test_a_store_that_was_lost_is_made_again_from_the_runs(sweep_copy, capsys, monkeypatch):
    (sweep_copy / "sweep.db").unlink()
    before = runs(sweep_copy)
    assert run_sweep(capsys, "run", *GIVEN, "--trials", "2", "--out", sweep_copy)[0] == 0
    assert runs(sweep_copy) == before


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--trials", "0"], "trials must be at least 1"),
        (["--objectives", "los"], "objectives 'los' is unknown"),
        (["--space.rnn.attention", "x"], "attention"),
        (["--space.rnn.hidden_size", "{low: 9, high: 2}"], "low 9 lies above high 2"),
        (["--space.lstm.dropout", "0.1"], "'lstm', which is not tuned"),
        (["--storage", "postgresql+psycopg://me:hush@@host/x"], "is not a URL"),
        (["--storage", "mongo://me:hush@host/x"], "no store is called"),
        (["--sampler", "tpee"], "sampler 'tpee' is unknown; did you mean 'tpe'"),
        (["--sampler", "optuna.samplers.CmaEsSamplr"], "no class 'CmaEsSamplr'; did you mean 'CmaEsSampler'"),
        (["--sampler_options.sed", "1"], "sampler tpe has no option 'sed'; did you mean 'seed'"),
        (["--sampler-options.seed"], "--sampler-options.seed needs a value"),
        (["--sampler-options", "7"], "sampler_options must be a mapping"),
        (["--pruner", "optuna.pruners.PercentilePruner"], "needs an option 'percentile'"),
        (["--metric", "val/accuracy"], "task addition has no metric 'val/accuracy'; did you mean|known: val/loss"),
        (["--direction", "maximize"], "less of 'val/loss' of task addition is better; drop --direction"),
        (["--heartbeat", "20"], "grace must be at least twice"),
        (["--ray-address", "auto"], "add --launcher ray"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--spaces.rnn.dropout", "0"], "unknown option"),
        (["--name", "a/b"], "name 'a/b' must be"),
    ],
)
def test_a_users_mistake_is_a_line_and_nothing_is_begun(tmp_path, capsys, arguments, match):
    status, _, err = run_sweep(capsys, "run", *GIVEN, *arguments, "--out", tmp_path / "out")
    assert (status, err.count("\n")) == (2, 1), err
    assert re.search(match, err), err
    assert "hush" not in err
    assert not (tmp_path / "out").exists()


def test_options_of_a_sampler_on_the_command_line_go_before_those_of_the_file(tmp_path):
    from workbench.cli.sweep.method_options import merge_method_options, split_method_options
    from workbench.cli.sweep.run import build_parser

    arguments = ["--sampler_options.seed", "1", "--trials", "3", "--pruner-options.percentile=25.5"]
    plain, options = split_method_options(arguments)
    assert plain == ["--trials", "3"]
    assert options == {"sampler_options": {"seed": 1}, "pruner_options": {"percentile": 25.5}}
    assert merge_method_options({"seed": 2, "width": 3}, options["sampler_options"]) == {"seed": 1, "width": 3}
    file = tmp_path / "sweep.yaml"
    file.write_text("sampler: optuna.samplers.CmaEsSampler\nsampler_options: {seed: 2}\npruner: mine:Mine\n")
    values = build_parser().parse_args(["--config", str(file)])
    assert (values.sampler, values.sampler_options) == ("optuna.samplers.CmaEsSampler", {"seed": 2})
    assert values.pruner == "mine:Mine", "it is text, and nothing is imported"


def test_a_comparison_has_no_space(tmp_path, capsys):
    assert (
        main(
            [
                "compare",
                "--tasks",
                "addition",
                "--architectures",
                "rnn",
                "--space.rnn.dropout",
                "1",
                "--out",
                str(tmp_path),
            ]
        )
        == 2
    )
    assert "unknown option --space.rnn.dropout" in capsys.readouterr().err


def test_a_folder_has_one_sweep_at_a_time(sweep_copy, capsys):
    from workbench.run_folder import sweep_lock

    with sweep_lock(sweep_copy):
        status, _, err = run_sweep(capsys, "run", *GIVEN, "--trials", "2", "--out", sweep_copy)
    assert status == 2
    assert "another sweep is being run" in err


def test_a_worker_needs_a_store_that_is_there(tmp_path, sweep_copy, capsys):
    status, _, err = run_sweep(capsys, "worker", "--storage", f"sqlite:///{tmp_path}/none.db", "--out", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "there is no store" in err
    assert not (tmp_path / "none.db").exists()
    assert run_sweep(capsys, "worker", "--device", "cpu", "--out", tmp_path / "mistaken")[0] == 2
    assert not (tmp_path / "mistaken").exists()
    status, _, err = run_sweep(capsys, "worker", "--study", "addition/rn", "--device", "cpu", "--out", sweep_copy)
    assert status == 2
    assert "did you mean 'addition/rnn'" in err


@pytest.mark.parametrize(("arguments", "workers"), [((), 6), (("--threads", "3"), 2), (("--workers", "1"), 1)])
def test_a_worker_command_is_as_many_workers_as_its_help_says(sweep_copy, monkeypatch, arguments, workers):
    started = []

    class Launcher:
        stopping = False

        def __init__(self, *, workers, **options):
            started.append(workers)

        def run(self):
            return

    monkeypatch.setattr("sweeps.local_launcher.LocalLauncher", Launcher)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)))
    assert main(["sweep", "worker", *arguments, "--device", "cpu", "--out", str(sweep_copy)]) == 0
    assert started == [workers]


def test_a_worker_trains_final_runs_once_no_trial_is_left_if_it_is_told_to(sweep_copy, capsys):
    assert run_sweep(capsys, "worker", "--seeds", "0", "--device", "cpu", "--out", sweep_copy)[0] == 2
    worker = ("worker", "--device", "cpu", "--workers", "1", "--out", sweep_copy)
    before = runs(sweep_copy)
    assert run_sweep(capsys, *worker)[0] == 0
    assert runs(sweep_copy) == before
    status, _, err = run_sweep(capsys, *worker, "--seeds", "2")
    assert status == 0, err
    new = {*runs(sweep_copy)} - {*before}
    assert {path.name for path in new} == {"seed-1"}
    assert {path.parent for path in new} == {path.parent for path in before if path.name == "seed-0"}
    # The mirror is the sweep's.
    assert not (sweep_copy / "wandb").exists()


def test_a_password_is_written_nowhere(monkeypatch):
    from pathlib import Path

    from sweeps.worker import WorkerConfig
    from workbench.cli.sweep.storage_options import StorageOptions
    from workbench.cli.sweep.tune import worker_words

    url = "postgresql+psycopg://me:hush@host/x"
    config = WorkerConfig(url=url, study_names=("a/b",), out=Path("out"))
    assert "hush" not in " ".join(worker_words(config, workers=1))
    # A sweep's file has the URL without it; what is in the environment has it.
    monkeypatch.setenv("WORKBENCH_STORAGE", url)
    assert StorageOptions(storage="postgresql+psycopg://me@host/x").url(None) == url
    assert StorageOptions(storage="postgresql+psycopg://me@other/x").url(None) == "postgresql+psycopg://me@other/x"
    assert StorageOptions().url(None) == url


def test_trials_are_mirrored_with_their_study_and_state(sweep_copy, capsys, monkeypatch):
    added = []

    def write(record, out, project):
        added.append(record)
        return Path("wandb/offline-run-x")

    monkeypatch.setattr("analysis.dashboards.mirror.offline_run.write_offline_run", write)
    arguments = [word for word in GIVEN if word not in ("--wandb", "off")]
    assert run_sweep(capsys, "run", *arguments, "--trials", "2", "--wandb", "offline", "--out", sweep_copy)[0] == 0
    tuned = [record for record in added if record.config.get("seed") == TUNING_SEED]
    assert sorted((record.group, record.summary["trial/number"]) for record in tuned) == [
        *(("addition/gru", number) for number in (0, 1)),
        *(("addition/rnn", number) for number in (0, 1)),
    ]
    assert {record.summary["trial/state"] for record in tuned} == {"complete"}
    assert [record.job_type for record in added].count("comparison") == 1


def test_a_study_of_somebody_else_in_the_store_is_left_alone(sweep_copy, capsys):
    optuna.create_study(storage=f"sqlite:///{sweep_copy}/sweep.db", study_name="theirs")
    status, out, _ = run_sweep(capsys, "status", "--storage", f"sqlite:///{sweep_copy}/sweep.db")
    assert status == 0
    assert "theirs" not in out
    assert yaml.safe_load((sweep_copy / "sweep.yaml").read_text())["trials"] == 2
