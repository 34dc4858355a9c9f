"""Files of data: located, checked and downloaded, with one-line errors."""

import gzip
import hashlib
import http.server
import shutil
import threading
from functools import partial

import numpy as np
import pytest

from tests import idx_files
from workbench.data import downloads, mnist
from workbench.data.downloads import RemoteFile, locate
from workbench.data.mnist import read_idx
from workbench.errors import UserError


@pytest.fixture
def fresh():
    """Clears the caches of MNIST before and after a test."""
    from workbench.tasks import mnist as tasks

    def forget():
        mnist.load.cache_clear()
        tasks.load_split.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of downloads, and no folder of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(downloads, "cache_folder", lambda: folder)
    monkeypatch.delenv("WORKBENCH_DATA")
    return folder


@pytest.fixture
def served(tmp_path):
    """A folder, and the URL under which it is served on the loopback interface."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def remote_file(name, content, *urls):
    return RemoteFile(name=name, urls=urls, md5=hashlib.md5(content).hexdigest(), folder="mnist")


@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_is_read_plain_or_packed(tmp_path, packed):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = idx_files.encode_idx(values)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    assert read_idx(path, (None, 3, 4)).tolist() == values.tolist()
    assert read_idx(path, (2, None, None)).shape == (2, 3, 4)


GOOD = idx_files.encode_idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"hello", "is not an IDX file"),
        (b"\x00\x00\x0d" + GOOD[3:], "is not an IDX file of unsigned bytes"),
        (GOOD[:10], "is not an IDX file"),
        (GOOD[:-1], "holds 23 values, but its header says 24"),
        (GOOD + b"x", "holds 25 values, but its header says 24"),
        (idx_files.encode_idx(np.zeros(5, np.uint8)), "is not an IDX file|has 1 dimensions, and should have 3"),
        (idx_files.encode_idx(np.zeros((2, 2, 4), np.uint8)), "holds 2 x 2 x 4 values, and should hold any x 3 x 4"),
        (gzip.compress(GOOD, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(GOOD, mtime=0)[:15] + b"\xff" * 20, "cannot be read"),
        (b"\x1f\x8b", "cannot be read"),
    ],
)
def test_another_or_a_damaged_file_is_one_line(tmp_path, content, message):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        read_idx(path, (None, 3, 4))
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_copy_of_the_users_is_taken_plain_or_packed_in_the_folder_or_below(tmp_path, monkeypatch, cache):
    file = remote_file("images.gz", b"whatever")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    for place in ("images", "images.gz", "mnist/images", "mnist/images.gz"):
        path = tmp_path / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
        assert locate(file) == path, "the later ones go before"
    assert not cache.exists()


def test_a_download_is_kept_once_it_is_whole(cache, served):
    folder, address = served
    (folder / "images.gz").write_bytes(b"all of it")
    file = remote_file("images.gz", b"all of it", address + "missing", address + "images.gz")
    assert locate(file) == cache / "images.gz"
    assert (cache / "images.gz").read_bytes() == b"all of it"
    (folder / "images.gz").unlink()
    assert locate(file) == cache / "images.gz", "it was downloaded again"


@pytest.mark.parametrize("content", [b"cut sh", b"another file"])
def test_a_download_of_something_else_is_refused_and_nothing_is_left(cache, served, monkeypatch, content):
    monkeypatch.setattr(downloads, "RETRIES", 0)
    folder, address = served
    (folder / "images.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be downloaded \(127.0.0.1:\d+ has another file\)") as refused:
        locate(remote_file("images.gz", b"cut short", address + "images.gz"))
    assert "\n" not in str(refused.value)
    assert "put it into DIR/mnist" in str(refused.value)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_without_a_network_and_a_file_it_says_which_file_to_put_where(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(downloads, "RETRIES", 0)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(UserError) as refused:
        locate(remote_file("images.gz", b"x", "http://127.0.0.1:9/images.gz"))
    assert f"put it into {tmp_path}/mnist and name that folder: --data-dir {tmp_path}" in str(refused.value)
    assert "images.gz is not there and cannot be downloaded (127.0.0.1:9 cannot be reached)" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"there is no folder .*gone; --data-dir"):
        locate(remote_file("images.gz", b"x"))


def test_other_data_is_another_experiment_and_is_told(tmp_path, monkeypatch, fresh):
    from workbench.comparison import Comparison
    from workbench.resolve import find_warnings

    def experiment():
        (only,) = Comparison.from_dict({"tasks": "mnist", "architectures": "rnn", "seeds": 1}).experiments()
        return only

    noise = experiment()
    assert noise.task.source is not None
    (line,) = find_warnings(noise)
    assert line.startswith("the data of mnist: not byte for byte as published: train-images-idx3-ubyte.gz, ")
    # The same values in other files: the same experiment.
    plain = idx_files.write(tmp_path / "plain", packed=False)
    monkeypatch.setenv("WORKBENCH_DATA", str(plain))
    mnist.load.cache_clear()
    assert experiment().identity == noise.identity
    # One pixel differs: another experiment.
    path = plain / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    mnist.load.cache_clear()
    assert experiment().identity != noise.identity


def test_the_published_files_have_no_part_in_the_identity(monkeypatch, fresh):
    files = tuple(
        RemoteFile(name=file.name, urls=(), md5=downloads.md5(locate(file)), folder="mnist") for file in mnist.FILES
    )
    monkeypatch.setattr(mnist, "FILES", files)
    assert mnist.load().digest is None
    assert mnist.load().differing == ()


def test_data_that_has_changed_since_is_refused_where_a_run_goes_on(tmp_path, monkeypatch, fresh):
    from workbench.comparison import Comparison
    from workbench.run import run

    small = {"steps": 2, "batch_size": 2, "log_every": 1, "evaluation_size": 3, "hidden_size": 4}
    values = {"tasks": "mnist", "architectures": "rnn", "seeds": 1, "task": {"mnist": {"pool": 7}}, **small}
    (experiment,) = Comparison.from_dict(values).experiments()
    changed = tmp_path / "changed"
    shutil.copytree(str(downloads.data_folder()), changed)
    path = changed / "mnist/t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1] + b"\x03"))
    monkeypatch.setenv("WORKBENCH_DATA", str(changed))
    mnist.load.cache_clear()
    with pytest.raises(UserError, match="the code or the data of task mnist is not what the experiment was made with"):
        run(experiment, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("t10k-labels-idx1-ubyte.gz", np.zeros(119, np.uint8), "holds 119 labels for 120 images"),
        ("t10k-labels-idx1-ubyte.gz", np.full(120, 10, np.uint8), "holds a label 10; digits go from 0 to 9"),
        ("t10k-images-idx3-ubyte.gz", np.zeros((120, 14, 14), np.uint8), "holds 120 x 14 x 14 values, and should"),
    ],
)
def test_files_that_do_not_fit_each_other_are_one_line(tmp_path, monkeypatch, fresh, name, values, message):
    folder = idx_files.write(tmp_path / "mnist")
    (folder / name).write_bytes(gzip.compress(idx_files.encode_idx(values), mtime=0))
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match=message):
        mnist.load()
