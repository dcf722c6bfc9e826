"""Clicks and opens: marked with a cause, told within a second, none lost by an orderly stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fanfare.gateway.v1.public_events_pb2 import LinksFollowed
from services.gateway.public.acceptances import AT_ONCE, Acceptances
from services.gateway.public.machines import SOON, TOGETHER, Agents, Behaviour, Followed, mark_at_once
from services.gateway.public.runs import FRESH, LOOK_AGAIN, UNKNOWN_FOR, RunFacts, Runs, RunUnknown, address
from services.gateway.public.visits import Visits
from services.kit.clock import DAY, ManualClock
from services.kit.errors import NotFound, Unavailable
from services.kit.ids import Ids
from services.kit.log import Log, open_log
from services.kit.tokens import HIDDEN_LINK, PIXEL

FACTS = RunFacts("run_1", "agy_1", "cmt_1", "cmp_1", "news", "email", ("a", "b", "c"), "Jazz", 1_000_000)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = open_log(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield log
    log.close()


def visit(number: int, at: int, member: str = "mbr_1", machine: str = "") -> Followed:
    return Followed(FACTS.run, member, number, at, machine, FACTS)


@pytest.mark.parametrize(
    ("method", "agent", "number", "after", "cause"),
    [
        ("GET", FIREFOX, 0, DAY, ""),
        ("HEAD", FIREFOX, 0, DAY, "head"),
        ("GET", "", 0, DAY, "user-agent"),
        ("GET", "Mozilla/5.0 (compatible; Googlebot/2.1)", 0, DAY, "user-agent"),
        ("GET", "Mozilla/5.0", PIXEL, DAY, "user-agent"),  # Apple's proxy fetches images ...
        ("GET", "Mozilla/5.0", 0, DAY, ""),  # ... and follows no links
        ("GET", "YahooMailProxy; https://help.yahoo.com", PIXEL, DAY, "user-agent"),
        ("GET", FIREFOX, HIDDEN_LINK, DAY, "hidden-link"),
        ("GET", FIREFOX, 0, SOON - 1, "too-soon"),
        ("GET", FIREFOX, 0, SOON, ""),
    ],
)
def test_what_one_request_shows(method: str, agent: str, number: int, after: int, cause: str) -> None:
    marked = mark_at_once(Agents(), method, agent, number, FACTS.launched_at + after, FACTS.launched_at)
    assert marked == cause


def test_following_every_link_at_once_is_what_programs_do() -> None:
    behaviour, at = Behaviour(), 2_000_000
    scanner = [visit(number, at + number) for number in (0, 1, 2)] + [visit(PIXEL, at + 5)]
    behaviour.mark(scanner)
    assert {one.machine for one in scanner} == {"all-links"}
    slow = [visit(number, at + number * TOGETHER, "mbr_2") for number in (0, 1, 2)]
    behaviour.mark(slow)
    assert {one.machine for one in slow} == {""}, "a person may follow them all in the end"
    later = [visit(0, at + 3 * TOGETHER)]
    behaviour.mark(later)
    assert later[0].machine == "", "the member comes after the scanner"


def test_few_links_are_soon_all_followed_by_people() -> None:
    two = replace(FACTS, links=("a", "b"))
    visits = [Followed(two.run, "mbr_1", number, 2_000_000, "", two) for number in (0, 1)]
    Behaviour().mark(visits)
    assert {one.machine for one in visits} == {""}


def test_who_follows_before_the_message_can_be_read_is_a_program(log: Log) -> None:
    clock = ManualClock(5_000_000)
    accepted = {"mbr_1": clock.now() - SOON + 1, "mbr_2": clock.now() - SOON, "mbr_3": 0}
    visits = Visits(log, Acceptances(lambda _, member: accepted[member], clock), Ids(clock), clock)
    for member in accepted:
        visits.follow(visit(0, clock.now(), member))
    assert visits.tell(None) == 3
    heard = {one.member: one.machine for one in told(log)}
    assert heard == {"mbr_1": "too-soon", "mbr_2": "", "mbr_3": ""}


def test_channels_is_asked_a_bounded_number_of_times_and_left_in_peace_when_it_is_away() -> None:
    clock, asked = ManualClock(5_000_000), []

    def ask(_: RunFacts, member: str) -> int:
        asked.append(member)
        if len(asked) > AT_ONCE + 5:
            raise Unavailable("away")
        return 1

    acceptances = Acceptances(ask, clock)
    for number in range(AT_ONCE * 2):
        acceptances.at(FACTS, f"mbr_{number}")
    assert len(asked) == AT_ONCE
    acceptances.another_round()
    assert acceptances.at(FACTS, "mbr_0") == 1 and len(asked) == AT_ONCE, "what is known is not asked again"
    for number in range(AT_ONCE * 2):
        acceptances.at(FACTS, f"mbr_x{number}")
    assert len(asked) == AT_ONCE + 6, "an answer that failed ends the round"


def told(log: Log) -> list[LinksFollowed.Visit]:  # type: ignore[name-defined] # nested messages are not in the stubs
    reader = log.reader(("gateway",), "test")
    heard = [one for received in reader.poll() for one in LinksFollowed.FromString(received.event.data).visits]
    reader.close()
    return heard


def test_visits_are_told_within_a_second_and_an_orderly_stop_loses_none(log: Log) -> None:
    from services.kit.clock import SystemClock  # for this test alone

    clock = SystemClock()
    visits = Visits(log, Acceptances(lambda *_: 0, clock), Ids(clock), clock)
    stop = threading.Event()
    worker = threading.Thread(target=visits.run, args=(stop,))
    worker.start()
    visits.follow(visit(0, clock.now()))
    reader = log.reader(("gateway",), "second")
    began, heard = time.monotonic(), 0
    while not heard and time.monotonic() - began < 30:
        heard += len(reader.poll(timeout_ms=50))
    assert heard == 1
    visits.follow(visit(1, clock.now()))
    stop.set()
    worker.join(10)
    assert len(reader.poll(timeout_ms=500)) == 1
    reader.close()


def test_an_event_that_could_not_be_told_is_told_later_with_the_same_ids(log: Log) -> None:
    clock = ManualClock(5_000_000)
    visits = Visits(_FullOnce(log), Acceptances(lambda *_: 0, clock), Ids(clock), clock)  # type: ignore[arg-type] # a test's own
    visits.follow(visit(0, clock.now()))
    assert visits.tell(None) == 0
    visits.tell(None)
    assert len(told(log)) == 1


class _FullOnce:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._full = True

    def publish(self, topic: str, events: object) -> None:
        if self._full:
            self._full = False
            raise Unavailable("The disk is full.")
        self._log.publish(topic, events)  # type: ignore[arg-type] # as it was given


def test_what_is_known_of_a_run_is_kept_looked_up_again_and_served_while_campaigns_is_away() -> None:
    clock, answers = ManualClock(), [FACTS]
    asked: list[str] = []

    def ask(run: str) -> RunFacts:
        asked.append(run)
        found = answers[-1]
        if isinstance(found, Exception):
            raise found
        return found

    runs = Runs(ask, clock)
    assert runs.facts("run_1", 2) is FACTS and runs.facts("run_1", 0) is FACTS and len(asked) == 1
    longer = replace(FACTS, links=("a", "b", "c", "d"))
    answers.append(longer)
    assert runs.facts("run_1", 3) is FACTS, "asked just now"
    clock.advance(LOOK_AGAIN)
    assert runs.facts("run_1", 3) is longer, "a revision brought a link"
    answers.append(Unavailable("away"))  # type: ignore[arg-type] # raised
    clock.advance(FRESH)
    assert runs.facts("run_1", 0) is longer
    with pytest.raises(Unavailable):
        runs.facts("run_2")
    answers.append(NotFound("none"))  # type: ignore[arg-type] # raised
    before = len(asked)
    for _ in range(3):
        with pytest.raises(RunUnknown):
            runs.facts("run_3")
    assert len(asked) == before + 1
    clock.advance(UNKNOWN_FOR)
    with pytest.raises(RunUnknown):
        runs.facts("run_3")
    assert len(asked) == before + 2


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://club.example/été?q=à b", "https://club.example/%C3%A9t%C3%A9?q=%C3%A0%20b"),
        ("HTTP://club.example", "http://club.example"),
        ("mailto:ada@club.example", "mailto:ada@club.example"),
        ("https://club.example/\r\nSet-Cookie: x", "https://club.example/Set-Cookie:%20x"),
        ("javascript:alert(1)", ""),
        ("//club.example", ""),
    ],
)
def test_a_link_leads_only_where_a_message_may_lead(written: str, sent: str) -> None:
    assert address(written) == sent
