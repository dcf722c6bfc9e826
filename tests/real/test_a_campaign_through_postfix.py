"""A campaign over a real mail server, from the account to what each member's mailbox holds.

The tests follow each other through one story and read in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from demo import queries
from demo.catcher import Caught
from demo.doors import Answer, Doors, Refused, wait_until
from demo.house import House
from tests.real.mailbox import Letter
from tests.real.servers import PASSWORD, SENDER, MailServers

pytestmark = pytest.mark.slow
# Whom Postfix, Dovecot and the house's own rules let in, and whom they do not.
ADA, BOB, GRETA = (f"{name}@members.example" for name in ("ada", "bob", "greta"))
NOBODY, FULL, STRICT = (f"{name}@members.example" for name in ("nobody", "full", "strict"))
EVERYBODY = (ADA, BOB, GRETA, NOBODY, FULL, STRICT)
BODY = """<html><body><p>Dear {{ given_name | fallback("friend") }},</p>
<p><a href="https://club.example/agenda">The agenda</a> is out: judo, competition, the bar on Friday.</p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""
FIGURES = """
query ($campaign: ID!) { campaign(id: $campaign) { state figures {
  planned skipped accepted refused unknown waiting inFlight messages } } }"""
ACCOUNT = "query ($account: ID!) { account(id: $account) { state alarm senderVerified } }"
TEST_ACCOUNT = """
mutation ($account: ID!) { testAccount(input: {account: $account}) { usable reply errors { field code message } } }"""
CHANGE_ACCOUNT = """
mutation ($account: ID!, $state: String) {
  changeAccount(input: {account: $account, state: $state}) { errors { field code message } } }"""
WHY = """
query ($campaign: ID!, $member: ID!) {
  whyDidTheyNotGetIt(campaign: $campaign, member: $member) { state reason message reply attempts messageId } }"""
REGISTER = """
mutation ($input: RegisterMemberInput!) {
  registerMember(input: $input) { member { id } errors { field code message } } }"""
CONSENT = """
mutation ($input: RecordConsentInput!) {
  recordConsent(input: $input) { member { permits { purpose channel allowed } } errors { field code message } } }"""
CONTACT = "query ($id: ID!) { node(id: $id) { ... on Member { contactPoints { state } } } }"


