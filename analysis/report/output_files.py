"""A folder in which a report replaces what an earlier one has put there, and nothing else."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from workbench.files import atomic_path, write_text

LIST = ".made-by-report"
"""Names the files of a folder that are the report's, one a line."""


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to write files to. They come to `folder` at the end, each whole or not at all; what was
    made for an earlier report and not for this one goes, and what is anybody else's stays. An error changes nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        yield (aside := Path(name))
        made, earlier = {path.name for path in aside.iterdir()}, listed(folder)
        if not made | earlier:
            return
        folder.mkdir(parents=True, exist_ok=True)
        # First, so that what is broken off leaves no file that nobody accounts for.
        note(folder, made | earlier)
        for each in sorted(made):
            with atomic_path(folder / each) as copy:
                shutil.copyfile(aside / each, copy)
        for each in earlier - made:
            (folder / each).unlink(missing_ok=True)
        note(folder, made)


def listed(folder: Path) -> set[str]:
    """The files in a folder that are of an earlier report."""
    path = folder / LIST
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    # Whatever the list says: files of this folder alone.
    return {line for line in lines if line == Path(line).name and (folder / line).is_file()}


def note(folder: Path, names: Iterable[str]) -> None:
    """Writes the list."""
    write_text(folder / LIST, "".join(f"{name}\n" for name in sorted(names)))


SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"


def inline(text: str, name: str, title: str) -> Markup:
    """The SVG without prolog and document type, as an image with a title.

    All its identifiers, and what refers to them, get the name in front, so that several fit into one page; its style
    sheet, which would style the page too, becomes attributes of the root.

    Args:
        text: the file.
        name: of the figure, its own in the page.
        title: what a screen reader says in its place.
    """
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == HREF:
                # HTML's own SVG needs no XLink, and so no namespace. An image has its data here.
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}" if value.startswith("#") else value)
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    width, height = root.get("viewBox", "0 0 1 1").split()[2:]
    for key in ("version", "width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", title)
    root.set("style", f"stroke-linejoin: round; stroke-linecap: butt; aspect-ratio: {width} / {height}")
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))
