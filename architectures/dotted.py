"""Classes by dotted path, so that users' own stand beside the catalogue's."""

import importlib
import inspect
from typing import Any

from architectures.suggest import near


def load_class(path: str, kind: str, base: Any) -> Any:
    """The class "package.module:Class", which has to be a complete subclass of `base`.

    Args:
        path: where the class is.
        kind: what it is to be, for messages: architecture or task.
        base: the interface.

    Raises:
        ValueError: if there is no such module or class, or it does not keep the interface.
    """
    module_name, _, class_name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(f"{module_name!r} is no module's name; one of your own is named package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(f"there is no module {module_name!r} for {kind} {path!r} on the path") from None
        raise ValueError(f"module {module_name!r} cannot be imported: it needs {error.name}") from error
    except Exception as error:
        raise ValueError(f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = {key for key, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
        public = sorted(classes - {base.__name__})
        raise ValueError(f"module {module_name!r} has no class {class_name!r}{near(class_name, public)}")
    if not issubclass(found, base):
        interface = f"{base.__module__.removesuffix('.base')}.{base.__name__}"
        raise ValueError(f"{path!r} is no subclass of {interface}, so the bench cannot use it")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))  # type: ignore[attr-defined]
        raise ValueError(f"{path!r} cannot be built: it does not implement {missing}")
    return found
