"""The pretended device refuses what a GPU refuses, and computes as the CPU does."""

import pytest
import torch


def test_what_a_gpu_refuses_is_refused(elsewhere):
    here, there = torch.ones(3), torch.ones(3, device=elsewhere)
    seeded = torch.Generator().manual_seed(0)
    for forbidden in (
        lambda: here + there,
        lambda: there @ here,
        lambda: torch.cat([here, there]),
        lambda: torch.stack([here.sum(), there.sum()]),
        lambda: here.sum().add_(there.sum()),
        lambda: there.add_(here),
        lambda: there.index_select(0, torch.tensor([1])),
        lambda: torch.randn(3, generator=seeded, device=elsewhere),
        lambda: torch.randint(3, (2,), generator=torch.Generator(elsewhere)),
        lambda: torch.randperm(3, generator=seeded, device=elsewhere),
        lambda: there.uniform_(generator=seeded),
    ):
        with pytest.raises(RuntimeError, match=r"two devices|another device"):
            forbidden()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


def test_the_rest_is_computed(elsewhere):
    values = torch.arange(6.0).view(2, 3)
    there = values.to(elsewhere)
    for work in (
        lambda x: x.t() @ x,
        lambda x: x * torch.tensor(2.0) + 1,
        lambda x: x.clone().mul_(torch.tensor(3.0)),
        lambda x: x.clone().transpose_(0, 1),
        lambda x: x[:, torch.arange(0, 3, 2, device=x.device)],
        lambda x: x[x > 1],
        lambda x: torch.rand(3, generator=torch.Generator(x.device).manual_seed(1), device=x.device),
    ):
        found = work(there)
        assert found.device == elsewhere
        assert found.shape == work(values).shape
        assert torch.equal(found.cpu(), work(values))
    assert (there.sum().item(), there.tolist()) == (15, values.tolist())
    assert (there.numpy(force=True) == values.numpy()).all()
    leaf = there.requires_grad_()
    (leaf.exp() * leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.device == elsewhere
    assert torch.allclose(leaf.grad.cpu(), values.exp() * (1 + values))
