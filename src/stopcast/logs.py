"""The log: Python's own ``logging`` under the name ``stopcast``, silent until a program adds a handler.

Each record carries the event's name as ``event`` and its fields as attributes of their own (``extra``), so that a JSON
formatter has more than a sentence. The names of events and fields do not change. RoomIds and TaskIds are logged only at
DEBUG, secrets never.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from string import Formatter
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from stopcast.events import Event
from stopcast.i18n import duration, visible
from stopcast.ports import Observer, Opened
from stopcast.tasks.outcome import Outcome
from stopcast.tasks.task import Task

#: What formats a number of seconds in an event's sentence: ``duration``, or ``signed`` for a difference.
_DURATIONS: Final = frozenset({"duration", "signed"})
LOG: Final = logging.getLogger("stopcast")
LOG.addHandler(logging.NullHandler())
#: An observer of another type is named by its type: to look at its attributes, or to compare it, may raise.
_FUNCTIONS: Final = (FunctionType, MethodType, BuiltinFunctionType)


def log_event(event: Event, account: str = "") -> None:
    """Log an event, and the account whose it is where there are several."""
    name, level, sentence = event.log_entry
    if LOG.isEnabledFor(level):
        # A server's text may hold a line end, and so forge a record.
        of_account = {"account": account} if account else {}
        begin = f"account {account}: " if account else ""
        extra = {"event": name, **of_account, **_fields(event)}
        LOG.log(level, "%s%s", begin, visible(_SENTENCES.format(sentence, event)), extra=extra)


class _Sentences(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec not in _DURATIONS:
            return str(super().format_field(value, format_spec))
        words = duration(abs(value))
        return f"{'-' if value < 0 else '+'}{words}" if format_spec == "signed" else words


_SENTENCES: Final = _Sentences()


def _fields(value: Event | Outcome) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in value.__dataclass_fields__:
        match getattr(value, name):
            case Task() as task:
                fields |= task._asdict() if LOG.isEnabledFor(logging.DEBUG) else {}
            case Outcome() as outcome:
                fields |= _fields(outcome)
            case tuple():
                pass  # a task's calls, which were logged one by one
            case field if name != "message":  # logging keeps this name for itself
                fields[name] = field
    return fields


class Observers:
    """Passes each event to the observers and to the log.

    Attributes:
        want_all: whether any of them wants every attempt and every task. This is decided here, once, so the log's level
            has to be DEBUG by then.
    """

    def __init__(self, observers: Iterable[Observer], *, account: str = "") -> None:
        given = tuple(observers)
        self.want_all = bool(given) or LOG.isEnabledFor(logging.DEBUG)
        self._observers = (*given, partial(log_event, account=account) if account else log_event)
        self._failed: set[int] = set()

    def watch(self, opened: Opened) -> None:
        """Let the observers that have a method ``watch`` see the Stopper itself."""
        for observer in self._observers:
            if callable(watch := getattr(observer, "watch", None)):
                watch(opened)

    def notify(self, event: Event) -> None:
        """Pass an event on. An observer that raises is logged the first time, and still gets the next event."""
        for observer in self._observers:
            try:
                observer(event)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # an observer's CancelledError must not end the stream
                if id(observer) not in self._failed:
                    self._failed.add(id(observer))
                    named: Any = observer if type(observer) in _FUNCTIONS else type(observer)
                    LOG.exception(
                        "the observer %s failed; its later failures are not logged",
                        named.__qualname__,
                        extra={"event": "observer_failed"},
                    )
