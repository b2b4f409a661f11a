"""A FastAPI service that stops webcast tasks: one, or a list whose outcomes it streams. It serves metrics and health.

    VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... uvicorn fastapi_service:app --timeout-graceful-shutdown 10

After SIGTERM, requests have those 10 seconds to finish. What has not been sent by then is not sent. STOPCAST_ENDPOINT
names another endpoint, such as the address of `stopcast sandbox`.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
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


@app.exception_handler(stopcast.StopcastError)
async def unavailable(_: Request, error: stopcast.StopcastError) -> JSONResponse:
    """Answer 503 for what is not about the request's task: a refused key, or a shutdown."""
    return JSONResponse({"error": str(error)}, 503)


@app.get("/health")
async def health(request: Request) -> JSONResponse:
    stopper: stopcast.Stopper = request.state.stopper
    return JSONResponse({"state": stopper.state.value}, 503 if stopper.error else 200)


@app.delete("/tasks/{app_id}/{room_id}/{task_id}")
async def stop_one(app_id: str, room_id: str, task_id: str, request: Request) -> dict[str, str | bool | None]:
    stopper: stopcast.Stopper = request.state.stopper
    outcome = await stopper.stop(stopcast.Task(app_id, room_id, task_id), priority=1)
    return {"status": outcome.status, "good": outcome.good, "code": outcome.code}


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
