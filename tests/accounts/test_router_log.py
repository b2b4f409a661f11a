"""The log lines of several accounts say whose they are."""

from __future__ import annotations

import logging

import pytest

from stopcast import Router, Stopper, Task
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator


async def test_a_line_about_one_account_of_several_names_it_in_its_text_and_in_a_field(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Emulator(refused_apps={"bad": "InvalidParameter.NotExistAppId"}) as emulator:
        stoppers = {name: Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) for name in ("team-a", "team-b")}
        with caplog.at_level(logging.WARNING, logger="stopcast"):
            async with Router(stoppers, {"good": "team-a", "bad": "team-b"}) as router:
                await router.stop(Task("good", "room", "task"))
                await router.stop(Task("bad", "room", "task"))
    (record,) = [each for each in caplog.records if getattr(each, "event", "") == "app_set_aside"]
    assert record.getMessage().startswith("account team-b: the API refuses AppId bad")
    assert getattr(record, "account", "") == "team-b"


async def test_a_line_of_a_single_stopper_names_no_account(caplog: pytest.LogCaptureFixture) -> None:
    async with Emulator(refused_apps={"bad": "InvalidParameter.NotExistAppId"}) as emulator:
        with caplog.at_level(logging.WARNING, logger="stopcast"):
            async with Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
                await stopper.stop(Task("bad", "room", "task"))
    (record,) = [each for each in caplog.records if getattr(each, "event", "") == "app_set_aside"]
    assert record.getMessage().startswith("the API refuses AppId bad")
    assert not hasattr(record, "account")
