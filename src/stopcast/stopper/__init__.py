"""The front of the library: Stopper stops tasks, Verifier asks whether they have ended."""

from __future__ import annotations

from stopcast.api.actions import GET_WEBCAST_TASK, STOP_WEBCAST
from stopcast.sources.iterables import AnyTasks
from stopcast.sources.objects import AnyTask
from stopcast.stopper.stream import OutcomeStream, in_order
from stopcast.stopper.task_calls import TaskCalls
from stopcast.tasks.outcome import Outcome


class Stopper(TaskCalls):
    """Stops webcast tasks. All callers share one cap.

    Callers take turns, task by task. Tasks of a higher priority go first. At the cap of 150 a second they wait for at
    most half a second, behind the calls that already wait for their permit.

    Used as an async context manager, on one event loop. Leaving the block makes no further call and waits up to
    ``drain_seconds`` for the calls in flight. Cancelling the block cuts them off.

    Args:
        credentials: the account's key. None looks in the environment and in the vendor's files. An async function is
            called for it: when the block is entered, before the key expires, and when the API refuses it.
        max_per_second: the cap on calls; every attempt counts. None means the account's quota for the action, which is
            the maximum for the vendor's hosts.
        endpoint: an address such as "https://rtc.volcengineapi.com" (the default), or an ``Endpoint`` with its region.
        limiter: a cap of your own instead of ``max_per_second``, to raise it or to share it.
        transport: carries the requests instead of aiohttp, for a test or another HTTP client (see
            ``stopcast.ports.Transport``). The caller opens and closes it; only its ``send`` is called here.
        retry: when to try again, and how often.
        timeout_seconds: for one call, from its permit to the end of its answer.
        max_at_once: calls in flight.
        max_waiting: tasks of one stream that may wait for their next attempt, or for their outcome to be consumed.
        halt_after: how many tasks may end badly before no further one is sent; None for any number. It counts all
            streams since the block was entered.
        drain_seconds: how long leaving the block may take.
        deduplicate: whether callers that stop one task at the same time share its call. Two calls for one task are then
            never in flight at once. A stream's task whose call another stream or caller has in flight waits for that
            call and has its outcome, or is sent after it.
        proxy: an HTTP proxy such as "http://proxy:3128", asked by CONNECT. HTTP_PROXY and its like are not obeyed.
        ssl: the context that verifies the endpoint's certificate, instead of the system's authorities.
        connector: a function that returns the aiohttp connector to use, for a resolver or an address family of your
            own. It is called when the block is entered, and the connector is closed with the block. Its ``limit`` must
            be 0, or no less than ``max_at_once``.
        retry_key_after_seconds: how long after the key was refused for good one call tries it again; None for never,
            unless ``retry_key`` is called.
        observers: functions of an event (see ``stopcast.events``), called on the event loop. Without observers, and
            with the log above DEBUG, no event is made for a call or a task that goes well.

    Attributes:
        action: what the API is asked for each task.
        endpoint: where the calls go.
        limiter: the cap.
        timeout_seconds: for one call, from its permit to the end of its answer.
        meter: counts the calls, retries included, and has the worst second and the mean rate.

    Raises:
        ConfigurationError: a setting that cannot be used, or no credentials in any place.
        CredentialsUnavailableError: on entering the block: the function returned no credentials.
    """

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
    """Asks whether webcast tasks have ended, and changes nothing. It takes the arguments of ``Stopper``.

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
