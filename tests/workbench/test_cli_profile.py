"""`workbench profile`: its table and files, and one-line errors for mistakes. Times are never asserted."""

import re

import pytest
import torch

import architectures
from workbench.cli.main import main
from workbench.cli.profile import main as profile_main
from workbench.files import read_json

TINY = ["--lengths", "4", "--batch-size", "2", "--hidden-size", "4", "--threads", "1", "--repeats", "1"]


pytestmark = pytest.mark.usefixtures("short_measurements")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architectures", "lstn"], "unknown architecture 'lstn'.*did you mean 'lstm'"),
        (["--architectures", ","], "name at least one architecture"),
        (["--architectures", "gru,gru"], "architecture 'gru' is named 2 times"),
        (["--architectures", "absent.module:Class"], "no module 'absent.module'"),
        (["--lengths", "0"], "lengths must be at least 1, not 0"),
        (["--lengths", "200,-5"], "lengths must be at least 1, not -5"),
        (["--lengths", "long"], "lengths must be whole numbers separated by commas, not 'long'"),
        (["--lengths", ","], "name at least one length"),
        (["--lengths", "5,5"], "length 5 is named 2 times"),
        (["--batch-size", "0"], "batch_size must be at least 1, not 0"),
        (["--hidden-size", "0"], "hidden_size must be at least 1, not 0"),
        (["--input-size", "0"], "input_size must be at least 1, not 0"),
        (["--threads", "0"], "threads must be at least 1, not 0"),
        (["--threads", "100000"], "threads must be at most 1024, not 100000"),
        (["--length", "5"], "unknown option --length; did you mean '--lengths'"),
        (["extra"], "unexpected argument 'extra'"),
        (["--repeats", "0"], "repeats must be at least 1, not 0"),
        (["--out", ""], "name a folder for the files: --out DIR"),
        (["--device", ""], "--device '' is unknown; known: auto, cpu, cuda"),
        (["--device", "tpu"], "--device 'tpu' is unknown; known: auto, cpu, cuda"),
        (["--lenghts", "3,4"], "unknown option --lenghts; did you mean '--lengths'"),
        (["--architecture.gru.hidden_sze", "3"], "no option 'hidden_sze'; did you mean 'hidden_size'"),
        (["--architectures", "gru", "--architecture.lstm.num_layers", "2"], "options are given for .*'lstm'"),
        (["--task.copy.length", "2"], "options are given for task 'copy'"),
        (["--json", "there.json"], "there.json is not an earlier profile and is not overwritten"),
        (["--json", "."], "is a folder; --json names a file"),
        (["--out", "there.json"], "there.json is a file; --out names a folder"),
        (["--out", "/proc/profile"], "cannot write to /proc/profile"),
        (["--training", "--out", "cost"], "--training draws no roofline; save its numbers with --json FILE"),
        (["--training", "--input-size", "3"], "--input-size has no effect on --training"),
        (["--training", "--device", "cuda"], "PyTorch finds no CUDA|measures what the processor does"),
        (["--streaming", "--training"], "--training and --streaming are two measurements"),
        (["--streaming", "--batch-size", "3"], "--batch-size has no effect on --streaming: one sequence"),
        (["--streaming", "--device", "cuda"], "PyTorch finds no CUDA|measures what the processor does"),
        (["--streaming", "--out", "there.json"], "there.json is a file; --out names a folder"),
        (["--streaming", "--json", "there.json"], "there.json is not an earlier profile"),
        (["--training", "--lengths", "1"], "whose lengths are at least 2, not 1"),
    ],
)
def test_a_mistake_is_one_line_and_measures_nothing(arguments, message, capsys, tmp_path, monkeypatch):
    from analysis.profile import profiler

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profiler, "measure_rounds", lambda *a, **k: pytest.fail("measured"))
    (tmp_path / "there.json").write_text("mine")
    assert main(["profile", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert re.search(message, line)
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]
    assert (tmp_path / "there.json").read_text() == "mine"


def test_a_gpu_that_is_not_there_is_refused(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["profile", "--device", "cuda"]) == 2
    assert "PyTorch finds no CUDA device" in capsys.readouterr().err


@pytest.mark.usefixtures("no_memory_peaks")
@pytest.mark.usefixtures("all_default_formats")
def test_every_architecture_is_profiled_and_every_file_written(tmp_path, capsys):
    written = tmp_path / "all.json"
    before = torch.get_num_threads()
    assert main(["profile", *TINY, "--json", str(written), "--out", str(tmp_path / "out")]) == 0
    assert torch.get_num_threads() == before
    captured = capsys.readouterr()
    assert "measuring: 4 steps" in captured.err
    assert max(map(len, captured.out.splitlines())) <= 110  # Times of so few steps have wild intervals.
    profile = read_json(written)
    assert profile == read_json(tmp_path / "out/profile.json")
    assert profile["kind"] == "workbench profile"
    assert {"machine", "settings", "peak", "peak_memory_is", "rows"} <= set(profile)
    names = ["torch.nn.LSTM", *architectures.names()]
    assert [row["architecture"] for row in profile["rows"]] == names
    for row in profile["rows"]:
        assert row["architecture"] in captured.out
        assert row["counted"] == "formula"
        assert row["parameters"] > 0
        assert row["state_size"] > 0
        for way in ("forward", "forward_backward"):
            assert len(row[way]["seconds_by_round"]) == 1
            assert row[way]["milliseconds"]["median"] > 0
            assert row[way]["multiply_adds_a_step"] > 0
            assert row[way]["flop_a_byte"] > 0
            assert row[way]["share_of_peak"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "profile.json",
        "profile.csv",
        "roofline.svg",
        "roofline.png",
    }
    # Once more over the same file, at two lengths.
    assert main(["profile", *TINY, "--lengths", "4,6", "--architectures", "rnn", "--json", str(written)]) == 0
    assert [row["length"] for row in read_json(written)["rows"]] == [4, 4, 6, 6]


@pytest.mark.usefixtures("no_memory_peaks")
def test_options_of_an_architecture_reach_it(tmp_path):
    options = ["--architecture.rnn.num_layers", "2", "--architecture.rnn.hidden_size", "5"]
    path = tmp_path / "profile.json"
    assert main(["profile", *TINY, "--architectures", "rnn,tcn", *options, "--json", str(path)]) == 0
    rows = {row["architecture"]: row for row in read_json(path)["rows"]}
    assert rows["rnn"]["options"] == {"hidden_size": 5, "num_layers": 2}
    assert rows["rnn"]["state_size"] == 10
    assert rows["tcn"]["options"] == {"hidden_size": 4, "reach": 4}


OWN = """
import torch
from architectures import Encoder

class Own(Encoder):
    def __init__(self, input_size: int, hidden_size: int, fails: bool = False) -> None:
        super().__init__(input_size)
        self.output_size, self.fails = hidden_size, fails
        self.weight = torch.nn.Parameter(torch.ones(hidden_size, input_size))

    def encode(self, x, state, lengths):
        if self.fails:
            raise RuntimeError("no such luck")
        return x @ self.weight.T, None

    def trace(self, x, state=None, lengths=None):
        raise NotImplementedError

    def path_length(self, lag):
        return 1

    def state_size(self, time):
        return 0
"""


@pytest.mark.slow
def test_an_architecture_of_ones_own_is_counted_by_pytorch(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_for_profile.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "profile.json"
    command = ["profile", *TINY, "--architectures", "own_for_profile:Own"]
    assert main([*command, "--json", str(path)]) == 0
    own = read_json(path)["rows"][1]
    assert own["counted"] == "PyTorch's counter"
    assert own["forward"]["multiply_adds_a_step"] == 8
    assert own["forward"]["bytes_a_step"] is None
    assert own["peak_memory_bytes"] is not None
    assert "as PyTorch's counter sees them" in capsys.readouterr().out
    assert main([*command, "--architecture.own_for_profile:Own.fails", "true"]) == 2
    assert "architecture own_for_profile:Own: RuntimeError: no such luck" in capsys.readouterr().err


@pytest.mark.usefixtures("no_memory_peaks")
def test_the_files_are_there_even_if_nobody_reads_the_table(tmp_path, monkeypatch):
    from analysis.profile import output

    def gone(profile):
        raise BrokenPipeError

    monkeypatch.setattr(output, "format_profile", gone)
    path = tmp_path / "profile.json"
    with pytest.raises(BrokenPipeError):
        profile_main([*TINY, "--architectures", "rnn", "--json", str(path)])
    assert len(read_json(path)["rows"]) == 2


def test_it_explains_itself_with_an_example(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["profile", "--help"])
    assert raised.value.code == 0
    assert "workbench profile" in capsys.readouterr().out.split("examples:")[1]


def test_a_training_step_is_measured_beside_a_bare_loop_that_does_the_same(tmp_path, capsys):
    """Both end with the same weights; a clock that ticks at every reading makes each side take one tick a round."""
    from analysis.profile import training
    from analysis.profile.settings import ProfileSettings

    path = tmp_path / "steps.json"
    arguments = ["--architectures", "rnn,rda", "--lengths", "4", "--batch-size", "2", "--hidden-size", "4"]
    assert main(["profile", "--training", *arguments, "--repeats", "2", "--json", str(path)]) == 0
    rows = read_json(path)["training"]
    assert [row["architecture"] for row in rows] == ["rnn", "rda"]
    assert all(row[side]["median"] > 0 for row in rows for side in ("bare", "bench", "ratio"))
    assert "a training step: batch 2, 4 steps, 4 units" in capsys.readouterr().out
    ticks = iter(range(10_000))
    settings = ProfileSettings(architectures=("gru",), lengths=(3,), batch_size=2, hidden_size=3, repeats=3)
    (row,) = training.profile_training(settings, clock=lambda: float(next(ticks))).rows
    assert row.ratio.median == pytest.approx(1)
    assert row.bare.median == pytest.approx(1000 / training.ROUND_STEPS)


def test_a_step_of_a_stream_is_measured_with_what_it_carries(tmp_path, capsys):
    names, written, out = "rnn,han,bidirectional", tmp_path / "stream.json", tmp_path / "out"
    sizes = ["--lengths", "4,6", "--hidden-size", "4", "--repeats", "1"]
    assert (
        main(["profile", "--streaming", "--architectures", names, *sizes, "--json", str(written), "--out", str(out)])
        == 0
    )
    profile = read_json(written)
    assert profile == read_json(out / "streaming.json")
    assert profile["left_out"] == ["bidirectional"]
    rows = {(row["architecture"], row["length"]): row for row in profile["streaming"]}
    assert [*rows] == [(name, length) for length in (4, 6) for name in ("torch.nn.LSTM", "rnn", "han")]
    # 4 x 2 and 4 x 4 weights and two biases of 4; h in and out; 2 features in, 4 units out.
    assert rows["rnn", 6]["parameters"] == 8 + 16 + 8
    assert (rows["rnn", 6]["state_size"], rows["rnn", 6]["bytes"]) == (4, 4 * (32 + 4 + 4 + 2 + 4))
    assert rows["torch.nn.LSTM", 4]["state_size"] == 8
    # Keys and values of every step that a window still sees.
    assert rows["han", 4]["state_size"] < rows["han", 6]["state_size"]
    assert all(row["milliseconds"]["median"] > 0 and len(row["seconds_by_round"]) == 1 for row in rows.values())
    assert len((out / "streaming.csv").read_text().splitlines()) == 1 + len(rows)
    text = capsys.readouterr().out
    assert "one step of one sequence, after 6 steps: 4 units" in text
    assert "left out, as they read whole sequences: bidirectional" in text


def test_every_causal_architecture_streams_from_the_same_state_each_time():
    from analysis.profile import streaming
    from analysis.profile.settings import ProfileSettings
    from architectures.registry import ARCHITECTURES

    settings, seconds = ProfileSettings(lengths=(3,), hidden_size=4, repeats=2), []

    def meter(run):
        run()
        seconds.append(0.5)
        return 0.5

    profile = streaming.profile_streaming(settings, meter=meter)
    causal = [name for name, entry in ARCHITECTURES.items() if entry.causal]
    assert [row.architecture for row in profile.rows] == ["torch.nn.LSTM", *causal]
    assert {row.median_seconds.median for row in profile.rows} == {0.5}
    assert {row.ratio_to_baseline.median for row in profile.rows} == {1.0}
    assert {*profile.left_out} == {*architectures.names()} - {*causal}
    assert len(seconds) >= 2 * len(profile.rows)


def test_what_cannot_stream_is_not_measured(capsys):
    assert main(["profile", "--streaming", "--architectures", "bidirectional", "--lengths", "3"]) == 2
    assert "--streaming needs an architecture that is causal, not bidirectional alone" in capsys.readouterr().err
