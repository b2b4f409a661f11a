"""Settings of a Stopper that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from stopcast import (
    ConfigurationError,
    Stopper,
    TokenBucket,
)
from stopcast.sandbox import SANDBOX_CREDENTIALS


@pytest.mark.parametrize("endpoint", [None, "https://open.byteplusapi.com", "https://example.com"])
def test_a_rate_above_the_quota_needs_a_limiter(endpoint: str | None) -> None:
    with pytest.raises(ConfigurationError, match="quota"):
        Stopper(SANDBOX_CREDENTIALS, max_per_second=150.5, endpoint=endpoint)
    assert Stopper(SANDBOX_CREDENTIALS, limiter=TokenBucket(300), endpoint=endpoint).limiter
    assert Stopper(SANDBOX_CREDENTIALS, max_per_second=5000, endpoint="http://127.0.0.1:1").limiter


@pytest.mark.parametrize(
    "settings",
    [
        {"max_per_second": 0},
        {"max_per_second": float("nan")},
        {"max_at_once": 0},
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"max_waiting": -1},
        {"retry_key_after_seconds": 0},
        {"retry_key_after_seconds": float("nan")},
        {"endpoint": "http://example.com"},
        {"endpoint": "ftp://127.0.0.1"},
    ],
)
def test_a_setting_that_cannot_be_used_is_a_configuration_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Stopper(SANDBOX_CREDENTIALS, **settings)
