"""Reads the page of a summary as a person does: its tables, its figures, its texts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

#: The elements whose whole text is read, whatever elements are in it.
_READ: Final = frozenset({"td", "th", "h1", "h2", "dt", "dd", "li"})


class PageReader(HTMLParser):
    """Collects what a page shows.

    Attributes:
        elements: each with its attributes.
        texts: by element, the texts directly in it.
        items: the texts of list items.
        tables: their rows of cells, the heads included.
        facts: by the section's heading and the name of the figure.
        legend: the number of each status.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.items: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.facts: dict[tuple[str, str], str] = {}
        self.legend: dict[str, int] = {}
        self._within = ""
        self._read = ""
        self._text = ""
        self._section = self._term = self._status = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._within = tag
        if tag in _READ or tag == "tr":
            self._end()
            self._read, self._text = tag if tag in _READ else "", ""
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "li":
            self._status = attributes.get("class") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in _READ or tag == "table":
            self._end()

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._within, []).append(data)
        self._text += data

    def _end(self) -> None:
        """Keep the text of the element that ends, which may have no end tag."""
        text = self._text.strip()
        match self._read:
            case "td" | "th":
                self.tables[-1][-1].append(text)
            case "h2":
                self._section = text
            case "dt":
                self._term = text
            case "dd":
                self.facts[self._section, self._term] = text
            case "li":
                self.items.append(text)
                if self._status and (number := re.search(r"[\d,]+", text)):
                    self.legend[self._status] = int(number[0].replace(",", ""))
        self._read = ""

    def tables_of(self, *head: str) -> list[list[list[str]]]:
        """Return the rows of each table with this head."""
        return [rows[1:] for rows in self.tables if rows and tuple(rows[0]) == head]
