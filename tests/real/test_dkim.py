"""What we sign, OpenDKIM believes; what was changed on the way, it does not."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest

from demo.doors import wait_until
from tests.real.mailbox import Letter
from tests.real.sending import Sending, account, handful, in_plain, signing
from tests.real.servers import SELECTORS, SENDER, MailServers

READER = "reader@members.example"
either_key = pytest.mark.parametrize("selector", SELECTORS)


@pytest.fixture
def sending(servers: MailServers, tmp_path: Path) -> Sending:
    return Sending(tmp_path, servers)


def arrived(servers: MailServers, address: str, count: int = 1) -> list[Letter]:
    return servers.mailbox(READER).wait_for(count, address)


def a_second_opinion(servers: MailServers, letter: Letter) -> bool:
    """Of another implementation, on the message as it lies in the mailbox."""
    records = {f"{key.selector}._domainkey.club.example.": key.record for key in servers.keys.values()}
    return bool(dkim.verify(letter.source, dnsfunc=lambda name, **_: records.get(name.decode(), "").encode()))


@either_key
def test_a_signed_message_passes_at_the_receiving_server(servers: MailServers, sending: Sending, selector: str) -> None:
    club = account(servers.doors.submission, **signing(servers.keys[selector]))
    addresses = [f"reader+{selector}{number}@members.example" for number in range(5)]
    sending.deliver(club, handful(addresses, ["Ada", "Zoë", "O’Brien & fils", "", "名前"]))
    for address in addresses:
        letter = arrived(servers, address)[0]
        said = letter.header("Authentication-Results")
        assert re.search(rf"dkim=pass .*header\.d=club\.example .*header\.s={selector}", said)
        assert a_second_opinion(servers, letter)


@either_key
def test_a_message_to_an_address_beyond_ascii_is_signed_as_well(
    servers: MailServers, sending: Sending, selector: str
) -> None:
    club = account(servers.doors.submission, **signing(servers.keys[selector]))
    box = servers.mailbox("élodie@members.example")
    sending.deliver(club, handful([box.address], ["Élodie"]))
    signed = f"s={selector};"
    wait_until(lambda: any(signed in letter.header("DKIM-Signature") for letter in box.letters()), "the letter")
    assert [letter.verdict for letter in box.letters() if signed in letter.header("DKIM-Signature")] == ["pass"]


def _instead(of: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(source: bytes) -> bytes:
        assert of in source
        return source.replace(of, new, 1)

    return change


@either_key
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_instead(b"programme", b"catalogue"), id="body"),
        pytest.param(_instead(b"List-Unsubscribe: <http://127.", b"List-Unsubscribe: <http://128."), id="unsubscribe"),
        pytest.param(_instead(b"=One-Click", b"=Two-Clicks"), id="one-click"),
        pytest.param(_instead(b"\r\nFrom: ", b"\r\nFrom: you@elsewhere.example\r\nFrom: "), id="second-from"),
        pytest.param(_instead(b"\r\nSubject: ", b"\r\nSubject: Free "), id="subject"),
        pytest.param(_instead(b"\r\nReply-To: ", b"\r\nReply-To: not-"), id="reply-to"),
    ],
)
def test_a_message_changed_on_the_way_fails_its_unsubscribe_headers_included(
    servers: MailServers,
    sending: Sending,
    selector: str,
    change: Callable[[bytes], bytes],
    request: pytest.FixtureRequest,
) -> None:
    address = f"reader+{request.node.callspec.id}@members.example"
    club = account(servers.doors.submission, **signing(servers.keys[selector]))
    (source,) = sending.sources(club, handful([address]))
    with smtplib.SMTP("127.0.0.1", servers.doors.plain, timeout=10) as smtp:
        smtp.sendmail(SENDER, address, source)
        smtp.sendmail(SENDER, address, change(source))
    assert [letter.verdict for letter in arrived(servers, address, 2)] == ["pass", "fail"]


def test_both_unsubscribe_headers_stand_in_what_is_signed(servers: MailServers, sending: Sending) -> None:
    club = account(servers.doors.submission, **signing(servers.keys["rsa"]))
    (source,) = sending.sources(club, handful([READER]))
    signature = Letter(source).header("DKIM-Signature")
    covered = re.sub(r"\s", "", signature.partition("h=")[2].partition(";")[0]).split(":")
    assert {"list-unsubscribe", "list-unsubscribe-post", "to", "subject", "date", "message-id"} <= set(covered)
    assert covered.count("from") == 2, "once more than there are: none can be added"


def test_an_account_without_a_key_does_not_sign(servers: MailServers, sending: Sending) -> None:
    sending.deliver(in_plain(servers.doors.plain), handful(["reader+unsigned@members.example"]))
    assert arrived(servers, "reader+unsigned@members.example")[0].verdict == "none"
