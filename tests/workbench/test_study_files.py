"""Files of studies: written, read, and refused if they are not ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import study_files
from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.study_files import Study, Trial


def trial(number, state="complete", values=(0.5,), **more):
    return Trial(number=number, place=number, state=state, params={"a": 1, "b": None}, values=values, **more)


def study(*trials, **more):
    defaults = {
        "name": "addition/rnn",
        "task": "addition",
        "task_options": {"length": 6},
        "architecture": "my.module:Net",
        "asked": 4,
        "objectives": ("loss",),
        "settings": {"budget": {"steps": 4}},
        "space": {"a": {"low": 1, "high": 2}},
    }
    return Study(**{**defaults, **more}, trials=trials)


def test_a_study_survives_being_written_and_read(tmp_path):
    written = study(
        trial(0, intermediate=((1, 0.75), (2, 0.5)), identity="abc", seconds=1.5, default=True),
        trial(1, "failed", None, error="bad"),
        winner=0,
        importances={"a": 1.0},
    )
    study_files.write_study(tmp_path, written)
    assert study_files.read_studies(tmp_path) == (written,)
    assert study_files.study_path(tmp_path, written.name).is_file()
    assert study_files.study_path(tmp_path, "march/addition/my.module:Net") == (
        tmp_path / "sweep" / "march" / "addition" / "my.module-Net.json"
    )
    assert study_files.read_studies(tmp_path / "none") == ()


def test_what_counts_against_the_budget():
    states = ("waiting", "running", "complete", "pruned", "diverged", "interrupted", "failed")
    states_study = study(*(trial(number, state, None) for number, state in enumerate(states)))
    assert [trial.state for trial in states_study.finished_trials] == ["complete", "pruned", "diverged"]
    assert [trial.number for trial in states_study.trials_in("running", "failed")] == [1, 6]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_the_front_is_what_no_other_beats(values):
    front_study = study(*(trial(number, values=pair) for number, pair in enumerate(values)), trial(99, "pruned", None))
    front = {trial.number for trial in front_study.pareto_front}
    for number, (a, b) in enumerate(values):
        beaten = any((c <= a and d < b) or (c < a and d <= b) for c, d in values)
        assert (number in front) is not beaten
    front_values = [trial.values for trial in front_study.pareto_front]
    assert front_values == sorted(front_values)


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 3},
        {"trials": [3]},
        {"trials": [{"number": 1}]},
        {"trials": [{"number": 1, "place": 0, "state": "asleep", "params": {}}]},
        {"trials": [{"number": 1, "place": 0, "state": "complete", "params": {}, "values": ["low"]}]},
        {"trials": [{"number": 1, "place": 0, "state": "complete", "params": {}, "intermediate": [3]}]},
        {"objectives": 3},
        {"unknown": 3},
    ],
)
def test_what_this_bench_did_not_write_is_refused_in_a_line(tmp_path, change):
    study_files.write_study(tmp_path, study())
    (path,) = tmp_path.glob("sweep/*/*.json")
    write_json(path, {**read_json(path), **change})
    with pytest.raises(UserError, match=r"was not written by this bench: .*; move it away") as caught:
        study_files.read_studies(tmp_path)
    assert "\n" not in str(caught.value)
