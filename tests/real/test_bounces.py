"""What Postfix refuses at RCPT is understood: whose fault it is decides what becomes of the member and the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.channels.domain.account import Account
from services.channels.domain.handing_off import Answer, Cause, Outcome
from tests.real.postfix import BLOCKED
from tests.real.sending import Sending, account, handful, in_plain
from tests.real.servers import MailServers

READER = "reader@members.example"
NOBODY = "nobody@members.example"


@pytest.fixture
def sending(servers: MailServers, tmp_path: Path) -> Sending:
    return Sending(tmp_path, servers)


def answer_to(sending: Sending, account: Account, address: str) -> Answer:
    return sending.deliver(account, handful([address]))[0][0]


@pytest.mark.parametrize(
    ("address", "outcome", "cause", "code", "status"),
    [
        (NOBODY, Outcome.REFUSED, Cause.BAD_ADDRESS, 550, "5.1.1"),
        ("full@members.example", Outcome.REFUSED, Cause.MAILBOX_FULL, 552, "5.2.2"),
        ("strict@members.example", Outcome.REFUSED, Cause.POLICY, 554, "5.7.1"),
        ("reader@elsewhere.example", Outcome.REFUSED, Cause.POLICY, 554, "5.7.1"),  # relay access denied
        ("greta+first@members.example", Outcome.RETRY, Cause.TEMPORARY, 451, "4.7.1"),
    ],
)
def test_each_refusal_at_rcpt_has_its_cause(
    servers: MailServers,
    sending: Sending,
    address: str,
    outcome: Outcome,
    cause: Cause,
    code: int,
    status: str,
) -> None:
    around = handful(["reader+before@members.example", address, "reader+after@members.example"])
    before, answer, after = sending.deliver(in_plain(servers.doors.plain), around)[0]
    assert (answer.outcome, answer.cause, answer.code, answer.status) == (outcome, cause, code, status)
    assert address not in answer.reply and "@" not in answer.reply, "no address in the ledger"
    assert before.outcome is after.outcome is Outcome.ACCEPTED


def test_who_was_greylisted_gets_it_at_the_next_try(servers: MailServers, sending: Sending) -> None:
    address = "greta+patient@members.example"
    first, again = sending.deliver(in_plain(servers.doors.plain), handful([address]), handful([address]))
    assert first[0].outcome is Outcome.RETRY and "Greylisted, come back in a moment" in first[0].reply
    assert again[0].outcome is Outcome.ACCEPTED
    assert len(servers.mailbox("greta@members.example").wait_for(1, address)) == 1


def test_a_sender_whom_the_house_refuses_is_the_accounts_trouble_and_not_the_members(
    servers: MailServers, sending: Sending
) -> None:
    blocked = in_plain(servers.doors.plain, sender_address=f"news@{BLOCKED}")
    answer = answer_to(sending, blocked, READER)
    assert answer.cause is Cause.ACCOUNT, "Postfix says so at RCPT, of the sender"
    assert (answer.code, answer.status) == (554, "5.7.1") and "Sender address rejected" in answer.reply


def test_a_sender_that_does_not_belong_to_who_signed_in_is_the_accounts_trouble(
    servers: MailServers, sending: Sending
) -> None:
    foreign = account(servers.doors.particular, sender_address="news@members.example")
    answer = answer_to(sending, foreign, READER)
    assert answer.cause is Cause.ACCOUNT and "not owned by user" in answer.reply
    own = account(servers.doors.particular)
    assert answer_to(sending, own, "reader+own@members.example").outcome is Outcome.ACCEPTED


def test_a_sender_unknown_to_its_own_server_never_makes_a_member_bounce(servers: MailServers, sending: Sending) -> None:
    unknown = in_plain(servers.doors.wary, sender_address="news@members.example")
    answer = answer_to(sending, unknown, READER)
    assert (answer.code, answer.status) == (550, "5.1.0"), answer
    assert answer.cause is Cause.ACCOUNT, "5.1.0 is of the sender's address here"


def test_a_greeting_that_the_house_refuses_is_the_accounts_trouble(servers: MailServers, sending: Sending) -> None:
    sending.helo = "localhost"
    answer = answer_to(sending, in_plain(servers.doors.wary), READER)
    assert answer.cause is Cause.ACCOUNT and "Helo command rejected" in answer.reply


def test_a_list_full_of_dead_addresses_is_answered_to_the_last_though_the_server_hangs_up(
    servers: MailServers, sending: Sending
) -> None:
    """Postfix hangs up after twenty errors without a message between them, and a dead address makes two."""
    living = ("reader+first@members.example", *(f"reader+last{place}@members.example" for place in range(3)))
    addresses = [living[0], *[NOBODY] * 40, *living[1:]]
    answers: dict[int, Answer] = {}
    left = handful(addresses)
    voyages = 0
    while left.places:
        voyages += 1
        assert voyages < 20, "the list does not end"
        given = sending.deliver(in_plain(servers.doors.plain), left)[0]
        answers |= {
            place: answer
            for place, answer in zip(left.places, given, strict=True)
            if answer.outcome is not Outcome.UNSENT  # which is tried again, and does not count as a try
        }
        still = [place for place in left.places if place not in answers]
        left = handful([addresses[place] for place in still])
        left.places = still
    assert voyages > 1, "the server did hang up"
    for place, answer in answers.items():
        wanted = Cause.BAD_ADDRESS if addresses[place] == NOBODY else None
        assert (answer.cause, answer.outcome) == (wanted, Outcome.REFUSED if wanted else Outcome.ACCEPTED)
    box = servers.mailbox(READER)
    for address in living:
        assert len(box.wait_for(1, address)) == 1
