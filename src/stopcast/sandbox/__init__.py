"""An emulator of the API, for rehearsals and tests. Nothing real is called or stopped.

``Emulator`` is the server, ``Faults`` are the faults that it simulates, and ``SANDBOX_CREDENTIALS`` is the key that it
accepts.
"""

from stopcast.sandbox.emulator import SANDBOX_CREDENTIALS, Emulator
from stopcast.sandbox.faults import Faults

__all__ = ["SANDBOX_CREDENTIALS", "Emulator", "Faults"]
