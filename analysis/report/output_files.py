"""Output files of a report: folders whose files it replaces, and figures that it saves and inlines in the page."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from analysis import style
from analysis.report.blocks import Figure
from workbench.files import atomic_path, write_text

MANIFEST = ".made-by-report"
"""File in a folder that lists the files written by the report, one a line."""

SVG_NAMESPACE = "http://www.w3.org/2000/svg"
XLINK_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def replace_files(folder: Path) -> Iterator[Path]:
    """Replaces the files that an earlier report has written to a folder.

    Yields an empty temporary folder. At the end its files are copied to `folder`, each whole or not at all. Files that
    only the earlier report had are removed, files that no report has written are kept. An error changes nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        yield (temporary := Path(name))
        new, old = {path.name for path in temporary.iterdir()}, read_manifest(folder)
        if not new | old:
            return
        folder.mkdir(parents=True, exist_ok=True)
        # Written first, so that an interruption leaves no file that is not listed.
        write_manifest(folder, new | old)
        for file_name in sorted(new):
            with atomic_path(folder / file_name) as copy:
                shutil.copyfile(temporary / file_name, copy)
        for file_name in old - new:
            (folder / file_name).unlink(missing_ok=True)
        write_manifest(folder, new)


def listed_files(folder: Path) -> set[str]:
    """Returns the names of the files that an earlier report has written to a folder, be they still there or not."""
    path = folder / MANIFEST
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    # Whatever the manifest lists, only files directly in this folder count.
    return {line for line in lines if line == Path(line).name}


def read_manifest(folder: Path) -> set[str]:
    """Returns the names of the files in a folder that an earlier report has written."""
    return {name for name in listed_files(folder) if (folder / name).is_file()}


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Writes the list of a folder's files that belong to the report."""
    write_text(folder / MANIFEST, "".join(f"{name}\n" for name in sorted(names)))


def save_and_inline(drawing: Drawing, folder: Path, name: str, *, caption: str, alt_text: str | None = None) -> Figure:
    """Saves a figure, by default as SVG and PNG (`style.use_formats`), and returns it as a block of the page.

    Args:
        drawing: the figure.
        folder: folder of the figure files.
        name: file name without suffix, unique in the report.
        caption: text below the figure.
        alt_text: description for screen readers; by default the caption.
    """
    svg = style.save_figure(drawing, folder, name)
    return Figure(svg=inline_svg(svg, name, caption if alt_text is None else alt_text), caption=caption)


def inline_svg(text: str, name: str, title: str) -> Markup:
    """Returns an SVG file as an element of an HTML page: an image with a title, without prolog and document type.

    All its identifiers, and references to them, are prefixed with the name, so that several images fit into one page.
    Its style sheet, which would apply to the whole page, becomes attributes of the root element.

    Args:
        text: content of the file.
        name: name of the figure, unique in the page.
        title: description for screen readers.
    """
    root = ElementTree.fromstring(text)
    unwanted = (f"{{{SVG_NAMESPACE}}}style", f"{{{SVG_NAMESPACE}}}metadata")
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in unwanted]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG_NAMESPACE}}}")
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == XLINK_HREF:
                # SVG inside HTML needs no XLink, and so no namespace. The href of an image holds its data.
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
