"""The project's packages, found by their place: a user's `analysis.py` beside a notebook does not stand in their way.

In a notebook, in `python script.py` and in `python -m workbench` the user's folder comes before everything installed.
A module there may have the name of one of this project's packages. Then each side gets its own: what this project
imports is found here, what the user's code imports is found as ever.
"""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FrameType, ModuleType

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder that the packages lie in."""
SHADOWED = ("architectures", "sweeps", "analysis")
"""The packages that a user's module may hide; whoever has imported `workbench` has found it."""
FOLDERS = tuple(os.path.join(ROOT, name) + os.sep for name in ("workbench", *SHADOWED))
LIBRARY = os.path.dirname(os.__file__)
MACHINERY = ("<frozen importlib", *(os.path.join(LIBRARY, part) for part in ("importlib", "multiprocessing", "pickle")))
"""Beginnings of the file names of frames that import on behalf of others."""

_lock = threading.RLock()
_ours: dict[str, ModuleType] = {}
"""This project's modules while the user's have their names."""
_theirs: dict[str, ModuleType] = {}
"""The user's modules while this project's have their names."""
_uses = 0


class OwnPackages(MetaPathFinder):
    """Finds the packages of this project for its own code, wherever they stand on the path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a package is that this project's code imports; `None` leaves it to the other finders."""
        name = fullname.partition(".")[0]
        if fullname in SHADOWED:
            return PathFinder.find_spec(fullname, [ROOT]) if imported_from_here() else None
        if name not in ("workbench", *SHADOWED) or path is None or not find_foreign():
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None and spec.origin.startswith(FOLDERS):
            spec.loader = PackageLoader(fullname, spec.origin)
        return spec


class PackageLoader(SourceFileLoader):
    """Executes a module of this project among its own packages."""

    def exec_module(self, module: ModuleType) -> None:
        """Executes the module."""
        with own_packages():
            super().exec_module(module)


@contextmanager
def own_packages() -> Iterator[None]:
    """Puts this project's packages in the place of the user's modules of their names while it lasts.

    Functions that a user calls, and that import inside, are called in it. Afterwards the names are the user's again, if
    the user has modules of these names on the path.
    """
    global _uses
    with _lock:
        _uses += 1
        if _uses == 1:
            _theirs.update(find_foreign())
            _exchange(_theirs, _ours)
    try:
        yield
    finally:
        with _lock:
            _uses -= 1
            if _uses == 0:
                hidden = {_top(name) for name in _theirs} | find_hidden()
                _ours.update({name: module for name, module in sys.modules.items() if _top(name) in hidden})
                _exchange(_ours, _theirs)


def _exchange(leave: dict[str, ModuleType], come: dict[str, ModuleType]) -> None:
    """Takes modules out of the imported ones, and puts others in, which are kept nowhere else then."""
    for name in leave:
        del sys.modules[name]
    sys.modules.update(come)
    come.clear()


def find_foreign() -> dict[str, ModuleType]:
    """Returns the imported modules of the user that have the names of this project's packages, by name."""
    hidden = {name for name in SHADOWED if name in sys.modules and not is_own(sys.modules[name])}
    return {name: module for name, module in list(sys.modules.items()) if _top(name) in hidden} if hidden else {}


def find_hidden() -> set[str]:
    """Returns the imported packages of this project in whose place the user's code would find a module of its own."""
    specs = {name: PathFinder.find_spec(name) for name in SHADOWED if name in sys.modules}
    return {name for name, spec in specs.items() if spec is not None and not (spec.origin or "").startswith(FOLDERS)}


def is_own(module: ModuleType) -> bool:
    """Returns whether a module is one of this project's."""
    return (getattr(module, "__file__", None) or "").startswith(FOLDERS)


def imported_from_here() -> bool:
    """Returns whether the import under way was begun by this project's code; `find_spec` asks."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(MACHINERY):
            return file.startswith(FOLDERS)
        frame = frame.f_back
    return False


def call(module: str, function: str) -> None:
    """Calls a function of this project in a process that was started for it, whatever lies on its path."""
    getattr(import_module(module), function)()


def install() -> None:
    """Installs the finder, once."""
    if not any(isinstance(finder, OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackages())


def _top(name: str) -> str:
    return name.partition(".")[0]
