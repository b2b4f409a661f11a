"""The catalogue of Chinese messages. As a script it brings the catalogue up to date with the code:

    .venv/bin/python tests/support/catalogue.py

It extracts the messages, drops what is no longer in the code, compiles, and prints what has no translation yet. The
translations are written into the .po file by hand; then the script is run again.

Texts of other software that a person can meet are written into the .po file by hand too, each with its translation and
with the name of that software (``OTHER_SOFTWARE``) where the name of a module stands otherwise.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from inspect import cleandoc
from itertools import chain
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from stopcast.cli.manual import pages, summary
from stopcast.cli.usage import HELP

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src/stopcast"
PO: Final = SOURCE / "locale/zh_CN/LC_MESSAGES/stopcast.po"
MO: Final = PO.with_suffix(".mo")

OTHER_SOFTWARE: Final = {"aiohttp", "click", "errno", "openssl", "orjson", "redis"}
#: Calls whose first argument a person reads, besides those of exceptions; and whose last.
_FIRST: Final = {
    "BadParameter",
    "Broken",
    "BrokenRow",
    "N_",
    "__init__",
    "_Kind",
    "_log",
    "add_note",
    "confirms",
    "error",
    "exception",
    "fail",
    "kind_error",
    "log",
    "raise_broken",
    "warning",
}
_LAST: Final = {"LogEntry", "UnusableError"}
#: Exceptions that only a programmer sees, or whose text is a code of the API.
_NOT_READ: Final = {"AssertionError", "AttributeError", "KeyError", "RefusedError", "TypeError", "ValueError"}
_SENTENCE: Final = re.compile(r"[A-Za-z]{2,}.*[ :]|[ :].*[A-Za-z]{2,}", re.DOTALL)

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
    """Return the messages of the code, and the texts of other software."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]
    catalog = Catalog(project="stopcast", fuzzy=False)
    for path in sorted(SOURCE.rglob("*.py")):
        for text in _shown_texts(path):
            catalog.add(text, None, [(str(path.relative_to(SOURCE)), 1)])
    catalog.add(HELP, None, [("cli/usage.py", 1)])
    for topic, page in pages().items():
        catalog.add(summary(page), None, [(f"manual/{topic}.md", 1)])
    for file, _line, message, comments, context in extract_from_dir(
        SOURCE,
        [(mapping["pattern"], mapping["method"]) for mapping in settings["mappings"]],
        keywords=parse_keywords(settings["keywords"]),
    ):
        catalog.add(message, None, [(file, 1)], auto_comments=comments, context=context)
    for other in translated():
        if OTHER_SOFTWARE.intersection(place for place, _line in other.locations):
            catalog.add(other.id, None, other.locations)
    return catalog


def glued() -> list[str]:
    """Return the texts that are put together from parts, so that they cannot be translated."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for value in chain.from_iterable(map(_texts, ast.walk(ast.parse(path.read_text("utf-8"))))):
            try:
                _template(value)
            except GluedError as error:
                found.append(f"{path.relative_to(SOURCE)}:{error}")
    return found


class GluedError(Exception):
    """A text is put together from parts, so that it cannot be translated as a whole."""


def shown_texts() -> list[str]:
    """Return the English texts of the code that are translated where they are shown."""
    return sorted({text for path in SOURCE.rglob("*.py") for text in _shown_texts(path)})


def _shown_texts(path: Path) -> Iterator[str]:
    """Yield the English texts of a module that are translated where they are shown, as templates.

    They are those of exceptions, of the log, of options and commands. Of an f-string the catalogue has the template:
    each value is a field, named after the expression.
    """
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        try:
            for text in map(_template, _texts(node)):
                if text is not None and _SENTENCE.search(re.sub(r"\{.*?\}", "{}", text)):
                    yield text
        except GluedError:
            continue


def paragraphs(docstring: str) -> list[str]:
    """Return the paragraphs of a command's help, each on one line, except for those whose lines are kept."""
    parts = (part.partition("\b\n") for part in cleandoc(docstring).split("\n\n"))
    return [kept if mark else " ".join(before.split()) for before, mark, kept in parts]


def _texts(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Call(func=function, args=[*arguments], keywords=keywords):
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in _LAST and arguments:
                yield arguments[-1]
            if name in _FIRST or (name.endswith("Error") and name not in _NOT_READ):
                yield from _branches(arguments[0]) if arguments else ()
            yield from (keyword.value for keyword in keywords if keyword.arg in {"help", "message"})
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "help":
                    yield value
        case ast.FunctionDef(name=name, decorator_list=decorators):
            if "why" in name:
                yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)
            if any("click.command" in ast.unparse(decorator) for decorator in decorators):
                yield from map(ast.Constant, paragraphs(ast.get_docstring(node) or ""))


def _branches(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.IfExp):
        yield from _branches(value.body)
        yield from _branches(value.orelse)
    else:
        yield value


def _template(value: ast.expr) -> str | None:
    """Return the template of a text, None if it is not a text but, say, a variable or a message that is translated."""
    match value:
        case ast.Constant(value=str() as text):
            number = iter(range(1, 10))
            text = re.sub(r"\{0\.([\w.]+)[^}]*\}", lambda field: f"{{{field[1].rpartition('.')[2]}}}", text)
            return re.sub("%[sg]", lambda _: f"{{value{next(number)}}}", text)
        case ast.JoinedStr(values=parts):
            fields: dict[str, str] = {}
            return "".join(_part(part, fields) for part in parts)
        case ast.BinOp() if any(isinstance(part, ast.JoinedStr) or _is_string(part) for part in ast.walk(value)):
            raise GluedError(f"{value.lineno}: {ast.unparse(value)}")
        case _:
            return None


def _is_string(part: ast.AST) -> bool:
    return isinstance(part, ast.Constant) and isinstance(part.value, str)


def _part(part: ast.expr, fields: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value).replace("{", "{{").replace("}", "}}")
    assert isinstance(part, ast.FormattedValue)
    expression = ast.unparse(part.value)
    if any(isinstance(inner, ast.IfExp) for inner in ast.walk(part.value)):
        raise GluedError(f"{part.lineno}: {expression}")
    name = _name(part.value)
    while fields.setdefault(name, expression) != expression:
        name += "_"
    return f"{{{name}}}"


def _name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(func=ast.Attribute(attr="join"), args=[inner]):
            return _name(inner)
        case ast.Call(args=[inner, *_]) | ast.Subscript(value=inner) | ast.BoolOp(values=[inner, *_]):
            return _name(inner)
        case ast.Call(func=function):
            return _name(function)
        case _:
            return "value"


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
        if message.id and message.string in {"", ("",)}:
            print("no translation:", message.id)  # noqa: T201 - a script


if __name__ == "__main__":
    update()
