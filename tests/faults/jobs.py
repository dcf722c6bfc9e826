"""The two jobs that faults strike, an import and a campaign, and how every row and recipient is accounted for after."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from bench.lists import address, write_list
from bench.stage import MAPPING
from demo import queries
from demo.catcher import Caught
from demo.doors import Answer, Doors, Refused, wait_until
from tests.faults.relay import Relay

SENDER = "hello@faults.example"
LETTER = (
    "<p>Hello {{ given_name | fallback('you') }}, <a href='https://festival.example/pass'>the pass</a> is here.</p>"
    "<p><a href='{{ unsubscribe_url }}'>Unsubscribe</a></p>"
)
_PAGE = 200
_AT_ONCE = 20

COUNT = """query ($community: ID!) { previewSegment(community: $community, sample: 0) { within } }"""
MEMBERS = """
query ($community: ID!, $after: String) {
  members(community: $community, first: 200, after: $after) {
    nodes { id contactPoints { channel address } } pageInfo { hasNextPage endCursor } }
}"""

T = TypeVar("T")


def patiently(ask: Callable[[], T], timeout_seconds: float = 60.0) -> T:
    """Ask until there is an answer: services that were killed are away for a while."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return ask()
        except (httpx2.HTTPError, Refused, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Flight:
    """How far a job is. It is in flight between its first step and its last."""

    done: int
    total: int

    @property
    def in_flight(self) -> bool:
        return 0 <= self.done < self.total or self.total == 0


def found_community(doors: Doors, name: str) -> str:
    wanted = {
        "name": name,
        "masterName": name,
        "masterKind": "FLAGSHIP_ACTIVITY",
        "pack": "festival",
        "country": "BE",
        "locale": "en",
        "zone": "Europe/Brussels",
    }
    return str(patiently(lambda: doors.do(queries.CREATE_COMMUNITY, input=wanted))["community"]["id"])


class ImportJob:
    """An import of ``rows`` distinct people into a community of their own."""

    def __init__(self, doors: Doors, community: str, rows: int, folder: Path, seed: int = 1) -> None:
        self.rows = rows
        self.community = community
        self._doors = doors
        file = write_list(folder / f"{community}.csv", rows, seed)
        uploaded = patiently(lambda: doors.upload(file, community))
        started = patiently(
            lambda: doors.do(
                queries.START_IMPORT,
                input={
                    "requestId": f"import-{community}",
                    "community": community,
                    "file": uploaded,
                    "fileName": file.name,
                    "mapping": MAPPING,
                },
            )
        )
        self.id = str(started["import"]["id"])

    def state(self) -> Answer:
        return patiently(lambda: self._doors.ask(queries.IMPORT, **{"import": self.id}))["import"]  # type: ignore[no-any-return]

    def flight(self) -> Flight:
        state = self.state()
        progress = state["progress"]
        over = state["state"].lower() == "finished"
        return Flight(self.rows if over else min(progress["rowsDone"], self.rows - 1), self.rows)

    def wait(self, timeout_seconds: float) -> None:
        wait_until(lambda: self.state()["state"].lower() != "running", "the end of the import", timeout_seconds)

    def assert_nothing_lost_or_doubled(self) -> None:
        """Every row is one member, no more and no fewer; and the import's own counts say so."""
        state = self.state()
        assert state["state"].lower() == "finished", state
        progress = state["progress"]
        assert (progress["rowsDone"], progress["created"]) == (self.rows, self.rows), progress
        owners = Counter(email for email, _ in emails(self._doors, self.community))
        doubled = {email: count for email, count in owners.items() if count > 1}
        missing = {address(number) for number in range(self.rows)} - owners.keys()
        assert not doubled, f"{len(doubled)} rows made more than one member"
        assert not missing, f"{len(missing)} rows made no member"
        within = patiently(lambda: self._doors.ask(COUNT, community=self.community))["previewSegment"]["within"]
        assert within == self.rows


def emails(doors: Doors, community: str) -> Iterator[tuple[str, str]]:
    """Every e-mail address of the community, with the member's id."""
    after: str | None = None
    while True:
        cursor = after
        page = patiently(lambda: doors.ask(MEMBERS, community=community, after=cursor))["members"]  # noqa: B023 # asked now
        for member in page["nodes"]:
            for point in member["contactPoints"]:
                if point["channel"] == "email":
                    yield point["address"], member["id"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return


@dataclass(slots=True)
class Account:
    """Where every recipient stands: the ledger's word for each member, beside the relay's own record."""

    states: dict[str, str] = field(default_factory=dict)  # by address
    reasons: dict[str, str] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    figures: Answer = field(default_factory=dict)

    def counted(self) -> Counter[str]:
        return Counter(self.states.values())

    @property
    def doubled(self) -> int:
        return sum(count - 1 for count in self.kept.values() if count > 1)

    @property
    def missing(self) -> int:
        """Recipients who did not get it, and were neither refused nor skipped with a reason."""
        return sum(not self.kept[email] and state in ("accepted", "unknown") for email, state in self.states.items())

    def assert_settled(self, policy: str) -> None:
        """What must hold after any fault: promise 1."""
        figures = self.figures
        assert figures["planned"] == len(self.states), (figures["planned"], len(self.states))
        terminal = sum(figures[state] for state in ("skipped", "accepted", "refused", "unknown"))
        assert terminal == figures["planned"], figures
        assert figures["waiting"] == figures["inFlight"] == 0, figures
        counted = self.counted()
        assert all(counted[state] == figures[state] for state in ("skipped", "accepted", "refused", "unknown")), (
            counted,
            figures,
        )
        for email, state in self.states.items():
            times = self.kept[email]
            if state == "accepted":
                assert times >= 1, f"{email} is said to be accepted; the relay never had it"
            elif state in ("refused", "skipped"):
                assert times == 0, f"{email} is said to be {state}; the relay kept it {times} times"
                assert self.reasons[email], f"{email} is {state} without a reason"
            else:
                assert state == "unknown", f"{email} is {state} in a finished campaign"
        if policy == "LIST":
            assert self.doubled == 0, f"{self.doubled} doubled under the policy list"


class CampaignJob:
    """A campaign to everybody in a community, through a relay of ours."""

    def __init__(self, doors: Doors, community: str, relay: Relay, policy: str = "LIST", **draft: Any) -> None:
        self.policy = policy
        self._doors = doors
        self._relay = relay
        self.community = community
        self.account = _account(doors, community, relay)
        relay.forget()
        wanted = {
            "requestId": f"campaign-{time.time_ns()}",
            "community": community,
            "name": f"Faults, {policy.lower()}",
            "purpose": "NEWS",
            "account": self.account,
            "fromName": "Faults",
            "unknownPolicy": policy,
            "messages": [{"locale": "en", "subject": "The pass", "format": "HTML", "body": LETTER}],
            **draft,
        }
        made = patiently(lambda: doors.do(queries.CREATE_CAMPAIGN, input=wanted))
        self.id = str(made["campaign"]["id"])
        self._planned = 0

    def launch(self) -> None:
        patiently(lambda: self._doors.do(queries.LAUNCH, campaign=self.id))

    def look(self) -> Answer:
        found: Answer = patiently(lambda: self._doors.ask(queries.PICTURE, campaign=self.id))["campaign"]
        return found

    def flight(self) -> Flight:
        look = self.look()
        figures = look["figures"]
        if look["state"] == "FINISHED":
            return Flight(figures["planned"], figures["planned"])
        done = sum(figures[state] for state in ("skipped", "accepted", "refused", "unknown"))
        total = max(figures["planned"], 1)
        return Flight(min(done, total - 1), total)

    def wait(self, timeout_seconds: float) -> None:
        wait_until(lambda: self.look()["state"] == "FINISHED", "the end of the campaign", timeout_seconds, 0.25)

    def account_for(self) -> Account:
        account = Account(kept=self._relay.times_kept(), figures=self.look()["figures"])
        members = list(emails(self._doors, self.community))
        for start in range(0, len(members), _AT_ONCE):
            some = members[start : start + _AT_ONCE]
            for (email, _), told in zip(some, self.explained([member for _, member in some]), strict=True):
                if told["state"] != "absent":
                    account.states[email] = told["state"]
                    account.reasons[email] = told["reason"] or ""
        return account

    def explained(self, members: Sequence[str]) -> list[Answer]:
        """Why each of these members did, or did not, get it."""
        asked = " ".join(
            f'm{place}: whyDidTheyNotGetIt(campaign: "{self.id}", member: "{member}") {{ state reason }}'
            for place, member in enumerate(members)
        )
        answer = patiently(lambda: self._doors.ask(f"{{ {asked} }}"))
        return [answer[f"m{place}"] for place in range(len(members))]


def _account(doors: Doors, community: str, relay: Relay) -> str:
    wanted = {
        "community": community,
        "channel": "email",
        "name": "relay",
        "senderAddress": SENDER,
        "host": "127.0.0.1",
        "port": relay.port,
        "security": "NONE",
    }
    account = str(patiently(lambda: doors.do(queries.ADD_ACCOUNT, input=wanted))["account"]["id"])
    mood, relay.mood = relay.mood, type(relay.mood)()
    relay.forget()
    patiently(lambda: doors.do(queries.PROVE_SENDER, account=account))
    wait_until(lambda: relay.last is not None, "the proof of the sender", 30)
    assert relay.last is not None
    proof = Caught(1, 0, "", SENDER, relay.last)
    with httpx2.Client(timeout=20) as browser:
        patiently(lambda: browser.post(proof.links[0]).raise_for_status())
    relay.mood = mood
    return account
