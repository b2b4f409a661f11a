"""Places of keys as a person fills them in, and the search for a key, which shows no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stopcast.credentials.chain import find_credentials
from stopcast.credentials.places import Search
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError

#: Part of every secret value. No message may show it.
SECRET = "hunter2"
NEW = {"VOLCENGINE_ACCESS_KEY": "AKnew", "VOLCENGINE_SECRET_KEY": f"{SECRET}-new"}
OLD = {"VOLC_ACCESSKEY": "AKold", "VOLC_SECRETKEY": f"{SECRET}-old"}
NEW_PLACE, OLD_PLACE = "environment VOLCENGINE_ACCESS_KEY", "environment VOLC_ACCESSKEY"
CONFIG, INI, OLDEST = "~/.volcengine/config.json", "~/.volc/credentials", "~/.volc/config"


def put(home: Path, place: str, content: str | bytes | Mapping[str, Any], *, mode: int = 0o600) -> Path:
    """Write a file of the home directory as a person would, and return its path."""
    path = home / place.removeprefix("~/")
    path.parent.mkdir(parents=True, exist_ok=True)
    match content:
        case bytes():
            path.write_bytes(content)
        case str():
            path.write_text(content, encoding="utf-8")
        case _:
            path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return path


def profile(name: str = "default", /, **values: Any) -> dict[str, Any]:
    return {name: {"access-key": f"AK{name}", "secret-key": f"{SECRET}-{name}", **values}}


def put_config(home: Path, *, current: object = None, **profiles: Any) -> Path:
    return put(home, CONFIG, {"current": current, "profiles": profiles})


def put_ini(home: Path, *lines: str) -> Path:
    return put(home, INI, "\n".join(lines or ("[default]", "access_key_id=AKini", f"secret_access_key={SECRET}%ini")))


def put_oldest(home: Path) -> Path:
    return put(home, OLDEST, {"ak": "AKoldest", "sk": f"{SECRET}-oldest"})


class Found(NamedTuple):
    credentials: Credentials
    warnings: tuple[str, ...] = ()


def find(home: Path, environ: Mapping[str, str] | None = None) -> Found:
    source = find_credentials(Search(environ or {}, home))
    assert SECRET not in repr(source)
    assert source.credentials is not None
    assert source.region == source.credentials.region
    return Found(source.credentials, source.warnings)


def refusal(home: Path, environ: Mapping[str, str] | None = None) -> str:
    """Return the message with which the search ends, after a check that it holds no secret."""
    with pytest.raises(ConfigurationError) as refused:
        find_credentials(Search(environ or {}, home))
    assert SECRET not in str(refused.value)
    # A parser's exception would hold what it read.
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    return str(refused.value)
