"""A FastAPI service that puts tasks into a queue at once and durably. Workers elsewhere stop them.

    STOPCAST_QUEUE=redis://host:6379/0/recordings uvicorn --app-dir examples fastapi_enqueues:app
    STOPCAST_QUEUE=redis://host:6379/0/recordings stopcast worker -o report.jsonl

It needs fastapi, uvicorn and stopcast[redis].
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

import stopcast
from stopcast.errors import ListError


class Item(BaseModel):
    app_id: str
    room_id: str
    task_id: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, stopcast.RedisQueue]]:
    async with stopcast.RedisQueue(os.environ["STOPCAST_QUEUE"]) as queue:
        yield {"queue": queue}


app = FastAPI(lifespan=lifespan)


@app.post("/stop", status_code=202)
async def stop(items: list[Item], request: Request) -> dict[str, int]:
    queue: stopcast.RedisQueue = request.state.queue
    try:
        # A task that is put in twice is in the queue once, so a client that got no answer may repeat its request.
        put = await queue.put([(item.app_id, item.room_id, item.task_id) for item in items])
    except ListError as error:
        raise HTTPException(422, str(error)) from error
    except stopcast.QueueError as error:
        raise HTTPException(503, str(error)) from error
    return {"queued": put.new, "known": put.known}


@app.get("/queue")
async def queue_status(request: Request) -> dict[str, Any]:
    queue: stopcast.RedisQueue = request.state.queue
    return (await queue.status()).as_json()
