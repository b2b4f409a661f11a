"""Many observers as one, none of which can disturb."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from stopcast.events import Event
from stopcast.logs import LOG, log_event
from stopcast.ports import Observer


class Observers:
    """Tells each of the observers, and the log.

    Attributes:
        want_all: whether one of them wants to be told of each attempt and each task, too. Asked once, and so the log's
            level has to be DEBUG by then.
    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        given = tuple(observers)
        self.want_all = bool(given) or LOG.isEnabledFor(logging.DEBUG)
        self._observers = (*given, log_event)
        self._failed: list[Observer] = []

    def tell(self, event: Event) -> None:
        """Tell an event. An observer that raises is logged the first time, and told the next event all the same."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - whatever it is, it is not the calls' business
                if observer not in self._failed:
                    self._failed.append(observer)
                    name = getattr(observer, "__qualname__", type(observer).__qualname__)
                    LOG.exception("the observer %s failed; this is said once", name, extra={"event": "observer_failed"})
