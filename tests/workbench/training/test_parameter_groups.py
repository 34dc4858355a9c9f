"""Tests of parameters that are trained in a way of their own: groups of the optimiser, results, lists and reports."""

import sys
import textwrap
from pathlib import Path

import pytest
import torch

from analysis.grouping import build_sections
from analysis.report.fairness import check_fairness
from architectures import ParameterRule
from tests.analysis.report_runs import experiment, write_run
from workbench.cli.list import describe
from workbench.cli.main import main
from workbench.config import Optimization
from workbench.files import read_json, write_json
from workbench.results import finished_runs, read_run
from workbench.training.optimizers import make_optimizer, parameter_groups
from workbench.training.sequence_module import SequenceModule

RULED = """
    import torch
    from torch import nn
    from architectures import Encoder, ParameterRule, Trace

    class Ruled(Encoder):
        '''A leaky sum, whose decay is trained slowly.'''

        def __init__(self, input_size, hidden_size=4, rate=0.25):
            super().__init__(input_size)
            self.output_size = hidden_size
            self.weight = nn.Parameter(torch.randn(hidden_size, input_size))
            self.decay = nn.Parameter(torch.zeros(hidden_size))
            self.parameter_rules = {"decay": ParameterRule(rate=rate, decay=False)}

        def encode(self, x, state, lengths):
            h = x.new_zeros(len(x), self.output_size) if state is None else state[0]
            steps = []
            for added in (x @ self.weight.T).unbind(1):
                h = self.decay.sigmoid() * h + added
                steps.append(h)
            return torch.stack(steps, dim=1), (h,)

        def trace(self, x, state=None, lengths=None):
            return Trace(y=self(x, state)[0])

        def path_length(self, lag):
            return lag + 1

        def state_size(self, time):
            return self.output_size

    class Misspelt(Ruled):
        def __init__(self, input_size, hidden_size=4):
            super().__init__(input_size, hidden_size)
            self.parameter_rules = {"dekay": ParameterRule(rate=0.5)}
"""


@pytest.fixture
def ruled(tmp_path, monkeypatch):
    """The path of a custom architecture with a rule."""
    (tmp_path / "ruled_encoders.py").write_text(textwrap.dedent(RULED))
    monkeypatch.syspath_prepend(tmp_path)
    yield "ruled_encoders:Ruled"
    sys.modules.pop("ruled_encoders", None)


def module_of(name, **options):
    return SequenceModule(name, "addition", hidden_size=4, task_options={"length": 6}, **options)


def test_groups_have_their_share_of_the_rate_and_its_schedule(ruled):
    """At every step; and the others have what they would have had."""
    module = module_of(ruled, learning_rate=0.01, weight_decay=0.1, optimizer="adamw", schedule="linear", steps=4)
    configured = module.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    general, slow = optimizer.param_groups
    assert [parameter.shape for parameter in slow["params"]] == [(4,)]
    assert slow["params"][0] is module.model.encoder.decay
    assert len(general["params"]) == len(list(module.parameters())) - 1
    assert (general["weight_decay"], slow["weight_decay"]) == (0.1, 0.0)
    for step in range(4):
        assert general["lr"] == pytest.approx(0.01 * (1 - step / 4))
        assert slow["lr"] == pytest.approx(0.25 * general["lr"])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_step_is_that_of_two_optimisers(ruled, optimizer):
    """One for the slow parameters with a share of the rate and no decay, one for the rest: the same weights."""
    module, twin = module_of(ruled), module_of(ruled)
    options = Optimization(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1)
    together = make_optimizer(options, parameter_groups(options, module, module.model.encoder))
    slow = twin.model.encoder.decay
    rest = [parameter for parameter in twin.parameters() if parameter is not slow]
    slow_options = Optimization(optimizer=optimizer, learning_rate=0.0025)
    apart = [make_optimizer(options, rest), make_optimizer(slow_options, [slow])]
    x = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        for model, optimizers in ((module, [together]), (twin, apart)):
            model(x).square().sum().backward()
            for each in optimizers:
                each.step()
                each.zero_grad()
    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_rules_there_is_one_group_in_the_order_of_the_parameters():
    """As before there were any, so that the optimiser's state of an earlier checkpoint fits."""
    module = module_of("lstm", learning_rate=0.01)
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert all(one is other for one, other in zip(group["params"], module.parameters(), strict=True))
    assert group["lr"] == 0.01


def train(name, out, capsys, *more):
    arguments = ["--task", "addition", "--task.addition.length", "5", "--steps", "2", "--hidden-size", "4"]
    status = main(["train", "--architecture", name, *arguments, "--evaluation-size", "4", "--out", str(out), *more])
    return status, capsys.readouterr()


def test_a_result_has_the_rules_and_a_report_names_them(ruled, tmp_path, capsys):
    """Where there are none, the result says nothing, as earlier ones do."""
    out = tmp_path / "out"
    for name in (ruled, "rnn"):
        assert train(name, out, capsys)[0] == 0
    runs = {run.experiment.architecture.name: run for run in finished_runs(out)}
    assert runs[ruled].parameter_rules == {"decay": ParameterRule(rate=0.25, decay=False)}
    assert "parameter_rules" not in runs["rnn"].result
    (section,) = build_sections(list(runs.values()))
    _, sentences = check_fairness(section)
    rule = f"{section_label(section, ruled)}: decay at 0.25 of the learning rate, without weight decay"
    assert f"Parameters that their architecture has trained in a way of its own: {rule}." in sentences


def section_label(section, name):
    return next(row.label for row in section.rows if row.experiment.architecture.name == name)


def test_a_report_says_nothing_where_all_are_trained_alike(tmp_path):
    for name in ("lstm", "rda"):
        write_run(tmp_path, experiment(name))
    (section,) = build_sections(finished_runs(tmp_path))
    assert "way of its own" not in " ".join(check_fairness(section)[1])


def test_another_share_is_another_experiment(ruled, tmp_path, capsys):
    for more in ((), (f"--architecture.{ruled}.rate", "0.5")):
        assert train(ruled, tmp_path / "out", capsys, *more)[0] == 0
    rates = {run.parameter_rules["decay"].rate: run.experiment.identity for run in finished_runs(tmp_path / "out")}
    assert len({*rates.values()}) == len(rates) == 2


def test_rules_that_name_no_parameter_are_a_line_before_anything_is_trained(ruled, tmp_path, capsys):
    status, said = train(ruled.replace("Ruled", "Misspelt"), tmp_path / "out", capsys)
    assert status == 2
    assert "parameter_rules of Misspelt names 'dekay', which is no parameter of it" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out" / "runs").exists()


def test_the_list_shows_them(ruled):
    assert describe(ruled).endswith("training:\n  decay at 0.25 of the learning rate, without weight decay")
    assert "training:" not in describe("lstm")


def test_damaged_rules_of_a_result_are_named(tmp_path):
    write_run(tmp_path, experiment("lstm"))
    (path,) = Path(tmp_path).rglob("result.json")
    write_json(path, {**read_json(path), "parameter_rules": {"nu": 3}})
    with pytest.raises(Exception, match="its parameter_rules is invalid"):
        read_run(path.parent)
