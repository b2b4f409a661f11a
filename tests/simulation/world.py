"""The world that a seed draws: sizes, settings, the story, and which faults happen how often. A frozen value."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

#: What can happen, and the shares of the occasions at which it does in the worlds that have it.
KINDS: Final[Mapping[str, tuple[float, ...]]] = {
    # The network, for each call.
    "request_lost": (0.02, 0.1, 0.3),  # the connection is reset before the API has the request
    "request_swallowed": (0.02, 0.1),  # the API never has the request, and no answer comes
    "answer_lost": (0.02, 0.1, 0.3),  # the connection is reset before the answer
    "answer_swallowed": (0.02, 0.1),  # no answer comes
    "answer_late": (0.05, 0.2),  # up to twice the timeout
    "answer_cut": (0.02, 0.1),  # the connection ends within the answer
    "answer_doubled": (0.05, 0.3),  # the same bytes come once more
    "answer_stray": (0.05, 0.3),  # a 408 comes on the idle connection
    "answer_foreign": (0.05, 0.2),  # a proxy's page comes instead of the request's way to the API
    "outage": (0.1, 0.5),  # for twenty seconds, no answer comes
    # The network, for each connection.
    "connect_refused": (0.05, 0.3),
    "connect_slow": (0.1, 0.5),  # up to 3 seconds
    "connect_swallowed": (0.02, 0.1),
    "idle_dropped": (0.1, 0.5, 1.0),  # the server closes it after 1 to 5 idle seconds
    "idle_dropped_soon": (0.1, 0.5),  # or after less than one
    # The API, for each call.
    "throttled": (0.05, 0.3),
    "retry_after": (0.1, 0.5),  # of the throttled ones
    "internal": (0.05, 0.3),
    "internal_after": (0.02, 0.1),  # the task is stopped all the same
    # The API, for each task or AppId.
    "ended": (0.1, 0.5),  # the task does not run
    "ends": (0.1, 0.3),  # the task ends by itself during the run
    "refused": (0.05, 0.2),  # by a code that is known to be about the task
    "refused_unknown": (0.02, 0.1),  # by a code that is not in the table
    "app_refused": (0.1, 0.3),
    # The machine.
    "late_timer": (0.1, 0.5),  # up to 20 ms
    "stall": (0.001, 0.005),  # the whole machine stands still for up to 2 s, or 40
    "clock_off": (1.0,),  # the machine's, by up to an hour
    # Once in each life of a process.
    "clock_set": (0.3, 1.0),
    "until": (0.3, 1.0),  # the command's --until is over
    "killed": (0.5, 1.0),
    "stopped": (0.3, 1.0),  # SIGSTOP, and SIGCONT up to 30 s later
    "signalled": (0.3, 1.0),
    "signalled_twice": (0.3,),
    "cancelled": (0.3,),
    "cancelled_twice": (0.3,),
    "paused": (0.5, 1.0),  # by the control file, with a resume later or at once
    "rate_changed": (0.5, 1.0),
    "steered_by_signals": (0.5, 1.0),
    "rival": (0.5, 1.0),  # a second run over the same report, with --resume or without
    # A program that uses the library.
    "leaves_early": (0.5, 1.0),
    "same_task": (0.5, 1.0),  # of several streams and callers
    "source_raises": (0.2, 0.5),
    "slow_source": (0.2, 0.5),
    "slow_consumer": (0.2, 0.5),
    "observer_raises": (0.3, 1.0),
    "provider_cancelled": (0.1, 0.5),
    "provider_fails": (0.1, 0.5),
    "key_rotated": (0.5, 1.0),
    "key_expires": (0.5, 1.0),
    "pauses": (0.5, 1.0),  # with a resume later or at once
    "drains": (0.5, 1.0),
    "retries_key": (0.5, 1.0),  # some times, whether it was refused or not
    "blocks_loop": (0.02, 0.2),  # in an observer, for up to 3 s
    # The Redis of a shared quota.
    "redis_away": (0.2, 0.5),
    "redis_restarted": (0.2, 0.5),
    "redis_emptied": (0.2, 0.5),
    "redis_failed_over": (0.2, 0.5),  # to a replica that lacks the last writes
    "redis_clock_set": (0.2, 0.5),
    "redis_slow": (0.02, 0.2),
    "redis_swallows": (0.5, 1.0),  # the first cancellation of a task that asks it
    # The Redis of a queue.
    "redis_cut_off": (0.3, 0.7),  # from one worker or all, for up to 40 s
    "redis_answer_lost": (0.01, 0.1),  # the connection is reset before the answers
    "put_again": (0.5, 1.0),  # all tasks, up to three times
    # The disk.
    "killed_in_write": (0.02, 0.2),  # at any byte of what is being written to the report
    "disk_full": (0.1, 0.5),  # for three seconds
    "sync_fails": (0.05, 0.3),  # with EIO, once for each
    "sync_slow": (0.1, 0.5),  # up to 3 s
    "write_slow": (0.1, 0.5),  # it blocks the process for up to 3 s
    "power_cut": (0.3, 1.0),  # once in a life: lines that were not synced are lost, from any byte on
}


#: With one of these, a program has a provider of credentials.
OF_THE_KEY: Final = frozenset({"provider_cancelled", "provider_fails", "key_rotated", "key_expires"})
#: With one of these, no process is held to its times.
STANDSTILLS: Final = frozenset({"stall", "stopped", "late_timer", "blocks_loop", "write_slow"})
#: The programs: the command; one that uses the library; several of those at once, which share a quota; workers of one
#: queue, which share one as well; and two runs of the command that do.
PROGRAMS: Final = ("command", "library", "fleet", "queue", "runs")
_COMMANDS: Final = frozenset({"command", "runs"})
_QUEUE_SHARE: Final = 0.15
_RUNS_SHARE: Final = 0.1
#: Their processes share a quota.
SHARING: Final = frozenset({"fleet", "queue", "runs"})
_LIBRARY: Final = (
    "leaves_early",
    "same_task",
    "source_raises",
    "slow_source",
    "slow_consumer",
    "observer_raises",
    "pauses",
    "drains",
    "retries_key",
    "blocks_loop",
    *OF_THE_KEY,
)
_COMMAND: Final = ("until", "signalled", "signalled_twice", "paused", "rate_changed", "steered_by_signals", "rival")
_DISK: Final = ("killed_in_write", "disk_full", "sync_fails", "sync_slow", "write_slow", "power_cut")


#: Of the library's kinds, those of a worker; and of a fleet's, those that a queue does not withstand.
_OF_WORKERS: Final = frozenset({"leaves_early"})
_OF_THE_QUEUE: Final = frozenset({"redis_cut_off", "redis_answer_lost", "put_again"})
_NOT_OF_THE_QUEUE: Final = frozenset({"redis_swallows"})


def can_happen(kind: str, program: str) -> bool:
    """Return whether a kind of fault can happen to a program."""
    if program == "queue" and kind in _OF_WORKERS | _OF_THE_QUEUE:
        return True
    if kind in _OF_THE_QUEUE or (program == "queue" and kind in _NOT_OF_THE_QUEUE):
        return False
    if kind in _COMMAND or kind in _DISK:
        return program in _COMMANDS
    if kind.startswith("redis_"):
        return program in SHARING
    return kind not in _LIBRARY or program in {"library", "fleet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A world. ``kinds`` has the share of each kind of fault that it has."""

    seed: int
    program: str = "command"
    kinds: Mapping[str, float] = field(default_factory=dict)
    rows: int = 20
    apps: int = 1
    accounts: int = 1
    duplicates: int = 0
    invalid: int = 0
    cap: float = 150.0
    max_at_once: int = 512
    max_attempts: int = 20
    timeout_seconds: float = 15.0
    grace_seconds: float = 15.0
    latency_seconds: float = 0.02
    jitter_seconds: float = 0.003
    lives: int = 1
    canary: int | None = None
    halt_after: int | None = None
    give_up_after: float | None = None
    quiet: bool = True

    @property
    def claim_after_seconds(self) -> float:
        """The silence after which a worker of a queue is taken for dead."""
        return float(self.pick((0.5, 2.0, 5.0, 60.0), "claim after"))

    def share(self, kind: str, *subject: object) -> float:
        """Return a number from 0 to 1 that only the seed, the kind and the subject decide."""
        drawn = blake2b(repr((self.seed, kind, *map(str, subject))).encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") / 2**64

    def happens(self, kind: str, *subject: object) -> bool:
        """Return whether a fault of this kind happens on this occasion."""
        return kind in self.kinds and self.share(kind, *subject) < self.kinds[kind]

    def between(self, low: float, high: float, *subject: object) -> float:
        """Return a number from ``low`` to ``high``."""
        return low + (high - low) * self.share("between", *subject)

    def pick(self, values: Any, *subject: object) -> Any:
        """Return one of these values."""
        return values[int(self.share("pick", *subject) * len(values))]

    def without(self, kind: str) -> World:
        """Return the world without a kind of fault."""
        return replace(self, kinds={name: share for name, share in self.kinds.items() if name != kind})


def draw(seed: int) -> World:
    """Return the world of a seed."""
    chance = random.Random(seed)
    program = chance.choice(["command", "command", "library", "library", "fleet"])
    # Drawn apart, so that the other programs' worlds stay what they were.
    if random.Random(f"queue {seed}").random() < _QUEUE_SHARE:
        program = "queue"
    if random.Random(f"runs {seed}").random() < _RUNS_SHARE:
        program = "runs"
    possible = [kind for kind in KINDS if can_happen(kind, program)]
    # Few kinds at once show what many would hide.
    if chance.random() < 0.4:
        drawn = chance.sample(possible, chance.choice([1, 2, 3]))
    else:
        most = chance.choice([0.1, 0.25, 0.5])
        drawn = [kind for kind in possible if chance.random() < most]
    kinds = {kind: chance.choice(KINDS[kind]) for kind in drawn}
    return World(
        seed=seed,
        kinds=kinds,
        rows=chance.choice([1, 3, 10, 30, 60, 100, 100]),
        apps=chance.choice([1, 1, 2, 5]),
        accounts=chance.choice([1, 1, 2, 3]) if program in _COMMANDS else 1,
        duplicates=chance.choice([0, 0, 2, 5]),
        invalid=chance.choice([0, 0, 1, 3]),
        cap=chance.choice([0.5, 2.5, 5.0, 10.0, 20.0, 50.0, 150.0]),
        max_at_once=chance.choice([1, 3, 20, 512, 512]),
        max_attempts=chance.choice([1, 2, 4, 20]),
        timeout_seconds=chance.choice([1.0, 5.0, 15.0]),
        grace_seconds=chance.choice([0.0, 1.0, 15.0]),
        latency_seconds=chance.choice([0.001, 0.02, 0.1, 0.4]),
        jitter_seconds=chance.choice([0.0, 0.003]),
        lives=chance.choice([1, 2, 3, 4]),
        canary=chance.choice([None, None, None, 1, 5]),
        halt_after=chance.choice([None, None, None, 1, 10]),
        quiet=chance.random() < 0.7,
        program=program,
        give_up_after=chance.choice([None, 0.5, 2.0, 10.0]),
    )
