"""The front of the library: Stopper stops tasks, Verifier asks whether they have ended."""

from __future__ import annotations

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
from stopcast.sources.memory import AnyTasks
from stopcast.sources.objects import AnyTask
from stopcast.stopper.stream import OutcomeStream, in_order
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Outcome


class Stopper(TaskCalls):
    """Stops webcast tasks. For its arguments and its use see ``TaskCalls``."""

    action = STOP_WEBCAST

    async def stop(self, task: AnyTask, *, priority: int = 0) -> Outcome:
        """Stop one task, and return its outcome.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await self._call(task, priority)

    def stop_all(self, tasks: AnyTasks, *, priority: int = 0) -> OutcomeStream:
        """Stop many tasks, and return the outcomes as they come: one for each given task, in no order.

        Tasks are read as fast as outcomes are consumed: a slow consumer holds the producer back. A task that is given
        twice in one call is sent once, and the second outcome is ``duplicate``. For this, 16 bytes and a little more
        are kept for every task of the call.

        The ``line`` of an outcome is the place of its task among those given, counted from 1. A consumer can use it to
        acknowledge the task once the outcome is durable. A source of batches (``stopcast.tasks.task.Batch``) numbers
        its rows itself.

        Raises:
            StopcastError: broken machinery, such as refused credentials. The outcomes of all tasks that were sent come
                before it.
        """
        return self._call_all(tasks, priority)

    async def stop_many(self, tasks: AnyTasks, *, priority: int = 0) -> list[Outcome]:
        """Stop many tasks, and return their outcomes in the order of the tasks.

        Where an error ends the calls early, the outcomes that are known by then are lost with it: use ``stop_all``
        where they matter.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await in_order(self.stop_all(tasks, priority=priority))


class Verifier(TaskCalls):
    """Asks whether webcast tasks have ended, and changes nothing. For its arguments and its use see ``TaskCalls``.

    The API knows tasks that were started within 72 hours. It takes 60 of these calls a second, apart from the calls
    that stop tasks (the vendor's page 6348/204054). The status of an outcome is ``ended``, ``still_running``,
    ``not_started`` or ``unknown``; its ``state`` has the reason and the time of the end.
    """

    action = GET_WEBCAST_TASK

    async def verify(self, task: AnyTask, *, priority: int = 0) -> Outcome:
        """Ask about one task, and return its outcome.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await self._call(task, priority)

    def verify_all(self, tasks: AnyTasks, *, priority: int = 0) -> OutcomeStream:
        """Ask about many tasks, and return the outcomes as they come, as ``Stopper.stop_all`` does.

        Raises:
            StopcastError: broken machinery, such as refused credentials. The outcomes of all tasks that were sent come
                before it.
        """
        return self._call_all(tasks, priority)

    async def verify_many(self, tasks: AnyTasks, *, priority: int = 0) -> list[Outcome]:
        """Ask about many tasks, and return their outcomes in the order of the tasks.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await in_order(self.verify_all(tasks, priority=priority))
