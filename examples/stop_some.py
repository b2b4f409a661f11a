"""Stop a few tasks from a program, here in the sandbox. Without the two arguments of Stopper it calls the real API."""

import asyncio

import stopcast
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator


async def main() -> None:
    tasks = [stopcast.Task("app", "lesson-1", f"record-{n}") for n in range(5)]
    async with (
        Emulator(running=tasks[:3]) as emulator,
        stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=emulator.url) as stopper,
    ):
        outcome = await stopper.stop(tasks[0])
        print(outcome.task.task_id, outcome.status)
        async for outcome in stopper.stop_all(tasks):
            print(outcome.task.task_id, outcome.status, "" if outcome.good else outcome.message)


if __name__ == "__main__":
    asyncio.run(main())
