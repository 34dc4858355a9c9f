"""`--seeds-at-once`: seeds of a configuration as one stacked model, where it can be."""

import pytest

from tests.workbench.experiments import small
from workbench import memory_needs
from workbench.cli.main import main
from workbench.errors import UserError
from workbench.files import read_json

SMALL = ["--steps", "4", "--batch-size", "3", "--log-every", "2", "--evaluation-size", "5", "--hidden-size", "4"]
COMPARE = ["compare", "--tasks", "addition", "--task.addition.length", "6", "--device", "cpu", "--wandb", "off", *SMALL]


def test_seeds_are_trained_together_where_they_can_be_and_a_line_says_where_not(tmp_path, capsys):
    options = ["--architectures", "rnn,han-memory", "--seeds", "3", "--workers", "1", "--seeds-at-once", "2"]
    assert main([*COMPARE, *options, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "han-memory on addition is trained one seed at a time: it writes into its tensors\n" in said
    assert "1 process on cpu, up to 2 seeds at once" in said
    sizes = {
        name: [
            read_json(path).get("seeds_at_once")
            for path in sorted(tmp_path.glob(f"runs/addition/{name}/*/*/timing.json"))
        ]
        for name in ("rnn", "han-memory")
    }
    assert sizes == {"rnn": [2, 2, None], "han-memory": [None] * 3}
    # Seconds of a stack's seeds are not those of runs alone.
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "seeds at once differ" in report
    assert not (tmp_path / "comparison.yaml").read_text(encoding="utf-8").count("seeds_at_once")


@pytest.mark.parametrize(("value", "line"), [("0", "seeds_at_once must be at least 1, not 0"), ("257", "at most 256")])
def test_a_wrong_number_is_refused_in_a_line(value, line, tmp_path, capsys):
    assert main([*COMPARE, "--architectures", "rnn", "--seeds-at-once", value, "--out", str(tmp_path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_a_stack_that_needs_too_much_memory_is_refused(monkeypatch):
    experiment = small()
    needed = []
    monkeypatch.setattr(
        memory_needs, "refuse_beyond", lambda needs, owner, device: needed.append((owner, sum(needs.values())))
    )
    memory_needs.check_memory(experiment)
    memory_needs.check_memory(experiment, seeds=3)
    assert needed[1] == ("gru on addition, 3 seeds at once,", 3 * needed[0][1])
    monkeypatch.undo()
    monkeypatch.setattr(memory_needs, "device_memory", lambda device: 2 * needed[0][1])
    memory_needs.check_memory(experiment, seeds=2)
    with pytest.raises(UserError, match="gru on addition, 3 seeds at once, needs at least"):
        memory_needs.check_memory(experiment, seeds=3)
