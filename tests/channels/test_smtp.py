"""Each message handed to a server has exactly one outcome, whatever the server does."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.channels.connectors.smtp.flight import WINDOW
from services.channels.domain.handing_off import AccountUnusable, Answer, Cause, Outcome
from services.kit.tokens import KeyRing, ReturnPaths
from tests.channels.sending import account, deliver, handful
from tests.channels.smtp_server import HANG_UP, STALL, Script, Session, SmtpServer

CHUNKED = ("PIPELINING", "CHUNKING", "SIZE 10000000")
PIPELINED = ("PIPELINING", "SIZE 10000000")
ONE_BY_ONE = ("SIZE 10000000",)
WAYS = [CHUNKED, PIPELINED, ONE_BY_ONE]
either_way = pytest.mark.parametrize("capabilities", WAYS, ids=["chunked", "pipelined", "one-by-one"])


def outcomes(answers: list[Answer]) -> list[Outcome]:
    return [answer.outcome for answer in answers]


def some(count: int) -> list[str]:
    return [f"member{number}@example.org" for number in range(count)]


def on_message(number: int, reply: str, capabilities: tuple[str, ...] = PIPELINED) -> Script:
    """A script whose answer to the end of the nth message (from 0) is another."""

    def end(_: str, session: Session) -> str:
        return reply if session.messages == number + 1 else "250 2.0.0 queued"

    return Script(capabilities=capabilities, end=end)


@either_way
def test_every_message_of_a_handful_arrives_once_over_one_connection(
    tmp_path: Path, capabilities: tuple[str, ...]
) -> None:
    with SmtpServer(Script(capabilities=capabilities)) as server:
        first, second = handful(*some(7)), handful("late@example.org")
        answers = deliver(tmp_path, account(server.port), first, second)
        assert outcomes(answers[0]) == [Outcome.ACCEPTED] * 7 and outcomes(answers[1]) == [Outcome.ACCEPTED]
        assert server.recipients() == sorted([*some(7), "late@example.org"])
        assert server.connections == 1
        key = ReturnPaths(KeyRing(tmp_path / "keys")).read(server.took[3].sender.partition("@")[0])
        assert (key.batch, key.place) == (first.batch, 3)
        assert len({took.message_id for took in server.took}) == 8


@either_way
def test_a_refused_recipient_does_not_disturb_its_neighbours(tmp_path: Path, capabilities: tuple[str, ...]) -> None:
    replies = {
        "nobody": ("550 5.1.1 <nobody@example.org>: no such user", Outcome.REFUSED, Cause.BAD_ADDRESS),
        "full": ("552 5.2.2 mailbox full", Outcome.REFUSED, Cause.MAILBOX_FULL),
        "later": ("451 4.7.1 greylisted", Outcome.RETRY, Cause.TEMPORARY),
        "blocked": ("554 5.7.1 blocked", Outcome.REFUSED, Cause.POLICY),
        "old": ("550 unknown mailbox", Outcome.REFUSED, Cause.BAD_ADDRESS),
    }

    def rcpt(address: str, _: Session) -> str:
        return replies.get(address.partition("@")[0], ("250 ok",))[0]

    names = ["a", "nobody", "full", "b", "later", "blocked", "old", "c"]
    with SmtpServer(Script(capabilities=capabilities, rcpt=rcpt)) as server:
        answers = deliver(tmp_path, account(server.port), handful(*(f"{name}@example.org" for name in names)))[0]
        for name, answer in zip(names, answers, strict=True):
            if name in replies:
                assert (answer.outcome, answer.cause) == replies[name][1:], name
                assert "@" not in answer.reply, "no address in the ledger"
            else:
                assert answer.outcome is Outcome.ACCEPTED
        assert server.recipients() == ["a@example.org", "b@example.org", "c@example.org"]
        assert answers[1].status == "5.1.1" and answers[1].code == 550


def test_a_server_that_takes_data_without_recipients_gets_an_empty_message_and_the_next_one_whole(
    tmp_path: Path,
) -> None:
    script = Script(rcpt=lambda address, _: "550 5.1.1 no" if address.startswith("no") else "250 ok")

    class Lax(SmtpServer):
        def _serve(self, handler, session):  # type: ignore[no-untyped-def]
            original = script.rcpt

            def rcpt(address: str, current: Session) -> str:
                current.recipient = "?"  # DATA is taken whatever RCPT said
                return original(address, current)

            script.rcpt, keep = rcpt, original
            try:
                super()._serve(handler, session)
            finally:
                script.rcpt = keep

    with Lax(script) as server:
        answers = deliver(tmp_path, account(server.port), handful("no@example.org", "yes@example.org"))[0]
        assert outcomes(answers) == [Outcome.REFUSED, Outcome.ACCEPTED]
        assert [took.recipient for took in server.took if took.source] == ["yes@example.org"]


@either_way
@pytest.mark.parametrize(
    ("reply", "outcome", "cause"),
    [
        ("554 5.7.1 message looks like spam", Outcome.REFUSED, Cause.POLICY),
        ("552 5.3.4 too big", Outcome.REFUSED, Cause.SIZE),
        ("451 4.3.0 try again", Outcome.RETRY, Cause.TEMPORARY),
        ("421 4.3.2 shutting down", Outcome.RETRY, Cause.TEMPORARY),
    ],
)
def test_a_message_refused_after_it_was_read_was_not_accepted(
    tmp_path: Path, capabilities: tuple[str, ...], reply: str, outcome: Outcome, cause: Cause
) -> None:
    with SmtpServer(on_message(1, reply, capabilities)) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(4)))[0]
        assert (answers[1].outcome, answers[1].cause) == (outcome, cause)
        assert answers[0].outcome is Outcome.ACCEPTED
        left = Outcome.UNSENT if reply.startswith("421") else Outcome.ACCEPTED
        assert outcomes(answers[2:]) == [left] * 2


@pytest.mark.parametrize("silence", [HANG_UP, STALL])
def test_promise_01_no_reply_to_the_end_of_a_message_is_unknown_and_the_rest_is_not_begun(
    tmp_path: Path, silence: str
) -> None:
    with SmtpServer(on_message(2, silence)) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(5)))[0]
        assert outcomes(answers) == [Outcome.ACCEPTED] * 2 + [Outcome.UNKNOWN] + [Outcome.UNSENT] * 2
        assert len(server.seen) == 3 and len(server.took) == 2


@pytest.mark.parametrize("silence", [HANG_UP, STALL])
def test_promise_01_of_several_under_way_those_without_a_reply_are_unknown(tmp_path: Path, silence: str) -> None:
    with SmtpServer(on_message(9, silence, CHUNKED)) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(20)))[0]
        unknown = outcomes(answers).count(Outcome.UNKNOWN)
        assert 1 <= unknown <= WINDOW
        assert outcomes(answers) == (
            [Outcome.ACCEPTED] * 9 + [Outcome.UNKNOWN] * unknown + [Outcome.UNSENT] * (11 - unknown)
        )
        assert len(server.took) == 9


def test_a_server_that_leaves_has_read_nothing_behind_its_last_word(tmp_path: Path) -> None:
    script = Script(
        capabilities=CHUNKED, mail=lambda _line, session: "421 4.7.0 enough" if session.messages == 9 else "250 ok"
    )
    with SmtpServer(script) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(20)))[0]
        assert outcomes(answers) == [Outcome.ACCEPTED] * 9 + [Outcome.RETRY] + [Outcome.UNSENT] * 10
        assert len(server.seen) == 9


def test_a_server_that_offers_chunks_and_knows_none_gets_the_next_handful_without(tmp_path: Path) -> None:
    script = Script(capabilities=CHUNKED, chunk="502 5.5.2 what?")
    with SmtpServer(script) as server:
        first, second = deliver(tmp_path, account(server.port), handful(*some(3)), handful(*some(2)))
        assert outcomes(first) == [Outcome.RETRY, Outcome.UNSENT, Outcome.UNSENT]
        assert outcomes(second) == [Outcome.ACCEPTED] * 2
        assert server.connections == 2


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    capabilities=st.sampled_from(WAYS),
    conduct=st.lists(
        st.tuples(
            st.sampled_from(["mail", "rcpt", "end"]),
            st.sampled_from(["250 ok"] * 6 + ["550 5.1.1 no", "451 4.3.0 later", "421 4.3.2 bye", HANG_UP]),
        ),
        min_size=12,
        max_size=12,
    ),
)
def test_promise_01_whatever_a_server_does_each_message_has_the_outcome_that_it_had(
    tmp_path: Path, capabilities: tuple[str, ...], conduct: list[tuple[str, str]]
) -> None:
    """What it took is accepted or unknown, what it did not is never accepted, and few are unknown."""
    begun = iter(range(1_000))
    current = [0]

    def said(phase: str) -> Callable[[str, Session], str]:
        def say(_line: str, _session: Session) -> str:
            if phase == "mail":
                current[0] = next(begun)
            wanted, reply = conduct[current[0]]
            return reply if wanted == phase else "250 ok"

        return say

    script = Script(capabilities=capabilities, mail=said("mail"), rcpt=said("rcpt"), end=said("end"))
    with SmtpServer(script) as server:
        asked = some(len(conduct))
        answers = deliver(tmp_path, account(server.port), handful(*asked))[0]
        took = server.recipients()
    became = dict(zip(asked, outcomes(answers), strict=True))
    assert len(took) == len(set(took))
    assert all(became[address] in (Outcome.ACCEPTED, Outcome.UNKNOWN) for address in took), (became, took)
    assert all(address in took for address, outcome in became.items() if outcome is Outcome.ACCEPTED), (became, took)
    assert outcomes(answers).count(Outcome.UNKNOWN) <= (WINDOW if capabilities is CHUNKED else 1)


@either_way
def test_hanging_up_in_the_middle_of_a_message_is_never_called_accepted(
    tmp_path: Path, capabilities: tuple[str, ...]
) -> None:
    with SmtpServer(Script(capabilities=capabilities, drop_in_data_after=1000)) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(2)), html="<p>" + "x" * 20_000 + "</p>")[0]
        assert answers[0].outcome is Outcome.UNKNOWN, "its end may have been sent: only the server knows"
        assert answers[1].outcome is Outcome.UNSENT
        assert not server.took


@either_way
def test_a_long_message_cut_short_before_its_end_was_sent_is_a_retry(
    tmp_path: Path, capabilities: tuple[str, ...]
) -> None:
    with SmtpServer(Script(capabilities=capabilities, drop_in_data_after=1000)) as server:
        huge = "<p>" + "x " * 2_500_000 + "</p>"
        answers = deliver(tmp_path, account(server.port), handful(*some(2)), html=huge)[0]
        assert outcomes(answers) == [Outcome.RETRY, Outcome.UNSENT]
        assert not server.took


@pytest.mark.parametrize(
    ("phase", "capabilities"),
    [(phase, way) for way in WAYS for phase in ("mail", "rcpt", "data") if (phase, way) != ("data", CHUNKED)],
)
@pytest.mark.parametrize("silence", [HANG_UP, STALL, "421 4.3.2 bye"])
def test_a_connection_that_ends_before_the_message_is_a_retry(
    tmp_path: Path, capabilities: tuple[str, ...], phase: str, silence: str
) -> None:
    script = Script(capabilities=capabilities)
    setattr(script, phase, lambda _line, session: silence if session.messages == 0 else "250 ok")
    with SmtpServer(script) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(3)))[0]
        assert outcomes(answers) == [Outcome.RETRY, Outcome.UNSENT, Outcome.UNSENT]
        assert not server.seen


def test_a_sender_that_the_server_refuses_is_the_accounts_trouble(tmp_path: Path) -> None:
    with SmtpServer(Script(mail=lambda *_: "553 5.7.1 sender not owned by you")) as server:
        answers = deliver(tmp_path, account(server.port), handful(*some(2)))[0]
        assert {answer.cause for answer in answers} == {Cause.ACCOUNT}


def test_nothing_is_begun_once_the_run_is_halted(tmp_path: Path) -> None:
    with SmtpServer() as server:
        three = handful(*some(6), halted=lambda: len(server.seen) >= 3)
        answers = deliver(tmp_path, account(server.port), three)[0]
        begun = len(server.seen)
        assert 3 <= begun <= 5
        assert outcomes(answers) == [Outcome.ACCEPTED] * begun + [Outcome.UNSENT] * (6 - begun)
        assert answers[-1].cause is Cause.HALTED


def test_nothing_is_begun_after_the_deadline_of_the_lease(tmp_path: Path) -> None:
    with SmtpServer() as server:
        late = handful(*some(3))
        late.deadline = 0.0
        assert [answer.cause for answer in deliver(tmp_path, account(server.port), late)[0]] == [Cause.DEADLINE] * 3
        assert not server.seen


def test_an_address_that_could_start_another_command_never_reaches_the_server(tmp_path: Path) -> None:
    with SmtpServer() as server:
        odd = handful("ok@example.org", "x@example.org>\r\nRCPT TO:<victim@example.org", "élodie@example.org")
        answers = deliver(tmp_path, account(server.port), odd)[0]
        assert outcomes(answers) == [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.REFUSED]
        assert server.recipients() == ["ok@example.org"]
        assert not any("victim" in line for line in server.script.commands)


def test_a_server_that_speaks_nonsense_is_left(tmp_path: Path) -> None:
    with (
        SmtpServer(Script(greeting=lambda *_: "HTTP/1.1 400 Bad Request")) as server,
        pytest.raises(AccountUnusable),
    ):
        deliver(tmp_path, account(server.port), handful(*some(1)))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_signing_in_works_and_a_bad_password_alarms(tmp_path: Path, mechanism: str) -> None:
    def auth(line: str, _: Session) -> str:
        good = {"PLAIN": "AG1lAHNlY3JldA==", "LOGIN": "c2VjcmV0"}[mechanism]
        return "235 ok" if line.split()[-1] == good else "535 5.7.8 bad credentials"

    with SmtpServer(Script(capabilities=(f"AUTH {mechanism}",), auth=auth)) as server:
        signed_in = account(server.port, username="me", password="secret")
        assert outcomes(deliver(tmp_path, signed_in, handful(*some(1)))[0]) == [Outcome.ACCEPTED]
        with pytest.raises(AccountUnusable) as refused:
            deliver(tmp_path, account(server.port, username="me", password="wrong"), handful(*some(1)))
        assert refused.value.permanent and "535" in refused.value.reply
        assert "wrong" not in refused.value.reply


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@either_way
def test_starttls_is_used_and_an_unknown_certificate_is_refused(
    tmp_path: Path, certificate: Path, capabilities: tuple[str, ...]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with SmtpServer(Script(capabilities=("STARTTLS", *capabilities), tls=context)) as server:
        secure = account(server.port, security="starttls")
        trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        assert outcomes(deliver(tmp_path, secure, handful(*some(30)), trust=trusting)[0]) == [Outcome.ACCEPTED] * 30
        with pytest.raises(AccountUnusable) as refused:
            deliver(tmp_path, secure, handful(*some(1)))
        assert refused.value.permanent and "not trusted" in refused.value.reply
        assert len(server.seen) == 30


def test_a_server_without_starttls_is_not_spoken_to_in_plain(tmp_path: Path) -> None:
    with SmtpServer() as server:
        with pytest.raises(AccountUnusable, match="offers no STARTTLS"):
            deliver(tmp_path, account(server.port, security="starttls"), handful(*some(1)))
        assert not any(re.match("MAIL|AUTH", line) for line in server.script.commands)
