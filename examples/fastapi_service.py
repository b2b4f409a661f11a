"""A FastAPI service that stops webcast tasks: it takes a list, streams the outcomes, and serves metrics.

    VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... uvicorn fastapi_service:app

STOPCAST_ENDPOINT names another endpoint, such as the address of `stopcast sandbox`.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from prometheus_client import make_asgi_app
from pydantic import BaseModel

import stopcast
from stopcast.prometheus import PrometheusObserver


class Item(BaseModel):
    app_id: str
    room_id: str
    task_id: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, stopcast.Stopper]]:
    # One Stopper for all requests: they share its cap and take turns. Leaving the block lets calls in flight finish.
    endpoint = os.environ.get("STOPCAST_ENDPOINT")
    async with stopcast.Stopper(endpoint=endpoint, observers=[PrometheusObserver()]) as stopper:
        yield {"stopper": stopper}


app = FastAPI(lifespan=lifespan)
app.mount("/metrics", make_asgi_app())


@app.post("/stop")
async def stop(items: list[Item], request: Request, priority: int = 0) -> StreamingResponse:
    stopper: stopcast.Stopper = request.state.stopper
    tasks = [stopcast.Task(item.app_id, item.room_id, item.task_id) for item in items]

    async def lines() -> AsyncIterator[bytes]:
        # When the client disconnects, this closes the stream, and no further task of its list is sent.
        async with aclosing(stopper.stop_all(tasks, priority=priority)) as outcomes:
            async for outcome in outcomes:
                line = {"task": [*outcome.task], "status": outcome.status, "code": outcome.code}
                yield orjson.dumps(line) + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")
