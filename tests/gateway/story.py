"""An agency with one of everything: what the tests of the gateway look at, and what no other agency may see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.catcher import Caught, Mailbox
from tests.gateway.house import Caller

BODY = """<html><body><p>Dear {{ given_name | fallback("friend") }},</p>
<p><a href="https://club.example/one" data-offer="pass">One</a> <a href="https://club.example/two">Two</a>
<a href="https://club.example/three">Three</a></p>
<p><a href="{{ preferences_url }}">Preferences</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""

CSV = "Email;First name;Last name\n{secret}-listed@members.example;{secret}-listed;Listed\n"


@dataclass(frozen=True)
class Mail:
    port: int
    mailbox: Mailbox

    def last_to(self, recipient: str, within_seconds: float = 40.0) -> Caught:
        found: list[Caught] = []

        def came() -> bool:
            found[:] = [one for one in self.mailbox.newest("", 0, 1_000) if one.recipient == recipient]
            return bool(found)

        wait_until(came, f"a message to {recipient}", within_seconds)
        return found[0]


@dataclass
class Story:
    """Ids by what they are, and words that only this agency may read."""

    secret: str
    ids: dict[str, str] = field(default_factory=dict)
    letters: dict[str, Caught] = field(default_factory=dict)

    def __getitem__(self, what: str) -> str:
        return self.ids[what]


def wait_until(happened: Callable[[], bool], what: str, within_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {within_seconds:g} s in vain: {what}.")
        time.sleep(0.05)


def tell_story(owner: Caller, visitor: Caller, mail: Mail, secret: str) -> Story:
    """Everything that an agency has, made through the public doors; ``secret`` stands in every name."""
    story = Story(secret)
    ids = story.ids
    ids["community"] = _made(
        owner,
        "createCommunity",
        "community",
        name=f"{secret} community",
        masterName=f"{secret} master",
        masterKind="ORGANISATION",
        pack="sports_club",
        country="BE",
        locale="fr",
        zone="Europe/Brussels",
    )
    ids["member"] = _member(owner, story, "ada", email=f"{secret}-ada@members.example")
    ids["child"] = _member(
        owner,
        story,
        "child",
        email=f"{secret}-ada@members.example",
        shareAddress=True,
        birthDate=(datetime.now(UTC) - timedelta(days=365 * 8)).date().isoformat(),
    )
    ids["other"] = _member(owner, story, "bob", email=f"{secret}-bob@members.example")
    ids["twin"] = _member(owner, story, "bob", email=f"{secret}-bob2@members.example")
    ids["absorbed"] = _member(owner, story, "absorbed", email=f"{secret}-absorbed@members.example")
    owner.do("nameGuardian", "member { id }", member=ids["child"], guardian=ids["member"])
    member = owner.do(
        "addContactPoint",
        "member { contactPoints { id channel } }",
        member=ids["member"],
        channel="phone",
        address="+32470123456",
    )["member"]
    ids["contact_point"] = next(one["id"] for one in member["contactPoints"] if one["channel"] == "phone")
    for who in ("member", "child"):
        owner.do(
            "recordConsent",
            "member { id }",
            member=ids[who],
            purposes=["NEWS", "TRACKING"],
            channels=["email"],
            evidence={
                "wording": "Yes, news, and measure what I open.",
                "source": "double_opt_in",
                "at": (datetime.now(UTC) - timedelta(days=2)).isoformat(),
                "actor": "member" if who == "member" else f"guardian:{ids['member']}",
            },
        )
    ids["segment"] = _made(
        owner,
        "saveSegment",
        "segment",
        community=ids["community"],
        name=f"{secret} segment",
        rule={"field": "standing", "is": "prospect"},
    )
    ids["template"] = owner.do(
        "addTemplates",
        "templates { id }",
        community=ids["community"],
        templates=[
            {
                "name": f"{secret} template",
                "purpose": "NEWS",
                "messages": [{"locale": "fr", "subject": f"{secret}", "body": BODY}],
            }
        ],
    )["templates"][0]["id"]
    ids["objective"] = _made(
        owner,
        "createObjective",
        "objective",
        community=ids["community"],
        name=f"{secret} objective",
        metric="CLICKS",
        target=10,
        deadline=(datetime.now(UTC) + timedelta(days=30)).isoformat(),
    )
    ids["merge"] = owner.do("mergeMembers", "merge { id }", survivor=ids["other"], absorbed=ids["absorbed"])["merge"][
        "id"
    ]
    _account(owner, visitor, mail, story)
    _list(owner, story)
    _campaigns(owner, mail, story)
    return story


def _made(owner: Caller, name: str, what: str, /, **given: Any) -> str:
    return str(owner.do(name, f"{what} {{ id }}", **given)[what]["id"])


def _member(owner: Caller, story: Story, name: str, /, **given: Any) -> str:
    return _made(
        owner,
        "registerMember",
        "member",
        community=story["community"],
        givenName=f"{story.secret}-{name}",
        familyName="Secret",
        **given,
    )


def _account(owner: Caller, visitor: Caller, mail: Mail, story: Story) -> None:
    sender = f"hello@{story.secret}.example"
    story.ids["account"] = _made(
        owner,
        "addAccount",
        "account",
        community=story["community"],
        channel="email",
        name=f"{story.secret} relay",
        senderAddress=sender,
        host="127.0.0.1",
        port=mail.port,
        security="NONE",
    )
    owner.do("requestSenderProof", "sentAt", account=story["account"])
    link = mail.last_to(sender).links[0]
    story.letters["proof"] = mail.last_to(sender)
    path = link.partition("://")[2].partition("/")[2]
    assert visitor.client.post(f"/{path}").status_code == 200


def _list(owner: Caller, story: Story) -> None:
    story.ids["import"] = _made(
        owner, "startImport", "import", community=story["community"], file=_uploaded(owner, story)
    )

    def over() -> bool:
        question = "query($id: ID!) { import(id: $id) { state problem } }"
        state = owner.ask(question, id=story["import"])["import"]["state"]
        assert state in ("waiting", "running", "finished")
        return bool(state == "finished")

    wait_until(over, "the import to be finished")
    story.ids["file"] = _uploaded(owner, story)


def _uploaded(owner: Caller, story: Story) -> str:
    reply = owner.client.post(
        "/v1/files",
        query_string={"community": story["community"], "name": f"{story.secret}.csv"},
        data=CSV.format(secret=story.secret).encode(),
        headers={**owner.headers, "Content-Type": "text/csv"},
    )
    assert reply.status_code == 201, reply.text
    return str(reply.get_json()["file"])


def _campaigns(owner: Caller, mail: Mail, story: Story) -> None:
    for which in ("draft", "campaign"):
        story.ids[which] = _made(
            owner,
            "createCampaign",
            "campaign",
            community=story["community"],
            name=f"{story.secret} {which}",
            purpose="NEWS",
            objective=story["objective"],
            account=story["account"],
            fromName=story.secret,
            messages=[{"locale": "en", "subject": f"{story.secret} news", "format": "HTML", "body": BODY}],
        )
    owner.do("launchCampaign", "campaign { run }", campaign=story["campaign"])

    def finished() -> bool:
        question = "query($id: ID!) { campaign(id: $id) { state run } }"
        told = owner.ask(question, id=story["campaign"])["campaign"]
        story.ids["run"] = told["run"]
        return bool(told["state"] == "FINISHED")

    wait_until(finished, "the campaign to be finished", 60)
    story.letters["news"] = mail.last_to(f"{story.secret}-ada@members.example")
