"""The library's front: one object that stops tasks, and one that asks what has become of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
from stopcast.sources.memory import AnyTask
from stopcast.stopper.stream import AnyTasks
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Outcome


class Stopper(TaskCalls):
    """Stops webcast tasks. How it is made and used, ``TaskCalls`` says."""

    action = STOP_WEBCAST

    async def stop(self, task: AnyTask, *, priority: int = 0) -> Outcome:
        """Stop one task and return what became of it.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await self._call(task, priority)

    def stop_all(self, tasks: AnyTasks, *, priority: int = 0) -> AsyncGenerator[Outcome, None]:
        """Stop many tasks, and yield the outcomes as they come: one for each task given, in no order.

        The tasks are taken as the outcomes are: a slow consumer holds the producer back. Within one call the same task
        given twice is sent once; the second one's outcome is ``duplicate``. To tell that apart, 16 bytes and a little
        are kept for every task of the call.

        An outcome's ``line`` is its task's place among those given, counted from 1: by it a consumer knows what to
        acknowledge once the outcome is durable. What yields batches (``stopcast.task.Batch``) numbers its rows itself.

        Raises:
            StopcastError: broken machinery, such as refused credentials. Outcomes that were known came before it.
        """
        return self._call_all(tasks, priority)


class Verifier(TaskCalls):
    """Asks what has become of webcast tasks, and changes nothing. How it is made and used, ``TaskCalls`` says.

    The API tells of tasks that were started within 72 hours, and takes 60 calls a second for it, apart from the calls
    that stop tasks. An outcome's status is ``ended``, ``still_running``, ``not_started`` or ``unknown``, and its
    ``state`` tells why and when the task ended.
    """

    action = GET_WEBCAST_TASK

    async def verify(self, task: AnyTask, *, priority: int = 0) -> Outcome:
        """Ask about one task and return what the API tells.

        Raises:
            StopcastError: broken machinery, such as refused credentials.
        """
        return await self._call(task, priority)

    def verify_all(self, tasks: AnyTasks, *, priority: int = 0) -> AsyncGenerator[Outcome, None]:
        """Ask about many tasks, and yield the outcomes as they come, as ``Stopper.stop_all`` does.

        Raises:
            StopcastError: broken machinery, such as refused credentials. Outcomes that were known came before it.
        """
        return self._call_all(tasks, priority)
