"""What all tests need: data sets that are not downloaded."""

import pytest

from tests import idx_files


@pytest.fixture(autouse=True, scope="session")
def data_folder(tmp_path_factory):
    """A folder of data with MNIST's files, of noise, and nothing of the user's own."""
    folder = tmp_path_factory.mktemp("data")
    idx_files.write(folder / "mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_DATA", str(folder))
        yield folder
