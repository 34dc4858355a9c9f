"""Folders of somebody else's sweep: looking connects to no server, and imports no code, that only the folder names."""

import sys

import optuna
import pytest

from sweeps.storage import connect
from sweeps.storage_url import default_url
from sweeps.studies import create_studies, load_studies
from sweeps.sweep import Sweep
from tests.sweeps.small_sweeps import small_sweep
from tests.workbench import conftest
from workbench.cli import view
from workbench.cli.main import main
from workbench.cli.sweep.storage_options import choose_storage_url, find_storage_url
from workbench.config import TUNING_SEED
from workbench.errors import UserError
from workbench.files import write_yaml
from workbench.study_files import read_studies

on_path = conftest.on_path

SWEEP = {"tasks": ["addition"], "architectures": ["rnn"], "trials": 3, "seeds": 1, "steps": 5}
ENCODER = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
TASK = """
from dataclasses import dataclass
from workbench.tasks.addition import Addition


@dataclass(frozen=True, kw_only=True)
class Mine(Addition):
    pass
"""


@pytest.fixture(autouse=True)
def _no_store(monkeypatch):
    monkeypatch.delenv("WORKBENCH_STORAGE", raising=False)


# Servers


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A folder whose sweep.yaml names a server that wants passwords; returns both."""
    pytest.importorskip("psycopg")
    from tests.sweeps.fake_postgres import listening

    monkeypatch.setenv("PGPASSWORD", "s3cret")
    with listening() as server:
        url = f"postgresql+psycopg://me:their-pw@127.0.0.1:{server.port}/sweeps"
        write_yaml(tmp_path / "sweep.yaml", {**Sweep.from_dict(SWEEP).to_dict(), "storage": url})
        yield tmp_path, server


@pytest.mark.parametrize("command", ["status", "best", "report", "dashboard"])
def test_a_server_that_only_the_folder_names_is_not_connected_to(theirs, capsys, command):
    folder, server = theirs
    assert main(["sweep", command, str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"names a store on 127.0.0.1:{server.port}, which is not connected to unless you name it too" in line
    assert "their-pw" not in line
    assert server.connections == 0


def test_the_trials_page_shows_the_line_and_connects_to_nobody(theirs):
    from analysis.dashboards.server.optuna_app import OptunaApp

    pytest.importorskip("optuna_dashboard")
    folder, server = theirs
    problem = OptunaApp(lambda log: view.trials_app(folder, log)).problem()
    assert problem is not None
    assert "unless you name it too" in problem
    assert server.connections == 0


def test_a_server_is_connected_to_once_the_user_names_it(theirs, capsys):
    folder, server = theirs
    url = f"postgresql+psycopg://me@127.0.0.1:{server.port}/sweeps"
    assert main(["sweep", "status", str(folder), "--storage", url]) == 2
    assert "cleartext password; it is not sent" in capsys.readouterr().err
    assert (server.connections, server.received) == (1, b"")


def test_the_environment_names_a_store_too_but_only_that_one(tmp_path, monkeypatch):
    recorded = "postgresql+psycopg://me@host/sweeps"
    monkeypatch.setenv("WORKBENCH_STORAGE", "postgresql+psycopg://me:hush@host/sweeps")
    assert choose_storage_url(tmp_path, recorded, None) == "postgresql+psycopg://me:hush@host/sweeps"
    for other in (
        "postgresql+psycopg://me@elsewhere/sweeps",
        "postgresql+psycopg://me@host/other",
        "postgresql+psycopg://me@host/sweeps?host=elsewhere",
        "postgresql+psycopg://me@host/sweeps?sslmode=disable",
        "mysql+pymysql://me@host/sweeps",
    ):
        with pytest.raises(UserError, match="unless you name it too") as caught:
            choose_storage_url(tmp_path, other, None)
        assert "hush" not in str(caught.value)


def test_a_folder_with_its_own_store_is_not_taken_for_another_one(tmp_path, monkeypatch):
    write_yaml(tmp_path / "sweep.yaml", Sweep.from_dict(SWEEP).to_dict())
    (tmp_path / "sweep.db").touch()
    monkeypatch.setenv("WORKBENCH_STORAGE", "postgresql+psycopg://me:hush@host/sweeps")
    assert find_storage_url(str(tmp_path), None) == default_url(tmp_path)


# Files


@pytest.mark.parametrize("command", ["status", "dashboard"])
def test_the_database_of_another_program_is_left_as_it_is(tmp_path, capsys, command):
    import sqlite3

    connection = sqlite3.connect(tmp_path / "mine.db")
    connection.execute("CREATE TABLE songs (id INTEGER PRIMARY KEY)")
    connection.close()
    before = (tmp_path / "mine.db").read_bytes()
    out = tmp_path / "theirs"
    out.mkdir()
    write_yaml(out / "sweep.yaml", {**Sweep.from_dict(SWEEP).to_dict(), "storage": f"sqlite:///{tmp_path}/mine.db"})
    assert main(["sweep", command, str(out)]) == 2
    assert "is a database of another program" in capsys.readouterr().err
    assert (tmp_path / "mine.db").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.db", "theirs"]


def test_a_sweep_with_a_wrong_storage_changes_nothing_in_it(tmp_path, capsys):
    import sqlite3

    connection = sqlite3.connect(tmp_path / "mine.db")
    connection.execute("CREATE TABLE songs (id INTEGER PRIMARY KEY)")
    connection.close()
    before = (tmp_path / "mine.db").read_bytes()
    settings = ["--tasks", "addition", "--architectures", "rnn", "--steps", "4", "--device", "cpu", "--workers", "1"]
    storage = f"sqlite:///{tmp_path}/mine.db"
    assert main(["sweep", "run", *settings, "--storage", storage, "--out", str(tmp_path / "out")]) == 2
    assert "is a database of another program" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "mine.db").read_bytes() == before
    assert not (tmp_path / "out").exists(), "nothing is made before the store is known to be one"


# Code


@pytest.fixture
def custom_sweep(tmp_path, on_path, monkeypatch):
    """A folder with a sweep of custom code, whose import is an error from now on; and the default's identity."""
    names = {"tuned_task": TASK, "tuned_encoder": ENCODER}
    for name, source in names.items():
        on_path(name, source)
    out = tmp_path / "out"
    sweep = small_sweep(
        tasks=("tuned_task:Mine",),
        architectures=("tuned_encoder:Mine",),
        trials=1,
        task={"tuned_task:Mine": {"length": 6}},
        space={},
    )
    storage = connect(default_url(out), heartbeat=60, grace=120, log=print)
    (study,) = create_studies(storage, sweep.specs(), 1)
    expected = study.spec.experiment({}, TUNING_SEED).identity
    study.optuna_study.enqueue_trial(study.spec.default_params(), user_attrs={"place": 0})
    (trial,) = study.optuna_study.get_trials(deepcopy=False)
    storage.set_trial_user_attr(trial._trial_id, "identity", expected)
    storage.close()
    write_yaml(out / "sweep.yaml", sweep.to_dict())
    for name in names:
        on_path(name, "raise RuntimeError('imported')\n")
        del sys.modules[name]
    return out, expected


