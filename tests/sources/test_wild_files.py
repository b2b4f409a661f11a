from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

from support.samples import BOTH, HEADER, Sample, delimited, each_of


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def tarred(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("tasks.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


PLAIN = delimited(",").encode()

SAMPLES = [
    # Compressed
    Sample("gzip twice", gzip.compress(gzip.compress(PLAIN)), BOTH),
    Sample("pbzip2, two members", bz2.compress(PLAIN[:30]) + bz2.compress(PLAIN[30:]), BOTH),
    Sample("xz", lzma.compress(PLAIN), BOTH),
    Sample("lzma", lzma.compress(PLAIN, lzma.FORMAT_ALONE), BOTH),
    Sample("lzma, cut off", lzma.compress(PLAIN, lzma.FORMAT_ALONE)[:40], refusal="xz data ends too early"),
    Sample("a zip archive", zipped("tasks.csv", PLAIN), refusal="unzip -p"),
    Sample("LibreOffice", zipped("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), refusal="soffice"),
    Sample("tar", tarred(PLAIN), refusal="tar -xOf"),
    Sample("tar.gz", gzip.compress(tarred(PLAIN)), refusal="tar -xOf"),
    # No lists
    Sample("Parquet", b"PAR1\x15\x04", refusal="duckdb"),
    Sample("SQLite", b"SQLite format 3\0" + bytes(100), refusal="sqlite3"),
    Sample("Excel 97", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), refusal="save the sheet as CSV"),
    Sample("a 7z archive", b"7z\xbc\xaf\x27\x1c\0\4", refusal="7z e -so"),
    Sample("a NumPy file", b"\x93NUMPY\x01\0v\0{", refusal="export it as CSV"),
    Sample("a pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0]", refusal="export it as CSV"),
    Sample("gpg -a", "-----BEGIN PGP MESSAGE-----\n\nhQEM\n", refusal="gpg -d"),
    Sample("age", "age-encryption.org/v1\n-> X25519 x\n", refusal="age -d"),
    Sample("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", refusal="PDF"),
    Sample("a login page", "\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", refusal="login page"),
    Sample("an .xls that is a web page", "<table><tr><td>AppId</td></tr></table>", refusal="web page"),
    Sample(
        "git diff",
        "--- a/l\n+++ b/l\n@@ -1 +1 @@\n" + " " + HEADER + " a1,r1,t1\n-a2,r2,t2\n",
        refusal="one of the two",
    ),
    Sample("Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", refusal="git lfs pull"),
    Sample("YAML", "- AppId: a1\n  RoomId: r1\n  TaskId: t1\n", refusal="yq"),
]


@each_of(SAMPLES)
async def test_a_file_of_another_kind_is_read_or_refused_with_what_to_type(tmp_path: Path, sample: Sample) -> None:
    await sample.check(tmp_path)
