"""Builds the compiled kernels: once for a machine, whoever asks first.

The library is compiled aside and renamed under a lock, so that workers which start together build it once, and one
that is killed leaves nothing behind that could be taken for a library. Its name is a hash of all that it depends on
(sources, PyTorch, compiler, processor), and its own hash stands beside it: a file that was cut short is built again.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

import torch
from filelock import FileLock

SOURCES = Path(__file__).parent / "native"
MAIN = "recurrence.cpp"
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-fopenmp")
CACHE = "WORKBENCH_CACHE"
"""The environment variable that names another folder for what is built."""


class BuildError(Exception):
    """The library cannot be built here. The message says why, in a line."""


def library() -> Path:
    """The library's path, built first if it has to be.

    Raises:
        BuildError: if there is no compiler, it fails, or there is nowhere to write to.
    """
    compiler = find_compiler()
    path = library_path(compiler)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_complete(path):
            with FileLock(path.with_suffix(".lock")):
                if not is_complete(path):
                    build(compiler, path)
    except OSError as error:
        why = error.strerror or error
        raise BuildError(f"cannot build in {path.parent}: {why}; {CACHE} may name another folder") from None
    return path


def is_built() -> bool:
    """Whether the library is there already.

    Raises:
        BuildError: if there is no compiler.
    """
    return is_complete(library_path(find_compiler()))


def find_compiler() -> str:
    """The compiler.

    Raises:
        BuildError: if there is none.
    """
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        raise BuildError("there is no C++ compiler (c++, or what CXX names)")
    return compiler


def library_path(compiler: str) -> Path:
    """Where the library is, or is to be."""
    folder = os.environ.get(CACHE) or Path.home() / ".cache" / "sequence-workbench"
    return Path(folder) / f"recurrences-{key(compiler)}.so"


def key(compiler: str) -> str:
    """A hash of everything that the library depends on."""
    hashed = hashlib.sha256()
    own = os.environ.get("CXXFLAGS", "")
    for part in (torch.__version__, platform.machine(), processor(), version(compiler), own, *FLAGS):
        hashed.update(f"{part}\n".encode())
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".h", ".cpp"):
            hashed.update(source.name.encode() + source.read_bytes())
    return hashed.hexdigest()[:16]


def processor() -> str:
    """What the processor can do, as far as the system tells: the library is compiled for this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    kinds = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kinds)}))


def version(compiler: str) -> str:
    """The compiler's name and version."""
    return run_compiler([compiler, "--version"]).partition("\n")[0]


def is_complete(path: Path) -> bool:
    """Whether the library is there and is what was once built."""
    beside = path.with_suffix(".sha256")
    try:
        return beside.read_text(encoding="utf-8") == digest(path)
    except (OSError, ValueError):
        return False


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(compiler: str, path: Path) -> None:
    """Compiles the library aside and moves it to its place. The lock is to be held.

    The compiler is called directly: `torch.utils.cpp_extension.load` would want ninja, and waits for ever on the lock
    of a build that was killed.
    """
    from torch.utils.cpp_extension import include_paths, library_paths

    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        run_compiler(
            [
                compiler,
                *FLAGS,
                *(f"-isystem{folder}" for folder in include_paths()),
                *shlex.split(os.environ.get("CXXFLAGS", "")),
                str(SOURCES / MAIN),
                "-o",
                str(aside),
                *(f"-L{folder}" for folder in library_paths()),
                "-ltorch_cpu",
                "-lc10",
            ]
        )
        path.with_suffix(".sha256").unlink(missing_ok=True)
        found = digest(aside)
        aside.replace(path)
        note = aside.with_suffix(".sha256")
        note.write_text(found, encoding="utf-8")
        note.replace(path.with_suffix(".sha256"))
    finally:
        aside.unlink(missing_ok=True)


def run_compiler(command: list[str]) -> str:
    """What a command prints.

    Raises:
        BuildError: with the first line of what it complained about.
    """
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = done.stderr.splitlines() or [f"it ended with status {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise BuildError(f"{command[0]} failed: {first.strip()}")
    return done.stdout
