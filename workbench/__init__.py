"""The bench: tasks, data, training of one experiment, comparisons, the Python API, and the command line.

>>> import workbench
>>> results = workbench.compare("addition", ["lstm", "rda", "tcn"], steps=500, out="results")
>>> results.summary, results.runs, results.curves      # pandas DataFrames
>>> results.plot_curves()                              # matplotlib Axes

docs/api.md is an introduction. Importing this package is quick: what a name needs is imported with its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.own_packages import install, own_packages

if TYPE_CHECKING:
    from workbench.api.building import build
    from workbench.api.probing import analyze
    from workbench.api.profiling import profile
    from workbench.api.reporting import load, report
    from workbench.api.results import Results
    from workbench.api.sweeping import sweep
    from workbench.api.training import compare, train
    from workbench.api.wrapping import wrap
    from workbench.errors import UserError
    from workbench.tasks.own_data import task_from
    from workbench.training import SequenceModule, TaskDataModule

__all__ = [
    "Results",
    "SequenceModule",
    "TaskDataModule",
    "UserError",
    "analyze",
    "build",
    "compare",
    "load",
    "profile",
    "report",
    "sweep",
    "task_from",
    "train",
    "wrap",
]

_MODULES = {
    "Results": "workbench.api.results",
    "SequenceModule": "workbench.training",
    "TaskDataModule": "workbench.training",
    "UserError": "workbench.errors",
    "analyze": "workbench.api.probing",
    "build": "workbench.api.building",
    "compare": "workbench.api.training",
    "load": "workbench.api.reporting",
    "profile": "workbench.api.profiling",
    "report": "workbench.api.reporting",
    "sweep": "workbench.api.sweeping",
    "task_from": "workbench.tasks.own_data",
    "train": "workbench.api.training",
    "wrap": "workbench.api.wrapping",
}
"""The module of each name, imported with its first use."""

install()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    with own_packages():
        value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
