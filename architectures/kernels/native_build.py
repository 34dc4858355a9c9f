"""Compilation of the C++ kernels, once for each machine.

The library is compiled under a temporary name and renamed under a lock, so that workers which start together build it
once, and one that is killed leaves nothing behind that could be mistaken for a library. Its name contains a hash of
everything that it depends on (sources, PyTorch, compiler, processor), and the hash of its content is in a file beside
it: a truncated library is built again.

A library is code, and whoever can write to its folder can put another one and its hash there. So the folder is made for
its owner alone, and neither it nor the files in it may belong to another user or be writable by others.
"""

import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from filelock import FileLock

SOURCES = Path(__file__).parent / "native"
MAIN_SOURCE = "recurrence.cpp"
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-fopenmp")
OPTIONAL_FLAGS: Mapping[str, str] = {
    "-march=native": "int main() { return 0; }\n",
    # Apple's clang has no OpenMP; the kernels then run in one thread.
    "-fopenmp": "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n",
}
"""Those that some compilers lack, each with a program that it is tried on."""
CACHE_VARIABLE = "WORKBENCH_CACHE"
"""The environment variable that names another folder for the built library."""


class BuildError(Exception):
    """The library cannot be built here; the message is one line that says why."""


def find_or_build_library() -> Path:
    """Returns the library's path, after building it if necessary.

    Raises:
        BuildError: if there is no compiler, it fails, or the cache folder cannot be written to, or others can write to
            it.
    """
    compiler = find_compiler()
    path = library_path(compiler)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(path)
        if not is_complete(path):
            with FileLock(path.with_suffix(".lock")):
                if not is_complete(path):
                    compile_library(compiler, path)
            check_private(path)
    except (OSError, NotImplementedError) as error:
        # The second is what some versions of filelock raise where files cannot be locked.
        reason = getattr(error, "strerror", None) or error
        raise BuildError(f"cannot build in {path.parent}: {reason}; {CACHE_VARIABLE} may name another folder") from None
    return path


def is_built() -> bool:
    """Returns whether the library is built already.

    Raises:
        BuildError: if there is no compiler, or others can write to the cache folder.
    """
    path = library_path(find_compiler())
    check_private(path)
    return is_complete(path)


def find_compiler() -> str:
    """Returns the path of the C++ compiler: `c++`, or the one that CXX names.

    Raises:
        BuildError: if there is none.
    """
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        raise BuildError("there is no C++ compiler (c++, or what CXX names)")
    return compiler


def library_path(compiler: str) -> Path:
    """Returns the path of the library, whether it is built or not.

    Raises:
        BuildError: if there is no folder for it.
    """
    return cache_folder() / f"recurrences-{build_key(compiler)}.so"


def cache_folder() -> Path:
    """Returns the folder of the library: that which WORKBENCH_CACHE names, or one in the user's home.

    Raises:
        BuildError: if neither is known, as in a container whose user is only a number.
    """
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    try:
        return Path.home() / ".cache" / "sequence-workbench"
    except RuntimeError:
        raise BuildError(f"this user has no home to keep them in; {CACHE_VARIABLE} may name a folder") from None


def build_key(compiler: str) -> str:
    """Returns a hash of everything that the library depends on."""
    hashed = hashlib.sha256()
    user_flags = os.environ.get("CXXFLAGS", "")
    for part in (
        torch.__version__,
        platform.machine(),
        processor_info(),
        compiler_version(compiler),
        user_flags,
        *FLAGS,
    ):
        hashed.update(f"{part}\n".encode())
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".h", ".cpp"):
            hashed.update(source.name.encode() + source.read_bytes())
    return hashed.hexdigest()[:16]


def processor_info() -> str:
    """Returns the processor's model and features, as the system reports them: the library is compiled for this one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    kinds = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(kinds)}))


def compiler_version(compiler: str) -> str:
    """Returns the compiler's name and version."""
    return run_compiler([compiler, "--version"]).partition("\n")[0]


def check_private(path: Path) -> None:
    """Raises a BuildError if others can write to a library or its folder: they could put their own code there.

    What does not exist yet is passed over. root may own either, since it can write to everything anyway.
    """
    if not hasattr(os, "getuid"):
        return
    for part in (path.parent, path):
        try:
            status = part.stat()
        except OSError:
            continue
        if status.st_uid not in (os.getuid(), 0):
            reason, remedy = f"belongs to another user ({status.st_uid})", ""
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            reason, remedy = "can be written by others", f"if nobody else has, `chmod go-w '{part}'`, or "
        else:
            continue
        raise BuildError(
            f"{part} {reason}, who could put their own code there: {remedy}name another folder with {CACHE_VARIABLE}"
        )


def is_complete(path: Path) -> bool:
    """Returns whether the library exists and its content is what was built."""
    hash_file = path.with_suffix(".sha256")
    try:
        return hash_file.read_text(encoding="utf-8") == sha256(path)
    except (OSError, ValueError):
        return False


def sha256(path: Path) -> str:
    """Returns the SHA-256 hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compile_library(compiler: str, path: Path) -> None:
    """Compiles the library under a temporary name and moves it to its place. The caller must hold the lock.

    The compiler is called directly: `torch.utils.cpp_extension.load` would need ninja, and waits for ever on the lock
    of a build that was killed.
    """
    from torch.utils.cpp_extension import include_paths, library_paths

    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    folders = library_paths()
    arguments = [
        *(f"-isystem{folder}" for folder in include_paths()),
        *shlex.split(os.environ.get("CXXFLAGS", "")),
        str(SOURCES / MAIN_SOURCE),
        "-o",
        str(temporary),
        *(f"-L{folder}" for folder in folders),
        *(f"-Wl,-rpath,{folder}" for folder in folders if sys.platform == "darwin"),
        "-ltorch_cpu",
        "-lc10",
    ]
    try:
        try:
            run_compiler([compiler, *FLAGS, *arguments])
        except BuildError:
            accepted = [flag for flag in FLAGS if accepts_flag(compiler, flag)]
            if len(accepted) == len(FLAGS):
                raise
            run_compiler([compiler, *accepted, *arguments])
        path.with_suffix(".sha256").unlink(missing_ok=True)
        # The umask of some systems lets the group write.
        temporary.chmod(0o700)
        content_hash = sha256(temporary)
        temporary.replace(path)
        hash_file = temporary.with_suffix(".sha256")
        hash_file.write_text(content_hash, encoding="utf-8")
        hash_file.replace(path.with_suffix(".sha256"))
    finally:
        temporary.unlink(missing_ok=True)


def accepts_flag(compiler: str, flag: str) -> bool:
    """Returns whether a compiler has a flag: one that it needs, or an optional one with which it builds a program."""
    if flag not in OPTIONAL_FLAGS:
        return True
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "program.cpp")
        source.write_text(OPTIONAL_FLAGS[flag], encoding="utf-8")
        try:
            run_compiler([compiler, flag, str(source), "-o", str(Path(folder, "program"))])
        except BuildError:
            return False
    return True


def run_compiler(command: list[str]) -> str:
    """Runs a command and returns its output.

    Raises:
        BuildError: if it fails, with its first line of error output.
    """
    completed = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if completed.returncode:
        lines = completed.stderr.splitlines() or [f"it ended with status {completed.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise BuildError(f"{command[0]} failed: {first.strip()}")
    return completed.stdout
