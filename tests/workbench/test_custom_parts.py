"""Custom tasks and architectures: the code that belongs to them, and its changes."""

from dataclasses import replace

import pytest

from architectures.nesting import NESTING
from tests.workbench.experiments import small
from workbench.custom_parts import PART_KINDS, architecture_source, check_unchanged, is_custom, split_revision
from workbench.errors import UserError

ENCODER = "from architectures.gru import GRU\n\n\nclass Custom(GRU):\n    pass\n"
TASK = """
from dataclasses import dataclass
from workbench.tasks.addition import Addition


@dataclass(frozen=True, kw_only=True)
class Custom(Addition):
    pass
"""


def test_only_dotted_paths_are_custom():
    assert is_custom("package.module:Class")
    assert not is_custom("gru")
    assert architecture_source("lstm", {}) is None


def test_what_has_other_numbers_than_in_earlier_versions_is_another_experiment():
    revised = ("gru", "tcn", "grid-lstm")
    assert {name: architecture_source(name, {}) for name in revised} == dict.fromkeys(revised, "revision 2")
    now = small("gru")
    before = replace(now, architecture=replace(now.architecture, source=None))
    assert now.identity != before.identity
    # Weights that were trained from the old start can be read on.
    check_unchanged("architecture", before.architecture, "the run", "put it back")


@pytest.mark.parametrize("name", sorted(NESTING))
def test_the_revision_of_what_an_architecture_runs_is_its_own(name):
    """The GRU had its second revision before any other ran it, the grid LSTM was changed afterwards."""
    inside = {
        base: small(name, architecture_options={"base": base}).architecture for base in ("gru", "lstm", "grid-lstm")
    }
    assert [inside[base].source for base in inside] == [None, None, "revision 1 with grid-lstm 2"]
    now = small(name, architecture_options={"base": "grid-lstm"})
    before = replace(now, architecture=replace(now.architecture, source=None))
    assert now.identity != before.identity


def test_a_revision_is_told_from_hashes():
    for revision in ("revision 2", "revision 12", "revision 1 with grid-lstm 2"):
        assert split_revision(revision) == (revision, None)
        assert split_revision(f"{revision}-1f0c-22ab") == (revision, "1f0c-22ab")
    assert split_revision("1f0c-22ab") == (None, "1f0c-22ab")
    assert split_revision(None) == (None, None)


def test_weights_of_equations_that_were_changed_are_refused():
    """The grid LSTM's output gates were outside the tanh in its first revision, the GRU's bias alone was changed."""
    grid = small("grid-lstm").architecture
    nested = small("rnn-attention", architecture_options={"base": "grid-lstm"}).architecture
    for part, source in ((grid, None), (nested, None), (nested, "revision 1 with grid-lstm 1")):
        check_unchanged("architecture", part, "the run", "put it back")
        with pytest.raises(UserError, match=r"^the equations of grid-lstm have changed since the run was made"):
            check_unchanged("architecture", replace(part, source=source), "the run", "put it back")
    # The GRU's bias alone starts elsewhere.
    for now in (small("gru"), small("rnn-attention", architecture_options={"base": "gru"})):
        check_unchanged("architecture", replace(now.architecture, source=None), "the run", "put it back")


def test_an_unchanged_part_is_accepted_and_a_changed_one_refused(on_path):
    task, encoder = on_path("custom_task", TASK) + ":Custom", on_path("custom_encoder", ENCODER) + ":Custom"
    experiment = small(encoder, task, task_options={"length": 8})
    for kind in PART_KINDS:
        check_unchanged(kind, getattr(experiment, kind), "the run", "put it back")
    on_path("custom_task", TASK + "# changed\n")
    on_path("custom_encoder", ENCODER + "# changed\n")
    for kind, changed in (("task", "code or the data"), ("architecture", "code")):
        part = getattr(experiment, kind)
        message = f"^the {changed} of {kind} {part.name} is not what the run was made with; put it back$"
        with pytest.raises(UserError, match=message):
            check_unchanged(kind, part, "the run", "put it back")
        # Results from before code was hashed have no hash to compare with.
        check_unchanged(kind, replace(part, source=None), "the run", "put it back")


@pytest.mark.parametrize("kind", PART_KINDS)
def test_a_part_that_is_gone_is_refused(kind):
    part = replace(getattr(small(), kind), name="absent_module:Custom")
    with pytest.raises(UserError, match=f"^{kind} absent_module:Custom: there is no module 'absent_module'"):
        check_unchanged(kind, part, "the run", "put it back")