@pytest.fixture(scope="module")
def house(servers: MailServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    settings = {"TLS_CA_FILE": str(servers.certificates.authority), "RETRY_DELAYS": "[1, 1, 1]"}
    with House(tmp_path_factory.mktemp("real") / "var", settings=settings) as house:
        yield house
        assert house.stop() == 0, "the supervisor ends with status 0"


@pytest.fixture(scope="module")
def doors(house: House) -> Iterator[Doors]:
    doors = Doors(house.address)
    doors.sign_in(house.operator())
    yield doors
    doors.close()


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """What the earlier parts of the story found out."""
    return {}


def add_account(doors: Doors, story: dict[str, Any], port: int, **changes: Any) -> str:
    wanted = {
        "community": story["community"],
        "channel": "email",
        "name": "Relay",
        "senderAddress": SENDER,
        "host": "localhost",
        "port": port,
        "security": "STARTTLS",
        "username": SENDER,
        "password": PASSWORD,
    }
    return str(doors.do(queries.ADD_ACCOUNT, input={**wanted, **changes})["account"]["id"])


def launch(doors: Doors, story: dict[str, Any], purpose: str) -> str:
    """A campaign to everybody."""
    made = doors.do(
        queries.CREATE_CAMPAIGN,
        input={
            "community": story["community"],
            "name": f"Agenda, {purpose.lower()}",
            "purpose": purpose,
            "account": story["account"],
            "fromName": "Le Club",
            "messages": [
                {"locale": "en", "subject": f"{{{{ given_name }}}}, {purpose}", "format": "HTML", "body": BODY}
            ],
        },
    )
    campaign = str(made["campaign"]["id"])
    doors.do(queries.LAUNCH, campaign=campaign)
    return campaign


def figures_of(doors: Doors, campaign: str) -> Answer:
    answer = doors.ask(FIGURES, campaign=campaign)["campaign"]
    return {**answer["figures"], "state": answer["state"]}


def finished(doors: Doors, campaign: str) -> Answer:
    """The figures of a campaign that is over; they add up."""
    wait_until(lambda: figures_of(doors, campaign)["state"] == "FINISHED", "the end of the campaign", 45)
    figures = figures_of(doors, campaign)
    assert figures["planned"] == sum(figures[each] for each in ("skipped", "accepted", "refused", "unknown")), figures
    assert figures["waiting"] == figures["inFlight"] == 0
    return figures


def why(doors: Doors, campaign: str, member: str) -> Answer:
    found: Answer = doors.ask(WHY, campaign=campaign, member=member)["whyDidTheyNotGetIt"]
    return found


def the_letter_of(servers: MailServers, address: str, subject_end: str) -> Letter:
    """The one that a campaign left in a mailbox; Postfix carries it there after it said yes."""
    found: list[Letter] = []

    def came() -> bool:
        found[:] = [each for each in servers.mailbox(address).letters() if each.header("Subject").endswith(subject_end)]
        return bool(found)

    wait_until(came, "the letter in the mailbox", 20)
    (letter,) = found
    return letter


def test_a_club_and_its_members(doors: Doors, story: dict[str, Any]) -> None:
    community = {
        "name": "Judo",
        "masterName": "Judo Club",
        "masterKind": "ORGANISATION",
        "pack": "sports_club",
        "country": "BE",
        "locale": "en",
        "zone": "Europe/Brussels",
    }
    story["community"] = doors.do(queries.CREATE_COMMUNITY, input=community)["community"]["id"]
    for address in EVERYBODY:
        name = address.partition("@")[0].title()
        member = {"community": story["community"], "givenName": name, "email": address}
        story[address] = doors.do(REGISTER, input=member)["member"]["id"]
        evidence = {
            "wording": "Yes, write to me about the club and my membership.",
            "source": "double_opt_in",
            "at": (datetime.now(UTC) - timedelta(days=3)).isoformat(),
            "actor": "member",
        }
        consent = {"member": story[address], "channels": ["email"], "evidence": evidence}
        permits = doors.do(CONSENT, input={**consent, "purposes": ["NEWS", "SERVICE"]})["member"]["permits"]
        for purpose in ("NEWS", "SERVICE"):
            assert {"purpose": purpose, "channel": "email", "allowed": True} in permits


def test_an_account_that_cannot_work_says_why_before_anything_is_sent(
    doors: Doors, servers: MailServers, story: dict[str, Any]
) -> None:
    wrong = add_account(doors, story, servers.doors.submission, password="quite another")
    told = doors.do(TEST_ACCOUNT, account=wrong)
    assert not told["usable"]
    assert "user name or password was refused: 535 5.7.8" in told["reply"] and "quite another" not in told["reply"]
    with pytest.raises(Refused, match="535"):
        doors.do(queries.PROVE_SENDER, account=wrong)

    stranger = add_account(doors, story, servers.doors.stranger)
    told = doors.do(TEST_ACCOUNT, account=stranger)
    assert (told["usable"], told["reply"]) == (
        False,
        "The certificate of localhost is not trusted: self-signed certificate.",
    )

    foreign = add_account(doors, story, servers.doors.particular, senderAddress=ADA)
    assert doors.do(TEST_ACCOUNT, account=foreign)["usable"]
    with pytest.raises(Refused, match="Sender address rejected: not owned by user"):
        doors.do(queries.PROVE_SENDER, account=foreign)
    assert servers.mailbox(SENDER).count() == servers.mailbox(ADA).count() == 0


def test_a_sender_is_proven_by_a_signed_letter_in_its_own_mailbox(
    doors: Doors, servers: MailServers, story: dict[str, Any]
) -> None:
    key = servers.keys["rsa"]
    story["account"] = add_account(
        doors,
        story,
        servers.doors.submission,
        dkimDomain="club.example",
        dkimSelector=key.selector,
        dkimPrivateKey=key.private,
    )
    assert doors.do(TEST_ACCOUNT, account=story["account"])["usable"]
    doors.do(queries.PROVE_SENDER, account=story["account"])
    (letter,) = servers.mailbox(SENDER).wait_for(1)
    assert letter.verdict == "pass"
    proof = Caught(1, 0, "", SENDER, letter.source)
    httpx2.post(proof.links[0], timeout=10).raise_for_status()
    wait_until(
        lambda: doors.ask(ACCOUNT, account=story["account"])["account"]["senderVerified"], "the sender to be verified"
    )


def test_a_password_that_changed_meanwhile_stops_the_account_and_no_member_pays_for_it(
    doors: Doors, servers: MailServers, story: dict[str, Any]
) -> None:
    servers.change_password(SENDER, "a new one")
    try:
        campaign = story["campaign"] = launch(doors, story, "NEWS")

        def account() -> Answer:
            found: Answer = doors.ask(ACCOUNT, account=story["account"])["account"]
            return found

        wait_until(lambda: account()["state"] == "alarmed", "the alarm of the account", 20)
        assert "535 5.7.8" in account()["alarm"]
        figures = figures_of(doors, campaign)
        assert (figures["state"], figures["accepted"], figures["refused"]) == ("RUNNING", 0, 0)
        assert servers.mailbox(ADA).count() == 0
        told = why(doors, campaign, story[ADA])
        assert told["state"] in ("planned", "waiting") and told["message"], told
    finally:
        servers.change_password(SENDER, PASSWORD)


def test_once_it_is_put_right_everybody_gets_it_who_can_and_the_others_have_their_reason(
    doors: Doors, servers: MailServers, story: dict[str, Any]
) -> None:
    doors.do(CHANGE_ACCOUNT, account=story["account"], state="active")
    campaign = story["campaign"]
    figures = finished(doors, campaign)
    assert (figures["planned"], figures["accepted"], figures["refused"]) == (6, 3, 3)
    for address in (ADA, BOB, GRETA):
        letter = the_letter_of(servers, address, ", NEWS")
        name = address.partition("@")[0].title()
        assert letter.header("Subject") == f"{name}, NEWS" and f"Dear {name}," in letter.part("html")
        assert letter.verdict == "pass"
        assert letter.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
        told = why(doors, campaign, story[address])
        assert told["state"] == "accepted"
        assert told["messageId"].strip("<>") == letter.header("Message-ID").strip("<>")
    assert why(doors, campaign, story[GRETA])["attempts"] == 2, "greylisted, then taken"

    wanted = {
        NOBODY: ("bad-address", "550 5.1.1 <…>: Recipient address rejected: User unknown in virtual mailbox table"),
        FULL: ("mailbox-full", "552 5.2.2 <…>: Recipient address rejected: Mailbox is full"),
        STRICT: ("policy", "554 5.7.1 <…>: Recipient address rejected: Access denied"),
    }
    for address, (reason, reply) in wanted.items():
        told = why(doors, campaign, story[address])
        assert (told["state"], told["reason"], told["reply"]) == ("refused", reason, reply)
        assert told["message"]


def test_only_the_address_that_does_not_exist_bounces_and_only_the_account_is_alarmed(
    doors: Doors, story: dict[str, Any]
) -> None:
    def state_of(address: str) -> str:
        return str(doors.ask(CONTACT, id=story[address])["node"]["contactPoints"][0]["state"]).lower()

    wait_until(lambda: state_of(NOBODY) == "bounced", "the contact point to be bounced")
    assert {state_of(address) for address in EVERYBODY if address != NOBODY} <= {"active", "unverified"}
    account = doors.ask(ACCOUNT, account=story["account"])["account"]
    assert account["state"] == "active", "one refusal by policy does not stop an account"
    assert account["alarm"].startswith("554 5.7.1"), "but somebody should look at it"


@pytest.mark.parametrize("purpose", ["NEWS", "SERVICE"])
def test_an_address_that_bounced_is_not_written_to_for_any_purpose(
    doors: Doors, servers: MailServers, story: dict[str, Any], purpose: str
) -> None:
    before = servers.postfix.log().count("<nobody@members.example>: Recipient address rejected")
    campaign = launch(doors, story, purpose)
    figures = finished(doors, campaign)
    assert (figures["planned"], figures["accepted"], figures["refused"], figures["skipped"]) == (6, 3, 2, 1)
    told = why(doors, campaign, story[NOBODY])
    assert told["state"] == "skipped" and told["reason"] in ("bounced-contact", "suppressed")
    assert servers.postfix.log().count("<nobody@members.example>: Recipient address rejected") == before
    assert [why(doors, campaign, story[address])["state"] for address in (FULL, STRICT)] == ["refused"] * 2


def test_no_address_stands_in_any_log_though_the_server_repeats_them(house: House, story: dict[str, Any]) -> None:
    assert story["campaign"]
    written = [path for path in house.data.rglob("*") if path.is_file() and "log" in path.name]
    assert written
    for path in written:
        content = path.read_bytes().lower()
        for address in EVERYBODY:
            assert address.encode() not in content, f"{path.name} holds a member's address"
