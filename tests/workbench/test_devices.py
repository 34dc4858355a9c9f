"""The choice of a device."""

import pytest
import torch

from workbench.devices import resolve_device
from workbench.errors import UserError


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "expected"),
    [
        (False, False, "auto", "cpu"),
        (True, False, "auto", "cuda"),
        # Results on a Mac's GPU do not repeat to the last bit, so it is taken only by name.
        (False, True, "auto", "cpu"),
        (False, True, "mps", "mps"),
        (True, False, "cuda", "cuda"),
        (True, True, "cpu", "cpu"),
    ],
)
def test_a_device_is_what_its_name_says(
    cuda: bool, mps: bool, name: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device(name) == expected


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_a_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"^--device {name}: .*use --device cpu$"):
        resolve_device(name)
