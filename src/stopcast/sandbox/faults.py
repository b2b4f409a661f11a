"""The table of faults that the emulator can simulate, and the settings for when each one happens."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from random import Random
from typing import Final, NamedTuple, Self

from aiohttp import web

from stopcast.api.endpoint import ACTION
from stopcast.checks import near_names
from stopcast.errors import ConfigurationError
from stopcast.sandbox.answers import REFUSALS, Answer, ok, refusal
from stopcast.tasks.task import Task

_DRIP_SECONDS: Final = 1.0
_HUGE_BLOCK: Final = b" " * (1 << 16)
_HUGE_BLOCKS: Final = 1 << 10
_MISSING_BYTES: Final = 100
_HIT_PATTERN: Final = re.compile(r"(?P<name>[\w.]+)\s*=\s*(?P<share>\d+(\.\d+)?)\s*%")

Deliver = Callable[[web.BaseRequest, Answer], Awaitable[web.StreamResponse]]


async def send_whole(_: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Send the answer as it is."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def _send_cut(_: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    length = str(len(answer.body) + _MISSING_BYTES)
    response = web.Response(
        status=answer.status, body=answer.body, headers={**answer.headers, "Content-Length": length}
    )
    response.force_close()
    return response


async def _send_drop_by_drop(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    drops = (answer.body[place : place + 1] for place in range(len(answer.body)))
    return await _stream(request, answer, drops, length=len(answer.body), pause_seconds=_DRIP_SECONDS)


async def _send_huge(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    return await _stream(request, answer, repeat(_HUGE_BLOCK, _HUGE_BLOCKS), length=len(_HUGE_BLOCK) * _HUGE_BLOCKS)


async def _stream(
    request: web.BaseRequest, answer: Answer, blocks: Iterable[bytes], *, length: int, pause_seconds: float = 0.0
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={**answer.headers, "Content-Length": str(length)})
    # A client that closes the connection has reacted as the fault intends.
    with suppress(ConnectionError):
        await response.prepare(request)
        for block in blocks:
            await response.write(block)
            await asyncio.sleep(pause_seconds)
    return response


async def _close(request: web.BaseRequest, _: Answer) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # aiohttp needs one, and cannot send it


async def _reset(request: web.BaseRequest, _: Answer) -> web.StreamResponse:
    if request.transport is not None:
        # Without lingering, the kernel answers the client with RST instead of FIN.
        raw_socket = request.transport.get_extra_info("socket")
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _never(_request: web.BaseRequest, _: Answer) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


class Call(NamedTuple):
    """A call that has passed the checks.

    Attributes:
        metadata: part of every answer to it.
        settle: carries the call out, for example stops the task, and returns the true answer.
    """

    metadata: Mapping[str, str]
    settle: Callable[[], Answer]


class Fault(NamedTuple):
    """An answer, and how it is sent, or not sent."""

    answer: Callable[[Call], Answer]
    deliver: Deliver = send_whole


def _refused(code: str) -> Fault:
    return Fault(lambda call: refusal(call.metadata, code))


def _instead(answer: Answer) -> Fault:
    """Answer as a proxy before the API would; the task is not stopped."""
    return Fault(lambda _: answer)


def _throttled_with_200(call: Call) -> Answer:
    return refusal(call.metadata, "FlowLimitExceeded.QPSOverLimit")._replace(status=200)


def _settled(call: Call) -> Answer:
    return call.settle()


def _ignored(call: Call) -> Answer:
    return ok(call.metadata) if call.metadata["Action"] == ACTION else call.settle()


def _compressed(call: Call) -> Answer:
    answer = call.settle()
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return answer._replace(body=gzip.compress(answer.body), headers=headers)


def _nothing(_: Call) -> Answer:
    return Answer()


_HTML: Final = {"Content-Type": "text/html"}

#: By name. With close_after, reset_after, cut_body, drip and gzip the task is stopped; with the others it is not.
FAULTS: Final[Mapping[str, Fault]] = {
    "gone": _refused("InvalidParameter.ErrorActiveTaskNotFound"),
    "throttled": _refused("FlowLimitExceeded.QPSOverLimit"),
    "throttled_200": Fault(_throttled_with_200),
    "internal": _refused("InternalError"),
    "unavailable": _refused("ServiceUnavailable"),
    "timestamp": _refused("InvalidTimestamp"),
    "access_key": _refused("InvalidAccessKey"),
    "signature": _refused("SignatureDoesNotMatch"),
    "denied": _refused("AccessDenied"),
    "app": _refused("InvalidParameter.NotExistAppId"),
    "parameter": _refused("InvalidParameter"),
    "html_502": _instead(Answer(status=502, body=b"<html><body>502 Bad Gateway</body></html>", headers=_HTML)),
    "redirect": _instead(Answer(status=302, headers={"Location": "/elsewhere"})),
    "empty": _instead(Answer()),
    "not_json": _instead(Answer(body=b"<html><body>Welcome</body></html>", headers=_HTML)),
    "huge": Fault(_nothing, _send_huge),
    "hang": Fault(_nothing, _never),
    "close": Fault(_nothing, _close),
    "reset": Fault(_nothing, _reset),
    "ignored": Fault(_ignored),
    "close_after": Fault(_settled, _close),
    "reset_after": Fault(_settled, _reset),
    "cut_body": Fault(_settled, _send_cut),
    "drip": Fault(_settled, _send_drop_by_drop),
    "gzip": Fault(_compressed),
    **{code: _refused(code) for code in REFUSALS},
}


@dataclass(frozen=True, slots=True)
class Faults:
    """Which calls meet a fault, and how long answers take.

    Attributes:
        hits: by the fault's name, either the share of calls that meet it (0 to 1, at most 1 in sum), or tasks. Each
            mention of a task is one call: a task that is listed twice meets the fault twice, and a task that is listed
            under two faults meets the first, then the second.
        latency_seconds: between a call's effect and its answer.
        jitter_seconds: how far the latency varies up and down, uniformly distributed.
        seed: of the random numbers.

    Raises:
        ConfigurationError: a name is not in ``FAULTS``, or a share is out of range.
    """

    hits: Mapping[str, float | Collection[Task]] = field(default_factory=dict)
    latency_seconds: float = field(default=0.0, kw_only=True)
    jitter_seconds: float = field(default=0.0, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for name in self.hits:
            if name not in FAULTS:
                raise _no_such_fault(name)
        shares = [hit for hit in self.hits.values() if isinstance(hit, int | float)]
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ConfigurationError("faults: each share must be 0 to 100 %, and their sum too, such as throttled=5%")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the faults that a text such as "throttled=5%,reset=2%" names.

        Raises:
            ConfigurationError: a name is not in ``FAULTS`` or occurs twice, or a share is out of range.
        """
        hits: dict[str, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            match = _HIT_PATTERN.fullmatch(item)
            if match is None:
                raise ConfigurationError(f"fault {item!r}: expected NAME=SHARE%, such as throttled=5%")
            if match["name"] in hits:
                raise ConfigurationError(f"fault {match['name']!r} is named twice")
            hits[match["name"]] = float(match["share"]) / 100
        return cls(hits)


def _no_such_fault(name: str) -> ConfigurationError:
    if close := near_names(name, FAULTS):
        return ConfigurationError(f"fault {name!r}: there is no fault of this name. Did you mean {close[0]!r}?")
    return ConfigurationError(
        f"fault {name!r}: there is no fault of this name. `stopcast sandbox --help` lists them all"
    )


class FaultPlan:
    """The faults still to come, as ``Faults`` defines them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = Random(faults.seed)
        self._shares: list[tuple[str, float]] = []
        self._queued: dict[Task, deque[str]] = {}
        for name, hit in faults.hits.items():
            if isinstance(hit, int | float):
                self._shares.append((name, hit))
                continue
            for task in hit:
                self._queued.setdefault(Task(*task), deque()).append(name)

    def draw(self, task: Task) -> str | None:
        """Return the name of the fault for this call, None for no fault."""
        if queue := self._queued.get(task):
            return queue.popleft()
        chance = self._random.random()
        for name, share in self._shares:
            chance -= share
            if chance < 0:
                return name
        return None

    def delay_seconds(self) -> float:
        """Return the latency of this answer."""
        jitter_seconds = self._faults.jitter_seconds
        return self._faults.latency_seconds + self._random.uniform(-jitter_seconds, jitter_seconds)
