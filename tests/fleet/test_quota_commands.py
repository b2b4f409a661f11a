"""The commands that show and change shared quotas, and the rights that their users need, against a real Redis."""

from __future__ import annotations

import re

from stopcast import SharedQuota
from stopcast.fleet.quota.quota_status import quota_status, quota_statuses
from support.documents import page
from support.processes import Shell
from support.redis_server import RedisServer


async def test_without_an_account_status_lists_all_quotas_of_a_redis(shell: Shell, redis_url: str) -> None:
    assert shell.run_process("status", "--quota", redis_url).out == "no quota was used within the last day\n"
    for account, action in (("b", "StopWebcast"), ("a", "StopWebcast"), ("a", "GetWebCastTask")):
        async with SharedQuota(redis_url, account=account, action=action, max_per_second=50):
            pass
    listed = shell.run_process("status", "--quota", redis_url, "--json").summary["quotas"]
    assert [(each["account"], each["action"], each["max_per_second"]) for each in listed] == [
        ("a", "GetWebCastTask", 50),
        ("a", "StopWebcast", 50),
        ("b", "StopWebcast", 50),
    ]
    assert "quota of a for GetWebCastTask: 4" in shell.run_process("status", "--quota", redis_url).out


async def test_the_settings_of_a_quota_are_changed_for_all_by_a_command(shell: Shell, redis_url: str) -> None:
    configure = ("configure", "--quota", redis_url, "--account", "account")
    ended = shell.run_process(*configure, "--max-per-second", "100")
    assert (ended.status, "was not used within the last day" in ended.err) == (2, True)
    async with SharedQuota(redis_url, account="account", max_per_second=50, arrival_jitter=0.001):
        ended = shell.run_process(*configure, "--max-per-second", "100")
        assert (ended.status, "settings: max-per-second 100, arrival-jitter 1 ms" in ended.out) == (0, True)
        assert shell.run_process(*configure, "--arrival-jitter", "0.5").status == 0
    status = await quota_status(redis_url, "account")
    assert (status.max_per_second, status.arrival_jitter) == (100, 0.0005)


async def test_the_rights_that_the_manual_names_are_enough_for_a_quota(redis_server: RedisServer) -> None:
    named = re.search(r"^    (~stopcast:quota.*)$", page("quota"), re.MULTILINE)
    assert named is not None
    redis_server.ask("ACL", "SETUSER", "least", "on", ">secret", "+hkeys", *named[1].split())
    url = redis_server.url.replace("//", "//least:secret@", 1)
    async with SharedQuota(url, account="account") as quota:
        await quota.acquire()
        quota.hold()
        await quota.change_settings(max_per_second=100)
    assert [status.account for status in await quota_statuses(url)] == ["account"]
