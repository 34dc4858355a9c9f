"""Precision of a profile, and the algorithms that PyTorch requests of cuDNN."""

import os
from dataclasses import replace
from typing import Any

import pytest
import torch

from analysis.profile import machine, output
from analysis.profile.cases import BASELINE, build_cases
from analysis.profile.machine import CudnnLSTM
from analysis.profile.profiler import profile
from analysis.profile.settings import ProfileSettings
from analysis.profile.timing import Workload, measure_rounds
from architectures.kernels.dispatch import BACKEND_VARIABLE
from tests.analysis.profile.test_output import example_profile, example_row
from workbench.devices import matmul_precision
from workbench.errors import UserError

TINY = ProfileSettings(
    architectures=("rwa",), lengths=(5,), batch_size=3, hidden_size=4, repeats=1, threads=1, device="cpu"
)
PERSISTENT = CudnnLSTM(
    dtype=torch.float16, batch=128, input_size=128, units=256, capability=(9, 0), multiprocessors=132
)


def switches():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("precision", "expected"), [("highest", False), ("high", True), ("medium", True)])
def test_cudnn_multiplies_in_the_same_precision_and_all_is_put_back(precision, expected):
    before = switches()
    with matmul_precision(precision):
        assert switches() == (precision, expected)
    assert switches() == before
    with pytest.raises(ZeroDivisionError), matmul_precision(precision):
        raise ZeroDivisionError
    assert switches() == before


def test_a_run_has_the_precision_and_the_backend_that_it_names(monkeypatch):
    monkeypatch.setenv(BACKEND_VARIABLE, "compiled")
    seen = []
    (_, case) = build_cases(replace(TINY, matmul_precision="medium"), 5, "cpu")
    case = replace(case, backend="eager")
    module = case.build()
    workloads = case.workloads(module)
    module.register_forward_hook(lambda *_: seen.append((*switches(), os.environ[BACKEND_VARIABLE])))
    for workload in workloads:
        workload.run()
    assert seen == [("medium", True, "eager")] * 2
    assert os.environ[BACKEND_VARIABLE] == "compiled"


@pytest.mark.parametrize("name", [BASELINE, "gru", "rwa", "tcn"])
def test_autocast_is_for_forward_alone(name):
    """Gradients are those of a plain backward pass of what autocast has computed."""
    settings = replace(TINY, architectures=(name,) if name != BASELINE else ("rwa",), precision="bf16")
    case = next(case for case in build_cases(settings, 5, "cpu") if case.name == name)
    module = case.build()
    _, workload = case.workloads(module)
    workload.prepare()
    workload.run()
    gradients = [parameter.grad for parameter in module.parameters()]
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        y = module(case.inputs())[0]
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)
    y.backward(gradient)
    for actual, parameter in zip(gradients, module.parameters(), strict=True):
        assert actual is not None
        assert parameter.grad is not None
        assert torch.equal(actual, parameter.grad)
    assert case.output(module).dtype == y.dtype


@pytest.mark.usefixtures("no_memory_peaks")
def test_a_profile_says_what_it_was_computed_in(monkeypatch):
    monkeypatch.setitem(machine.MATRIX_SIZE, "cpu", 32)
    monkeypatch.setitem(machine.MEMORY_VECTOR_SIZE, "cpu", 64)
    measured = profile(replace(TINY, precision="bf16", matmul_precision="high"))
    plain = measured.to_dict()
    assert plain["settings"]["precision"] == "bf16"
    assert plain["machine"]["float32_matmul_precision"] == "high"
    # The averages' sums are float32 whatever autocast says.
    lstm = "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
    assert [row["dtype"] for row in plain["rows"]] == [lstm, "float32"]
    text = output.format_profile(measured)
    assert "float32, under autocast to bfloat16" in text
    assert "products of float32 at precision high" in text
    assert f"{BASELINE}: batch 3, outputs {lstm}" in text


def test_the_table_names_cudnns_algorithms():
    measured = example_profile()
    base = replace(
        example_row(BASELINE, 0), cudnn={"forward": "persistent", "backward": "standard", "missing_for_persistent": []}
    )
    text = output.format_profile(replace(measured, rows=(base, *measured.rows[1:])))
    assert "cuDNN's algorithm: persistent, backward standard" in text


def test_the_persistent_algorithm_has_conditions():
    assert (PERSISTENT.unmet_conditions, PERSISTENT.forward_algorithm, PERSISTENT.backward_algorithm) == (
        [],
        "persistent",
        "persistent",
    )
    for change, word in (
        ({"dtype": torch.float32}, "float16"),
        ({"dtype": torch.bfloat16}, "float16"),
        ({"units": 250}, "units"),
        ({"units": 1152}, "units"),
        ({"input_size": 2}, "input size"),
        ({"batch": 100}, "batch"),
        ({"batch": 136}, "batch"),
        ({"capability": (8, 6)}, "capability"),
        ({"multiprocessors": 80}, "multiprocessors"),
    ):
        size = replace(PERSISTENT, **change)
        (missing,) = size.unmet_conditions
        assert word in missing
        assert size.forward_algorithm == size.backward_algorithm == "standard"


def test_small_units_have_an_algorithm_of_their_own_save_in_double_precision():
    size = replace(PERSISTENT, dtype=torch.float32, units=192)
    assert (size.forward_algorithm, size.backward_algorithm) == ("persistent for small sizes", "standard")
    assert replace(size, units=128).backward_algorithm == "persistent for small sizes"
    assert replace(size, units=128, dtype=torch.float64).forward_algorithm == "standard"


def test_a_precision_that_there_is_not_is_refused():
    for name in ("precision", "matmul_precision"):
        wrong: dict[str, Any] = {name: "b16"}
        with pytest.raises(UserError, match=f"^{name} 'b16' is unknown"):
            replace(TINY, **wrong)


def test_rounds_end_where_they_are_stopped():
    answers = iter([False, False, True])
    seconds = measure_rounds(
        {"a": Workload(run=lambda: None)}, 9, lambda run: 1.0, warm_up=2, stop=lambda: next(answers)
    )
    assert len(seconds["a"]) == 3
