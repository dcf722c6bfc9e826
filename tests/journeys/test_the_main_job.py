"""One member, one campaign, one e-mail: from the list to what came of it.

The tests follow each other through one story and read in their order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo.doors import Doors, wait_until
from demo.house import House
from services.kit.clock import SystemClock
from tests.journeys.conftest import Mail

ADA = "ada.lovelace@members.example"
BOB = "bob.silent@members.example"
SENDER = "hello@jazz.example"

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
READING_MS = 3_000

BODY = """
<html><body>
<p>Dear {{ given_name | fallback("friend") }},</p>
<p><a href="https://jazz.example/pass" data-offer="pass">Your pass</a></p>
<p><a href="{{ preferences_url }}">Preferences</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</body></html>
"""

FIGURES = """
query ($campaign: ID!) { campaign(id: $campaign) { state figures {
  planned skipped skippedByReason { reason count } accepted refused unknown waiting messages
  opened clicked machineClicked unsubscribed converted } } }"""


@pytest.fixture(scope="module")
def story(house: House) -> dict[str, Any]:
    """What the earlier parts of the story found out, in this house."""
    return {}


def figures_of(doors: Doors, campaign: str) -> dict[str, Any]:
    answer = doors.ask(FIGURES, campaign=campaign)["campaign"]
    return {**answer["figures"], "state": answer["state"]}


def launch(doors: Doors, story: dict[str, Any], name: str) -> str:
    """A campaign to everybody under the story's objective, launched and finished."""
    campaign = doors.do(
        "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) "
        "{ campaign { id } errors { field code message } } }",
        input={
            "community": story["community"],
            "name": name,
            "purpose": "NEWS",
            "objective": story["objective"],
            "account": story["account"],
            "fromName": "Jazz",
            "messages": [{"locale": "en", "subject": "{{ given_name }}, the line-up", "format": "HTML", "body": BODY}],
        },
    )["campaign"]["id"]
    doors.do(
        "mutation ($campaign: ID!) { launchCampaign(input: {campaign: $campaign}) "
        "{ campaign { state } errors { field code message } } }",
        campaign=campaign,
    )
    wait_until(lambda: figures_of(doors, campaign)["state"] == "FINISHED", f"{name} to be finished", 60)
    return str(campaign)


def test_an_agency_founds_a_community_and_knows_its_members(doors: Doors, story: dict[str, Any]) -> None:
    story["community"] = doors.do(
        "mutation ($input: CreateCommunityInput!) { createCommunity(input: $input) "
        "{ community { id } errors { field code message } } }",
        input={
            "name": "Jazz",
            "masterName": "Jazz in the Park",
            "masterKind": "FLAGSHIP_ACTIVITY",
            "pack": "festival",
            "country": "BE",
            "locale": "en",
            "zone": "Europe/Brussels",
        },
    )["community"]["id"]
    for name, email in (("Ada", ADA), ("Bob", BOB)):
        story[name] = doors.do(
            "mutation ($input: RegisterMemberInput!) { registerMember(input: $input) "
            "{ member { id displayName } errors { field code message } } }",
            input={"community": story["community"], "givenName": name, "email": email},
        )["member"]["id"]
    permits = doors.do(
        "mutation ($input: RecordConsentInput!) { recordConsent(input: $input) "
        "{ member { permits { purpose channel allowed } } errors { field code message } } }",
        input={
            "member": story["Ada"],
            "purposes": ["NEWS", "TRACKING"],
            "channels": ["email"],
            "evidence": {
                "wording": "Yes, send me news of the festival, and measure what I open.",
                "source": "double_opt_in",
                "at": (datetime.now(UTC) - timedelta(days=3)).isoformat(),
                "actor": "member",
            },
        },
    )["member"]["permits"]
    assert {"purpose": "NEWS", "channel": "email", "allowed": True} in permits


def test_a_sender_proves_its_address_by_a_button(doors: Doors, mail: Mail, story: dict[str, Any]) -> None:
    story["account"] = doors.do(
        "mutation ($input: AddAccountInput!) { addAccount(input: $input) "
        "{ account { id } errors { field code message } } }",
        input={
            "community": story["community"],
            "channel": "email",
            "name": "Relay",
            "senderAddress": SENDER,
            "host": "127.0.0.1",
            "port": mail.port,
            "security": "NONE",
        },
    )["account"]["id"]
    doors.do(
        "mutation ($account: ID!) { requestSenderProof(input: {account: $account}) "
        "{ sentAt errors { field code message } } }",
        account=story["account"],
    )
    link = mail.wait_for(SENDER)[0].links[0]

    def verified() -> bool:
        question = "query ($community: ID!) { accounts(community: $community) { nodes { senderVerified } } }"
        return bool(doors.ask(question, community=story["community"])["accounts"]["nodes"][0]["senderVerified"])

    httpx2.get(link, timeout=10).raise_for_status()
    assert not verified(), "a mail scanner that opens the link proves nothing"
    httpx2.post(link, timeout=10).raise_for_status()
    wait_until(verified, "the sender to be verified")


