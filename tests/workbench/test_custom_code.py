"""Custom code that results name: it is found and compared without being imported, and only the user lets it run."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.experiments import small
from workbench.custom_code import check_code_allowed, find_module, uninstalled_file, written_hash
from workbench.custom_parts import check_unchanged, class_source
from workbench.errors import UserError

ENCODER = "from architectures.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"
EXPLODES = "raise RuntimeError('imported')\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder that ends the path, as the command line puts it there."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("their_code", "their_package")]:
        del sys.modules[name]


def test_code_beside_the_results_is_imported_only_if_the_user_says_so(folder):
    (folder / "their_code.py").write_text(EXPLODES)
    check_code_allowed(["gru", "addition"], folder, allowed=False)
    with pytest.raises(UserError) as caught:
        check_code_allowed(["gru", "their_code:Mine"], folder, allowed=False)
    file = folder / "their_code.py"
    assert str(caught.value) == (
        f"their_code:Mine is code that the results name and that is not installed ({file}); if you trust it, give "
        "--allow-code"
    )
    check_code_allowed(["their_code:Mine"], folder, allowed=True)
    assert "their_code" not in sys.modules


@pytest.mark.parametrize("path", ["their_package/__init__.py", "their_package/inner.py", "their_package/deep/inner.py"])
def test_packages_are_not_imported_to_find_what_is_in_them(folder, path):
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text(EXPLODES)
    # Without an __init__.py it is a namespace package, which may be in several places.
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert uninstalled_file(module, None) == str(file)
    assert "their_package" not in sys.modules


def test_code_in_the_results_is_not_installed_wherever_the_command_is_given(tmp_path, monkeypatch):
    out = tmp_path / "results"
    (out / "lib").mkdir(parents=True)
    (out / "lib" / "their_code.py").write_text(EXPLODES)
    monkeypatch.setattr(sys, "path", [str(out / "lib"), *sys.path])
    assert uninstalled_file("their_code", out) == str(out / "lib" / "their_code.py")
    assert uninstalled_file("their_code", None) is None


def test_installed_code_is_accepted_unless_a_file_of_the_folder_comes_before_it(folder, tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    installed.mkdir()
    for place in (installed, folder):
        (place / "their_code.py").write_text(ENCODER)
    monkeypatch.setattr(sys, "path", [str(installed), *sys.path])
    check_code_allowed(["their_code:Mine"], folder, allowed=False)
    # `python -m` puts the current folder first.
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with pytest.raises(UserError, match="is not installed"):
        check_code_allowed(["their_code:Mine"], folder, allowed=False)


def test_what_is_missing_or_imported_already_is_no_matter_of_trust(folder):
    check_code_allowed(["absent_module:Mine", "absent_module.inner:Mine"], folder, allowed=False)
    (folder / "their_code.py").write_text(ENCODER)
    __import__("their_code")
    check_code_allowed(["their_code:Mine"], folder, allowed=False)


def test_a_module_without_a_folder_is_found(folder):
    found = find_module("sys", sys.path)
    assert found is not None
    assert find_module("sys.inner", sys.path) is None


# Hashes

SOURCES = {
    "plain": ({"their_code": ENCODER}, "their_code:Mine"),
    "base in the file": (
        {"their_code": ENCODER + "\n\nclass Next(Mine):\n    pass\n"},
        "their_code:Next",
    ),
    "bases in other files": (
        {
            "their_package.__init__": "from .nets import Net as Exported\n",
            "their_package.nets": "from . import base\n\n\nclass Net(base.Base):\n    pass\n",
            "their_package.base": "import torch\nimport architectures.gru as gru\n\n\nclass Base(gru.GRU):\n    pass\n",
        },
        "their_package:Exported",
    ),
    "generic": (
        {
            "their_code": "from typing import Generic, TypeVar\nimport architectures.gru\nT = TypeVar('T')\n\n\n"
            "class Mine(architectures.gru.GRU, Generic[T]):\n    pass\n"
        },
        "their_code:Mine",
    ),
}


def write_sources(folder: Path, sources: dict[str, str]) -> None:
    """Writes modules, by their dotted names."""
    for name, text in sources.items():
        path = folder / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("case", SOURCES)
def test_the_hash_of_the_files_is_that_of_the_imported_class(folder, case):
    sources, name = SOURCES[case]
    write_sources(folder, sources)
    written = written_hash(name)
    assert name.partition(":")[0] not in sys.modules
    module, _, class_name = name.partition(":")
    cls = getattr(__import__(module, fromlist=[class_name]), class_name)
    assert written == class_source(cls, name)
    assert written is not None


@pytest.mark.parametrize(
    "text",
    [
        "if True:\n    from architectures.gru import GRU as Mine\n",
        "from architectures.gru import GRU\nMine = type('Mine', (GRU,), {})\n",
        "def make():\n    ...\n\n\nclass Mine(make()):\n    pass\n",
        "from logging import *\n\n\nclass Mine(Handler):\n    pass\n",
        "class Mine:\n    pass\n\n\nclass Mine:\n    x = 1\n",
        "from logging import Handler\n\n\nclass Mine(Handler):\n    pass\n",
        "class Mine(\n",
        "",
    ],
)
def test_where_the_files_do_not_say_only_an_import_does(folder, text):
    (folder / "their_code.py").write_text(text)
    assert written_hash("their_code:Mine") is None


@pytest.mark.parametrize("kind", ["task", "architecture"])
def test_changed_code_is_refused_before_it_is_imported(folder, kind):
    (folder / "their_code.py").write_text(f"class Mine:\n    pass\n\n\n{EXPLODES}")
    part = replace(getattr(small(), kind), name="their_code:Mine", source="0123456789ab")
    with pytest.raises(UserError, match=f"of {kind} their_code:Mine is not what the run was made with; put it back"):
        check_unchanged(kind, part, "the run", "put it back")
    assert "their_code" not in sys.modules
