"""A password only travels over TLS, to a server that proves who it is; what it refuses is said clearly."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.channels.domain.account import Account
from services.channels.domain.handing_off import AccountUnusable, Cause, Outcome
from tests.real.eavesdropper import Eavesdropper
from tests.real.sending import Sending, account, handful, in_plain
from tests.real.servers import SENDER, MailServers

READER = "reader+signing@members.example"


@pytest.fixture
def sending(servers: MailServers, tmp_path: Path) -> Sending:
    return Sending(tmp_path, servers)


def refused(sending: Sending, account: Account) -> AccountUnusable:
    """The account's trouble. Nothing was sent: neither a message nor the beginning of one."""
    before = sending.servers.mailbox("reader@members.example").count()
    with pytest.raises(AccountUnusable) as trouble:
        sending.deliver(account, handful([READER]))
    assert sending.servers.mailbox("reader@members.example").count() == before
    return trouble.value


def test_starttls_and_a_password_open_the_door_and_nothing_of_it_is_heard(
    servers: MailServers, sending: Sending
) -> None:
    with Eavesdropper(servers.doors.submission) as line:
        answers = sending.deliver(account(line.port), handful([READER]))
    assert [answer.outcome for answer in answers[0]] == [Outcome.ACCEPTED]
    clear, tls, _ = line.from_sender.partition(b"\x16\x03")  # a TLS handshake record
    assert clear == b"EHLO sender.club.example\r\nSTARTTLS\r\n" and tls
    assert b"AUTH" not in line.from_server.partition(b"\x16\x03")[0], "this server offers AUTH over TLS alone"
    assert f"sasl_method=PLAIN, sasl_username={SENDER}" in servers.postfix.log()


def test_tls_from_the_first_byte_and_a_password_open_the_door(servers: MailServers, sending: Sending) -> None:
    with Eavesdropper(servers.doors.submissions) as line:
        answers = sending.deliver(account(line.port, security="tls"), handful([READER]))
    assert [answer.outcome for answer in answers[0]] == [Outcome.ACCEPTED]
    assert line.from_sender.startswith(b"\x16\x03")


def test_a_server_is_also_known_by_its_name(servers: MailServers, sending: Sending) -> None:
    sending.check(account(servers.doors.submission, host="localhost"))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_wrong_password_is_the_accounts_trouble_with_the_servers_words(
    servers: MailServers, sending: Sending, security: str
) -> None:
    port = servers.doors.submission if security == "starttls" else servers.doors.submissions
    trouble = refused(sending, account(port, security=security, password="quite another"))
    assert trouble.permanent and trouble.code == 535
    assert "user name or password was refused" in trouble.reply and "5.7.8" in trouble.reply
    assert "quite another" not in trouble.reply


def test_a_user_whom_the_server_does_not_know_is_the_accounts_trouble(servers: MailServers, sending: Sending) -> None:
    assert refused(sending, account(servers.doors.submission, username="nobody@club.example")).code == 535


@pytest.mark.parametrize(
    ("door", "why"),
    [
        ("stranger", "self-signed certificate"),
        ("elsewhere", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused_before_anything_is_said(
    servers: MailServers, sending: Sending, door: str, why: str
) -> None:
    with Eavesdropper(getattr(servers.doors, door)) as line:
        trouble = refused(sending, account(line.port))
    assert trouble.permanent
    assert trouble.reply == f"The certificate of 127.0.0.1 is not trusted: {why}."
    assert line.from_sender.partition(b"\x16\x03")[0] == b"EHLO sender.club.example\r\nSTARTTLS\r\n"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_authority_that_this_machine_does_not_know_is_not_trusted(
    servers: MailServers, sending: Sending, security: str
) -> None:
    sending.trusting = False
    port = servers.doors.submission if security == "starttls" else servers.doors.submissions
    trouble = refused(sending, account(port, security=security))
    assert trouble.permanent and "is not trusted: unable to get local issuer certificate" in trouble.reply


def test_who_takes_starttls_off_the_line_gets_no_password_and_no_message(
    servers: MailServers, sending: Sending
) -> None:
    with Eavesdropper(servers.doors.submission, lambda said: said.replace(b"STARTTLS", b"XXXXXXXX")) as line:
        trouble = refused(sending, account(line.port))
    assert trouble.permanent and "offers no STARTTLS" in trouble.reply
    assert line.from_sender == b"EHLO sender.club.example\r\n"


def test_words_slipped_in_before_tls_are_not_taken_for_the_servers(servers: MailServers, sending: Sending) -> None:
    slipped_in = b"220 2.0.0 Ready to start TLS\r\n250-mail.club.example\r\n250 AUTH PLAIN\r\n"
    with Eavesdropper(
        servers.doors.submission, lambda said: slipped_in if said.startswith(b"220 2.0.0 Ready") else said
    ) as line:
        refused(sending, account(line.port))
    assert b"AUTH" not in line.from_sender and b"MAIL" not in line.from_sender


def test_a_password_never_travels_in_clear_to_a_server_that_only_takes_it_over_tls(
    servers: MailServers, sending: Sending
) -> None:
    with Eavesdropper(servers.doors.plain) as line:
        trouble = refused(sending, account(line.port, security="none"))
    assert trouble.permanent and "offers no password sign-in" in trouble.reply
    assert line.from_sender == b"EHLO sender.club.example\r\n"


def test_tls_where_the_server_speaks_plain_is_refused_and_plain_where_it_wants_tls_too(
    servers: MailServers, sending: Sending
) -> None:
    assert "cannot be reached" in refused(sending, account(servers.doors.submission, security="tls")).reply
    (answer,) = sending.deliver(in_plain(servers.doors.submission), handful([READER]))[0]
    assert answer.cause is Cause.ACCOUNT and "530 5.7.0 Must issue a STARTTLS command first" in answer.reply


def test_who_did_not_sign_in_may_not_send_and_no_member_pays_for_it(servers: MailServers, sending: Sending) -> None:
    answers = sending.deliver(account(servers.doors.submission, username="", password=""), handful([READER]))
    assert answers[0][0].cause is Cause.ACCOUNT, "Postfix says so at RCPT: it is not the recipient's doing"
    assert "Client host rejected: Access denied" in answers[0][0].reply
