"""What follows from each answer: the table, and what the answers before change in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stopcast import ClockRefusedError, CredentialsRefusedError, RetryPolicy, Status
from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict
from stopcast.engine.decisions import (
    REFUSALS,
    RULES,
    UNKNOWN_REFUSALS,
    AccountState,
    CorrectClock,
    Decision,
    Halt,
    RenewKey,
    RetryAfter,
    SetAside,
    Settle,
    Tried,
    decide,
)
from stopcast.engine.key import KeyState
from stopcast.errors import UnknownRefusalsError

NEW = AccountState()
POLICY = RetryPolicy(max_attempts=5)
KEY_GONE = Reply(401, code="InvalidAccessKey", message="gone", request_id="id")
NO_RIGHT = Reply(403, code="LackPolicy", message="no right", request_id="id")
TOO_EARLY = Reply(403, code="InvalidTimestamp", server_time=1_000.0)


def decided(verdict: Verdict, reply: Reply, account: AccountState = NEW, **settings: Any) -> Decision:
    tried = Tried(app_id="app", attempts=1, seconds=1.0, reply=reply)._replace(**settings)
    return decide(verdict, tried, account, POLICY)


def test_the_table_has_a_rule_for_every_verdict() -> None:
    assert RULES.keys() == set(Verdict)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.OK, Settle(None)),
        (Verdict.NO_SUCH_TASK, Settle(None)),
        (Verdict.TASK, Settle(Status.FAILED)),
        (Verdict.APPLICATION, SetAside("app")),
        (Verdict.UNKNOWN_REFUSAL, Settle(Status.SET_ASIDE)),
    ],
)
def test_a_final_answer_ends_its_task_at_once(verdict: Verdict, expected: Decision) -> None:
    assert decided(verdict, Reply(400, code="Code")) == expected


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.THROTTLED])
def test_a_transient_answer_is_followed_by_another_attempt_until_they_run_out(verdict: Verdict) -> None:
    reply = Reply(503, retry_after=7.0)
    waits = decided(verdict, reply)
    assert isinstance(waits, RetryAfter)
    assert waits.seconds >= 7.0
    assert decided(verdict, reply, attempts=5) == Settle(Status.GAVE_UP)


def test_only_a_transient_answer_puts_its_task_in_doubt() -> None:
    assert [verdict for verdict, rule in RULES.items() if rule.doubtful] == [Verdict.TRANSIENT]


@pytest.mark.parametrize(("refusals", "halts"), [(0, False), (REFUSALS - 2, False), (REFUSALS - 1, True)])
@pytest.mark.parametrize("verdict", [Verdict.ACCOUNT, Verdict.UNKNOWN_ACCOUNT])
def test_the_third_refusal_of_the_account_in_a_row_ends_the_calls(
    verdict: Verdict, refusals: int, *, halts: bool
) -> None:
    decision = decided(verdict, NO_RIGHT, replace(NEW, refusals=refusals))
    assert isinstance(decision, Halt if halts else RetryAfter)
    if isinstance(decision, Halt):
        assert isinstance(decision.error, CredentialsRefusedError)
        assert "LackPolicy: no right (request id)" in str(decision.error)


def test_a_key_that_can_be_replaced_is_renewed_at_its_first_refusal() -> None:
    assert decided(Verdict.ACCOUNT, KEY_GONE, replace(NEW, renewable=True)) == RenewKey()


def test_a_right_that_is_missing_is_not_mended_by_another_key() -> None:
    assert isinstance(decided(Verdict.ACCOUNT, NO_RIGHT, replace(NEW, renewable=True)), RetryAfter)


def test_no_third_key_is_fetched_when_the_second_is_refused_too() -> None:
    account = replace(NEW, renewable=True, replaces_refused=True, refusals=REFUSALS - 1)
    assert isinstance(decided(Verdict.ACCOUNT, KEY_GONE, account), Halt)


@pytest.mark.parametrize(
    ("account", "stale_key"), [(NEW, True), (replace(NEW, key=KeyState.RENEWING, renewable=True), False)]
)
def test_a_refusal_of_a_key_that_is_not_used_any_more_costs_only_an_attempt(
    account: AccountState, *, stale_key: bool
) -> None:
    assert decided(Verdict.ACCOUNT, KEY_GONE, account, stale_key=stale_key) == RetryAfter(0.0)
    assert decided(Verdict.ACCOUNT, KEY_GONE, account, stale_key=stale_key, attempts=5) == Settle(Status.GAVE_UP)


def test_an_unknown_refusal_of_one_appid_while_others_succeed_sets_that_appid_aside() -> None:
    forbidden = Reply(403, code="NeverHeardOf")
    assert isinstance(decided(Verdict.UNKNOWN_ACCOUNT, forbidden, replace(NEW, suspects={"app": False})), RetryAfter)
    assert decided(Verdict.UNKNOWN_ACCOUNT, forbidden, replace(NEW, suspects={"app": True})) == SetAside("app")


def test_a_long_row_of_one_unknown_code_ends_the_calls_and_leaves_the_tasks_for_resume() -> None:
    reply = Reply(400, code="NeverHeardOf")
    before = replace(NEW, unknown_code="NeverHeardOf", unknown_refusals=UNKNOWN_REFUSALS - 1)
    decision = decided(Verdict.UNKNOWN_REFUSAL, reply, before)
    assert isinstance(decision, Halt)
    assert isinstance(decision.error, UnknownRefusalsError)
    other = replace(before, unknown_code="AnotherCode")
    assert decided(Verdict.UNKNOWN_REFUSAL, reply, other) == Settle(Status.SET_ASIDE)


def test_the_clock_is_corrected_once_by_the_server_s_date() -> None:
    assert decided(Verdict.CLOCK, TOO_EARLY, now=400.0) == CorrectClock(600.0)


def test_a_call_that_was_signed_before_the_correction_is_just_sent_again() -> None:
    corrected = replace(NEW, clock_offset=600.0, clock_corrected=True)
    assert decided(Verdict.CLOCK, TOO_EARLY, corrected, clock_offset=0.0) == RetryAfter(0.0)


@pytest.mark.parametrize(
    ("reply", "account"),
    [
        (TOO_EARLY._replace(server_time=None), NEW),
        (TOO_EARLY, replace(NEW, clock_corrected=True, clock_offset=1000.0)),
        (TOO_EARLY, replace(NEW, clock_corrected=True, clock_offset=995.0)),
    ],
)
def test_a_clock_that_cannot_be_corrected_ends_the_calls(reply: Reply, account: AccountState) -> None:
    decision = decided(Verdict.CLOCK, reply, account, clock_offset=account.clock_offset)
    assert isinstance(decision, Halt)
    assert isinstance(decision.error, ClockRefusedError)


def test_a_clock_that_was_set_after_its_correction_is_corrected_again() -> None:
    corrected = replace(NEW, clock_offset=-3600.0, clock_corrected=True)
    assert decided(Verdict.CLOCK, TOO_EARLY, corrected, clock_offset=-3600.0, now=1000.5) == CorrectClock(-0.5)