def test_a_campaign_reaches_who_agreed_and_says_why_the_other_did_not_get_it(
    doors: Doors, mail: Mail, story: dict[str, Any]
) -> None:
    story["objective"] = doors.do(
        "mutation ($input: CreateObjectiveInput!) { createObjective(input: $input) "
        "{ objective { id } errors { field code message } } }",
        input={
            "community": story["community"],
            "name": "Passes",
            "metric": "REVENUE",
            "currency": "EUR",
            "target": 1_000,
            "deadline": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
        },
    )["objective"]["id"]
    story["campaign"] = launch(doors, story, "Line-up")

    figures = figures_of(doors, story["campaign"])
    assert (figures["planned"], figures["accepted"], figures["skipped"]) == (2, 1, 1)
    assert figures["planned"] == figures["skipped"] + figures["accepted"] + figures["refused"] + figures["unknown"]
    story["letter"] = mail.wait_for(ADA)[0]
    assert story["letter"].subject == "Ada, the line-up"
    assert "Dear Ada," in story["letter"].html
    assert not mail.mailbox.newest(BOB, 0, 10)
    why = doors.ask(
        "query ($campaign: ID!, $member: ID!) { whyDidTheyNotGetIt(campaign: $campaign, member: $member) "
        "{ state reason message } }",
        campaign=story["campaign"],
        member=story["Bob"],
    )["whyDidTheyNotGetIt"]
    assert why["state"].lower() == "skipped"
    assert why["reason"] == "no-basis"
    assert why["message"]


def test_a_click_is_in_the_timeline_and_a_purchase_moves_the_objective(doors: Doors, story: dict[str, Any]) -> None:
    tracked = [link for link in story["letter"].visible_links if "/l/" in link]
    httpx2.head(tracked[0], timeout=10)  # a mail scanner looks first
    read_at = story["letter"].at + READING_MS
    wait_until(lambda: SystemClock().now() > read_at, "a person to have read the letter")
    answer = httpx2.get(tracked[0], headers={"User-Agent": BROWSER}, timeout=10)
    assert answer.status_code in (302, 303, 307)
    assert answer.headers["location"] == "https://jazz.example/pass"

    def kinds() -> list[str]:
        question = "query ($id: ID!) { node(id: $id) { ... on Member { timeline { nodes { kind } } } } }"
        return [each["kind"].lower() for each in doors.ask(question, id=story["Ada"])["node"]["timeline"]["nodes"]]

    wait_until(lambda: {"received", "clicked"} <= set(kinds()), "the click in the timeline")
    key = doors.do(
        'mutation ($communities: [ID!]) { createApiKey(input: {name: "shop", scopes: [EVENTS_WRITE], '
        "communities: $communities}) { secret errors { field code message } } }",
        communities=[story["community"]],
    )["secret"]
    bought = {
        "specversion": "1.0",
        "id": "order-1",
        "source": "https://jazz.example/shop",
        "type": "fanfare.purchase",
        "time": datetime.now(UTC).isoformat(),
        "data": {
            "community": story["community"],
            "email": ADA,
            "offer": "pass",
            "amount": "89.00",
            "currency": "EUR",
        },
    }
    first, again = doors.tell(key, [bought]), doors.tell(key, [bought])
    assert (first[0]["outcome"], again[0]["outcome"]) == ("recorded", "known")
    wait_until(lambda: figures_of(doors, story["campaign"])["converted"] == 1, "the conversion in the figures")
    figures = figures_of(doors, story["campaign"])
    assert (figures["clicked"], figures["machineClicked"]) == (1, 1), "the scanner's visit is counted apart"

    def value() -> float:
        question = "query ($id: ID!) { node(id: $id) { ... on Objective { progress { value } } } }"
        return float(doors.ask(question, id=story["objective"])["node"]["progress"]["value"])

    wait_until(lambda: value() == 89.0, "the purchase in the objective")


def test_who_unsubscribes_by_one_click_gets_no_further_campaign(
    doors: Doors, mail: Mail, story: dict[str, Any]
) -> None:
    link = story["letter"].one_click
    httpx2.get(link, timeout=10).raise_for_status()
    posted = httpx2.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=10)
    assert posted.status_code == 200

    second = launch(doors, story, "Second")
    figures = figures_of(doors, second)
    assert (figures["planned"], figures["accepted"], figures["skipped"]) == (2, 0, 2)
    assert len(mail.wait_for(ADA)) == 1
    why = doors.ask(
        "query ($campaign: ID!, $member: ID!) { whyDidTheyNotGetIt(campaign: $campaign, member: $member) { reason } }",
        campaign=second,
        member=story["Ada"],
    )["whyDidTheyNotGetIt"]
    assert why["reason"] in ("objection", "suppressed")


def test_no_address_stands_in_any_log(data: Path, story: dict[str, Any]) -> None:
    assert story["campaign"]
    written = [path for path in data.rglob("*") if path.is_file() and (path.suffix == ".log" or "log" in path.name)]
    assert written
    for path in written:
        content = path.read_bytes().lower()
        for address in (ADA, BOB):
            assert address.encode() not in content, f"{path.name} holds a member's address"
