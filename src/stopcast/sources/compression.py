"""Bytes out of compressed bytes. The compression is recognised by the first bytes; the file's name does not matter."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol, cast

from stopcast.errors import ListError
from stopcast.sources.chunks import Extent

#: The most that one piece holds, however dense the data is.
_PIECE_BYTES: Final = 1 << 18
#: gzip in gzip is a frequent accident of download tools. More layers than this are no accident.
_LAYERS: Final = 3
#: zlib's word for "with a gzip header".
_GZIP_WINDOW: Final = 31


class Member(Protocol):
    """Decompresses one member of a file, as the standard library's ``bz2.BZ2Decompressor`` does."""

    @property
    def eof(self) -> bool:
        """Whether the member's end was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether more output needs more input."""

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return the next output."""


class _Gzip:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self.needs_input = not self._member.unconsumed_tail and len(piece) < max_length
        return piece


class _Zstandard:
    """The package zstandard. It has no limit for the output, and so is fed in small slices."""

    needs_input = True

    def __init__(self, member: Any) -> None:
        self._member = member

    @property
    def eof(self) -> bool:
        return bool(self._member.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._member.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        del max_length
        return bytes(self._member.decompress(data))


@dataclass(frozen=True, slots=True)
class Compression:
    """One way to compress.

    Attributes:
        name: for people.
        magic: the first bytes, in each of their forms.
        members: imports what is needed and returns what makes a member, None where that is not installed.
        command: writes what the file holds to standard output.
        slice_bytes: the input of one call.
    """

    name: str
    magic: tuple[bytes, ...]
    members: Callable[[], Callable[[], Member] | None]
    command: str
    slice_bytes: int = 1 << 14


def _zstd_members() -> Callable[[], Member] | None:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - from 3.14 on

        library: Any = zstd
    except ImportError:
        pass
    else:
        return cast("Callable[[], Member]", library.ZstdDecompressor)
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return lambda: _Zstandard(zstandard.ZstdDecompressor().decompressobj())


_BZ2_LEVELS: Final = range(1, 10)
_COMPRESSIONS: Final = (
    Compression("gzip", (b"\x1f\x8b",), lambda: _Gzip, "gzip -dc"),
    Compression(
        "bzip2",
        (*(b"BZh%d1AY&SY" % level for level in _BZ2_LEVELS), *(b"BZh%d\x17rE8P\x90" % level for level in _BZ2_LEVELS)),
        lambda: bz2.BZ2Decompressor,
        "bzip2 -dc",
    ),
    Compression("xz", (b"\xfd7zXZ\0", b"\x5d\0\0"), lambda: lzma.LZMADecompressor, "xz -dc"),
    Compression(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *(bytes([nibble]) + b"\x2a\x4d\x18" for nibble in range(0x50, 0x60))),
        _zstd_members,
        "zstd -dc",
        slice_bytes=256,
    ),
)


def head_of(chunks: Iterator[bytes], enough: Callable[[bytes], bool]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, as few as are ``enough`` or all, and an iterator over all bytes with these."""
    head = b""
    for chunk in chunks:
        head += chunk
        if enough(head):
            break
    return head, chain([head] if head else [], chunks)


def decompressed(
    chunks: Iterator[bytes], extent: Extent, path: str, *, reader: str = "stopcast run"
) -> tuple[Iterator[bytes], Sequence[str]]:
    """Return what the chunks hold, and the names of the compressions, the outermost first.

    ``reader`` is the command that reads the file, for the advice where a package is missing.

    Raises:
        ListError: here or while it is iterated: the data is damaged, or a package is missing.
    """
    names: list[str] = []
    while True:
        head, chunks = head_of(chunks, lambda head: not _undecided(head))
        compression = next((each for each in _COMPRESSIONS if head.startswith(each.magic)), None)
        if compression is None:
            return chunks, names
        if len(names) == _LAYERS:
            raise ListError(f"it is compressed more than {_LAYERS} times")
        new = compression.members()
        if new is None:
            source = "" if path == "-" else f" {path}"
            raise ListError(
                f"it is {compression.name}: {compression.command}{source} | {reader} -, "
                f"or install the extra: pip install 'stopcast[{compression.name}]'"
            )
        chunks = _decompressed(chunks, compression, new, Extent() if names else extent)
        names.append(compression.name)


def _undecided(head: bytes) -> bool:
    return any(len(head) < len(magic) and magic.startswith(head) for kind in _COMPRESSIONS for magic in kind.magic)


def _decompressed(
    chunks: Iterable[bytes], compression: Compression, new: Callable[[], Member], extent: Extent
) -> Iterator[bytes]:
    """Decompress members, one after the other."""
    member: Member | None = None
    for part in _slices(chunks, compression.slice_bytes, extent):
        data = part
        while data or (member is not None and not member.needs_input):
            if member is None and not (data := data.lstrip(b"\0")):
                break  # members may be padded with zeros, as gzip's own tools allow
            member = new() if member is None else member
            try:
                piece = member.decompress(data, _PIECE_BYTES)
            except Exception as error:
                raise ListError(f"its {compression.name} data is damaged") from error
            data = b""
            if member.eof:
                data, member = member.unused_data, None
            yield from (piece[at : at + _PIECE_BYTES] for at in range(0, len(piece), _PIECE_BYTES))
    if member is not None:
        raise ListError(f"its {compression.name} data ends too early; fetch the file again")


def _slices(chunks: Iterable[bytes], size: int, extent: Extent) -> Iterator[bytes]:
    """Yield the chunks in small slices, and count what is still held back of each."""
    for chunk in chunks:
        for end in range(size, len(chunk) + size, size):
            extent.hold(max(0, len(chunk) - end))
            yield chunk[end - size : end]
