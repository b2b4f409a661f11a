"""Runs seeds, each in a forked process of its own, and shrinks the worlds of those that fail."""

from __future__ import annotations

import gc
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import orjson

from simulation.story import live
from simulation.world import World, draw

#: Seconds of a processor after which a world hangs. It takes a tenth of one. On a busy machine they take longer.
_HANGS_AFTER: Final = 60
#: Real seconds after which a world waits for something that is not simulated.
_WAITS_AFTER: Final = 600.0
_MEMORY: Final = Path("/dev/shm")


class Result(NamedTuple):
    """What came of a world.

    Attributes:
        log: what happened, line by line.
        calls: requests that were written.
        virtual_seconds: how long it lasted.
    """

    world: World
    violations: list[str]
    log: list[str]
    calls: int = 0
    virtual_seconds: float = 0.0
    messages: str = ""


def run(world: World) -> Result:
    """Live a world through in a forked process."""
    reading, writing = os.pipe()
    # Only tmpfs keeps extended attributes in memory, and is quick.
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None, prefix="world-"))
    child = os.fork()
    if not child:
        _live_and_exit(world, folder, writing)
    os.close(writing)
    try:
        answer = _read(reading, time.monotonic() + _WAITS_AFTER)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        shutil.rmtree(folder, ignore_errors=True)
    if not answer:
        return Result(world, [f"hangs: it takes more than {_HANGS_AFTER} s of a processor, or waits"], [])
    return Result(world, *orjson.loads(answer))


def _read(descriptor: int, until: float) -> bytes:
    parts: list[bytes] = []
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return b""


def _live_and_exit(world: World, folder: Path, descriptor: int) -> None:
    """Write the result and leave, without any clean-up of what was killed."""
    try:
        gc.disable()
        resource.setrlimit(resource.RLIMIT_CPU, (_HANGS_AFTER, _HANGS_AFTER))
        try:
            story = live(world, folder)
            messages = story.messages.replace(str(folder), "FOLDER")
            log = [line.replace(str(folder), "FOLDER") for line in story.record.log]
            violations = [line.replace(str(folder), "FOLDER") for line in story.violations]
            answer = [violations, log, len(story.record.calls), story.ended_at, messages]
        except BaseException:  # noqa: BLE001 - the simulator's own fault is reported as a violation
            answer = [[f"the simulator raised: {traceback.format_exc()}"], []]
        data = memoryview(orjson.dumps(answer))
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os._exit(0)


def smaller(world: World) -> Iterator[World]:
    """Yield worlds that are one step smaller."""
    for kind in world.kinds:
        yield world.without(kind)
    if world.lives > 1:
        yield replace(world, lives=world.lives - 1)
    for rows in (world.rows // 2, world.rows - 1):
        if 0 < rows < world.rows:
            yield replace(world, rows=rows)
    plain = World(seed=world.seed)
    for name in ("apps", "duplicates", "invalid", "canary", "halt_after", "max_at_once", "quiet"):
        if getattr(world, name) != getattr(plain, name):
            yield replace(world, **{name: getattr(plain, name)})


def shrink(result: Result) -> Result:
    """Return the result of the smallest world in which the same judge still finds something."""
    judges = {sentence.partition(":")[0] for sentence in result.violations}
    found = True
    while found:
        found = False
        for world in smaller(result.world):
            tried = run(world)
            if judges & {sentence.partition(":")[0] for sentence in tried.violations}:
                result, found = tried, True
                break
    return result


def run_many(
    seeds: Sequence[int], *, processes: int, report: Callable[[Result], None], stop_at_first: bool = False
) -> int:
    """Run seeds on several cores, report each failure as it is found, and return how many failed."""
    reading, writing = os.pipe()
    children = []
    gc.freeze()
    for place in range(processes):
        if not (child := os.fork()):
            os.close(reading)
            _work(seeds[place::processes], writing)
        children.append(child)
    os.close(writing)
    failed = 0
    with os.fdopen(reading, "rb", buffering=0) as failures:
        for line in failures:
            failed += 1
            report(run(draw(int(line))))
            if stop_at_first:
                break
    for child in children:
        if stop_at_first:
            os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    return failed


def _work(seeds: Sequence[int], descriptor: int) -> NoReturn:
    """Run seeds, write those that fail, and leave; at SIGTERM, or without a parent, at once."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        for seed in seeds:
            if os.getppid() != parent:
                break
            if run(draw(seed)).violations:
                os.write(descriptor, b"%d\n" % seed)
    finally:
        os._exit(0)


def as_text(result: Result, *, log: bool) -> str:
    """Return a result for a reader."""
    world = result.world
    lines = [f"seed {world.seed}: {len(result.violations)} violations"]
    lines += [f"  {sentence}" for sentence in result.violations[:20]]
    lines.append(f"  {world}")
    if log:
        lines += result.log
        lines.append(result.messages)
    return "\n".join(lines)


def show(text: str) -> None:
    """Write on standard output at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
