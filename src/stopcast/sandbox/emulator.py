"""The emulator's server: it answers and records calls, and simulates faults as ``stopcast.sandbox.faults`` decides."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, Self

import orjson
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST, Action, request_body
from stopcast.api.signing import SERVICE
from stopcast.background import Block
from stopcast.checks import check_instance, check_number, check_whole_number
from stopcast.credentials.value import Credentials
from stopcast.errors import ConfigurationError
from stopcast.sandbox.answers import REFUSALS, Answer, ok, refusal, task_state
from stopcast.sandbox.checks import RefusedError, check_action, check_signature, read_target, read_task
from stopcast.sandbox.faults import FAULTS, Call, Deliver, FaultPlan, Faults, send_whole
from stopcast.sandbox.records import Records
from stopcast.tasks.outcome import TaskState
from stopcast.tasks.task import Task

SANDBOX_CREDENTIALS: Final = Credentials("sandbox", "sandbox-secret", source="the sandbox")
_ARRIVED: Final = web.RequestKey("arrived", float)
_PAGES: Final = frozenset({"/stats", "/tasks"})
#: The bound for cancelling the handlers, which usually takes no time.
_SHUTDOWN_SECONDS: Final = 1.0
_BACKLOG: Final = 1024
_http_date: Final = lru_cache(maxsize=8)(partial(formatdate, usegmt=True))


class Emulator(Records):
    """StopWebcast and GetWebCastTask on this machine: an async context manager, whose event loop serves the calls.

    The settings are also attributes, which may be changed while the emulator runs, from other threads too.

    Args:
        running: the tasks that run; None means that every well-formed task runs until it is stopped.
        host: the address to listen on.
        port: the port to listen on, 0 for any free one, which ``url`` then contains.
        ssl_context: holds a certificate; then ``url`` begins with https.
        credentials: the only credentials that are accepted.
        quota_per_second: calls of StopWebcast that pass in any sliding second, None for no quota. Throttled calls do
            not count.
        query_quota_per_second: the same for GetWebCastTask.
        states: fixed states that GetWebCastTask returns for these tasks.
        faults: the faults to simulate, and the latency of answers.
        fail_forever: tasks whose every call is answered with HTTP 500, or a function that selects them.
        refused_apps: AppIds with the error code that each of their calls gets.
        clock_offset: seconds by which its clock is ahead of this machine's, in its checks and in its Date header.

    Raises:
        ConfigurationError: a setting that makes no sense, or an error code that the API does not have.
    """

    def __init__(
        self,
        running: Iterable[Task] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        credentials: Credentials = SANDBOX_CREDENTIALS,
        quota_per_second: int | None = STOP_WEBCAST.quota_per_second,
        query_quota_per_second: int | None = GET_WEBCAST_TASK.quota_per_second,
        states: Mapping[Task, TaskState] = MappingProxyType({}),
        faults: Faults | None = None,
        fail_forever: Collection[Task] | Callable[[Task], bool] = (),
        refused_apps: Mapping[str, str] = MappingProxyType({}),
        clock_offset: float = 0.0,
    ) -> None:
        super().__init__()
        check_instance("credentials", credentials, Credentials)
        check_instance("faults", faults, Faults)
        check_instance("host", host, str)
        check_whole_number("port", port, least=0)
        check_number("port", port, most=65535)
        check_number("clock_offset", clock_offset)
        for name, quota in (("quota_per_second", quota_per_second), ("query_quota_per_second", query_quota_per_second)):
            if quota is not None:
                check_number(name, quota, least=0)
        if unknown := set(refused_apps.values()) - REFUSALS.keys():
            raise ConfigurationError(f"refused_apps: the API has no code {', '.join(sorted(unknown))}")
        self.running = None if running is None else set(running)
        self.credentials = credentials
        self.quota_per_second = quota_per_second
        self.query_quota_per_second = query_quota_per_second
        self.states = states
        self.fail_forever = fail_forever
        self.refused_apps = refused_apps
        self.clock_offset = clock_offset
        self._host, self._port, self._ssl_context = host, port, ssl_context
        self._passed: dict[str, deque[float]] = {STOP_WEBCAST.name: deque(), GET_WEBCAST_TASK.name: deque()}
        self._numbers = itertools.count(1)
        self._unavailable = False
        self._runner: web.ServerRunner
        self._block = Block(type(self).__name__)
        self._loop: asyncio.AbstractEventLoop
        self.faults = faults or Faults()

    @property
    def url(self) -> str:
        """Scheme, host and port, as for ``--endpoint``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self._port}"

    @property
    def faults(self) -> Faults:
        """The faults to simulate, and the latency. Setting it starts planned faults and random numbers again."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._plan = FaultPlan(faults)

    async def __aenter__(self) -> Self:
        with self._block.entering():
            self._loop = asyncio.get_running_loop()
            server = web.Server(self._handle, request_factory=self._receive, access_log=None, handler_cancellation=True)
            self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
            await self._runner.setup()
            await self._listen(self._bind())
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._block.leaving():
            await self._hang_up()
            await self._runner.cleanup()

    def _bind(self) -> socket.socket:
        """Reserve the address. Connections are refused there until ``_listen``."""
        bound = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self._port))
        except BaseException:
            bound.close()
            raise
        self._port = bound.getsockname()[1]
        return bound

    async def _listen(self, bound: socket.socket) -> None:
        await web.SockSite(self._runner, bound, ssl_context=self._ssl_context, backlog=_BACKLOG).start()

    async def _hang_up(self) -> None:
        """Stop listening, and close every connection at once."""
        for site in self._runner.sites:
            await site.stop()
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()

    @asynccontextmanager
    async def outage(self, *, refuse: bool = False) -> AsyncIterator[None]:
        """Answer 503 to every call during the block; with ``refuse``, close and refuse all connections instead."""
        if not refuse:
            self._unavailable = True
            try:
                yield
            finally:
                self._unavailable = False
            return
        await self._on_own_loop(self._hang_up())
        # Otherwise the system may give the port to a client's next connection.
        held = self._bind()
        try:
            yield
        finally:
            if self._runner.server is None:
                held.close()
            else:
                await self._on_own_loop(self._listen(held))

    async def _on_own_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work where the server runs; the caller may have a loop of its own, as in a test with a fixture."""
        if asyncio.get_running_loop() is self._loop:
            await work
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _receive(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        """Record the arrival here, because the handler runs one turn of the event loop later."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()  # virtual time, where a test runs on a virtual clock
        if message.path not in _PAGES:
            queries = GET_WEBCAST_TASK.name in message.path
            (self.queries if queries else self.arrivals).append(arrived)
        return web.BaseRequest(message, payload, protocol, writer, task, loop, state={_ARRIVED: arrived})

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path in _PAGES:
            return self._show(request.raw_path)
        now = time.time() + self.clock_offset
        answer, deliver = self._decide(request, await request.read(), now)
        if answer.code is not None:
            self.by_code[answer.code] += 1
        if (delay_seconds := self._plan.delay_seconds()) > 0:
            await asyncio.sleep(delay_seconds)
        headers = {**answer.headers, "Date": _http_date(int(now))}
        return await deliver(request, answer._replace(headers=headers))

    def _decide(self, request: web.BaseRequest, body: bytes, now: float) -> tuple[Answer, Deliver]:
        target = read_target(request.raw_path)
        metadata = {
            "RequestId": f"sandbox-{next(self._numbers):012d}",
            "Action": target.action,
            "Version": target.version,
            "Service": SERVICE,
            "Region": "cn-north-1",
        }
        if self._unavailable:
            return refusal(metadata, "ServiceUnavailable"), send_whole
        try:
            metadata["Region"] = check_signature(
                self.credentials, target, method=request.method, headers=request.headers, body=body, now=now
            )
            action = check_action(target, method=request.method)
            self._check_quota(action, request[_ARRIVED])
            task = read_task(action, target, body)
        except RefusedError as refused:
            return refusal(metadata, str(refused)), send_whole
        if self.fail_forever(task) if callable(self.fail_forever) else task in self.fail_forever:
            return refusal(metadata, "InternalError"), send_whole
        if (name := self._plan.draw(task)) is None:
            return self._settle(action, metadata, task), send_whole
        self.by_fault[name] += 1
        fault = FAULTS[name]
        return fault.answer(Call(metadata, partial(self._settle, action, metadata, task))), fault.deliver

    def _check_quota(self, action: Action, arrived: float) -> None:
        passed = self._passed[action.name]
        quota = self.quota_per_second if action is STOP_WEBCAST else self.query_quota_per_second
        while passed and arrived - passed[0] >= 1:
            passed.popleft()
        if quota is not None and len(passed) >= quota:
            self.throttled += 1
            raise RefusedError("FlowLimitExceeded.QPSOverLimit")
        passed.append(arrived)

    def _settle(self, action: Action, metadata: Mapping[str, str], task: Task) -> Answer:
        if (code := self.refused_apps.get(task.app_id)) is not None:
            return refusal(metadata, code)
        runs = task not in self._stopped and (self.running is None or task in self.running)
        if action is GET_WEBCAST_TASK:
            return task_state(metadata, self.states.get(task) or self._state(task, runs=runs))
        if not runs:
            return refusal(metadata, "InvalidParameter.ErrorActiveTaskNotFound")
        self._stopped[task] = time.time() + self.clock_offset
        return ok(metadata)

    def _state(self, task: Task, *, runs: bool) -> TaskState:
        if (stopped_at := self._stopped.get(task)) is not None:
            return TaskState(3, "StopByAPI", int(stopped_at * 1000))
        return TaskState(2 if runs else 0)

    def _show(self, page: str) -> web.Response:
        if page == "/stats":
            return web.Response(body=orjson.dumps(self.stats()), content_type="application/json")
        return web.Response(body=b"".join(request_body(task) + b"\n" for task in self._stopped))
