"""Texts that other software writes and a person can meet: the catalogue has them from here, with fields for values."""

from __future__ import annotations

from typing import Final

from stopcast.i18n import N_

CLICK: Final = (
    N_("Invalid value for {param_hint}: {message}"),
    N_("Invalid value: {message}"),
    N_("Missing argument {param_hint}."),
    N_("Missing option {param_hint}."),
    N_("No such option {name}."),
    N_("{error} Did you mean {possibility}?"),
    N_("{error} (Did you mean one of: {possibilities}?)"),
    N_("Option {name} does not take a value."),
    N_("Option {name} requires an argument."),
    N_("Got unexpected extra argument ({args})"),
    N_("Got unexpected extra arguments ({args})"),
    N_("{value} is not one of {choices}."),
    N_("{value} is not a valid {number_type}."),
    N_("{value} is not in the range {range}."),
    N_("File {filename} does not exist."),
    N_("File {filename} is a directory."),
    N_("File {filename} is not readable."),
    N_("default: {default}"),
    N_("Show this message and exit."),
    N_("Show the version and exit."),
    N_("Options"),
    N_("Positional arguments"),
    N_("whole number"),
    N_("number"),
)
SYSTEM: Final = (
    N_("Broken pipe"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Disk quota exceeded"),
    N_("File exists"),
    N_("File name too long"),
    N_("File too large"),
    N_("Input/output error"),
    N_("Is a directory"),
    N_("Name or service not known"),
    N_("Network is unreachable"),
    N_("No address associated with hostname"),
    N_("No route to host"),
    N_("No space left on device"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Operation not permitted"),
    N_("Operation not supported"),
    N_("Permission denied"),
    N_("Read-only file system"),
    N_("Stale file handle"),
    N_("Temporary failure in name resolution"),
    N_("Too many open files"),
    N_("Address already in use"),
    N_("Cannot assign requested address"),
)
TLS: Final = (
    N_("certificate has expired"),
    N_("certificate is not yet valid"),
    N_("self-signed certificate"),
    N_("self-signed certificate in certificate chain"),
    N_("unable to get local issuer certificate"),
    N_("Hostname mismatch, certificate is not valid for {name}."),
    N_("IP address mismatch, certificate is not valid for {name}."),
)
AIOHTTP: Final = (
    N_("{kind}: Cannot connect to host {host} ssl:{ssl} [{error}]"),
    N_("Connect call failed {address}"),
    N_("{kind}: [Errno {number}] {error}"),
    N_("{kind}: Server disconnected"),
    N_("{kind}: Connection timeout to host {url}"),
    N_("Server disconnected"),
)
REDIS: Final = (
    N_("Error {number} connecting to {address}. {error}."),
    N_("Error connecting to {address}. {error}."),
    N_("Timeout connecting to server"),
    N_("Timeout reading from {address}"),
    N_("Connection closed by server."),
    N_("Authentication required."),
    N_("invalid username-password pair or user is disabled."),
)
