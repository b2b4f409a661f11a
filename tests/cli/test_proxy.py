"""``--proxy``: the command's calls go through it, and its password is shown nowhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from stopcast.sandbox import Emulator
from support.connect_proxy import connect_proxy
from support.processes import Shell


@asynccontextmanager
async def secure_emulator(shell: Shell) -> AsyncIterator[Emulator]:
    """Run an emulator whose certificate the shell's commands trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(shell / "ca.pem")
    shell.variables["SSL_CERT_FILE"] = str(shell / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Emulator(ssl_context=context, quota_per_second=None, query_quota_per_second=None) as emulator:
        yield emulator


async def run(shell: Shell, *arguments: str) -> tuple[int, str]:
    """Run a command while this event loop serves; return its status and all that it printed."""
    process = shell.start(*arguments)
    printed = await asyncio.to_thread(process.communicate)
    return process.returncode, "".join(stream.decode() for stream in printed)


@pytest.mark.parametrize("named_by", ["option", "variable"])
async def test_a_run_a_verification_and_the_doctor_go_through_the_proxy(shell: Shell, named_by: str) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    async with secure_emulator(shell) as emulator, connect_proxy() as proxy:
        url = proxy.url.replace("://", "://user:s3cr3t@")
        options = ["--endpoint", emulator.url]
        if named_by == "option":
            options += ["--proxy", url]
        else:
            shell.variables["STOPCAST_PROXY"] = url
        for command in (
            ("run", "list.csv", "-o", "report.jsonl", "-v"),
            ("verify", "report.jsonl", "-o", "verified.jsonl"),
            ("doctor",),
        ):
            opened = proxy.opened
            status, shown = await run(shell, *command, *options)
            assert status == 0, shown
            assert proxy.opened > opened
            assert "s3cr3t" not in shown
            assert ("can see the password in --proxy" in shown) is (named_by == "option")
        assert emulator.stopped
    assert "s3cr3t" not in (shell / "report.jsonl").read_text()


async def test_a_run_behind_a_proxy_that_refuses_says_so_and_its_next_command_hides_the_password(shell: Shell) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    async with secure_emulator(shell) as emulator, connect_proxy() as proxy:
        proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        url = proxy.url.replace("://", "://user:s3cr3t@")
        status, shown = await run(
            shell, "run", "list.csv", "--endpoint", emulator.url, "--proxy", url, "--max-attempts", "1"
        )
    assert status == 1
    report = (shell / "stopcast-report.jsonl").read_text()
    assert "407" in report
    assert "s3cr3t" not in shown + report


@pytest.mark.parametrize("url", ["proxy:3128", "socks5://user:s3cr3t@proxy", "http://user:s3cr3t@proxy/path"])
def test_a_proxy_that_cannot_be_used_is_wrong_usage(shell: Shell, url: str) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    finished = shell.run("run", "list.csv", "--proxy", url)
    assert finished.status == 2
    assert "--proxy" in finished.err
    assert "s3cr3t" not in finished.err


def test_a_sandbox_needs_no_proxy(shell: Shell) -> None:
    (shell / "list.csv").write_text("AppId,RoomId,TaskId\na,r,t\n")
    shell.variables["STOPCAST_PROXY"] = "http://proxy.invalid:3128"
    assert shell.run("run", "list.csv", "--sandbox").status == 0
