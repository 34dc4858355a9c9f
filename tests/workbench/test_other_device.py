"""Training of a model that is not on the CPU: the numbers are the same, and no tensor stays behind."""

from dataclasses import replace

import pytest
import torch

from architectures.kernels import double_precision
from architectures.state import detach, map_state
from tests.architectures.kinds import ONE_OF_EACH_KIND, names_of_each_kind
from tests.other_device import OTHER_DEVICE, OtherDeviceTensor
from tests.workbench.experiments import TASK_OPTIONS, module_and_data, small, task_architecture_pairs
from workbench import tasks
from workbench.config import Numerics
from workbench.training import SequenceModule
from workbench.training.stacked_gradients import Step, compute_alone, compute_stacked


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    # The compiled kernels round otherwise.
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")


def make_experiment(name, task, draw="cpu"):
    experiment = small(name, task, task_options=TASK_OPTIONS.get(task, {"length": 8}))
    return replace(experiment, budget=replace(experiment.budget, evaluation_size=4), numerics=Numerics(draw=draw))


def batch_of(data, step, device):
    """Returns a training batch on a device."""
    return data.training_batch(step, device=device).to(device)


def losses_and_scores(module, data):
    """Returns the losses of two batches, the state carried over, then all scores of a fixed set; keeps gradients."""
    state, losses = None, []
    for step in range(2):
        scores, after = module.compute_scores(batch_of(data, step, module.device), state)
        scores["loss"].backward()
        state = detach(after) if module.task.stateful else None
        losses.append(scores["loss"].item())
    return [*losses, *module.evaluate(data.fixed_set("validation", module.device)).values()]


@pytest.mark.parametrize(
    ("task", "name"),
    [
        pytest.param(task, name, marks=() if name in ONE_OF_EACH_KIND else pytest.mark.slow)
        for task, name in task_architecture_pairs()
    ],
)
def test_training_on_another_device_gives_the_same_numbers(task, name, request):
    experiment = make_experiment(name, task)
    (here, data), (there, other_data) = module_and_data(experiment), module_and_data(experiment)
    expected = losses_and_scores(here, data)
    request.getfixturevalue("other_device")
    there.to(OTHER_DEVICE)
    assert losses_and_scores(there, other_data) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for (label, parameter), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert isinstance(other.grad, OtherDeviceTensor), label
        torch.testing.assert_close(other.grad.cpu_tensor, parameter.grad, rtol=1e-3, atol=1e-5, msg=label)


@pytest.mark.parametrize("task", tasks.names())
def test_data_drawn_on_another_device_is_on_it(task, request):
    """The simulated device draws what the CPU draws."""
    here, data = module_and_data(make_experiment("gru", task))
    expected = data.training_batch(3)
    request.getfixturevalue("other_device")
    there, data = module_and_data(make_experiment("gru", task, draw="device"))
    there.to(OTHER_DEVICE)
    batch = data.training_batch(3, device=there.device)
    for label in ("x", "target", "lengths", "recall", "source"):
        here_field, there_field = getattr(expected, label), getattr(batch, label)
        assert (here_field is None) == (there_field is None), label
        if here_field is not None:
            assert isinstance(there_field, OtherDeviceTensor), label
            assert torch.equal(there_field.cpu_tensor, here_field), label
    assert there.compute_scores(batch)[0]["loss"].item() == pytest.approx(
        here.compute_scores(expected)[0]["loss"].item(), rel=1e-4
    )


def test_the_carried_state_of_a_checkpoint_moves_to_the_device(request):
    """A checkpoint is loaded to the CPU."""
    experiment = make_experiment("gru", "text")
    here, data = module_and_data(experiment)
    here.logs_steps = False
    carried = detach(here.compute_scores(data.training_batch(0))[1])
    batch = data.training_batch(1)
    here.carried_states.by_part = {0: carried}
    expected = here.training_step(batch, 1)["loss"].item()
    here.carried_states.by_part = {0: map_state(torch.zeros_like, carried)}
    assert here.training_step(batch, 1)["loss"].item() != expected
    request.getfixturevalue("other_device")
    there = SequenceModule.from_experiment(experiment).to(OTHER_DEVICE)
    there.logs_steps = False
    there.carried_states.by_part = {0: carried}
    assert there.training_step(batch.to(OTHER_DEVICE), 1)["loss"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", names_of_each_kind())
def test_training_on_a_device_without_float64_gives_the_same_numbers(name, request, monkeypatch):
    """As the GPU of a Mac is: scores are read, and late positions encoded, in float64 nevertheless."""
    experiment = make_experiment(name, "copy")
    (here, data), (there, other_data) = module_and_data(experiment), module_and_data(experiment)
    expected = losses_and_scores(here, data)
    monkeypatch.setattr(double_precision, "WITHOUT_FLOAT64", {OTHER_DEVICE.type})
    create = OtherDeviceTensor.__new__

    def refuse_float64(cls, cpu_tensor):
        if cpu_tensor.dtype == torch.float64:
            raise TypeError("there is no float64 on this device")
        return create(cls, cpu_tensor)

    monkeypatch.setattr(OtherDeviceTensor, "__new__", staticmethod(refuse_float64))
    request.getfixturevalue("other_device")
    with pytest.raises(TypeError, match="no float64"):
        torch.zeros(1, device=OTHER_DEVICE).double()
    there.to(OTHER_DEVICE)
    assert losses_and_scores(there, other_data) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "task"), [("lstm", "copy"), ("rda", "text"), ("tcn", "addition"), ("transformer", "text"), ("lru", "copy")]
)
def test_a_stack_of_seeds_on_another_device_gives_the_numbers_of_each(name, task, request):
    def pair():
        experiment = make_experiment(name, task)
        made = [module_and_data(replace(experiment, seed=seed)) for seed in range(2)]
        for module, _ in made:
            module.logs_steps = False
        return made

    def losses(made, compute):
        found = []
        for number in range(2):
            steps = [Step(module=module, batch=data.training_batch(number).to(module.device)) for module, data in made]
            compute(steps)
            assert [step.error for step in steps] == [None, None]
            found += [step.scores["loss"].item() for step in steps if step.scores is not None]
        return found

    here, there = pair(), pair()
    expected = losses(here, lambda steps: [*map(compute_alone, steps)])
    request.getfixturevalue("other_device")
    for module, _ in there:
        module.to(OTHER_DEVICE)
    assert losses(there, compute_stacked) == pytest.approx(expected, rel=1e-4)
    for (module, _), (other_module, _) in zip(here, there, strict=True):
        for (label, parameter), other in zip(module.named_parameters(), other_module.parameters(), strict=True):
            assert isinstance(other.grad, OtherDeviceTensor), label
            torch.testing.assert_close(other.grad.cpu_tensor, parameter.grad, rtol=1e-3, atol=1e-4, msg=label)
