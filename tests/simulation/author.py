"""What happens to a world: lives of a process under faults, and then one without, in which all comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simulation.command import Command, options_of
from simulation.disk import Disk
from simulation.fleet import Fleet
from simulation.judges import left_behind
from simulation.library import Library
from simulation.loop import SimulatedLoop
from simulation.network import Network
from simulation.process import Process
from simulation.redis_server import RedisServer
from simulation.troubles import Life, plan_troubles
from simulation.worker import Worker, put
from stopcast import Task

if TYPE_CHECKING:
    from simulation.story import Story

#: Between the end of a process and the start of the next one.
_RESTART_SECONDS: Final = 1.0
#: Threads of a process that has ended may still finish what they do. A sync takes 3 s at most.
_LEFT_WITHIN: Final = 3.1
#: A run in calm weather may need this many lives: what was set aside or given up is tried again.
_CALM_LIVES: Final = 3


class Author:
    """Lets things happen, one life of the process after the other.

    Args:
        fleet: the quota that the processes share, None where they share none.
    """

    def __init__(self, story: Story, loop: SimulatedLoop, network: Network, disk: Disk, fleet: Fleet | None) -> None:
        self._story = story
        self._world = story.world
        self._loop = loop
        self._network = network
        self._disk = disk
        self._control = story.folder / "control"
        self._fleet = fleet
        self._rivals: list[asyncio.Task[None]] = []

    async def tell(self) -> None:
        """Let the world begin, go through its faults, and come to its end in calm."""
        story, world = self._story, self._world
        # Two runs share nothing but the quota and the API.
        parts = [Author(part, self._loop, self._network, self._disk, self._fleet) for part in story.parts]
        match world.program:
            case "queue":
                await self._work_together()
            case "fleet":
                await self._share_quota(map(self._live_from_later_on, range(world.lives)))
            case "runs":
                await self._share_quota(author.live_in_turn() for author in parts)
            case _:
                await self.live_in_turn()
        if any(life.running for each in (story, *story.parts) for life in each.lives):
            return
        self._end_faults()
        if story.queue is not None and (story.queue.emptied_at or story.queue.failovers):
            await self._put(story.tasks)
        await asyncio.gather(*(author.come_to_an_end() for author in parts or [self]))

    def _end_faults(self) -> None:
        self._network.calm = self._disk.calm = True
        self._story.api.end_faults()
        if self._fleet is not None:
            self._fleet.end_troubles()
        if self._story.queue is not None:
            self._story.queue.end_troubles()

    async def come_to_an_end(self) -> None:
        """Live in calm, until a life has come to its end."""
        story, world = self._story, self._world
        for number in range(world.lives, world.lives + _CALM_LIVES):
            life = await self._live(number, lambda _: None, calm=True)
            if life.done or life.running:
                story.finished = not life.running
                return

    async def live_in_turn(self) -> None:
        """Live under faults, until a life has come to its end."""
        for number in range(self._world.lives):
            life = await self._live(number, plan_troubles)
            if life.running or life.done:
                break
            await asyncio.sleep(_RESTART_SECONDS * self._world.share("restart", number))
        await asyncio.gather(*self._rivals)

    async def _share_quota(self, living: Iterable[Coroutine[Any, Any, None]]) -> None:
        assert self._fleet is not None
        troubles = asyncio.create_task(self._fleet.trouble(partial(self._note, "Redis")))
        await asyncio.gather(*living)
        troubles.cancel()

    async def _live_from_later_on(self, number: int) -> None:
        # Workers join and leave. What shares only a quota begins at once, when it is most.
        if self._world.program == "queue" and number and self._world.share("joins later", number) < 0.5:
            await asyncio.sleep(self._world.between(0.0, 20.0, "joins", number))
        await self._live(number, plan_troubles)

    async def _work_together(self) -> None:
        """Let workers share a queue, some from a later time on, while more tasks come."""
        story, world = self._story, self._world
        story.queue = queue = RedisServer(world, self._loop)
        half = len(story.tasks) // 2
        await self._put(story.tasks[:half])
        note = partial(self._note, "the queue's Redis")
        troubles = asyncio.create_task(queue.trouble(lambda: [life.group for life in story.lives], note))
        lives = map(self._live_from_later_on, range(world.lives))
        await asyncio.gather(self._share_quota(lives), self._put_later(story.tasks[half:]))
        if troubles.done():
            troubles.result()
        troubles.cancel()

    async def _put_later(self, tasks: list[Task]) -> None:
        await asyncio.sleep(self._world.between(0.0, 5.0, "put later"))
        await self._put(tasks)
        for place in range(3):
            if self._world.happens("put_again", place):
                await asyncio.sleep(self._world.between(0.0, 20.0, "put again", place))
                await self._put(self._story.tasks)

    async def _put(self, tasks: list[Task]) -> None:
        if await put(tasks):
            self._story.put += tasks

    def _note(self, who: str, text: str) -> None:
        self._story.record.note(self._loop.time(), f"{who}: {text}")

    def _longest(self) -> float:
        """Return a bound on the time that a life takes."""
        world = self._world
        calls = (world.rows + 50) * world.max_attempts
        # Each permit may meet a dead connection, five times for one attempt.
        slowest = min(world.cap, 20.0) / (50.0 if {"idle_dropped", "idle_dropped_soon"} & world.kinds.keys() else 1.0)
        slowest /= 10.0 if {"rate_changed", "steered_by_signals"} & world.kinds.keys() else 1.0
        # Workers of a queue wait for what others have left, longest where the machine stands still again and again.
        waiting = 3600.0 if world.program == "queue" else 600.0
        return calls / slowest + world.max_attempts * (100.0 + world.timeout_seconds) + waiting

    async def _live(self, number: int, plan: Callable[[Life], None], *, calm: bool = False) -> Process:
        programs: dict[str, Any] = {"command": self._command, "runs": self._command, "queue": self._worker}
        program = programs.get(self._world.program, self._library)(number, calm=calm)
        life = Process(f"{self._story.name}life-{number}", program, self._loop, self._story.record)
        self._story.lives.append(life)
        if not calm and self._world.happens("rival", number):
            self._rivals.append(asyncio.create_task(self._rival(number)))
        plan(Life(life, self._world, self._loop, self._story.record, self._control, self._story.api, self._cut_power))
        await self._end_of(life)
        return life

    def _cut_power(self) -> None:
        """End all processes of the machine at once."""
        for life in self._story.lives:
            life.kill()
        self._disk.cut_power(self._story.folder)
        self._story.record.power_cuts.append(self._loop.time())

    async def _rival(self, number: int) -> None:
        """Start a second run while one goes on."""
        world = self._world
        await asyncio.sleep(10 ** world.between(-3.0, 1.3, "rival", number))
        # The first life alone has no --resume.
        place = world.pick((0, world.lives + _CALM_LIVES), "rival resumes", number)
        rival = Process(
            f"{self._story.name}rival-{number}", self._command(place, calm=False), self._loop, self._story.record
        )
        self._story.lives.append(rival)
        await self._end_of(rival)

    async def _end_of(self, life: Process) -> None:
        ends = await self._ends_in_time(life)
        if not ends and self._world.program == "queue" and "redis_slow" in self._world.kinds:
            # Alone a Redis that often answers later than claim-after may hold a worker up for as long as it is slow.
            self._end_faults()
            ends = await self._ends_in_time(life)
        if not ends:
            self._story.violations.append(f"{life.group.name} has not ended in {self._longest():.0f} s")
            return
        # What it sent arrives, and what it left behind shows.
        await asyncio.sleep(2 * self._world.latency_seconds + _LEFT_WITHIN)
        if not life.group.alive:
            self._disk.close_all(life.group)
        self._story.violations += left_behind(life, self._loop)

    async def _ends_in_time(self, life: Process) -> bool:
        try:
            async with asyncio.timeout(self._longest()):
                await life.over.wait()
        except TimeoutError:
            return False
        return True

    def _command(self, number: int, *, calm: bool) -> Command:
        list_path = self._story.folder / f"list-{number}.csv"
        rows = sorted(self._story.rows, key=lambda row: self._world.share("order", number, row))
        list_path.write_text("AppId,RoomId,TaskId\n" + "".join(",".join(row) + "\n" for row in rows))
        until = None
        if not calm and self._world.happens("until", number):
            until = self._loop.time() + self._world.timeout_seconds + self._world.between(0.1, 10.0, "until", number)
        return Command(options_of(self._world, self._story.folder, list_path, number, until=until))

    def _worker(self, _: int, *, calm: bool) -> Worker:
        assert self._fleet is not None
        return Worker(self._world, self._story.api, self._fleet, calm=calm)

    def _library(self, number: int, *, calm: bool) -> Library:
        tasks = self._story.tasks
        if self._fleet is not None and not calm:
            tasks = tasks[number :: self._world.lives]
        return Library(self._world, self._story.api, tasks, calm=calm, fleet=self._fleet)
