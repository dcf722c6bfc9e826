"""The catcher keeps what it receives, and shows it without letting it reach anything."""

from __future__ import annotations

import asyncio
import smtplib
import threading
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from demo.catcher import Caught, Mailbox
from demo.mail_pages import MailServer
from demo.receiving import receive
from services.kit.clock import ManualClock


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox(ManualClock())


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(receive(mailbox))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def _newsletter() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Festival <hello@festival.example>"
    message["To"] = "ada@members.example"
    message["Subject"] = "L’été approche : voici l’affiche"
    message["List-Unsubscribe"] = "<mailto:u@festival.example>, <http://127.0.0.1:8080/u/token>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Bonjour Ada\n.\nLa ligne au point seul reste.")
    message.add_alternative(
        '<p>Bonjour</p><a href="http://127.0.0.1/l/one?a=1&amp;b=2">une</a><a class="x" href="http://127.0.0.1/l/two">'
        'deux</a><img src="http://127.0.0.1/o/pixel"><script>alert(1)</script>',
        subtype="html",
    )
    return message


def test_a_message_is_kept_as_it_came(mailbox: Mailbox, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as relay:
        relay.send_message(_newsletter(), to_addrs=["ada@members.example", "bob@members.example"])
    assert mailbox.count == 2
    caught = mailbox.get(1)
    assert isinstance(caught, Caught)
    assert caught.recipient == "ada@members.example"
    assert caught.subject == "L’été approche : voici l’affiche"
    assert "\n.\n" in caught.text.replace("\r\n", "\n")
    assert caught.links == ["http://127.0.0.1/l/one?a=1&b=2", "http://127.0.0.1/l/two"]
    assert caught.images == ["http://127.0.0.1/o/pixel"]
    assert caught.one_click == "http://127.0.0.1:8080/u/token"
    assert [found.recipient for found in mailbox.newest("bob@", 0, 10)] == ["bob@members.example"]


def test_a_caught_message_runs_nothing_in_the_browser(mailbox: Mailbox, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as relay:
        relay.send_message(_newsletter())
    pages = MailServer(mailbox)
    try:
        listed = urllib.request.Request(pages.address, headers={"Accept-Language": "fr"})
        assert "Courrier reçu" in urllib.request.urlopen(listed, timeout=10).read().decode()
        shown = urllib.request.urlopen(f"{pages.address}messages/1?lang=en", timeout=10).read().decode()
        assert "Caught mail" not in shown
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in shown
        framed = urllib.request.urlopen(f"{pages.address}messages/1/html", timeout=10)
        assert "sandbox" in framed.headers["Content-Security-Policy"]
        assert "allow-scripts" not in framed.headers["Content-Security-Policy"]
    finally:
        pages.close()
