"""What happens to one life of a process from outside: signals, cancellations, standstills, and operators."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from simulation.api import Api
from simulation.loop import SimulatedLoop
from simulation.process import Process
from simulation.record import Record
from simulation.world import World


class Life(NamedTuple):
    """A life of the process, and where to plan its troubles."""

    process: Process
    world: World
    loop: SimulatedLoop
    record: Record
    control: Path
    api: Api
    cut_power: Callable[[], None]

    def within(self, low: float, high: float, *subject: object) -> float:
        """Return a number that is drawn for this life."""
        return self.world.between(low, high, *subject, self.process.group.name)

    def pick(self, values: Any, *subject: object) -> Any:
        """Return a value that is drawn for this life."""
        return self.world.pick(values, *subject, self.process.group.name)

    def moment(self, kind: str) -> float:
        """Return the seconds until a trouble: early moments are as likely as late ones, by orders of magnitude."""
        return float(10 ** self.within(-3.0, 1.3, kind))

    def after(self, seconds: float, act: Callable[..., object], *arguments: Any) -> None:
        """Let something happen after these seconds."""
        self.loop.at(self.loop.time() + seconds, act, *arguments)

    def some_time(self, kind: str, act: Callable[[], object]) -> None:
        """Let something happen once: at any moment, or while an answer is on its way, or a refusal."""
        name = self.process.group.name
        match self.pick(("any", "any", "call", "refusal"), kind, "in a call"):
            case "call":
                number = int(10 ** self.within(0.0, 1.5, kind, "which call"))
                self.record.at_call[name, number] = lambda: self.after(0.0, act)
            case "refusal":
                self.record.at_refusal[name] = lambda: self.after(0.0, act)
            case _:
                self.after(self.moment(kind), act)

    def steer(self, text: str, *, append: bool = False) -> None:
        """Write the control file anew, or append to it: what stood there less than a second may be unread."""
        self.record.note(self.loop.time(), f"control file: {text!r}")
        with self.control.open("a" if append else "w") as control:
            control.write(text)
        # The real clock stands still here, and the file's time is how a change is seen.
        nanoseconds = int(self.loop.wall_time() * 1e9)
        os.utime(self.control, ns=(nanoseconds, nanoseconds))


def _killed(life: Life) -> None:
    life.some_time("killed", life.process.kill)


def _power_cut(life: Life) -> None:
    def cut() -> None:
        if life.process.running:
            life.cut_power()

    life.some_time("power", cut)


def _stopped(life: Life) -> None:
    def stop() -> None:
        life.process.stop()
        life.after(life.within(0.0, 30.0, "stopped for"), life.process.go_on)

    life.some_time("stopped", stop)


def _signalled(life: Life, *, times: int) -> None:
    number = life.pick((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), "signal", times)
    moment, between = life.moment(f"signal {times}"), life.within(0.0, 3.0, "signal again")
    for place in range(times):
        life.after(moment + place * between, life.process.send, number)


def _cancelled(life: Life, *, times: int) -> None:
    between = life.pick((0.0, 0.01, 1.0), "cancel again")

    def cancel() -> None:
        for place in range(times):
            life.after(place * between, life.process.cancel)

    life.some_time(f"cancel {times}", cancel)


def _paused(life: Life) -> None:
    moment = life.moment("paused")
    life.after(moment, life.steer, life.pick(("pause\n", "pause\nresume\n", "pause\nresume\npause\n"), "paused"))
    life.after(moment + life.within(0.0, 20.0, "paused for"), life.steer, "resume\n")


def _rate_changed(life: Life) -> None:
    cap = life.world.cap
    for place in range(3):
        rate = life.within(min(1.0, cap / 10), cap, "rate", place)
        life.after(life.moment("rate") + place, partial(life.steer, append=True), f"rate {rate:g}\n")


def _slowed_by_signals(life: Life) -> None:
    for place in range(8):
        number = life.pick((signal.SIGUSR1, signal.SIGUSR2), "step", place)
        life.after(life.moment(f"step {place}"), life.process.send, number)
    for place in range(12):
        life.after(30.0 + place, life.process.send, signal.SIGUSR2)


def _key_rotated(life: Life) -> None:
    keep = life.pick((True, False), "keep the old key")
    life.after(life.moment("key"), partial(life.api.rotate, keep=keep))


def _key_expires(life: Life) -> None:
    life.api.expires_at = life.loop.wall_time() + life.within(1.0, 60.0, "expires")


def _clock_set(life: Life) -> None:
    life.after(life.moment("clock"), life.api.set_clock, life.pick((-7200.0, -100.0, 0.0, 100.0, 7200.0), "clock"))


#: By kind. Each plans what happens to one life.
TROUBLES: Final[Mapping[str, Callable[[Life], None]]] = {
    "killed": _killed,
    "power_cut": _power_cut,
    "stopped": _stopped,
    "signalled": partial(_signalled, times=1),
    "signalled_twice": partial(_signalled, times=2),
    "cancelled": partial(_cancelled, times=1),
    "cancelled_twice": partial(_cancelled, times=2),
    "paused": _paused,
    "rate_changed": _rate_changed,
    "steered_by_signals": _slowed_by_signals,
    "clock_set": _clock_set,
    "key_rotated": _key_rotated,
    "key_expires": _key_expires,
}


def plan_troubles(life: Life) -> None:
    """Plan what happens to one life."""
    for kind, plan in TROUBLES.items():
        if life.world.happens(kind, life.process.group.name):
            plan(life)
