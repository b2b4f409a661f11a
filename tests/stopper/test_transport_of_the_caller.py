from __future__ import annotations

from stopcast import Status, Stopper, Task
from stopcast.ports import Answer, Gate, Request
from stopcast.sandbox import SANDBOX_CREDENTIALS
from stopcast.stopper import Verifier

TASK = Task("app", "room", "task")


class Canned:
    """Answers each request with the same body. It is no context manager: nothing opens or closes it."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []

    async def send(self, request: Request, gate: Gate) -> Answer:
        await gate.permit()
        gate.admit()
        self.bodies.append(request.body)
        return Answer(200, {}, self.answer)


async def test_a_transport_of_the_caller_carries_every_call_and_is_used_again_by_the_next_stopper() -> None:
    canned = Canned(b'{"ResponseMetadata":{},"Result":"ok"}')
    for _ in range(2):
        async with Stopper(SANDBOX_CREDENTIALS, transport=canned) as stopper:
            assert (await stopper.stop(TASK)).status is Status.STOPPED
    assert len(canned.bodies) == 2


async def test_a_verifier_takes_a_transport_too() -> None:
    canned = Canned(b'{"ResponseMetadata":{},"Result":{"Status":3}}')
    async with Verifier(SANDBOX_CREDENTIALS, transport=canned) as verifier:
        outcome = await verifier.verify(TASK)
    assert outcome.http_status == 200
    assert len(canned.bodies) == 1
