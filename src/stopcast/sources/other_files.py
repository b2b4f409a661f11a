"""Files that are not lists, recognised by their first bytes, and what to type to make a list of each."""

from __future__ import annotations

import shlex
from typing import Final, NamedTuple

from stopcast.errors import ListError
from stopcast.marking import N_


class _Kind(NamedTuple):
    """A kind of file.

    Attributes:
        what: its name.
        magic: its first bytes, in lower case where it is text.
        advice: what to type; {path} is the file.
    """

    what: str
    magic: tuple[bytes, ...]
    advice: str


_DUCKDB: Final = "duckdb -csv -c \"SELECT * FROM '{path}'\" | stopcast run -"
_SAVE_AS: Final = N_("open it, save the sheet as CSV, and name that file")
_NO_LIST: Final = N_("open it, save the sheet as CSV, and name that file; it may also be a login page")
_AS_JSON: Final = "sed '1s/^[^[{{]*//; $s/[^]}}]*$//' {path} | stopcast run -"
_FROM_PYTHON: Final = (
    "python3 -c 'import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in sys.stdin]' < {path} | "
    "stopcast run -"
)
_AS_CSV: Final = N_(
    "export it as CSV or TSV: psql --csv, mysql -B, sqlite3 -header -csv, clickhouse-client --format CSVWithNames"
)
_BINARY: Final = (
    _Kind("a Parquet file", (b"PAR1",), _DUCKDB),
    _Kind("an Arrow or Feather file", (b"ARROW1", b"FEA1"), N_("export it as CSV, with pyarrow or pandas")),
    _Kind("a NumPy file", (b"\x93NUMPY",), N_("export it as CSV, with pyarrow or pandas")),
    _Kind("an HDF5 file", (b"\x89HDF\r\n",), N_("export it as CSV, with pyarrow or pandas")),
    _Kind("a pickle of Python", (b"\x80\x04\x95", b"\x80\x05\x95"), N_("export it as CSV, with pyarrow or pandas")),
    _Kind("an ORC file", (b"ORC",), N_("export it as CSV, with pyarrow or Spark")),
    _Kind("an Avro file", (b"Obj\x01",), "avro-tools tojson {path} | stopcast run -"),
    _Kind("an SQLite database", (b"SQLite format 3\0",), "sqlite3 -header -csv {path} 'SELECT ...' | stopcast run -"),
    _Kind("a 7z archive", (b"7z\xbc\xaf\x27\x1c",), "7z e -so {path} | stopcast run -"),
    _Kind("a RAR archive", (b"Rar!\x1a\x07",), "unrar p -inul {path} | stopcast run -"),
    _Kind("compressed with lz4", (b"\x04\x22\x4d\x18",), "lz4 -dc {path} | stopcast run -"),
    _Kind("compressed with lzip", (b"LZIP",), "lzip -dc {path} | stopcast run -"),
    _Kind("compressed with compress", (b"\x1f\x9d",), "gzip -dc {path} | stopcast run -"),
    _Kind("compressed with snappy", (b"\xff\x06\0\0sNaPpY",), "snzip -dc {path} | stopcast run -"),
    _Kind("an old Excel workbook (.xls), or another file of Office", (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",), _SAVE_AS),
    _Kind("a PDF", (b"%PDF-",), N_("ask for the table that it was made from, as CSV")),
    _Kind("an image", (b"\x89PNG", b"\xff\xd8\xff", b"GIF8"), N_("name a list of tasks")),
    _Kind("a file of nothing but zeros at its beginning", (bytes(16),), N_("fetch or export it again")),
    _Kind("a property list", (b"bplist00",), "plutil -convert json -o - {path} | stopcast run -"),
    _Kind("an executable", (b"\x7fELF", b"MZ\x90\0"), N_("name a list of tasks")),
)
_TEXT: Final = (
    _Kind("a web page", (b"<!doctype html", b"<html", b"<table", b"<head"), _NO_LIST),
    _Kind("encrypted with PGP", (b"-----begin pgp message",), "gpg -d {path} | stopcast run -"),
    _Kind("encrypted with age", (b"age-encryption.org/", b"-----begin age "), "age -d {path} | stopcast run -"),
    _Kind("XML", (b"<?xml", b"<workbook"), N_("export it as CSV or JSON")),
    _Kind("RTF", (b"{\\rtf",), N_("save it as plain text")),
    _Kind("SQL", (b"-- mysql dump", b"-- mariadb dump", b"insert into", b"create table", b"copy public."),
          N_("export the table as CSV, or as mysql -B -e 'SELECT ...' > list.tsv")),
    _Kind("SQL", (b"--\n-- postgresql database dump",), "psql --csv -c 'SELECT ...' | stopcast run -"),
    _Kind("a pointer to a file in Git LFS", (b"version https://git-lfs",), "git lfs pull"),
    _Kind("a table with drawn lines", tuple("┌ ┏ ╔ ╭ │".encode().split()), _AS_CSV),
    _Kind("a table with one line for each field", (b"-[ record 1 ]", b"*" * 27 + b" 1. row", b"row 1:\n"), _AS_CSV),
    _Kind("a comparison of two files (diff)", (b"diff --git", b"--- a/"), N_("name one of the two files")),
    _Kind("a web page of Office (.mht)", (b"mime-version:",), _SAVE_AS),
    _Kind("a list as Python prints it", (b"{'", b"[{'", b"('", b"[('", b"['", b"[['"), _FROM_PYTHON),
    _Kind("JavaScript", (b"var ", b"let ", b"const ", b"export ", b"module.exports", b")]}'"), _AS_JSON),
    _Kind("TOML", (b"[[tasks]]", b"[[task]]"), "yq -p toml -o json -I 0 '.tasks[]' {path} | stopcast run -"),
    _Kind("YAML", (b"---\n", b"- "), "yq -o=json -I=0 '.[]' {path} | stopcast run -"),
)  # fmt: skip
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OPEN_DOCUMENT: Final = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
_TAR_AT: Final = 257


def is_zip(head: bytes) -> bool:
    """Return whether the file is a zip archive; an .xlsx is one."""
    return head.startswith(_ZIP)


def check_binary(head: bytes, path: str) -> None:
    """Raise a ListError where the first bytes are those of something else than text."""
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise kind_error("a tar archive", "tar -xOf {path} | stopcast run -", path)
    _check(_BINARY, head, path)


def check_text(head: bytes, path: str) -> None:
    """Raise a ListError where the first text is that of something else than a list."""
    _check(_TEXT, head.lstrip().lower(), path)


def check_zip(head: bytes, path: str) -> None:
    """Raise a ListError where a zip archive is a spreadsheet of LibreOffice."""
    if _OPEN_DOCUMENT in head:
        raise kind_error("a spreadsheet of LibreOffice (.ods)", "soffice --headless --convert-to csv {path}", path)


def kind_error(what: str, advice: str, path: str) -> ListError:
    """Return the error about a file of another kind. In ``advice``, which says what to type, {path} is the file."""
    advice = advice.format(path=shlex.quote(path))
    return ListError(f"it is {what}, which cannot be read as a list: {advice}")


def _check(kinds: tuple[_Kind, ...], head: bytes, path: str) -> None:
    for kind in kinds:
        if head.startswith(kind.magic):
            raise kind_error(kind.what, kind.advice, path)
