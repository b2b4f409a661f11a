"""The address of a queue: the Redis that holds it, and its name there. Nothing here connects."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stopcast.errors import ConfigurationError
from stopcast.fleet.connection import without_secrets

_NAME: Final = re.compile(r"(?!\d+$)[A-Za-z0-9_.:\-]{1,100}")


def split_address(url: str) -> tuple[str, str]:
    """Return the Redis's URL and the queue's name, which is the last part of the path or ``?queue=NAME``.

    Raises:
        ConfigurationError: the URL names no queue.
    """
    split = urlsplit(url)
    options = dict(parse_qsl(split.query))
    path, name = split.path, options.pop("queue", "")
    if not name and split.scheme != "unix":
        path, _, name = split.path.rpartition("/")
    if not split.scheme or not _NAME.fullmatch(name):
        shown = without_secrets(url)
        raise ConfigurationError(
            f"{shown} is not the address of a queue. Use redis://host:6379/0/NAME, or ?queue=NAME at the end"
        )
    return urlunsplit((split.scheme, split.netloc, path, urlencode(options), "")), name
