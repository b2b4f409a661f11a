"""Tests of code that stops tasks. The sandbox takes the place of the API, and records what it was asked."""

import stopcast
from stopcast.sandbox import SANDBOX_CREDENTIALS, Emulator, Faults
from stopcast.sandbox.fixtures import stopcast_sandbox

__all__ = ["stopcast_sandbox"]  # the fixture, so that pytest finds it here


async def end_of_lesson(stopper: stopcast.Stopper, room: str) -> bool:
    """The code under test."""
    return (await stopper.stop(stopcast.Task("school", room, "record"))).good


async def test_the_lesson_s_recording_is_stopped(stopcast_sandbox: Emulator) -> None:
    async with stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=stopcast_sandbox.url) as stopper:
        assert await end_of_lesson(stopper, "lesson-1")
    assert stopcast_sandbox.stopped == {stopcast.Task("school", "lesson-1", "record")}


async def test_an_unavailable_api_is_asked_again(stopcast_sandbox: Emulator) -> None:
    task = stopcast.Task("school", "lesson-1", "record")
    stopcast_sandbox.faults = Faults({"internal": [task]})
    async with stopcast.Stopper(SANDBOX_CREDENTIALS, endpoint=stopcast_sandbox.url) as stopper:
        assert await end_of_lesson(stopper, "lesson-1")
    assert stopcast_sandbox.calls == 2
