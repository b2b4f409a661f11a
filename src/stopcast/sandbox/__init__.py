"""An emulator of the API, for rehearsals and tests. Nothing real is called or stopped.

``Emulator`` is the server, ``Faults`` are the faults that it simulates, and ``SANDBOX_CREDENTIALS`` is the key that it
accepts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from stopcast.credentials.value import Credentials

if TYPE_CHECKING:
    from stopcast.sandbox.emulator import Emulator as Emulator
    from stopcast.sandbox.faults import Faults as Faults

SANDBOX_CREDENTIALS: Final = Credentials("sandbox", "sandbox-secret", source="the sandbox")


def __getattr__(name: str) -> object:
    """Import a class when it is used, because it needs aiohttp, and its module needs this one."""
    if (module := {"Emulator": "emulator", "Faults": "faults"}.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
