"""The bytes of Redis's protocol, as a server reads and writes them."""

from __future__ import annotations

from typing import Any


def command_in(sent: bytes) -> tuple[list[bytes], bytes] | None:
    """Return the first whole command in these bytes, and what follows it."""
    head, found, rest = sent.partition(b"\r\n")
    words: list[bytes] = []
    for _ in range(int(head[1:]) if found else 0):
        size, found, rest = rest.partition(b"\r\n")
        length = int(size[1:]) if found else 0
        if not found or len(rest) < length + 2:
            return None
        words.append(rest[:length])
        rest = rest[length + 2 :]
    return (words, rest) if found else None


def encoded(answer: Any) -> bytes:
    """Return the bytes of an answer; a ``str`` is a status."""
    match answer:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % answer
        case str():
            return f"+{answer}\r\n".encode()
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(answer), answer)
    return b"*%d\r\n" % len(answer) + b"".join(map(encoded, answer))
