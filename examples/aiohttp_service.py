"""An aiohttp service that accepts tasks at once (202, or 503 while its queue is full) and stops them in the background.

    VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... python examples/aiohttp_service.py

After SIGTERM it stops what it has accepted, and ends.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import web

import stopcast

QUEUE = web.AppKey("queue", asyncio.Queue[stopcast.Task | None])
STATUSES: web.AppKey[Counter[str]] = web.AppKey("statuses")


async def in_background(app: web.Application) -> AsyncIterator[None]:
    queue, statuses = app[QUEUE], app[STATUSES]

    async def queued() -> AsyncIterator[stopcast.Task]:
        while (task := await queue.get()) is not None:
            yield task

    async def work() -> None:
        async with stopcast.Stopper(endpoint=os.environ.get("STOPCAST_ENDPOINT")) as stopper:
            async for outcome in stopper.stop_all(queued()):
                statuses[outcome.status.value] += 1

    worker = asyncio.create_task(work())
    yield
    await queue.put(None)  # what is in the queue is stopped first
    await worker
    print(dict(statuses))


async def take(request: web.Request) -> web.Response:
    task = stopcast.Task(*await request.json())
    try:
        request.app[QUEUE].put_nowait(task)
    except asyncio.QueueFull:
        return web.Response(status=503, headers={"Retry-After": "1"})
    return web.Response(status=202)


async def totals(request: web.Request) -> web.Response:
    return web.json_response(request.app[STATUSES])


def main() -> None:
    app = web.Application()
    app[QUEUE] = asyncio.Queue(1000)
    app[STATUSES] = Counter()
    app.cleanup_ctx.append(in_background)
    app.add_routes([web.post("/tasks", take), web.get("/tasks", totals)])
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))


if __name__ == "__main__":
    main()
