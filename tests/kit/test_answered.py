"""A request made again is answered, not done again."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.kit.clock import ManualClock
from services.kit.errors import Conflict
from services.kit.rpc.answered import TAKEN_OVER_AFTER, AnsweredRequests, RequestIdReused, RequestUnderWay
from services.kit.scope import Scope
from services.kit.store.machinery import AnsweredRequestDocument
from services.kit.store.opening import open_store

HERE = Scope("agy_1", None, "operator:ada")
ELSEWHERE = Scope("agy_2", None, "operator:eve")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def answered(tmp_path: Path, clock: ManualClock) -> Iterator[AnsweredRequests]:
    store = open_store(f"sqlite:///{tmp_path}/test.sqlite", [AnsweredRequestDocument])
    yield AnsweredRequests(store.collection(AnsweredRequestDocument), clock)
    store.close()


class Work:
    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> bytes:
        self.done += 1
        return b"answer %d" % self.done


def test_a_request_made_again_is_answered_and_not_done_again(answered: AnsweredRequests) -> None:
    work = Work()
    first = answered.answer(HERE, "/m/Create", "r1", b"payload", work)
    assert answered.answer(HERE, "/m/Create", "r1", b"payload", work) == first
    assert work.done == 1


def test_nothing_stored_opens_an_answer(answered: AnsweredRequests, tmp_path: Path) -> None:
    answered.answer(HERE, "/m/Create", "r1", b"payload", lambda: b"ada@example.org")
    assert answered.answer(HERE, "/m/Create", "r1", b"payload", Work()) == b"ada@example.org"
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"answered_requests" in stored
    for trace in (b"ada@example.org", base64.b64encode(b"ada@example.org")[:16], b"r1\x00payload"):
        assert trace not in stored


def test_the_same_id_with_another_payload_is_an_error(answered: AnsweredRequests) -> None:
    work = Work()
    answered.answer(HERE, "/m/Create", "r1", b"payload", work)
    with pytest.raises(RequestIdReused):
        answered.answer(HERE, "/m/Create", "r1", b"another", work)
    assert work.done == 1


def test_ids_of_another_agency_or_method_are_other_ids(answered: AnsweredRequests) -> None:
    work = Work()
    for scope, method in ((HERE, "/m/Create"), (ELSEWHERE, "/m/Create"), (HERE, "/m/Change")):
        answered.answer(scope, method, "r1", b"payload", work)
    assert work.done == 3


def test_work_that_failed_may_be_asked_for_again(answered: AnsweredRequests) -> None:
    def fail() -> bytes:
        raise Conflict("Not now.")

    with pytest.raises(Conflict, match="Not now"):
        answered.answer(HERE, "/m/Create", "r1", b"payload", fail)
    assert answered.answer(HERE, "/m/Create", "r1", b"payload", Work()) == b"answer 1"


def test_work_under_way_is_waited_for_and_taken_over_when_its_worker_is_gone(
    answered: AnsweredRequests, clock: ManualClock
) -> None:
    def ask_meanwhile() -> bytes:
        with pytest.raises(RequestUnderWay):
            answered.answer(HERE, "/m/Create", "r1", b"payload", Work())
        clock.advance(TAKEN_OVER_AFTER)
        assert answered.answer(HERE, "/m/Create", "r1", b"payload", Work()) == b"answer 1"
        return b"too late"

    answered.answer(HERE, "/m/Create", "r1", b"payload", ask_meanwhile)
    assert answered.answer(HERE, "/m/Create", "r1", b"payload", Work()) == b"answer 1"
