"""A hundred thousand steps."""

import torch

import architectures
from tests.architectures.cases import noise
from tests.gpu.devices import each_device, largest


@each_device
def test_the_hierarchy_learns_from_a_very_long_sequence(device, record_property):
    """In one pass forward and backward, with all that it reaches; memory grows with time, not with its square."""
    time = largest(device, cpu=300, cuda=100_000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = architectures.build("han", 2, hidden_size=64, reach=time).to(device)
    assert encoder.receptive_field is not None
    assert encoder.receptive_field >= time
    x = noise(1, time, 2, dtype=torch.float32).to(device).requires_grad_()
    y, _ = encoder(x)
    y[:, -1].sum().backward()
    assert x.grad is not None
    assert torch.isfinite(y).all()
    for leaf in (x, *encoder.parameters()):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    # The first step acts on the last, through the hierarchy alone.
    assert x.grad[0, 0].abs().max() > 0
    if device == "cuda":
        height = torch.cuda.max_memory_allocated()
        record_property("peak MiB", height / 2**20)
        # A single time by time matrix of attention.
        assert height < 4 * time**2
