"""A FastAPI service that stops webcast tasks: one, or a list whose outcomes it streams. It serves metrics and health.

    VOLCENGINE_ACCESS_KEY=... VOLCENGINE_SECRET_KEY=... uvicorn --app-dir examples fastapi_service:app

After SIGTERM calls in flight finish, requests for further tasks are answered 503, and a list's last line says how many
of its tasks were not sent. STOPCAST_ENDPOINT names another endpoint, such as the address of `stopcast sandbox`.
It needs fastapi, uvicorn and stopcast[prometheus].
"""

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

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
    # One Stopper for all requests: they share its cap and take turns.
    endpoint = os.environ.get("STOPCAST_ENDPOINT")
    async with stopcast.Stopper(endpoint=endpoint, observers=[PrometheusObserver()]) as stopper:
        end_server = signal.getsignal(signal.SIGTERM)

        def end(number: int, frame: FrameType | None) -> None:
            # At once: uvicorn leaves this block only after all requests have ended.
            stopper.drain()
            if callable(end_server):
                end_server(number, frame)

        signal.signal(signal.SIGTERM, end)
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
async def stop_one(app_id: str, room_id: str, task_id: str, request: Request) -> dict[str, Any]:
    stopper: stopcast.Stopper = request.state.stopper
    outcome = await stopper.stop(stopcast.Task(app_id, room_id, task_id), priority=1)
    return {**outcome.as_json(), "good": outcome.good}


@app.post("/stop")
async def stop(items: list[Item], request: Request, priority: int = 0) -> StreamingResponse:
    stopper: stopcast.Stopper = request.state.stopper
    tasks = [stopcast.Task(item.app_id, item.room_id, item.task_id) for item in items]

    async def lines() -> AsyncIterator[bytes]:
        sent = 0
        try:
            # When the client disconnects, this closes the stream, and no further task of its list is sent.
            async with stopper.stop_all(tasks, priority=priority) as outcomes:
                async for outcome in outcomes:
                    sent += 1
                    yield orjson.dumps(outcome.as_json()) + b"\n"
        except stopcast.StopcastError as error:
            yield orjson.dumps({"error": str(error), "not_sent": len(tasks) - sent}) + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")
