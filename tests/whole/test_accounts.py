"""Whatever the list, the faults and the crashes: rows in are lines out, and the report agrees with the API."""

from __future__ import annotations

import asyncio
import fcntl
import json
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from stopcast import RetryPolicy, StopcastError, Stopper, Task, Unlimited, ports
from stopcast.ports import Gate, Request, TransportError
from stopcast.run import Run
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.sandbox.answers import Answer, ok, refusal
from stopcast.tasks.outcome import Status
from stopcast.virtual_clock import VirtualClock
from support.lists import open_list
from support.processes import read_report

GONE, REFUSED, BAD_APP = "gone", "refused", "bad-app"
NO_SUCH_TASK: Final = "InvalidParameter.ErrorActiveTaskNotFound"
#: What may become of a call, and how often.
FATES: Final = {
    "answered": 12,
    "InternalError": 2,
    "FlowLimitExceeded": 1,
    "not connected": 1,
    "lost, not done": 1,
    "lost, done": 2,
    "silent, not done": 1,
    "silent, done": 1,
}
#: The ways in which a run ends early. Those of a kill leave the files as they were at that instant.
KILLS: Final = ("killed", "killed, a line torn", "power cut")
ENDS: Final = (*KILLS, "cancelled", "interrupted", "interrupted twice")


class Api:
    """An account with its tasks, reached by a transport that loses things. It outlives the runs."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.faulty = True
        self.stopped: set[Task] = set()
        self.calls = Counter[Task]()
        #: Of the present run: tasks sent, tasks whose final answer arrived, and calls that have no effect yet.
        self.sent_for: list[Task] = []
        self.ended: set[Task] = set()
        self._on_the_way: dict[Task, str] = {}
        self._end: tuple[int, Callable[[], None]] | None = None
        self._dead = False

    def begin(self, *, end: tuple[int, Callable[[], None]] | None) -> None:
        """Begin a run; ``end`` is the number of calls after which it ends, and the function that ends it."""
        self.sent_for, self.ended, self._on_the_way, self._end, self._dead = [], set(), {}, end, False

    def die(self) -> None:
        """Let each call on its way arrive or not, by chance; no answer comes back."""
        for task, fate in self._on_the_way.items():
            if self.chance.random() < 0.5:
                self._answer(task, fate)
        self._dead = True

    async def send(self, request: Request, gate: Gate) -> ports.Answer:
        task = Task(*orjson.loads(request.body).values())
        (fate,) = self.chance.choices(list(FATES), list(FATES.values())) if self.faulty else ("answered",)
        if fate == "not connected":
            raise TransportError("refused", unsent=True)
        await gate.permit()
        gate.admit()
        assert task not in self.ended, "sent again after its end was known"
        self.sent_for.append(task)
        self.calls[task] += 1
        if self._end is not None and len(self.sent_for) == self._end[0]:
            asyncio.get_running_loop().call_later(self.chance.uniform(0.0, 0.2), self._end[1])
        self._on_the_way[task] = fate
        try:
            await self._pause()
        finally:
            del self._on_the_way[task]
        answer = self._answer(task, fate)
        await self._pause()
        if fate.startswith("silent"):
            await asyncio.sleep(1e9)
        if fate.startswith("lost") or self._dead:
            raise TransportError("connection lost")
        if fate == "answered":
            self.ended.add(task)
        return ports.Answer(answer.status, answer.headers, answer.body)

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.001, 0.1))

    def _answer(self, task: Task, fate: str) -> Answer:
        if self._dead or fate.endswith("not done"):
            return Answer()
        if fate in {"InternalError", "FlowLimitExceeded"}:
            return refusal({}, fate if fate == "InternalError" else "FlowLimitExceeded.QPSOverLimit")
        if task.app_id == BAD_APP and self.faulty:
            return refusal({}, "InvalidParameter.NotExistAppId")
        if task.room_id == REFUSED:
            return refusal({}, "InvalidParameter")
        if task.room_id == GONE or task in self.stopped:
            return refusal({}, NO_SUCH_TASK)
        self.stopped.add(task)
        return ok({})


class Account:
    """A list, its report, and the runs over it."""

    def __init__(self, folder: Path, rows: Sequence[Task | str], *, form: str, seed: int) -> None:
        self.rows = list(rows)
        self.form = form
        self.chance = random.Random(seed)
        self.api = Api(self.chance)
        self.list = folder / f"list.{form}"
        self.report = folder / "report.jsonl"
        self.flights = folder / "report.jsonl.inflight"
        #: Tasks whose line a power cut took away, the note that they were in flight with it.
        self.forgotten: set[Task] = set()
        self._kept: dict[Path, bytes] = {}
        #: Outcomes of the last run by status.
        self.totals = Counter[Status]()

    def settled(self) -> set[Task]:
        """Return the tasks that the report settles; its last line may be torn."""
        if not self.report.exists():
            return set()
        lines = map(json.loads, self.report.read_bytes().rpartition(b"\n")[0].splitlines())
        kinds = {status for status in Status if status.settled} - {Status.DUPLICATE, Status.INVALID}
        return {Task(it["AppId"], it["RoomId"], it["TaskId"]) for it in lines if it["status"] in kinds}

    def run(self, end: tuple[str, int] | None = None) -> Run:
        """Run to the end, or to an early end."""
        self.chance.shuffle(self.rows)
        write(self.list, self.rows, self.form)
        before = self.settled()
        with asyncio.Runner(loop_factory=VirtualClock) as runner:
            run = runner.run(self._run(end))
        self._wait_for_the_lock()
        assert before.isdisjoint(self.api.sent_for)
        if end is not None and self._kept:
            self._leave_as_killed(end[0])
        return run

    def _wait_for_the_lock(self) -> None:
        """Wait until a sync that the run left has returned. It holds the lock, and virtual time does not wait."""
        if self.report.exists():
            with self.report.open() as report:
                fcntl.flock(report, fcntl.LOCK_EX)

    async def _run(self, end: tuple[str, int] | None) -> Run:
        policy = RetryPolicy(max_attempts=4)
        self._kept = {}
        self.api.begin(end=None)
        ours = asyncio.current_task()
        assert ours is not None
        async with Stopper(
            SANDBOX_CREDENTIALS,
            transport=self.api,
            limiter=Unlimited(),
            retry=policy,
            max_at_once=8,
            max_waiting=8,
            drain_seconds=0,
        ) as stopper:
            run = Run(stopper, self.report, resume=True, grace_seconds=1.0)
            if end is not None:
                kind, calls = end
                self.api.begin(end=(calls, lambda: self._end(kind, run, ours)))
            async with aclosing(open_list(self.list)) as batches:
                with suppress(*([StopcastError, asyncio.CancelledError] if end else [])):
                    await run.stop_lists(batches)
            self.totals = run.summary().statuses
        return run

    def _end(self, kind: str, run: Run, ours: asyncio.Task[Run]) -> None:
        if kind.startswith("interrupted"):
            run.interrupt(signal.SIGINT)
        if kind == "interrupted twice":
            run.interrupt(signal.SIGINT)
        if kind in KILLS:
            self._kept = {path: path.read_bytes() for path in (self.report, self.flights) if path.exists()}
            self.api.die()
        if kind in KILLS or kind == "cancelled":
            ours.cancel()

    def _leave_as_killed(self, kind: str) -> None:
        for path in (self.report, self.flights):
            path.unlink(missing_ok=True)
        for path, content in self._kept.items():
            path.write_bytes(content)
        before = self.settled()
        whole = self.report.read_bytes()
        if kind == "killed, a line torn" and whole:
            self.report.write_bytes(whole + whole[: self.chance.randrange(whole.index(b"\n"))])
        if kind == "power cut":
            last = b"".join(whole.splitlines(keepends=True)[-3:])
            self.report.write_bytes(whole[: len(whole) - self.chance.randint(0, len(last))])
            self.forgotten |= before - self.settled()


def write(path: Path, rows: Sequence[Task | str], form: str) -> None:
    """Write the rows; those that are no task stand there in the form's own way to be none."""
    if form == "csv":
        bad = {"empty": "a,,t", "short": "a,r", "odd": "a,r,no id"}
        lines = ["AppId,RoomId,TaskId", *(bad[row] if isinstance(row, str) else ",".join(row) for row in rows)]
    else:
        bad = {"empty": '["a","","t"]', "short": '{"AppId":"a"}', "odd": '{"AppId":'}
        lines = [bad[row] if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))


