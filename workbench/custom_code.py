"""Custom code, found and hashed without importing it: results that name it may come from anybody."""

import ast
import builtins
import hashlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from workbench.errors import UserError
from workbench.tasks.file_names import is_file

BUILT_IN = ("architectures", "workbench", "torch", "builtins", "abc", "typing", "dataclasses")
"""Packages whose classes are not hashed, though custom ones inherit from them."""
PROJECT_FOLDER = Path(__file__).resolve().parents[1]
"""The folder that this project is imported from, which is trusted even if it is the current one."""
ALLOW_CODE_HELP = (
    "import custom code that DIR names and that is not installed, but lies in the current folder or in DIR"
)


def check_code_allowed(names: Iterable[str], folder: str | Path | None, *, allowed: bool) -> None:
    """Refuses to import code that results name, unless it is installed, imported already, or the user allows it.

    Args:
        names: of tasks and architectures; those of the catalogue are always accepted.
        folder: of the results.
        allowed: whether the user has allowed it.

    Raises:
        UserError: if code lies only in the current folder or in the folder of results.
    """
    if allowed:
        return
    for name in dict.fromkeys(names):
        module, colon, _ = name.partition(":")
        if (
            colon
            and not is_file(name)
            and module not in sys.modules
            and (file := uninstalled_file(module, folder)) is not None
        ):
            raise UserError(
                f"{name} is code that the results name and that is not installed ({file}); if you trust it, give "
                "--allow-code"
            )


def uninstalled_file(module: str, folder: str | Path | None) -> str | None:
    """Returns the file of a module that is found only through the current folder or the folder of results.

    Args:
        module: its dotted name.
        folder: of the results.

    Returns:
        The file, or the folder of a package; `None` if the module is installed, or does not exist.
    """
    untrusted = [Path.cwd().resolve(), *([] if folder is None else [Path(folder).resolve()])]

    def is_trusted(entry: str) -> bool:
        path = Path(entry or os.curdir).resolve()
        return path == PROJECT_FOLDER or not (
            path == untrusted[0] or any(path.is_relative_to(f) for f in untrusted[1:])
        )

    found = find_module(module, sys.path)
    if found is None:
        return None
    installed = find_module(module, [entry for entry in sys.path if is_trusted(entry)])
    if installed is not None and module_file(installed) == module_file(found):
        return None
    return module_file(found)


def module_file(spec: ModuleSpec) -> str:
    """Returns the file of a module, or the folders of a package without one."""
    return spec.origin or ", ".join(spec.submodule_search_locations or ())


def find_module(module: str, path: Sequence[str]) -> ModuleSpec | None:
    """Returns where a module would be imported from, without importing it or the packages that it lies in.

    Args:
        module: its dotted name.
        path: the folders to look in, in place of `sys.path`.
    """
    first, *rest = module.split(".")
    spec = find_top_module(first, path)
    for part in rest:
        if spec is None:
            return None
        first = f"{first}.{part}"
        spec = find_in_folders(first, spec.submodule_search_locations or ())
    return spec


def find_top_module(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """Returns where a module or a package, not one inside another, would be imported from."""
    for finder in sys.meta_path:
        if finder is PathFinder:
            spec = find_in_folders(name, path)
        else:
            # Finders of built-in modules and of editable installs, which have places of their own.
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, None)
        if spec is not None:
            return spec
    return None


def find_in_folders(name: str, folders: Iterable[str]) -> ModuleSpec | None:
    """Returns where a module is in folders, as Python's own search does.

    That one cannot be asked: to find a folder without an `__init__.py` in another, it needs the outer one imported.
    """
    portions: list[str] = []
    for folder in folders:
        find = getattr(pkgutil.get_importer(folder or os.getcwd()), "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name)
        if spec is not None and spec.loader is not None:
            return spec
        if spec is not None:
            portions += spec.submodule_search_locations or ()
    if not portions:
        return None
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = portions
    return package


def hash_files(files: Iterable[str]) -> str:
    """Returns the hash of source files, as it is part of an experiment's identity."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:12]


def written_hash(name: str) -> str | None:
    """Returns the hash of a custom class's code, as `class_source` does, read from its files without importing them.

    Args:
        name: package.module:Class.

    Returns:
        The hash; `None` if the files do not say where the class or one of its bases is defined, or one is of another
        package: then only an import tells.
    """
    module, _, class_name = name.partition(":")
    try:
        files = set(class_files(module, class_name, module.partition(".")[0]))
        return hash_files(files)
    except (UndecidedError, OSError, SyntaxError, ValueError, RecursionError):
        return None


class UndecidedError(Exception):
    """Files do not say where a class is defined."""


def class_files(module: str, class_name: str, package: str) -> Iterator[str]:
    """Yields the files that define a class and its bases, except those of built-in packages.

    Args:
        module: that has the class.
        class_name: its name there.
        package: the only other package in which bases are looked for.

    Raises:
        UndecidedError: if it is not plain where one is defined.
    """
    if module.partition(".")[0] in BUILT_IN:
        return
    spec = find_module(module, sys.path)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or module.partition(".")[0] != package:
        raise UndecidedError
    tree = ast.parse(Path(spec.origin).read_bytes())
    target = class_name.partition(".")[0]
    bindings = [node for node in ast.walk(tree) if target in bound_names(node)]
    if not bindings and hasattr(builtins, class_name):
        return
    if len(bindings) != 1 or bindings[0] not in tree.body or has_star_import(tree):
        raise UndecidedError
    node = bindings[0]
    if isinstance(node, ast.ClassDef) and target == class_name:
        yield spec.origin
        for base in node.bases:
            yield from class_files(module, dotted_name(base), package)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        is_package = spec.submodule_search_locations is not None
        yield from class_files(*imported_class(node, class_name, f"{module}.x" if is_package else module), package)
    else:
        raise UndecidedError


def bound_names(node: ast.AST) -> set[str]:
    """Returns the names that a statement binds."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    return set()


def has_star_import(tree: ast.Module) -> bool:
    """Returns whether a module takes over the names of another one."""
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def dotted_name(base: ast.expr) -> str:
    """Returns the name of a base class, such as `nn.Module`; that of `Generic[T]` is `Generic`.

    Raises:
        UndecidedError: if it is another expression.
    """
    if isinstance(base, ast.Subscript):
        return dotted_name(base.value)
    if isinstance(base, ast.Attribute):
        return f"{dotted_name(base.value)}.{base.attr}"
    if isinstance(base, ast.Name):
        return base.id
    raise UndecidedError


def imported_class(node: ast.Import | ast.ImportFrom, name: str, importer: str) -> tuple[str, str]:
    """Returns the module and the name of a class that an import statement binds.

    Args:
        node: the statement, which binds the first part of the name.
        name: the class's name in the importing module, such as `Net`, or `models.Net`.
        importer: the importing module, or any name in the importing package; relative imports start at its package.

    Raises:
        UndecidedError: if the name is that of a module.
    """
    first, _, rest = name.partition(".")
    alias = next(alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) == first)
    if isinstance(node, ast.Import):
        path = f"{alias.name if alias.asname else first}.{rest}"
    else:
        parts = importer.split(".")
        prefix = ".".join(parts[: len(parts) - node.level]) if node.level else ""
        path = ".".join(part for part in (prefix, node.module, alias.name, rest) if part)
    module, _, class_name = path.rpartition(".")
    if not module or not class_name:
        raise UndecidedError
    return module, class_name
