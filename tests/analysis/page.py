"""Parser that reads a report back: its text, its tables and its attributes."""

import base64
import hashlib
from html.parser import HTMLParser


class Page(HTMLParser):
    """A report's HTML page, parsed."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        """Texts of the cells by row, headings included, of each table by caption."""
        self.paragraphs: list[str] = []
        self.tags: list[str] = []
        """All elements, except the page's own scripts: those that its policy names, and data that no browser runs."""
        self.scripts: list[str] = []
        """Contents of the page's own scripts."""
        self.attributes: list[tuple[str, str, str]] = []
        """Tag, name and value of each attribute."""
        self.text = ""
        self._inside: list[str] = []
        self._caption = ""
        self._policy = ""
        self._script: str | None = None
        self._is_data = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        values = {name: value or "" for name, value in attrs}
        if values.get("http-equiv") == "Content-Security-Policy":
            self._policy = values["content"]
        if tag == "script":
            self._script, self._is_data = "", values.get("type") in ("application/json", "text/plain")
            return
        self.tags.append(tag)
        # The end tags of cells and rows may be left out: another cell or row, or the end of the table, ends them.
        if tag in ("th", "td"):
            self._leave("th", "td")
        elif tag in ("tr", "tbody", "tfoot"):
            self._leave("th", "td", "tr")
        if tag in ("p", "caption", "th", "td", "tr"):
            self._inside.append(tag)
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        elif tag in ("th", "td"):
            self.tables[self._caption][-1].append("")
        elif tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._script is not None:
            digest = base64.b64encode(hashlib.sha256(self._script.encode()).digest()).decode("ascii")
            if self._is_data or f"'sha256-{digest}'" in self._policy:
                self.scripts.append(self._script)
            else:
                self.tags.append("script")
            self._script = None
        if tag == "tr":
            self._leave("th", "td")
        elif tag in ("thead", "tbody", "tfoot", "table"):
            self._leave("th", "td", "tr")
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def _leave(self, *tags: str) -> None:
        while self._inside and self._inside[-1] in tags:
            if self._inside.pop() in ("th", "td"):
                # The end of the row's line.
                self.tables[self._caption][-1][-1] = self.tables[self._caption][-1][-1].removesuffix("\n")

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script += data
            return
        self.text += data
        if "caption" in self._inside:
            self._caption += data
        elif self._inside and self._inside[-1] in ("th", "td"):
            self.tables[self._caption][-1][-1] += data
        elif "p" in self._inside:
            self.paragraphs[-1] += data

    def results(self, title: str) -> dict[str, dict[str, str]]:
        """Returns the results of a section, by label of the row and heading of the column.

        Two columns have the heading `seeds`; that of the solved seeds is called `solved` here.
        """
        rows = [[" ".join(cell.split(" ")).strip() for cell in row] for row in self.tables[f"Results on {title}"]]
        names = [name.replace("\n", " ") for name in rows[1]]
        if names.count("seeds") == 2:
            names[len(names) - 1 - names[::-1].index("seeds")] = "solved"
        return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows[2:]}
