"""Read tasks with SQLAlchemy page by page, stop them, and write each status back in groups.

The table is never held in memory, and no connection while calls wait. It needs sqlalchemy[asyncio] and a driver.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import stopcast
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator


class Base(DeclarativeBase):
    pass


class Recording(Base):
    __tablename__ = "recordings"

    id: Mapped[int] = mapped_column(primary_key=True)
    app: Mapped[str]
    room: Mapped[str]
    task: Mapped[str]
    status: Mapped[str | None] = mapped_column(index=True)


UPDATE = (
    update(Recording.__table__)  # type: ignore[arg-type] # a Table, which SQLAlchemy types as a FromClause
    .where(Recording.app == bindparam("a"), Recording.room == bindparam("r"), Recording.task == bindparam("t"))
    .values(status=bindparam("s"))
)


async def unfinished(engine: AsyncEngine, page: int = 500) -> AsyncIterator[Any]:
    columns = select(Recording.id, Recording.app, Recording.room, Recording.task).order_by(Recording.id).limit(page)
    last = 0
    while True:
        async with engine.connect() as connection:
            rows = (await connection.execute(columns.where(Recording.status.is_(None), Recording.id > last))).all()
        if not rows:
            return
        for row in rows:
            yield row  # stopcast reads the ids by the columns' names
        last = rows[-1].id


async def write(engine: AsyncEngine, outcomes: list[stopcast.Outcome]) -> None:
    if outcomes:
        values = [dict(zip("art", outcome.task, strict=True), s=outcome.status.value) for outcome in outcomes]
        async with engine.begin() as connection:
            await connection.execute(UPDATE, values)


async def stop_unfinished(engine: AsyncEngine, stopper: stopcast.Stopper, group: int = 100) -> None:
    outcomes: list[stopcast.Outcome] = []
    try:
        async for outcome in stopper.stop_all(unfinished(engine)):
            outcomes.append(outcome)
            if len(outcomes) == group:
                await write(engine, outcomes)
                outcomes = []
    finally:
        # Also when the calls end early, because the key is refused for example.
        await write(engine, outcomes)


async def main(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        rows = [{"app": "app", "room": f"room-{number}", "task": "main"} for number in range(250)]
        await connection.execute(Recording.__table__.insert(), rows)  # type: ignore[attr-defined]
    async with Emulator() as emulator, stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
        await stop_unfinished(engine, stopper)
    async with engine.connect() as connection:
        counted = select(Recording.status, func.count()).group_by(Recording.status)
        print([tuple(row) for row in await connection.execute(counted)])
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sqlite+aiosqlite:///recordings.db"))
