"""Channel accounts: what is entered is checked, secrets are never kept in the open, senders are proven."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from services.channels.domain.content import Content, Revision
from services.channels.domain.handing_off import Outcome
from services.channels.storage.vault import SecretUnreadable, Vault
from services.channels.use_cases import accounts, controlling, previewing, proving, suppressing
from services.channels.use_cases.accounts import AccountChange, PasswordNeeded
from services.channels.use_cases.room import UnknownAccount
from services.kit.errors import Invalid, NotFound
from services.kit.scope import Scope
from services.kit.tokens import KeyRing, LinkTokens, TokenInvalid
from tests.channels.smtp_server import Script, SmtpServer
from tests.channels.stage import IDS, Stage


def test_secrets_are_encrypted_at_rest_and_still_work(stage: Stage) -> None:
    key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True).stdout
    account = stage.account(
        25,
        username="me",
        password="correct horse battery",
        dkim_domain="club.example",
        dkim_selector="s1",
        dkim_private_key=key,
    )
    found = accounts.opened(stage.room, stage.room.account(stage.scope, account))
    assert (found.password, found.dkim_private_key) == ("correct horse battery", key)
    assert "horse" not in repr(found) and "PRIVATE" not in repr(found)
    assert b"club.example" in stored(stage)
    assert b"battery" not in stored(stage) and b"PRIVATE KEY" not in stored(stage)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel": "pigeon"}, "channel"),
        ({"sender_address": "nobody"}, "sender_address"),
        ({"sender_address": "news@club.example\r\nBcc: x@y.z"}, "sender_address"),
        ({"host": " "}, "host"),
        ({"port": 0}, "port"),
        ({"security": "ssl"}, "security"),
        ({"host": "smtp.example.org", "password": "secret"}, "security"),
        ({"rate_per_minute": -1}, "rate_per_minute"),
        ({"dkim_private_key": "x"}, "dkim_domain"),
        ({"dkim_private_key": "x", "dkim_domain": "club.example", "dkim_selector": "s"}, "dkim_private_key"),
    ],
)
def test_what_could_never_work_is_refused_by_its_field(stage: Stage, changes: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        stage.account(changes.pop("port", 25), **changes)  # type: ignore[arg-type]
    assert refused.value.field == field and refused.value.message
    assert accounts.list_accounts(stage.room, stage.scope, limit=50, after="")[0] == []


def test_promise_12_another_agencys_account_does_not_exist(stage: Stage) -> None:
    account = stage.account(25)
    stranger = Scope(IDS.new("agn"), None, "operator:opr_2")
    assert accounts.get_accounts(stage.room, stranger, [account]) == []
    with pytest.raises(UnknownAccount):
        accounts.change_account(stage.room, stranger, account, AccountChange("paused"))
    with pytest.raises(NotFound):
        proving.request_sender_proof(stage.room, stranger, account)


def test_a_sender_is_proven_by_the_link_mailed_to_it(stage: Stage) -> None:
    with SmtpServer() as server:
        account = stage.account(server.port, proven=False)
        assert not accounts.get_accounts(stage.room, stage.scope, [account])[0].sender_verified
        proving.request_sender_proof(stage.room, stage.scope, account)
        (took,) = server.took
        assert took.recipient == "news@club.example"
        message = email.message_from_bytes(took.source, policy=email.policy.SMTP)
        body = message.get_body(("plain",))
        assert body is not None and b"List-Unsubscribe" not in took.source
        found = re.search(r"http://127.0.0.1:8080/s/([\w-]+)", body.get_content())
        assert found is not None
        with pytest.raises(TokenInvalid):
            accounts.confirm_sender(stage.room, found[1][:-2])
        assert accounts.confirm_sender(stage.room, found[1]).sender_verified
        assert accounts.get_accounts(stage.room, stage.scope, [account])[0].sender_verified


def a_proven_account(stage: Stage, **changes: Any) -> str:
    given = {"host": "smtp.club.example", "security": "tls", "username": "me", "password": "first"}
    return stage.account(465, **{**given, **changes})


def stored(stage: Stage) -> bytes:
    return b"".join(path.read_bytes() for path in (stage.folder / "data").glob("channels.sqlite*"))


def test_credentials_are_changed_in_place_and_stay_encrypted_and_the_sender_stays_proven(stage: Stage) -> None:
    key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True).stdout
    account = a_proven_account(stage)
    said = AccountChange(password="correct horse battery", dkim_domain="Club.example", dkim_selector="s2")
    accounts.change_account(stage.room, stage.scope, account, replace(said, dkim_private_key=key))
    kept = accounts.opened(stage.room, stage.room.account(stage.scope, account))
    assert (kept.password, kept.dkim_private_key, kept.dkim_domain) == ("correct horse battery", key, "club.example")
    assert (kept.username, kept.host, kept.sender_verified) == ("me", "smtp.club.example", True)
    assert b"battery" not in stored(stage) and b"PRIVATE KEY" not in stored(stage)
    accounts.change_account(stage.room, stage.scope, account, AccountChange(username="", password=""))
    kept = accounts.opened(stage.room, stage.room.account(stage.scope, account))
    assert (kept.username, kept.password, kept.dkim_private_key) == ("", "", key)


def test_a_password_is_never_given_to_another_server_than_it_was_entered_for(stage: Stage) -> None:
    account = a_proven_account(stage)
    for said in (AccountChange(host="smtp.elsewhere.example"), AccountChange(port=2525)):
        with pytest.raises(PasswordNeeded) as refused:
            accounts.change_account(stage.room, stage.scope, account, said)
        assert refused.value.field == "password"
    elsewhere = AccountChange(host="smtp.elsewhere.example", password="second")
    assert accounts.change_account(stage.room, stage.scope, account, elsewhere).sender_verified
    kept = accounts.opened(stage.room, stage.room.account(stage.scope, account))
    assert (kept.host, kept.password) == ("smtp.elsewhere.example", "second")


def test_another_sender_address_must_be_proven_anew_and_nothing_is_sent_before(stage: Stage) -> None:
    with SmtpServer() as server:
        account = stage.account(server.port)
        old_link = accounts.proof_token(stage.room, accounts.get_accounts(stage.room, stage.scope, [account])[0])
        changed = accounts.change_account(
            stage.room, stage.scope, account, AccountChange(sender_address="info@club.example")
        )
        assert not changed.sender_verified
        order = stage.order(account)
        people = stage.people(2)
        stage.launch(order, people)
        stage.send()
        assert stage.explain(order.run, people[0]).reason == "account"
        with pytest.raises(accounts.SenderUnproven):
            accounts.confirm_sender(stage.room, old_link)
        assert not server.seen
        accounts.confirm_sender(stage.room, accounts.proof_token(stage.room, changed))
        assert stage.wait_settled(order.run)["accepted"] == 2
        assert all(b"info@club.example" in took.source for took in server.took)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (AccountChange("broken"), "state"),
        (AccountChange(sender_address="nobody"), "sender_address"),
        (AccountChange(sender_address="news@other.example"), "sender_address"),
        (AccountChange(host=" ", password="x"), "host"),
        (AccountChange(port=0, password="x"), "port"),
        (AccountChange(security="none"), "security"),
        (AccountChange(rate_per_minute=-1), "rate_per_minute"),
        (AccountChange(dkim_private_key="x"), "dkim_domain"),
        (AccountChange(dkim_private_key="x", dkim_domain="club.example", dkim_selector="s"), "dkim_private_key"),
    ],
)
def test_a_change_that_could_never_work_is_refused_by_its_field_and_changes_nothing(
    stage: Stage, said: AccountChange, field: str
) -> None:
    account = a_proven_account(stage)
    before = stage.room.account(stage.scope, account)
    with pytest.raises(Invalid) as refused:
        accounts.change_account(stage.room, stage.scope, account, said)
    assert refused.value.field == field and refused.value.message
    assert stage.room.account(stage.scope, account) == before


def test_an_account_whose_secret_cannot_be_read_is_still_listed_and_takes_the_secret_anew(stage: Stage) -> None:
    account = a_proven_account(stage)
    (stage.settings.keys_folder / "vault" / "1.fernet").write_bytes(Fernet.generate_key())
    room = replace(stage.room, vault=Vault(stage.settings.keys_folder / "vault"))
    assert [each.id for each in accounts.list_accounts(room, stage.scope, limit=50, after="")[0]] == [account]
    with pytest.raises(SecretUnreadable) as refused:
        proving.test_account(room, stage.scope, account)
    assert refused.value.field == "password"
    accounts.change_account(room, stage.scope, account, AccountChange(password="first"))
    assert accounts.opened(room, room.account(stage.scope, account)).password == "first"


def test_an_account_is_tested_by_signing_in(stage: Stage) -> None:
    script = Script(capabilities=("AUTH PLAIN",), auth=lambda *_: "535 5.7.8 no")
    with SmtpServer(script) as server:
        account = stage.account(server.port, username="me", password="wrong")
        assert "535" in proving.test_account(stage.room, stage.scope, account)
        script.auth = lambda *_: "235 ok"
        assert proving.test_account(stage.room, stage.scope, account) == ""
        assert not server.seen
    assert "cannot be reached" in proving.test_account(stage.room, stage.scope, account)


def a_revision(
    run: str, html: str = "<p>Bonjour {{ given_name }}</p><a href='https://club.example/'>x</a>"
) -> Revision:
    return Revision(
        run, 1, (Content("fr", "Salut {{ given_name }}", html),), ("given_name",), ("https://club.example/",)
    )


def test_a_preview_is_what_would_be_sent_and_says_whether_it_would(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        (person,) = stage.people(1, values=("Léa",))
        preview = previewing.render_preview(stage.room, stage.scope, order, a_revision(order.run), person.member)
        assert (preview.rendered.subject, preview.verdict) == ("Salut Léa", "")
        assert "Bonjour Léa" in preview.rendered.html and "Bonjour Léa" in preview.rendered.text
        assert preview.rendered.source.startswith(b"From: ")
        suppressing.suppress_member(
            stage.room, stage.scope, stage.community, "email", person.member, [], "page", stage.clock.now()
        )
        preview = previewing.render_preview(stage.room, stage.scope, order, a_revision(order.run), person.member)
        assert preview.verdict == "suppressed"
        controlling.hold_outgoing(stage.room, stage.scope, stage.community, "")
        preview = previewing.render_preview(stage.room, stage.scope, order, a_revision(order.run), person.member)
        assert preview.verdict == "held"
        assert not server.seen


def test_a_test_goes_to_the_operator_and_its_links_stand_for_nobody(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        (person,) = stage.people(1)
        message_id, answer = previewing.send_test(
            stage.room, stage.scope, order, a_revision(order.run), person.member, "me@agency.example"
        )
        (took,) = server.took
        assert answer.outcome is Outcome.ACCEPTED
        assert (took.recipient, took.message_id) == ("me@agency.example", message_id)
        unsubscribe = re.search(rb"List-Unsubscribe: <http://127.0.0.1:8080/u/([\w-]{64})>", took.source)
        assert unsubscribe is not None
        link = LinkTokens(KeyRing(stage.settings.link_keys_folder)).read(unsubscribe[1].decode())
        assert link.member == previewing.NOBODY != person.member


def test_a_preview_of_another_community_is_refused(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    (person,) = stage.people(1)
    elsewhere = replace(order, community=IDS.new("com"))
    with pytest.raises(NotFound):
        previewing.render_preview(stage.room, stage.scope, elsewhere, a_revision(order.run), person.member)


def test_promise_12_a_preview_asks_in_the_callers_own_agency_whatever_its_order_says(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    (person,) = stage.people(1)
    stranger = Scope(IDS.new("agn"), None, "operator:opr_2")
    with pytest.raises(NotFound):
        previewing.render_preview(stage.room, stranger, order, a_revision(order.run), person.member)


def test_the_vaults_keys_are_the_owners_alone(stage: Stage) -> None:
    keys: Path = stage.settings.keys_folder
    files = [path for path in keys.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in files)
