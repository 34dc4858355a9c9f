"""Pages of the documentation site that are made from the code: the reference of the command line, and shared files.

MkDocs calls `on_files` when it builds the site.
"""

import contextlib
import io
import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from workbench.cli.main import COMMANDS, main
from workbench.cli.sweep import COMMANDS as SWEEP_COMMANDS

ROOT = Path(__file__).parent.parent
SHARED = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Files of the project's root that are pages of the site too."""
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
"""A link of Markdown to another file."""
SHARED_LINK = re.compile(rf"\]\(\.\./((?:\.\./)*(?:{'|'.join(map(re.escape, SHARED))}))")
"""A link from a page in docs/ to a shared file above it; what follows its first `../` is where the site has it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from the code."""
    files.append(File.generated(config, "reference/command-line.md", content=write_command_reference()))
    for name in SHARED:
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=LINK.sub(point_into_docs, text)))
    return files


def on_page_markdown(markdown: str, page: object, config: MkDocsConfig, files: Files) -> str:
    """Points links that leave docs/ to the copies of those files on the site."""
    return SHARED_LINK.sub(r"](\1", markdown)


def point_into_docs(match: re.Match[str]) -> str:
    """Returns a link of a file in the project's root, as a page of the site has it."""
    opening, target, closing = match.groups()
    return f"{opening}{posixpath.normpath(target).removeprefix('docs/')}{closing}"


def write_command_reference() -> str:
    """Returns a page with the help text of every command."""
    commands = [[name] for name in COMMANDS if name not in ("sweep", "dashboard")]
    commands += [["sweep", name] for name in SWEEP_COMMANDS] + [["dashboard", "build"], ["dashboard", "push"]]
    parts = ["# Command line", "What `workbench COMMAND --help` prints, for every command."]
    for command in sorted(commands):
        parts += [f"## workbench {' '.join(command)}", f"```text\n{read_help(command).strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def read_help(command: list[str]) -> str:
    """Returns the help text of a command, as wide as on a terminal of 100 columns."""
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
            main([*command, "--help"])
    finally:
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns
    return printed.getvalue()
