"""Reads the files in which people keep their key: the ``ve`` command's, and the older SDKs'.

A file's text becomes values by name, unchecked. No message holds any part of a value: parsers quote the lines on which
they fail, so their messages are never passed on.
"""

from __future__ import annotations

import configparser
import errno
import json
import os
import select
import stat
import time
from collections.abc import Mapping
from enum import StrEnum
from io import BytesIO, FileIO, TextIOWrapper
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import orjson

from stopcast.credentials import vendor
from stopcast.i18n import visible
from stopcast.marking import N_

#: Chooses one of the profiles in the ``ve`` command's file.
PROFILE_VARIABLE: Final = "VOLCENGINE_PROFILE"
#: The time in which the writer of a pipe has to write all and to close it. Signals have no effect during it.
_PIPE_SECONDS: Final = 2.0
#: A device has no end, and no file of accounts or keys is as large.
_MOST_BYTES: Final = 4_000_000


class SourceState(StrEnum):
    """Whether a place can be used."""

    USABLE = "usable"
    ABSENT = "absent"
    """Nothing is there."""
    SKIPPED = "skipped"
    """Something is there that is neither useful nor harmful; the user is warned."""
    BROKEN = "broken"
    """A person filled the place in, and it cannot be used."""


class SourceValues(NamedTuple):
    """What a place holds.

    Attributes:
        by_name: the values, unchecked.
        part: the part of the place that holds them, such as a profile.
        warnings: what should be fixed.
        profile: of the ``ve`` command's file, where the vendor's provider logs in for it; else "".
        mode: the profile's kind of login; else "".
    """

    by_name: Mapping[str, object]
    part: str = ""
    warnings: tuple[str, ...] = ()
    profile: str = ""
    mode: str = ""


class UnusableError(Exception):
    """A place cannot be used. The reason holds no part of a value."""

    def __init__(self, state: SourceState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


def read_text(path: Path) -> tuple[str, int]:
    """Return the text of a small file, and its mode. A pipe may be slow, but does not block for ever.

    Raises:
        OSError: it cannot be read, is too large, or is a pipe whose writer does not come to an end.
        ValueError: it is not UTF-8.
    """
    # Opening a pipe would wait for its writer.
    with FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        data = _read_pipe(file) if stat.S_ISFIFO(mode) else _read_file(file)
    return TextIOWrapper(BytesIO(data), "utf-8-sig").read(), mode


def _read_file(file: FileIO) -> bytes:
    data = bytearray()
    while piece := file.read(_MOST_BYTES):
        data += piece
        _check_size(data)
    return bytes(data)


def _check_size(data: bytearray) -> None:
    if len(data) > _MOST_BYTES:
        raise OSError(errno.EFBIG, N_("larger than 4 MB"))


def _read_pipe(file: FileIO) -> bytes:
    poll, data, ends_at = select.poll(), bytearray(), time.monotonic() + _PIPE_SECONDS
    poll.register(file, select.POLLIN)
    while (left := ends_at - time.monotonic()) > 0:
        piece = file.read(1 << 16)
        if piece:
            data += piece
            _check_size(data)
            continue
        has_ended = piece is not None and bool(data)
        # Else nothing was written yet, or no writer has opened the pipe yet.
        if has_ended or ((events := poll.poll(left * 1000)) and not events[0][1] & select.POLLIN):
            return bytes(data)
    raise TimeoutError(errno.ETIMEDOUT, N_("a pipe that was not filled and closed in time"))


def read_file(path: Path) -> tuple[str, int]:
    """Return the file's text and its mode; raise UnusableError where it cannot be read."""
    try:
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UnusableError(SourceState.ABSENT, "no such file") from None
    except OSError as error:
        raise_broken(error.strerror or type(error).__name__)
    except ValueError:
        raise_broken("not UTF-8")


def pick_profile(text: str, asked: str | None) -> SourceValues:
    """Return the values of a profile: the one asked for, else the ``current`` one, else ``default``."""
    config = _json_object(text)
    profiles, current = config.get("profiles") or {}, config.get("current") or "default"
    if not isinstance(profiles, dict) or not isinstance(current, str):
        raise_broken("profiles is not an object, or current is not a string")
    name = current if asked is None else asked
    if name not in profiles:
        profile_names = ", ".join(map(repr, profiles)) or "none"
        reason = f"there is no profile {name!r}; {PROFILE_VARIABLE} can choose one of: {profile_names}"
        raise UnusableError(SourceState.BROKEN if profiles else SourceState.SKIPPED, reason)
    profile = profiles[name]
    mode = (profile.get("mode") or "AK") if isinstance(profile, dict) else None
    if not isinstance(mode, str):
        raise_broken(f"profile {name!r} is not an object, or its mode is not a string")
    values = SourceValues(profile, f", profile {visible(name)}")
    login = mode.strip().lower()
    if login == "ak":
        return values
    if login not in vendor.MODES:
        raise UnusableError(SourceState.SKIPPED, f"profile {name!r} has mode {mode!r}, which stopcast does not know")
    if not vendor.installed():
        raise_broken(f"profile {name!r} has mode {mode!r}, which needs the vendor's SDK: pip install 'stopcast[volc]'")
    return values._replace(profile=name, mode=login)


def pick_ini(text: str, _asked: str | None) -> SourceValues:
    """Return the values in the section ``[default]`` of an ini file."""
    # Raw, because % has no special meaning in a secret.
    # No default section: its values would count in every other one, and a key and its secret belong together.
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError:
        raise_broken("not an ini file: it has no section; write [default] above the keys")
    except configparser.Error:
        raise_broken("not an ini file")
    if not parser.has_section("default"):
        raise UnusableError(SourceState.SKIPPED, "there is no section [default]")
    return SourceValues(dict(parser.items("default")))


def pick_object(text: str, _asked: str | None) -> SourceValues:
    """Return the values of a file that is one JSON object."""
    return SourceValues(_json_object(text))


def _json_object(text: str) -> dict[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise_broken(f"not JSON: line {error.lineno}, column {error.colno}")
    if not isinstance(value, dict):
        raise_broken("not a JSON object")
    try:
        json.loads(text, object_pairs_hook=_check_once)
    except RecursionError:
        raise_broken("nested too deeply")
    return value


def _check_once(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object that has a key twice: one of the values would be used, and nothing says which is meant."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise_broken("a key of an object stands twice")


def raise_broken(reason: str) -> NoReturn:
    """Raise the error for a place that a person filled in and that cannot be used."""
    raise UnusableError(SourceState.BROKEN, reason)
