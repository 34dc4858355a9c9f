"""docs/seeds.md: what it names is there, and every architecture of the catalogue has its place on it."""

import inspect
import re
from pathlib import Path

import architectures
from analysis.papers.preset_files import preset_names
from analysis.probes.registry import PROBES
from workbench import tasks
from workbench.cli.main import COMMANDS

PAGE = Path(__file__).parent.parent / "docs/seeds.md"
AFTER_THE_DOCUMENTS = frozenset(
    {
        *("slstm", "mingru", "minlstm", "lru", "s4d"),
        *("fox", "linear-attention", "retnet", "mlstm", "mamba2", "gated-deltanet"),
    }
)
"""Architectures of the catalogue that the documents do not have, nor anything that they stand for."""


def named(part: str = "") -> list[str]:
    """What is in code type, in the section of that title or on the whole page."""
    text = PAGE.read_text(encoding="utf-8")
    if part:
        text = text.split(f"\n## {part}\n")[1].split("\n## ")[0]
    return re.findall(r"`([^`]+)`", text)


def option_choices() -> dict[str, list[str]]:
    """The options of all architectures, with the literal values that they take."""
    found: dict[str, list[str]] = {}
    for name in architectures.names():
        for option, parameter in architectures.options(name).items():
            annotation = parameter.annotation
            values = [str(value) for value in getattr(annotation, "__args__", ())]
            found.setdefault(option, []).extend(values if "Literal" in str(annotation) else [])
    return found


def test_whatever_the_page_names_is_there():
    options = option_choices()
    known = {*architectures.names(), *tasks.names(), "file:PATH", *preset_names(), *PROBES, *options, "code type"}
    for name in named():
        command = re.fullmatch(r"workbench (\S+)(?: --(\S+))?", name)
        setting = re.fullmatch(r"(\w+)=(\w+)", name)
        if command is not None:
            assert command[1] in COMMANDS, name
            assert command[2] is None or f'"--{command[2]}"' in source_of(command[1]), name
        elif setting is not None:
            assert setting[1] in options, name
            assert not options[setting[1]] or setting[2] in options[setting[1]], name
        else:
            assert name in known, name


def source_of(command: str) -> str:
    """The code of a command, which adds its flags."""
    module = __import__(COMMANDS[command][0], fromlist=["main"])
    return inspect.getsource(module)


def test_every_architecture_is_on_the_page():
    """A new one is told of where the documents have it, or is one of those that came after them."""
    assert set(architectures.names()) - AFTER_THE_DOCUMENTS - {*named("Architectures")} == set()
    assert set(architectures.names()) >= AFTER_THE_DOCUMENTS


def test_the_page_stands_on_its_own():
    assert "/work" not in PAGE.read_text(encoding="utf-8")
