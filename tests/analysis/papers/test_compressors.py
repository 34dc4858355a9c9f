"""Compressors beside the architectures: of the same bytes, by Python's own functions."""

import bz2
import lzma
import zlib

import pytest

from analysis.papers.compressors import compressed_bits, predicted_bytes
from analysis.papers.page import compressor_table, write_page
from tests import text_files
from tests.analysis.papers.known_tables import example_preset
from tests.analysis.report_runs import write_run
from workbench.files import read_json, write_json
from workbench.tasks.text import NextCharacter


def test_the_bytes_are_those_that_the_test_predicts_and_the_bits_are_the_compressors(tmp_path):
    path = text_files.write(tmp_path / "text.txt")
    content = path.read_bytes()
    task = NextCharacter(file=str(path), length=7)
    train, test = content[: 9 * len(content) // 10], content[-len(content) // 20 :]
    tested = predicted_bytes(task, 40)
    # Two stretches of 7 for each of 20 streams, and the first byte of the part is given.
    assert tested == test[1 : 1 + 2 * 20 * 7]
    found = compressed_bits(task.text, tested)
    for name, compress in (("zlib", lambda x: zlib.compress(x, 9)), ("bz2", lambda x: bz2.compress(x, 9))):
        added = len(compress(train + tested)) - len(compress(train))
        assert found[name] == pytest.approx((8 * len(compress(tested)) / 280, 8 * added / 280))
    packed = lzma.compress(tested, format=lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)
    assert found["lzma"][0] == pytest.approx(8 * len(packed) / 280)
    assert list(found) == ["zlib", "bz2", "lzma"]
    # Words in random order: what the training part holds helps.
    assert all(added < alone for alone, added in found.values())


def test_the_page_of_a_text_has_them_and_what_its_source_quotes(tmp_path, without_enwik8):
    text_files.write(tmp_path / "enwik8")
    full = {"tasks": ["text"], "architectures": ["gru"], "task": {"text": {"file": "enwik8"}}, "seeds": 1}
    preset = example_preset(
        full=full,
        small={"task": {"text": {"file": str(tmp_path / "enwik8"), "length": 5}}, "evaluation_size": 20},
        sources=("RDA paper, table 7",),
        measures=("test/bits_per_character",),
    )
    (experiment,) = preset.experiments("small")
    result = write_run(tmp_path / "out", experiment) / "result.json"
    write_json(result, read_json(result) | {"test": {"loss": 1.4, "bits_per_character": 2.0}})
    page = write_page(preset, "small", tmp_path / "out", tmp_path / "pages").path.read_text()
    assert "## Compressors on the same text" in page
    assert page.count("\n| bz2 |") == 1
    assert "| PAQ8hp12, a compressor (Mahoney 2005) | 1.32 |" in page
    assert "| Stacked LSTM (Graves 2013) | 1.67 |" in page
    assert compressor_table([]) is None