def test_looking_at_a_sweep_of_custom_code_imports_nothing(custom_sweep, capsys):
    out, expected = custom_sweep
    for command in ("status", "best"):
        assert main(["sweep", command, str(out)]) == 0
        assert "tuned_task:Mine/tuned_encoder:Mine" in capsys.readouterr().out
    store = connect(default_url(out), heartbeat=60, grace=120, log=print, read_only=True)
    (study,) = load_studies(store)
    assert study.default_identity == expected
    store.close()
    assert not {"tuned_task", "tuned_encoder"} & sys.modules.keys()


def test_the_report_of_a_sweep_of_custom_code_imports_nothing(custom_sweep, monkeypatch, capsys):
    out, expected = custom_sweep
    monkeypatch.setattr("analysis.report.build.write_report", lambda out: out / "report.html")
    assert main(["sweep", "report", str(out)]) == 0
    (study,) = read_studies(out)
    assert study.default_identity == expected
    assert [trial.default for trial in study.trials] == [True]


def test_winners_as_files_need_the_code_and_so_the_users_word(custom_sweep, tmp_path, monkeypatch, capsys):
    out, _ = custom_sweep
    monkeypatch.chdir(tmp_path / "modules")
    arguments = ["sweep", "best", str(out), "--yaml", str(tmp_path / "winners")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tuned_task:Mine is code that the results name and that is not installed" in line
    assert line.endswith("if you trust it, give --allow-code")
    assert main([*arguments, "--allow-code"]) == 0, "no trial is complete, so there is nothing to import"


def test_a_study_of_an_earlier_version_has_no_identity_of_its_default(on_path, tmp_path):
    on_path("tuned_encoder", ENCODER)
    name = "tuned_encoder:Mine"
    sweep = small_sweep(architectures=(name,), trials=1, space={})
    storage = optuna.storages.InMemoryStorage()
    (study,) = create_studies(storage, sweep.specs(), 1)
    assert study.default_identity == study.spec.experiment({}, TUNING_SEED).identity
    del storage._studies[study.optuna_study._study_id].user_attrs["default_identity"]
    assert study.default_identity is None
    (again,) = create_studies(storage, sweep.specs(), 1)
    assert again.default_identity is not None, "a sweep that goes on adds it"


def test_a_store_cannot_have_code_imported_by_leaving_its_hash_out(on_path):
    from sweeps.study_spec import StudySpec

    on_path("tuned_encoder", ENCODER)
    (spec,) = small_sweep(architectures=("tuned_encoder:Mine",), space={}).specs()
    plain = {**spec.to_dict(), "source": None}
    del sys.modules["tuned_encoder"]
    with pytest.raises(UserError, match="the hash of the code of tuned_encoder:Mine is missing"):
        StudySpec.from_dict(plain)
    assert "tuned_encoder" not in sys.modules


def test_the_names_of_studies_are_those_of_their_specifications():
    sweep = small_sweep(architectures=("rnn", "gru"), space={}, name="march")
    assert sweep.study_names == tuple(spec.name for spec in sweep.specs())


@pytest.mark.parametrize("kind", ["sampler", "pruner"])
def test_a_sampler_or_a_pruner_that_a_folder_names_is_not_imported_to_look_at_it(tmp_path, monkeypatch, capsys, kind):
    """Their module lies in the folder and in the current one, where it would be found."""
    from sweeps.study_spec import StudySpec

    out = tmp_path / "theirs"
    out.mkdir()
    monkeypatch.chdir(out)
    monkeypatch.syspath_prepend(str(out))
    (out / "their_search.py").write_text("raise SystemExit('imported')\n")
    (spec,) = small_sweep().specs()
    named = {kind: "their_search:Mine", f"{kind}_options": {"width": 1}, f"{kind}_source": "0" * 12}
    spec = StudySpec.from_dict({**spec.to_dict(), **named})
    storage = connect(default_url(out), heartbeat=10, grace=30, log=print)
    create_studies(storage, [spec], 3)
    values = {**small_sweep().to_dict(), kind: "their_search:Mine", f"{kind}_options": {"width": 1}}
    write_yaml(out / "sweep.yaml", values)
    for command in (["status", "."], ["best", "."], ["best", ".", "--yaml", "winners"], ["report", "."]):
        main(["sweep", *command])
        assert "imported" not in capsys.readouterr().err
    (read,) = read_studies(out)
    assert read.settings[kind] == "their_search:Mine"
    assert "their_search" not in sys.modules
    # Training is another matter: it runs the code that is named.
    with pytest.raises(SystemExit, match="imported"):
        load_studies(storage)[0].spec.check_methods()
