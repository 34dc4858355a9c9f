"""This machine without what macOS or Windows lacks, as the project's own packages see it.

`write_start` writes a module that Python imports in every interpreter before anything else, those of pools included. In
it, the project's modules find no attribute and no module that the other system does not have; the standard library and
all others, which have code for each system, keep theirs. Files behave as they do there, too.
"""

from pathlib import Path

WITHOUT = {
    "macos": {
        "os": [
            "sched_getaffinity",
            "sched_setaffinity",
            "process_cpu_count",
            "O_TMPFILE",
            "memfd_create",
            "pidfd_open",
        ],
        "signal": ["sigtimedwait", "SIGPWR", "SIGSTKFLT"],
    },
    "windows": {
        "os": [
            *("sched_getaffinity", "sched_setaffinity", "process_cpu_count", "fork", "forkpty", "register_at_fork"),
            *("killpg", "getpgid", "setpgid", "setsid", "getsid", "getuid", "geteuid", "getgid", "getegid", "setuid"),
            *(
                "nice",
                "getpriority",
                "getloadavg",
                "uname",
                "mkfifo",
                "statvfs",
                "fchmod",
                "fchown",
                "chown",
                "sysconf",
            ),
            *("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_SYNC", "WNOHANG", "wait", "wait4", "pread"),
        ],
        "signal": [
            *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGCHLD"),
            *("SIGCONT", "SIGTSTP", "setitimer", "getitimer", "ITIMER_REAL", "alarm", "pause", "pthread_sigmask"),
            *("SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "sigwait", "siginterrupt", "set_wakeup_fd"),
        ],
    },
}
"""Attributes of modules that a system lacks, among them all that this project has ever used."""
ABSENT = {"macos": [], "windows": ["fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "syslog"]}
"""Modules that a system lacks."""
PACKAGES = ("architectures", "workbench", "sweeps", "analysis")

START = '''
import builtins, ctypes, errno, io, os, pathlib, signal, sys, types

SYSTEM, WITHOUT, ABSENT, PACKAGES = {system!r}, {without!r}, {absent!r}, {packages!r}
originals = {{name: __import__(name) for name in WITHOUT}}


class Reduced(types.ModuleType):
    """A module without some of its attributes; what is set in it is set in the original."""

    def __init__(self, name):
        super().__init__(name)
        super().__setattr__("_original", originals[name])
        super().__setattr__("_without", frozenset(WITHOUT[name]))

    def __getattr__(self, name):
        if name in self._without:
            raise AttributeError(f"{{SYSTEM}} has no {{self.__name__}}.{{name}}")
        return getattr(self._original, name)

    def __setattr__(self, name, value):
        setattr(self._original, name, value)


reduced = {{name: Reduced(name) for name in WITHOUT}}
import_module = builtins.__import__


def import_as_there(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {{}}).get("__name__", "").partition(".")[0]
    if importer in PACKAGES and level == 0:
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        if name in reduced:
            return reduced[name]
    return import_module(name, globals, locals, fromlist, level)


builtins.__import__ = import_as_there

# Neither system has /proc, /sys or /dev/shm.
open_file = io.open


def is_absent(path):
    return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(("/proc/", "/sys/", "/dev/shm"))


def open_there(file, *args, **options):
    if is_absent(file):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(file))
    return open_file(file, *args, **options)


io.open = builtins.open = open_there

'''

MACOS = """

class OtherLibrary(ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("mallopt", "malloc_trim"):
            raise AttributeError(name)
        return super().__getattr__(name)


ctypes.CDLL = OtherLibrary
"""

WINDOWS = '''

class OtherLibrary(ctypes.CDLL):
    def __init__(self, name, *args, **options):
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        super().__init__(name, *args, **options)


ctypes.CDLL = OtherLibrary

synchronize, replace_path, rename_path, unlink_path = os.fsync, os.replace, os.rename, os.unlink


def fsync_there(descriptor):
    import fcntl
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    synchronize(descriptor)


def refuse_open(*paths):
    """What is open, here or in another process, is neither replaced nor removed."""
    wanted = {{os.path.realpath(os.fspath(path)) for path in paths if isinstance(path, (str, os.PathLike))}}
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            held = os.readlink(f"/proc/self/fd/{{descriptor}}")
        except OSError:
            continue
        if held in wanted:
            error = PermissionError(errno.EACCES, "The process cannot access the file", held)
            error.winerror = 32
            raise error


def replace_there(source, target, **options):
    refuse_open(source, target)
    replace_path(source, target, **options)


def rename_there(source, target, **options):
    if os.path.exists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
    refuse_open(source)
    rename_path(source, target, **options)


def unlink_there(path, **options):
    refuse_open(path)
    unlink_path(path, **options)


os.fsync, os.replace, os.rename, os.unlink, os.remove = (
    fsync_there, replace_there, rename_there, unlink_there, unlink_there
)
'''


def write_start(folder: Path, system: str) -> Path:
    """Writes the module that makes every interpreter with this folder on its PYTHONPATH one of another system.

    Args:
        folder: an existing folder.
        system: macos or windows.

    Returns:
        The folder.
    """
    text = START + {"macos": MACOS, "windows": WINDOWS}[system]
    filled = text.format(system=system, without=WITHOUT[system], absent=ABSENT[system], packages=PACKAGES)
    (folder / "sitecustomize.py").write_text(filled, encoding="utf-8")
    return folder