def task(number: int) -> Task:
    room = {3: GONE, 5: REFUSED}.get(number % 7, "room-1")
    return Task(BAD_APP if number % 11 == 10 else "app-1", room, f"task-{number}")


ROWS = st.lists(st.one_of(st.integers(0, 60).map(task), st.sampled_from(["empty", "short", "odd"])), max_size=90)


@settings(max_examples=200, deadline=None)
@given(
    rows=ROWS,
    form=st.sampled_from(["csv", "jsonl"]),
    ends=st.lists(st.tuples(st.sampled_from(ENDS), st.integers(1, 40)), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_rows_in_are_lines_out_each_task_is_settled_once_and_the_report_agrees_with_the_api(
    rows: list[Task | str], form: str, ends: list[tuple[str, int]], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        account = Account(Path(folder), rows, form=form, seed=seed)
        api = account.api
        for end in ends:
            account.run(end)
        account.run()
        api.faulty = False
        account.run()

        lines = read_report(account.report) if account.report.exists() else []
        by_status: dict[str, list[Task]] = {status: [] for status in Status}
        for line in lines:
            by_status[line["status"]].append(Task(line["AppId"] or "", line["RoomId"] or "", line["TaskId"] or ""))
        listed = [row for row in rows if isinstance(row, Task)]
        assert len(lines) == len(rows)
        assert len(by_status["invalid"]) == len(rows) - len(listed)
        assert Counter(by_status["duplicate"]) == Counter(listed) - Counter(set(listed))
        assert account.totals == Counter({Status(kind): len(its) for kind, its in by_status.items() if its})

        ended = [one for kind in Status if kind not in {"invalid", "duplicate"} for one in by_status[kind]]
        assert Counter(ended) == Counter(set(listed))
        stopped, presumed, already = (
            set(by_status[kind]) for kind in ("stopped", "presumed_stopped", "already_stopped")
        )
        assert not by_status["gave_up"]
        assert not by_status["set_aside"]
        assert api.stopped <= set(listed)
        assert stopped <= api.stopped <= stopped | presumed | account.forgotten
        assert {one for one in already if one.room_id != GONE} <= account.forgotten
        assert all(api.calls[one] > 1 for one in presumed)
        assert all(one.room_id == REFUSED or one.app_id == BAD_APP for one in by_status["failed"])
        assert not account.flights.exists()
