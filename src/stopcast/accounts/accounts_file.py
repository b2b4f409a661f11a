"""The file of ``--accounts``."""

from __future__ import annotations

from pathlib import Path

from stopcast.accounts.file import Account, parse_accounts
from stopcast.errors import ConfigurationError


def read_accounts(path: str) -> tuple[list[Account], dict[str, str]]:
    """Return the accounts of the file, and the account's name by AppId or pattern.

    Raises:
        ConfigurationError: it cannot be read, or not be used as it is.
    """
    try:
        return parse_accounts(Path(path).read_text(encoding="utf-8-sig"), directory=Path(path).parent)
    except OSError as error:
        raise ConfigurationError(f"--accounts {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"--accounts {path}: not UTF-8") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"--accounts {path}: {error}") from None
