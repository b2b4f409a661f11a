"""A client of the emulator that signs with the program's own signer."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import trustme
from yarl import URL

from stopcast.api.actions import request_body
from stopcast.api.endpoint import Endpoint
from stopcast.api.signing import Signer
from stopcast.credentials.value import Credentials
from stopcast.ports import Request
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.tasks.task import Task

TASK = Task("app", "room", "task-1")
GONE = "InvalidParameter.ErrorActiveTaskNotFound"


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self) -> str | None:
        """ "ok", or the error's code, or None where the answer is none of the API's."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return None
        error = answer["ResponseMetadata"].get("Error")
        return str(error["Code"] if error else answer["Result"])


class Client:
    """Signs with the program's own signer, sends with aiohttp, and lets a test spoil what is sent."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def stop(
        self,
        task: Task = TASK,
        *,
        credentials: Credentials = SANDBOX_CREDENTIALS,
        version: str = "2020-12-01",
        ahead: float = 0.0,
        body: bytes | None = None,
        spoil: Callable[[dict[str, str]], object] = lambda _: None,
        query: str | None = None,
    ) -> Answer:
        endpoint = Endpoint.parse(self.url, version=version)
        query = endpoint.query if query is None else query
        signer = Signer(credentials, host=endpoint.host, region=endpoint.region, query=query)
        body = request_body(task) if body is None else body
        headers = signer.sign(Request(body, query), time.time() + ahead)
        spoil(headers)
        return await self.send(body, headers, query)

    async def send(self, body: bytes, headers: dict[str, str], query: str) -> Answer:
        url = URL(f"{self.url}/?{query}", encoded=True)
        async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> bytes:
        async with self.session.get(self.url + path) as response:
            return await response.read()


Connect = Callable[..., Awaitable[Client]]


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def meet(client: Client) -> type[BaseException] | tuple[int, str | None]:
    try:
        answer = await client.stop()
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        return type(error)
    return answer.status, answer.code
