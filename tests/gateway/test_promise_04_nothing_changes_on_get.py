"""Promise 4. No state changes on GET: mail scanners prefetch links; they confirm nothing, unsubscribe nobody, and are
told apart from people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from services.gateway.public.machines import SOON
from services.kit.scope import everywhere
from services.kit.tokens import HIDDEN_LINK, PIXEL, PREFERENCES, UNSUBSCRIBE
from tests.gateway.hearing import visits_of
from tests.gateway.house import Caller, House
from tests.gateway.story import Story, wait_until

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}


@pytest.fixture(scope="module")
def tokens(house: House, owner: Caller, story: Story) -> dict[str, str]:
    """A token that is good on each page, by the first part of its path."""
    made = house.gateway.public.tokens.make
    invited = owner.do("inviteOperator", "link", email="guest@first.example", role="ANALYST")
    return {
        "l": made(story["run"], story["member"], 0),
        "o": made(story["run"], story["member"], PIXEL),
        "u": made(story["run"], story["member"], UNSUBSCRIBE),
        "p": made(story["run"], story["member"], PREFERENCES),
        "s": story.letters["proof"].links[0].rpartition("/")[2],
        "i": invited["link"].rpartition("/i/")[2],
    }


def state_of(house: House, owner: Caller, story: Story) -> Any:
    """All that the pages could change."""
    document = """query($m: ID!, $c: ID!, $a: ID!) {
      member(id: $m) { version permits { purpose channel allowed basis since } permission { ledger { id act } } }
      campaign(id: $c) { version state } account(id: $a) { version senderVerified state }
      agency { operators { nodes { id state roles { name } } } } }"""
    wishes = house.gateway.public.wishes
    kept = wishes._unsubscribes.count(everywhere("service:test"))  # what lies on disk
    return owner.ask(document, m=story["member"], c=story["campaign"], a=story["account"]), kept


def routes(house: House) -> Iterator[tuple[str, set[str]]]:
    for rule in house.gateway.app.url_map.iter_rules():
        yield rule.rule, set(rule.methods or ())


def test_every_route_is_tried_here(house: House) -> None:
    assert {re.sub(r"<.*?>", "<>", path) for path, _ in routes(house)} == {
        *("/", "/livez", "/readyz", "/readyz/<>", "/robots.txt", "/graphql", "/explorer/<>", "/assets/<>"),
        *("/v1/events", "/v1/files", "/v1/exports"),
        *("/l/<>", "/o/<>", "/u/<>", "/p/<>", "/s/<>", "/i/<>"),
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_nothing_changes(method: str, house: House, owner: Caller, story: Story, tokens: dict[str, str]) -> None:
    before = state_of(house, owner, story)
    visitor = house.caller().client
    tempting = {"for": story["member"], "what": "all", "List-Unsubscribe": "One-Click", "password": "a fine password"}
    for path, methods in routes(house):
        token = tokens.get(path.split("/")[1], "x")
        filled = re.sub(r"<.*?>", token.replace("\\", ""), path)
        for headers in ({}, BROWSER, owner.headers) if method in methods else ():
            reply = visitor.open(filled, method=method, headers=headers, query_string=tempting)
            assert reply.status_code < 500, (filled, reply.text)
    assert state_of(house, owner, story) == before


def test_the_pages_do_answer_to_these_tokens(house: House, tokens: dict[str, str]) -> None:
    """Without which the tests above would prove nothing."""
    visitor = house.caller().client
    statuses = {part: visitor.get(f"/{part}/{token}", headers=BROWSER).status_code for part, token in tokens.items()}
    assert statuses == {"l": 302, "o": 200, "u": 200, "p": 200, "s": 200, "i": 200}


def test_programs_are_told_apart_from_people(house: House, story: Story) -> None:
    make = house.gateway.public.tokens.make
    read_at = story.letters["news"].at + SOON + 500
    wait_until(lambda: house.gateway.public.clock.now() > read_at, "time enough to have read it")
    visitor = house.caller().client
    one, two, child, person = story["other"], story["twin"], story["child"], story["absorbed"]
    run = story["run"]
    visitor.head(f"/l/{make(run, one, 0)}", headers=BROWSER)
    visitor.get(f"/l/{make(run, one, 1)}", headers={"User-Agent": "curl/8.0"})
    visitor.get(f"/o/{make(run, one, PIXEL)}", headers={"User-Agent": "Mozilla/5.0"})
    visitor.get(f"/l/{make(run, person, 2)}", headers=BROWSER)
    with house.gateway.public.visits._telling:  # however slow this machine, these come together
        for number in (0, 1, 2):
            visitor.get(f"/l/{make(run, two, number)}", headers=BROWSER)
        visitor.get(f"/l/{make(run, child, 0)}", headers=BROWSER)
        assert visitor.get(f"/l/{make(run, child, HIDDEN_LINK)}", headers=BROWSER).status_code == 204

    def of(member: str, visits: list[Any]) -> list[tuple[int, str]]:
        return [(visit.link, visit.machine) for visit in visits if visit.member == member]

    heard = visits_of(house, lambda visits: len(of(child, visits)) >= 2)
    assert of(one, heard) == [(0, "head"), (1, "user-agent"), (PIXEL, "user-agent")]
    assert of(person, heard) == [(2, "")]
    assert of(two, heard) == [(0, "all-links"), (1, "all-links"), (2, "all-links")]
    assert of(child, heard) == [(0, "hidden-link"), (HIDDEN_LINK, "hidden-link")]
    assert len({visit.id for visit in heard}) == len(heard)
