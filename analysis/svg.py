"""An SVG file as an element of a page."""

from xml.etree import ElementTree

from markupsafe import Markup

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
