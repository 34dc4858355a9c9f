"""Probes of a model on a GPU: what they find there, and how long they take."""

import time
from dataclasses import replace

import pytest
import torch

import architectures
from analysis.probes import registry
from tests.analysis.probe_on_device import COPY, SETTINGS, found, same
from tests.gpu.devices import GPU, each_device, largest

every_architecture = pytest.mark.parametrize("architecture", architectures.names())
on_gpu = pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])


@on_gpu
@every_architecture
@pytest.mark.parametrize("probe", [name for name in registry.PROBES if name != "alternation"])
def test_the_same_is_found_as_on_the_cpu(architecture, probe, device, monkeypatch):
    """The processor rounds otherwise, so what is fitted to the findings may differ a little more than they do."""
    there = found(architecture, *COPY, probe, torch.device(device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    same(there, found(architecture, *COPY, probe, torch.device("cpu")), rel=1e-2)


@on_gpu
def test_the_alternation_of_an_average(device, monkeypatch):
    task = ("alternation", {"length": 12})
    there = found("rwa", *task, "alternation", torch.device(device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    same(there, found("rwa", *task, "alternation", torch.device("cpu")), rel=1e-2)


@each_device
@pytest.mark.parametrize("architecture", ["lstm", "gru", "rwa", "rda-exp-tanh"])
def test_a_signal_is_followed_through_many_steps(architecture, device, record_property):
    settings = replace(SETTINGS, longest=largest(device, cpu=3000, cuda=100_000))
    began = time.monotonic()
    survived = found(architecture, *COPY, "signal_survival", torch.device(device), settings)
    record_property("seconds", round(time.monotonic() - began, 2))
    assert 0 < (survived.metrics["retention"].value or 0) < 1
    assert not survived.unavailable
