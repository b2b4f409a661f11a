"""The catalogue of Chinese messages. As a script it brings the catalogue up to date with the code:

    .venv/bin/python tests/support/catalogue.py

It extracts the messages, drops what is no longer in the code, compiles, and prints what has no translation yet. The
translations are written into the .po file by hand; then the script is run again.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from stopcast.cli.manual import pages, summary

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src/stopcast"
PO: Final = SOURCE / "locale/zh_CN/LC_MESSAGES/stopcast.po"
MO: Final = PO.with_suffix(".mo")

#: Without the name of a translator, and without times, which would change at each compilation.
_HEADER: Final = """\
# The Chinese messages of stopcast, written by hand. tests/support/catalogue.py brings them up to date with the code.
msgid ""
msgstr ""
"Project-Id-Version: stopcast\\n"
"POT-Creation-Date: 2026-11-27 00:00+0000\\n"
"Language: zh_CN\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def extracted() -> Catalog:
    """Return the messages of the code."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]
    catalog = Catalog(project="stopcast", fuzzy=False)
    for topic, page in pages().items():
        catalog.add(summary(page), None, [(f"manual/{topic}.md", 1)])
    for file, _line, message, comments, context in extract_from_dir(
        SOURCE,
        [(mapping["pattern"], mapping["method"]) for mapping in settings["mappings"]],
        keywords=parse_keywords(settings["keywords"]),
    ):
        catalog.add(message, None, [(file, 1)], auto_comments=comments, context=context)
    return catalog


def translated() -> Catalog:
    """Return the messages with their translations, as they are written by hand."""
    with PO.open("rb") as file:
        return read_po(file, locale="zh_CN")


def compiled() -> Catalog:
    """Return the messages with their translations, as the commands read them."""
    with MO.open("rb") as file:
        return read_mo(file)


def write(catalog: Catalog) -> None:
    """Write the translations, and compile them."""
    with PO.open("wb") as file:
        file.write(_HEADER.encode())
        write_po(
            file, catalog, width=120, omit_header=True, ignore_obsolete=True, sort_by_file=True, include_lineno=False
        )
    with MO.open("wb") as file:
        write_mo(file, translated())


def update() -> None:
    """Bring the catalogue up to date with the code, and print what has no translation yet."""
    catalog = translated()
    catalog.update(extracted(), no_fuzzy_matching=True)
    write(catalog)
    for message in translated():
        if message.id and not message.string:
            print("no translation:", message.id)  # noqa: T201 - a script


if __name__ == "__main__":
    update()
