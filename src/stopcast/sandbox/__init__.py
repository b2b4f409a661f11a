"""An emulator of the API, for trying a run and for tests: nothing real is called, nothing real is stopped.

``Emulator`` serves it, ``Faults`` says what goes wrong, and ``SANDBOX_CREDENTIALS`` is the key that it knows.
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
    """Import what needs aiohttp, and this module, when it is asked for."""
    if (module := {"Emulator": "emulator", "Faults": "faults"}.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
