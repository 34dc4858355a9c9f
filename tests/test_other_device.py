"""The simulated device refuses what a GPU refuses, and computes as the CPU does."""

import pytest
import torch


def test_what_a_gpu_refuses_is_refused(other_device):
    here, there = torch.ones(3), torch.ones(3, device=other_device)
    seeded = torch.Generator().manual_seed(0)
    for forbidden in (
        lambda: here + there,
        lambda: there @ here,
        lambda: torch.cat([here, there]),
        lambda: torch.stack([here.sum(), there.sum()]),
        lambda: here.sum().add_(there.sum()),
        lambda: there.add_(here),
        lambda: there.index_select(0, torch.tensor([1])),
        lambda: torch.randn(3, generator=seeded, device=other_device),
        lambda: torch.randint(3, (2,), generator=torch.Generator(other_device)),
        lambda: torch.randperm(3, generator=seeded, device=other_device),
        lambda: there.uniform_(generator=seeded),
    ):
        with pytest.raises(RuntimeError, match=r"two devices|another device"):
            forbidden()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


def test_other_operations_are_computed(other_device):
    values = torch.arange(6.0).view(2, 3)
    there = values.to(other_device)
    for operation in (
        lambda x: x.t() @ x,
        lambda x: x * torch.tensor(2.0) + 1,
        lambda x: x.clone().mul_(torch.tensor(3.0)),
        lambda x: x.clone().transpose_(0, 1),
        lambda x: x[:, torch.arange(0, 3, 2, device=x.device)],
        lambda x: x[x > 1],
        lambda x: torch.rand(3, generator=torch.Generator(x.device).manual_seed(1), device=x.device),
    ):
        result = operation(there)
        assert result.device == other_device
        assert result.shape == operation(values).shape
        assert torch.equal(result.cpu(), operation(values))
    assert (there.sum().item(), there.tolist()) == (15, values.tolist())
    assert (there.numpy(force=True) == values.numpy()).all()
    leaf = there.requires_grad_()
    (leaf.exp() * leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.device == other_device
    assert torch.allclose(leaf.grad.cpu(), values.exp() * (1 + values))
