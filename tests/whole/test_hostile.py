"""What wishes the run ill: servers that echo, clocks that jump, lists that change, ids and messages with a purpose."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from stopcast import Credentials, RetryPolicy, Status, Stopper, Unlimited
from stopcast.events import ClockCorrected, Event
from stopcast.report.line import line_of
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sandbox.thread import serving
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task
from support.processes import Shell, end_of, lines_by_task, read_report, statuses, tasks, until, write_csv

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
SECRET, TOKEN = "sEcReT/0123456789+abcdef==", "STS.tOkEn-0123456789"
CLEAR_SCREEN = "\x1b[2J\x9b2J\x07"


# Clocks


async def test_a_clock_that_jumps_by_an_hour_while_calls_go_out_costs_one_correction_each_time_and_no_task() -> None:
    events: list[Event] = []
    async with Emulator(quota_per_second=None, clock_offset=1200) as emulator:
        settings = {"endpoint": emulator.url, "limiter": Unlimited(), "max_at_once": 16, "observers": [events.append]}
        ended = []
        async with Stopper(SANDBOX_CREDENTIALS, **settings) as stopper:  # type: ignore[arg-type]
            async for outcome in stopper.stop_all(tasks(300)):
                ended.append(outcome.status)
                if len(ended) in {100, 200}:
                    emulator.clock_offset += -3600 if len(ended) == 100 else 7200
    assert ended == [Status.STOPPED] * 300
    corrections = [event.offset_seconds for event in events if isinstance(event, ClockCorrected)]
    assert [round(offset / 1200) for offset in corrections] == [1, -2, 4]


# Answers

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (b"", b"\r\n" * 1000),
        (_CHUNKED, b"1\r\n \r\n" * 1000),
        (_CHUNKED + b"2;", b"a=b;" * 1000),
        (_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: b\r\n" * 1000),
        (b"HTTP/1.1 200 ", b"a" * 4000),
    ],
    ids=["provisional answers", "empty lines", "tiny chunks", "chunk extensions", "trailers", "status line"],
)
async def test_an_answer_without_end_of_any_kind_ends_as_no_answer(begins: bytes, goes_on: bytes) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"}")
            writer.write(begins)
            while True:
                writer.write(goes_on)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        policy = RetryPolicy(max_attempts=1)
        async with Stopper(SANDBOX_CREDENTIALS, endpoint=url, timeout_seconds=0.3, retry=policy) as stopper:
            outcome = await stopper.stop(Task("a", "r", "t"))
    assert (outcome.status, outcome.http_status, outcome.in_doubt) == (Status.GAVE_UP, None, True)


# Lists


@pytest.mark.parametrize("change", ["grows", "is truncated"])
def test_a_list_that_changes_while_it_is_read_is_taken_as_it_is_found(shell: Shell, api: Emulator, change: str) -> None:
    first, further = tasks(600), tasks(50, first=600)
    # Rows so long that few are read ahead.
    rows = [f"{'x' * 8000},{','.join(task)}\n" for task in [*first, *further]]
    header = "Note,AppId,RoomId,TaskId\n"
    (shell / "list.csv").write_text(header + "".join(rows[:600]))
    calls = count(1)

    def change_the_list_at_the_tenth(_: Task) -> bool:
        if next(calls) != 10:
            pass
        elif change == "grows":
            with (shell / "list.csv").open("a") as growing:
                growing.writelines(rows[600:])
        else:
            # In the note of row 501: nothing of its task is left.
            os.truncate(shell / "list.csv", len(header) + sum(map(len, rows[:500])) + 5)
        return False

    api.fail_forever = change_the_list_at_the_tenth
    options = ("--endpoint", api.url, "--max-per-second", "100000", "--max-at-once", "4")
    ended = shell.run("run", "list.csv", *options)
    assert ended.without_traceback, ended.err
    if change == "grows":
        assert (ended.status, set(api.stopped)) == (0, {*first, *further})
    else:
        assert (ended.status, set(api.stopped)) == (2, set(first[:500]))
        assert "its last line has no end yet" in ended.err
        assert statuses(shell / REPORT) == {"stopped": 500}
    assert max(lines_by_task(shell / REPORT).values()) == 1


def test_an_id_that_would_be_another_header_query_or_path_is_not_sent(shell: Shell, api: Emulator, at: At) -> None:
    wicked = [
        "t\r\nX-Date: 20200101T000000Z", "t\nHost: elsewhere", "t&Action=DeleteApp", "?Action=DeleteApp", "../../admin",
        "t#", "t%00", 't","AppId":"other', "\u202et", "t\0", "\uff54", "t ",
    ]  # fmt: skip
    rows = [json.dumps({**dict.fromkeys(("AppId", "RoomId", "TaskId"), "t"), key: bad})
            for bad in wicked for key in ("AppId", "RoomId", "TaskId")]  # fmt: skip
    ended = shell.run("run", "-", "--format", "jsonl", *at, given="\n".join(rows).encode())
    assert ended.status == 1
    assert statuses(shell / REPORT)["invalid"] >= len(rows) - 3  # a space at the end is stripped
    assert api.stopped <= {Task("t", "t", "t")}


# Secrets


@contextmanager
def answering(status: int, error_of: Callable[[str], dict[str, str]]) -> Iterator[str]:
    """Serve an API whose every answer is an error, made of the headers that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            error = error_of(str(self.headers))
            body = json.dumps({"ResponseMetadata": {"RequestId": error["Message"], "Error": error}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_secrets(shell: Shell) -> Credentials:
    credentials = Credentials("AKLTexample", SECRET, TOKEN)
    shell.variables |= {
        "VOLCENGINE_ACCESS_KEY": "AKLTexample",
        "VOLCENGINE_SECRET_KEY": SECRET,
        "VOLCENGINE_SESSION_TOKEN": TOKEN,
    }
    return credentials


def assert_no_secret(shell: Shell, *said: str) -> None:
    files = [path.read_bytes().decode("latin-1") for path in shell.directory.rglob("*") if path.is_file()]
    for text in [*said, *files]:
        assert SECRET not in text
        assert TOKEN not in text


def test_no_secret_is_in_what_a_run_says_or_writes_or_in_the_list_of_processes(shell: Shell) -> None:
    shell.variables |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:1")
    struck = tasks(80)
    faults = Faults(
        {"internal": struck[:20], "reset_after": struck[20:40], "not_json": struck[40:60], "parameter": struck[60:]},
        latency_seconds=0.02,
    )
    with serving(Emulator(quota_per_second=None, credentials=with_secrets(shell), faults=faults)) as api:
        write_csv(shell / "list.csv", tasks(300))
        process = shell.start(
            "run", "list.csv", "--endpoint", api.url, "-v", "--json", "--max-per-second", "500", fresh=True
        )
        until(lambda: api.calls > 20)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        in_flight = (shell / f"{REPORT}.inflight").read_bytes().decode("latin-1")
        ended = end_of(process)
        assert ended.status == 1
        assert len(read_report(shell / REPORT)) == 300
        assert_no_secret(shell, ended.out, ended.err, arguments, in_flight)
        api.faults = Faults({"signature": 1.0})
        refused = shell.run("run", "list.csv", "--endpoint", api.url, "-v", "-o", "refused.jsonl")
        assert refused.status == 3
        assert_no_secret(shell, refused.out, refused.err)


def test_a_token_that_a_server_sends_back_is_not_written_down(shell: Shell) -> None:
    with_secrets(shell)
    with answering(400, lambda sent: {"Code": f"InvalidParameter.{sent}", "Message": f"what you sent: {sent}"}) as url:
        ended = shell.run("run", "-", "--endpoint", url, "-v", "--max-attempts", "1", given=b"a,r,t\na,r,u\n")
    assert ended.status == 1
    assert statuses(shell / REPORT) == {"failed": 2}
    assert "what you sent" in (shell / REPORT).read_text()
    assert_no_secret(shell, ended.out, ended.err)


# What others say, on a terminal


def test_control_characters_that_others_wrote_never_reach_the_terminal(shell: Shell) -> None:
    wicked = f"Evil{CLEAR_SCREEN}"
    outcome = Outcome(
        Task(wicked, wicked, wicked), Status.FAILED, 1, wicked, wicked, 400, wicked, wicked, 1, 1795377600.0, 0.1
    )
    (shell / REPORT).write_bytes(line_of(outcome))
    _, shown = shell.terminal("summary", REPORT)
    assert "Evil" in shown
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)


def test_a_message_of_the_api_is_shown_without_its_control_characters(shell: Shell) -> None:
    (shell / "list.csv").write_text("a,r,t\n")
    with answering(500, lambda _: {"Code": f"Evil{CLEAR_SCREEN}", "Message": f"Evil{CLEAR_SCREEN}"}) as url:
        options = ("--endpoint", url, "--max-attempts", "2", "--halt-after", "1", "-v")
        status, shown = shell.terminal("run", "list.csv", *options)
    assert status == 3
    assert shown.count("Evil") >= 2
    assert "\x1b[2J" not in shown
    assert not {"\x9b", "\x07"} & set(shown)
