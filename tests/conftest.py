"""What all tests need: data sets that are not downloaded, and Triton's interpreter where there is no GPU."""

import os

import pytest
import torch

from tests import idx_files, text_files
from tests.other_device import elsewhere  # noqa: F401

if not torch.cuda.is_available():
    # Triton reads it when it is imported, which PyTorch may do at any time.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """A folder of data with MNIST's files and a text, of noise, and nothing of the user's own."""
    folder = tmp_path_factory.mktemp("data")
    idx_files.write(folder / "mnist")
    text_files.write(folder / "text" / "enwik8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(folder))
        yield folder
