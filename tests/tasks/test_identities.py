"""Identities of tasks, and packed sets and maps of them."""

from __future__ import annotations

import pytest

from stopcast.tasks import identities
from stopcast.tasks.identities import Identities, IdentityNumbers, identities_of, identity, row_fingerprint
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import Task
from support.memory import peak_memory


def test_an_identity_is_the_same_in_every_process_and_version() -> None:
    assert identity(Task("a", "r", "t")).hex() == "5733a149a01213a1ed500b14d4543d02"


def test_an_identity_is_128_bits_and_the_same_in_every_form() -> None:
    digest = identity(Task("a", "r", "t"))
    assert len(digest) == 16
    assert digest == identity("a,r,t") == identities_of([b"a,r,t"])[0]
    assert identity("a\ud800") != identity("a\udc00")


def test_the_fingerprint_of_an_invalid_row_is_made_of_what_its_line_shows() -> None:
    task = Task("a", "r", "t")
    assert row_fingerprint(Status.DUPLICATE, task, "x") == identity(task)
    distinct = {
        row_fingerprint(Status.DUPLICATE, task, "x"),
        row_fingerprint(Status.INVALID, task, "x"),
        row_fingerprint(Status.INVALID, task, "y"),
        row_fingerprint(Status.INVALID, task, None),
        row_fingerprint(Status.INVALID, Task("a", "r", "t', 'x"), ""),
    }
    assert len(distinct) == 5


@pytest.fixture(params=[1 << 20, 2], ids=["few shelves", "shelves that grow"])
def empty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Identities:
    monkeypatch.setattr(identities, "_FULL_SHELF", request.param)
    return Identities()


def test_identities_are_a_set(empty: Identities) -> None:
    digests = identities_of(b"%d" % number for number in range(2000))
    assert empty.add_all(digests[:1000]) == [True] * 1000
    assert empty.add_all(digests[500:1500] + digests[1499:1500]) == [False] * 500 + [True] * 500 + [False]
    assert len(empty) == 1500
    assert all(digest in empty for digest in digests[:1500])
    assert not any(digest in empty for digest in digests[1500:])
    assert not empty.add(digests[0])
    assert empty.add(digests[1999])


def test_an_identity_can_be_removed_and_added_again(empty: Identities) -> None:
    digests = identities_of(b"%d" % number for number in range(1000))
    empty.add_all(digests)
    for digest in digests[::2]:
        empty.discard(digest)
        empty.discard(digest)
    assert len(empty) == 500
    assert [digest in empty for digest in digests] == [False, True] * 500
    assert empty.add_all(digests) == [True, False] * 500


def test_shelves_that_grow_one_batch_after_the_other_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_FULL_SHELF", 1)
    digests = identities_of(b"%d" % number for number in range(40_000))
    found, numbers = Identities(), IdentityNumbers()
    for start in range(0, 40_000, 70):
        assert all(found.add_all(digests[start : start + 70]))
        for digest in digests[start : start + 70]:
            numbers[digest] += 1
        assert digests[0] in found
    assert len(found) == len(numbers) == 40_000
    assert not any(found.add_all(digests))
    assert {numbers[digest] for digest in digests} == {1}


def test_bytes_across_two_identities_of_a_shelf_are_not_a_third(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_FIRST_SHELVES", 1)
    found, numbers = Identities(), IdentityNumbers()
    one, two = bytes(range(16)), bytes(range(16, 32))
    found.add_all([one, two])
    for digest in (one, two):
        numbers[digest] = 16
    for shift in range(1, 16):
        across = (one + two)[shift : shift + 16]
        assert across not in found
        found.discard(across)
        assert len(found) == 2
        assert not numbers[(one + b"\x10" + two)[shift : shift + 16]]
    across = (one + two)[8:24]
    assert found.add(across)
    assert not found.add(across)
    assert across in found
    # Bytes that stand across others first, and as themselves later.
    assert not found.add_all([across, one, two]).count(True)


def test_numbers_of_identities_may_be_of_any_size() -> None:
    numbers = IdentityNumbers()
    one, two = identities_of([b"1", b"2"])
    assert not numbers
    for number in (1, 254, 255, 256, 70_000, 3, 0):
        numbers[one] = number
        assert (numbers[one], numbers[two], len(numbers)) == (number, 0, 1)


# Before the number of shelves grows, just after it grew, and well after that.
@pytest.mark.parametrize("rows", [24_000, 27_000, 70_000])
def test_deduplication_takes_at_most_30_bytes_a_row(rows: int) -> None:
    with peak_memory() as peak:
        found = Identities()
        for start in range(0, rows, 200):
            found.add_all(identities_of(b"%d" % number for number in range(start, start + 200)))
    assert len(found) == rows
    assert peak.bytes / rows < 30
