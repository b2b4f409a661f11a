"""The search for a key: the order of the places, and which of them ends the search.

A place that holds nothing is skipped. A place that was filled in but cannot be used ends the search: the next place may
hold another account's key, and a user who has mistyped one variable must not run with that key unknowingly. Two things
only cause a warning: empty values (a variable passed through a container, a profile that is not filled in yet), and a
login of an unknown kind, unless it was asked for by name.
"""

from __future__ import annotations

from dataclasses import replace

from stopcast.credentials.files import SourceState
from stopcast.credentials.places import PLACES, CredentialSource, Search, read_source
from stopcast.errors import ConfigurationError, CredentialsNotFoundError


def find_credentials(search: Search) -> CredentialSource:
    """Return the first place that has credentials. Its warnings include those about the places before it.

    Raises:
        CredentialsNotFoundError: no place has credentials. The message names each place and what it holds.
        ConfigurationError: a place was filled in and cannot be used.
    """
    earlier: list[CredentialSource] = []
    for place in PLACES:
        source = read_source(place, search)
        if source.state is SourceState.USABLE:
            skipped = [
                f"{other.place}: {other.description}; skipped"
                for other in earlier
                if other.state is SourceState.SKIPPED
            ]
            return replace(source, warnings=(*skipped, *source.warnings))
        if source.state is SourceState.BROKEN:
            raise ConfigurationError(
                f"credentials in {source.place}: {source.description}. "
                "Fix or remove them; no other place is tried, because its key may belong to another account"
            )
        earlier.append(source)
    searched = "".join(f"\n  {source.place}: {source.description}" for source in earlier)
    raise CredentialsNotFoundError(
        f"no credentials found. Searched:{searched}\n"
        "Set VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, or rehearse with --sandbox, which needs no key"
    )


def list_sources(search: Search) -> tuple[CredentialSource, ...]:
    """Return what every place holds, in the order of the search, including those after the first usable one."""
    return tuple(read_source(place, search) for place in PLACES)
