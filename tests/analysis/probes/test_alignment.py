"""The probe of alignment: models that look where they should, whose accuracy falls with the source, and that store."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from analysis.probes.alignment import measure
from analysis.probes.base import source_of, with_length_factor
from analysis.probes.models import LoadedModel, untrained_model
from analysis.probes.result import NotAvailableError
from analysis.probes.settings import ProbeSettings
from architectures.trace import Trace
from tests.analysis.report_runs import experiment
from workbench.seeding import CPU

SETTINGS = ProbeSettings(sequences=8)
OPTIONS = {"length": 6, "shortest": 2, "words": 6, "order": "reversed", "fertility": 1}


def loaded_on(architecture: str, task: str = "translate", options: dict[str, Any] | None = None) -> Any:
    source = {"source": 6} if architecture.startswith("seq2seq") else {}
    made = experiment(
        architecture, task=task, task_options=OPTIONS if options is None else options, hidden_size=8, options=source
    )
    return replace(untrained_model(made), trained=True)


def look(loaded: LoadedModel, shift: int) -> None:
    """Makes a model's map of test sequences look so many steps behind the word that is translated."""
    model: Any = loaded.model
    trace = model.encoder.trace

    def shifted(x: Tensor) -> Trace:
        # Words have the numbers 0 .. 5 and the blank the last but one; the translation is reversed.
        given = x[:, :6].argmax(2)
        weights = torch.full((len(x), 12, 6), 0.05)
        for row, words in enumerate(given):
            count = int((words < 6).sum())
            for place in range(count):
                weights[row, 6 + place, min(5, 5 - place + shift)] = 0.75
        plain: Trace = trace(x)
        return replace(plain, alignment=weights)

    model.encoder.trace = shifted


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_who_looks_where_it_should_is_aligned(shift: int) -> None:
    """Of an answer of n words the first ones cannot look further than to the end: one of n, on average."""
    loaded = loaded_on("seq2seq")
    look(loaded, shift)
    result = measure(loaded, SETTINGS)
    batch = loaded.task.fixed("test", 40, CPU)
    answers = int(batch.recall.sum())
    first = 40 / answers
    expected = {0: (1.0, 1.0), 1: (first, 1.0), 2: (first, 2 * first)}[shift]
    assert result.metrics["aligned"].value == pytest.approx(expected[0])
    assert result.metrics["aligned_near"].value == pytest.approx(expected[1])
    if shift == 0:
        assert result.metrics["source_weight"].value == pytest.approx(0.75, abs=1e-6)
    assert result.heatmaps["map"].to_array().shape == result.heatmaps["truth"].to_array().shape == (6, 6)
    # Reversed.
    assert result.heatmaps["truth"].to_array().tolist() == torch.eye(6).flip(1).tolist()


def test_answers_that_follow_from_the_one_before_are_told_apart() -> None:
    """Of a model that looks at the source for the first word of a translation alone, and ahead for the others."""
    loaded = loaded_on("seq2seq", options={**OPTIONS, "fertility": 2})
    batch = loaded.task.fixed("test", 40, CPU)
    assert batch.source is not None
    again = batch.source[:, 1:] == batch.source[:, :-1]
    again = torch.cat([torch.zeros_like(again[:, :1]), again], dim=1)
    looked = torch.where(again, (batch.source - 1) % 6, batch.source).clamp(min=0)
    model: Any = loaded.model
    trace = model.encoder.trace

    def ahead(x: Tensor) -> Trace:
        rows = [int((batch.x == row.argmax(1)).all(1).nonzero()[0]) for row in x]
        plain: Trace = trace(x)
        return replace(plain, alignment=torch.nn.functional.one_hot(looked[rows], 6).float())

    model.encoder.trace = ahead
    result = measure(loaded, SETTINGS)
    repeated = float(again[batch.recall].float().mean())
    assert 0.2 < repeated < 0.5
    assert result.metrics["aligned"].value == pytest.approx(1 - repeated)
    assert result.metrics["aligned_first"].value == 1
    assert set(result.curves["aligned_first"].y) == {1}
    assert result.curves["aligned"].to_array().max() < 1


def test_accuracy_is_told_by_the_length_of_the_source() -> None:
    """Of a model that is right on short sources and wrong on long ones, also where its answers are fed back."""
    loaded = loaded_on("lstm")
    model: Any = loaded.model
    batch = loaded.task.fixed("test", 40, CPU)
    long = (batch.recall.sum(1) > 3).long()
    answers = (batch.target + long.unsqueeze(1)) % 6

    def forward(x: Tensor, lengths: Any = None, state: Any = None) -> Any:
        at = 0 if state is None else state
        # The words of a source tell which sequence it is.
        rows = [int((batch.x[:, :6] == row[:6]).all(1).nonzero()[0]) for row in x] if at == 0 else model.rows
        model.rows = rows
        chosen = torch.nn.functional.one_hot(answers[rows, at : at + x.shape[1]], 6).float()
        return chosen, at + x.shape[1]

    model.forward = forward
    result = measure(loaded, SETTINGS)
    for name in ("length", "free_length"):
        curve = result.curves[name]
        assert list(curve.x) == [2, 3, 4, 5, 6]
        assert list(curve.y) == [1, 1, 0, 0, 0]
    for prefix in ("", "free_"):
        assert result.metrics[f"{prefix}accuracy_shortest"].value == 1
        assert result.metrics[f"{prefix}accuracy_longest"].value == 0
    assert "no attention" in result.unavailable["maps"]
    assert "no memory" in result.unavailable["stored"]


def test_what_is_stored_is_counted() -> None:
    loaded = loaded_on("han-memory", "stills", {"length": 60, "frames": 3, "features": 4})
    result = measure(loaded, SETTINGS)
    batch = loaded.task.fixed("test", 8, CPU)
    stored = loaded.model.encoder.trace(batch.x).gates["stored"][..., 0]
    assert result.metrics["stored_share"].value == pytest.approx(float(stored[:, -1].mean()) / 61)
    assert list(result.curves["stored"].y) == pytest.approx(stored.mean(0).tolist(), rel=1e-4)
    assert set(result.unavailable) == {"maps", "length"}


def test_reasons_why_nothing_is_available() -> None:
    with pytest.raises(NotAvailableError, match="does not say which step of the input is asked for"):
        measure(loaded_on("lstm", "parity", {"length": 6}), SETTINGS)
    with pytest.raises(NotAvailableError, match="all sources of the task have one length"):
        measure(loaded_on("lstm", "one-to-many", {}), SETTINGS)
    untrained = replace(loaded_on("lstm"), trained=False)
    with pytest.raises(NotAvailableError, match="the model is untrained"):
        measure(untrained, SETTINGS)


def test_a_longer_source_is_read_to_its_end() -> None:
    """On a task of another length, and afterwards the encoder is as before."""
    loaded = loaded_on("seq2seq")
    longer = with_length_factor(loaded.task, 3)
    batch, model = longer.fixed("test", 2, CPU), loaded.model
    before, _ = model(batch.x)
    with source_of(model, longer):
        assert model.encoder.source == longer.source_steps == 18
        within, _ = model(batch.x)
    # Over the source nothing but the read-out's bias is put out.
    assert torch.equal(within[:, :18], model.readout.bias.expand(2, 18, -1))
    assert not torch.equal(before[:, 6:18], within[:, 6:18])
    assert torch.equal(model(batch.x)[0], before)
    other = loaded_on("lstm")
    with source_of(other.model, longer):
        assert not hasattr(other.model.encoder, "source")
