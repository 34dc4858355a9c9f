"""Test of the hierarchy on a hundred thousand steps."""

import torch

import architectures
from tests.architectures.cases import noise
from tests.gpu.devices import each_device, size_for


@each_device
def test_the_hierarchy_learns_from_a_very_long_sequence(device, record_property):
    """One forward and backward pass over the whole reach; memory grows with time, not with its square."""
    time = size_for(device, cpu=300, cuda=100_000)
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
    # The first step has an effect on the last output, which only the hierarchy can carry.
    assert x.grad[0, 0].abs().max() > 0
    if device == "cuda":
        peak_memory = torch.cuda.max_memory_allocated()
        record_property("peak MiB", peak_memory / 2**20)
        # The size of one time by time attention matrix.
        assert peak_memory < 4 * time**2
