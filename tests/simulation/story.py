"""The story of a world: everything that judges look at, and how it is lived through."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from simulation import judges
from simulation.api import Api
from simulation.author import Author
from simulation.command import output
from simulation.disk import Disk
from simulation.fleet import Fleet
from simulation.loop import Group, KilledError, SimulatedLoop
from simulation.machine import KEY, SECRET, simulated
from simulation.network import Network
from simulation.process import Process
from simulation.record import Call, Record
from simulation.redis_server import RedisServer
from simulation.world import SHARING, World
from stopcast import Task
from stopcast.cli.log_output import log_output

#: Runs that share a quota.
_RUNS: Final = 2


@dataclass(slots=True)
class Story:
    """Everything that judges look at.

    Attributes:
        name: of the run, where several share a quota.
        parts: the stories of those runs. Each has a folder with a list and a report.
        rows: the rows of the list, as they are in its file; an invalid one names no task.
        report: the report's path.
        lives: of the process, in their order.
        finished: whether the last life came to its end.
        messages: what was written to standard error.
        queue: the Redis of the workers' queue.
        put: tasks that were put into it.
    """

    world: World
    folder: Path
    rows: list[tuple[str, str, str]]
    api: Api
    record: Record
    lives: list[Process] = field(default_factory=list)
    finished: bool = False
    messages: str = ""
    violations: list[str] = field(default_factory=list)
    queue: RedisServer | None = None
    put: list[Task] = field(default_factory=list)
    ended_at: float = 0.0
    name: str = ""
    parts: list[Story] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        """The calls of its lives."""
        names = {life.group.name for life in self.lives}
        return [call for call in self.record.calls if call.life in names]

    @property
    def tasks(self) -> list[Task]:
        """The tasks that the rows name, each once."""
        return list(dict.fromkeys(Task(*row) for row in self.rows if "/" not in row[2]))

    @property
    def report(self) -> Path:
        """The report's path."""
        return self.folder / "report.jsonl"


def rows_of(world: World) -> list[tuple[str, str, str]]:
    """Return the rows of the list, duplicates and invalid ones among them."""
    rows = [(f"app-{number % world.apps}", f"room-{number % 7}", f"task-{number}") for number in range(world.rows)]
    rows += [world.pick(rows, "duplicate", number) for number in range(world.duplicates)]
    rows += [("app-0", "room 1", f"inv/alid-{number}") for number in range(world.invalid)]
    return sorted(rows, key=lambda row: world.share("order", row))


def live(world: World, folder: Path) -> Story:
    """Live a world through, and return its story with what the judges say."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    record, rows = Record(), rows_of(world)
    api = Api(world, record, [Task(*row) for row in rows if "/" not in row[2]], key=KEY, secret=SECRET)
    story = Story(world, folder, rows, api, record)
    if world.program == "runs":
        story.parts = list(_parts(story))
    disk = Disk(world, loop, record, lambda group: _killed(story, group))
    network = Network(world, loop, api, record)
    loop.lateness = _lateness(world, network)
    loop.set_exception_handler(lambda _, context: _unhandled(story, context))
    messages = io.StringIO()
    fleet = Fleet(world) if world.program in SHARING else None
    with simulated(loop, world, messages, fleet), log_output(output(world)):
        author = Author(story, loop, network, disk, fleet)
        with disk.patched():
            loop.run_until_complete(author.tell())
        for each in (story, *story.parts):
            each.messages, each.ended_at = messages.getvalue(), loop.time()
    for each in story.parts or [story]:
        story.violations += judges.judge(each)
    return story


def _parts(story: Story) -> Iterator[Story]:
    """Yield the stories of the runs. The same row is always of the same run."""
    for number in range(_RUNS):
        rows = [row for row in story.rows if int(story.world.share("run", row) * _RUNS) == number]
        folder = story.folder / f"run-{number}"
        folder.mkdir()
        if rows:
            yield replace(story, folder=folder, rows=rows, lives=[], violations=story.violations, name=f"run-{number} ")


def _lateness(world: World, network: Network) -> Any:
    number = 0

    def lateness() -> float:
        nonlocal number
        number += 1
        if network.happens("stall", number):
            return float(world.pick((0.05, 0.5, 2.0, 40.0), "stall", number))
        if network.happens("late_timer", number):
            return world.between(0.0, 0.02, "late_timer", number)
        return 0.0

    return lateness


def _unhandled(story: Story, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if not isinstance(error, KilledError):
        story.violations.append(f"unhandled: {context['message']}: {error!r}")


def _killed(story: Story, group: Group) -> None:
    for each in (story, *story.parts):
        for life in each.lives:
            if life.group is group:
                life.kill()
