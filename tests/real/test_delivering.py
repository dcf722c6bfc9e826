"""What is handed to Postfix lies in the mailbox once, as it was written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from services.channels.domain.handing_off import Cause, Outcome
from tests.real.postfix import LARGEST_MESSAGE
from tests.real.sending import TEXT, Sending, account, handful, in_plain
from tests.real.servers import MailServers

READER = "reader@members.example"
LANES, HANDFULS, EACH = 8, 2, 20


@pytest.fixture
def sending(servers: MailServers, tmp_path: Path) -> Sending:
    return Sending(tmp_path, servers)


def body_of(source: bytes) -> bytes:
    return source.partition(b"\r\n\r\n")[2]


def undated(source: bytes) -> list[bytes]:
    """Its headers without the date, which a second try writes anew."""
    return [line for line in source.partition(b"\r\n\r\n")[0].split(b"\r\n") if not line.startswith(b"Date: ")]


def test_some_hundred_messages_over_kept_connections_arrive_once_each_and_byte_for_byte(
    servers: MailServers, sending: Sending
) -> None:
    before = servers.postfix.connections("submission")
    addresses = iter([f"crowd+{number}@members.example" for number in range(LANES * HANDFULS * EACH)])
    lanes = [
        [
            handful([next(addresses) for _ in range(EACH)], [f"Zoë {lane}.{turn}.{place}" for place in range(EACH)])
            for turn in range(HANDFULS)
        ]
        for lane in range(LANES)
    ]
    club = account(servers.doors.submission)
    answers = sending.deliver_at_once(club, lanes)
    assert Counter(answer.outcome for each in answers for answer in each) == {Outcome.ACCEPTED: 320}
    assert servers.postfix.connections("submission") - before == LANES, "each lane kept its connection"

    letters = servers.mailbox("crowd@members.example").wait_for(320)
    came = {letter.header("To"): letter for letter in letters}
    assert len(letters) == len(came) == 320
    assert len({letter.header("Message-ID") for letter in letters}) == 320
    assert len({letter.header("Return-Path") for letter in letters}) == 320, "a return path for each"
    for lane in lanes[::3]:
        for sent in lane:
            for address, source in zip(sent.addresses, sending.sources(club, sent), strict=True):
                arrived = came[address].as_it_was_sent
                assert body_of(arrived) == body_of(source)
                assert undated(arrived) == undated(source)
    assert servers.mailbox("crowd@members.example").count() == 320
    one = came["crowd+0@members.example"]
    assert one.header("Subject") == "Le programme d’été ☀️ pour Zoë 0.0.0"
    wanted = TEXT.replace("{{ given_name }}", "Zoë 0.0.0").partition("{{")[0]
    assert one.part("plain").startswith(wanted), "dots, spaces at the end and letters beyond ASCII are as written"
    assert "\n.a line that begins with a dot\n..\n.\n" in one.part("html")
    assert "<p>Chère Zoë 0.0.0,</p>" in one.part("html")


def test_an_address_beyond_ascii_is_reached_where_the_server_can(servers: MailServers, sending: Sending) -> None:
    sent = handful(["élodie@members.example", "reader+ascii@members.example"], ["Élodie", "Ada"])
    answers = sending.deliver(account(servers.doors.submission), sent)[0]
    assert [answer.outcome for answer in answers] == [Outcome.ACCEPTED] * 2
    letter = servers.mailbox("élodie@members.example").wait_for(1)[0]
    assert letter.header("To") == "élodie@members.example" and "Chère Élodie," in letter.part("plain")


def test_a_large_message_goes_through_whole_and_one_too_large_is_refused_for_its_size(
    servers: MailServers, sending: Sending
) -> None:
    sending.text = "x" * 70 + "\n"
    sending.html = "<p>" + f"{'y' * 70}\n" * (LARGEST_MESSAGE // 90) + "</p>"
    box = servers.mailbox(READER)
    answers = sending.deliver(in_plain(servers.doors.plain), handful(["reader+large@members.example"] * 2))[0]
    assert [answer.outcome for answer in answers] == [Outcome.ACCEPTED] * 2
    large = box.wait_for(2, "reader+large@members.example")
    assert all(letter.part("html").count("y" * 70) == LARGEST_MESSAGE // 90 for letter in large)

    sending.html *= 2
    answers = sending.deliver(in_plain(servers.doors.plain), handful(["reader+huge@members.example"] * 2))[0]
    assert {(answer.outcome, answer.cause, answer.status) for answer in answers} == {
        (Outcome.REFUSED, Cause.SIZE, "5.3.4")
    }
    assert not box.letters("reader+huge@members.example")
