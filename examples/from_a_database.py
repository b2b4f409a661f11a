"""Read tasks from SQLite page by page, stop them, and write each status back. The table is never held in memory."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import stopcast
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator


async def unfinished(database: sqlite3.Connection, page: int = 100) -> AsyncIterator[stopcast.Task]:
    last = 0
    while rows := database.execute(
        "SELECT id, app, room, task FROM tasks WHERE status IS NULL AND id > ? ORDER BY id LIMIT ?", (last, page)
    ).fetchall():
        for last, *ids in rows:  # noqa: B007 - the next page begins after the last row
            yield stopcast.Task(*ids)


async def main() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, app, room, task, status)")
        database.executemany(
            "INSERT INTO tasks (app, room, task) VALUES (?, ?, ?)", [("app", f"room-{n}", "main") for n in range(30)]
        )
        async with Emulator() as emulator, stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper:
            async for outcome in stopper.stop_all(unfinished(database)):
                database.execute(
                    "UPDATE tasks SET status = ? WHERE app = ? AND room = ? AND task = ?",
                    (outcome.status, *outcome.task),
                )
        print(database.execute("SELECT status, count(*) FROM tasks GROUP BY status").fetchall())


if __name__ == "__main__":
    asyncio.run(main())
