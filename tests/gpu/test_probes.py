"""Tests of the probes on a GPU: their results, and how long they take."""

import time
from dataclasses import replace

import pytest
import torch

import architectures
from analysis.probes import registry
from tests.analysis.probe_on_device import COPY, SETTINGS, assert_same_result, run_on_device
from tests.gpu.devices import GPU, each_device, size_for

every_architecture = pytest.mark.parametrize("architecture", architectures.names())
on_gpu = pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])


@on_gpu
@every_architecture
@pytest.mark.parametrize("probe", [name for name in registry.PROBES if name != "alternation"])
def test_results_are_those_on_the_cpu(architecture, probe, device, monkeypatch):
    """Rounding differs from the CPU's, so curves that are fitted to results may differ a little more than these."""
    there = run_on_device(architecture, *COPY, probe, torch.device(device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    assert_same_result(there, run_on_device(architecture, *COPY, probe, torch.device("cpu")), rel=1e-2)


@on_gpu
def test_the_alternation_of_an_average(device, monkeypatch):
    task = ("alternation", {"length": 12})
    there = run_on_device("rwa", *task, "alternation", torch.device(device))
    monkeypatch.setenv("WORKBENCH_BACKEND", "eager")
    assert_same_result(there, run_on_device("rwa", *task, "alternation", torch.device("cpu")), rel=1e-2)


@each_device
@pytest.mark.parametrize("architecture", ["lstm", "gru", "rwa", "rda-exp-tanh"])
def test_a_signal_is_followed_through_many_steps(architecture, device, record_property):
    settings = replace(SETTINGS, longest=size_for(device, cpu=3000, cuda=100_000))
    began = time.monotonic()
    survived = run_on_device(architecture, *COPY, "signal_survival", torch.device(device), settings)
    record_property("seconds", round(time.monotonic() - began, 2))
    assert 0 < (survived.metrics["retention"].value or 0) < 1
    assert not survived.unavailable
