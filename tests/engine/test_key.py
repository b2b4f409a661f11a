"""The states of the account's key."""

from __future__ import annotations

import asyncio

import pytest

from stopcast import Credentials, CredentialsRefusedError
from stopcast.api.signing import Signer
from stopcast.engine.key import Key, KeyState


def signer(name: str = "ak") -> Signer:
    return Signer(Credentials(name, "secret"), host="host", region="region", query="")


def test_an_accepted_key_is_proven_and_refusals_are_counted_anew_after_it() -> None:
    key = Key(signer(), renewable=False)
    assert key.state is KeyState.UNPROVEN
    key.refused()
    key.refused()
    assert (key.state, key.refusals) == (KeyState.REFUSED, 2)
    key.accepted()
    assert (key.state, key.refusals, key.was_proven) == (KeyState.PROVEN, 0, True)


def test_answers_to_calls_that_the_old_key_signed_change_nothing_while_another_is_fetched() -> None:
    key = Key(signer(), renewable=True)
    key.renew()
    key.accepted()
    key.refused()
    assert (key.state, key.usable) == (KeyState.RENEWING, False)


async def test_calls_wait_for_the_next_key_and_are_signed_with_it() -> None:
    key = Key(signer("old"), renewable=True)
    key.renew()
    waiting = asyncio.create_task(key.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    fresh = signer("new")
    key.renewed(fresh)
    await waiting
    assert key.current() is fresh
    assert (key.state, key.replaces_refused) == (KeyState.UNPROVEN, True)


def test_a_key_that_is_replaced_before_it_is_refused_stays_proven() -> None:
    key = Key(signer("old"), renewable=True)
    key.accepted()
    key.renewed(signer("new"))
    assert (key.state, key.replaces_refused) == (KeyState.PROVEN, False)


async def test_a_dead_key_raises_its_error_until_it_is_tried_again() -> None:
    key = Key(signer(), renewable=True)
    key.renew()
    key.died(CredentialsRefusedError("refused"))
    with pytest.raises(CredentialsRefusedError):
        await key.wait()
    key.retried()
    await key.wait()
    assert (key.state, key.usable) == (KeyState.ON_TRIAL, True)
    assert key.accepted()
    assert (key.state, key.error) == (KeyState.PROVEN, None)
