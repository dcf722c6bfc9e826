"""The story in its steps: found the communities, bring the lists, aim, write, send, and see what came of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from demo import queries
from demo.catcher import Caught, Mailbox
from demo.doors import Answer, Doors, Refused, wait_until
from demo.picture import CampaignPicture, ObjectivePicture, Step, day, number
from demo.plan import LETTERS, LISTS, CommunityPlan, ListPlan
from demo.words import words

Watch = Callable[[int, int], None]
"""Told how much is done, and of how much."""

_FINAL = ("FINISHED", "CANCELLED", "FAILED")


@dataclass(frozen=True, slots=True)
class Founded:
    """A community that is ready to be written to."""

    plan: CommunityPlan
    id: str
    account: str


def found(doors: Doors, plan: CommunityPlan, mailbox: Mailbox, smtp_port: int) -> Founded:
    """The community of that name, or a new one; and an account whose sender has proved its address."""
    known = {node["name"]: node["id"] for node in doors.ask(queries.COMMUNITIES)["communities"]["nodes"]}
    community = known.get(plan.name) or _create(doors, plan)
    accounts = doors.ask(queries.ACCOUNTS, community=community)["community"]["accounts"]["nodes"]
    ours = [one for one in accounts if one["port"] == smtp_port and one["senderAddress"] == plan.sender]
    account = ours[0]["id"] if ours else _add_account(doors, plan, community, smtp_port)
    if not (ours and ours[0]["senderVerified"]):
        _prove_sender(doors, account, plan.sender, mailbox)
    return Founded(plan, community, account)


def bring(doors: Doors, founded: Founded, planned: ListPlan, watch: Watch) -> Answer:
    """Import a list as it is; what became of its rows."""
    file = doors.upload(LISTS / planned.file, founded.id)
    mapping = doors.ask(queries.GUESS_MAPPING, community=founded.id, file=file)["guessMapping"]["mapping"]
    if planned.declares is not None:
        mapping["declaration"] = dict(planned.declares)
    started = doors.do(
        queries.START_IMPORT,
        input={"community": founded.id, "file": file, "fileName": planned.file, "mapping": mapping},
    )
    while True:
        answer: Answer = doors.ask(queries.IMPORT, **{"import": started["import"]["id"]})["import"]
        progress: Answer = answer["progress"]
        watch(progress["rowsDone"], progress["rowsTotal"])
        if answer["state"].upper() in _FINAL:
            break
        time.sleep(0.1)
    if answer["state"].upper() != "FINISHED":
        raise Refused(f"{planned.file}: {answer['problem']}")
    return progress


def aim(doors: Doors, founded: Founded, language: str) -> str:
    """State the objective, unless it is stated already; its id."""
    goal = founded.plan.aim
    stated = doors.ask(queries.OBJECTIVES, community=founded.id)["community"]["objectives"]["nodes"]
    known = {objective["name"]: str(objective["id"]) for objective in stated}
    if found := known.get(goal.name[language]):
        return found
    today = datetime.now(UTC).replace(microsecond=0)
    wanted = {
        "community": founded.id,
        "name": goal.name[language],
        "metric": goal.metric,
        "target": goal.target,
        "baseline": goal.baseline,
        "startsAt": (today - timedelta(days=goal.began_days_ago)).isoformat(),
        "deadline": (today + timedelta(days=goal.days)).isoformat(),
        "currency": goal.currency,
        "subject": goal.subject,
    }
    answer = doors.do(queries.CREATE_OBJECTIVE, input={key: value for key, value in wanted.items() if value})
    return str(answer["objective"]["id"])


def write(doors: Doors, founded: Founded, objective: str, language: str) -> str:
    """Write the campaign under its objective, and see that nothing stops it; its id."""
    plan = founded.plan
    messages = [
        {
            "locale": locale,
            "subject": subject,
            "format": "MJML" if file.endswith(".mjml") else "HTML",
            "body": (LETTERS / file).read_text(encoding="utf-8"),
        }
        for locale, subject, file in plan.letters
    ]
    draft = {
        "community": founded.id,
        "name": plan.campaign[language],
        "purpose": plan.purpose,
        "rule": dict(plan.rule),
        "objective": objective,
        "reasons": list(plan.reasons),
        "account": founded.account,
        "fromName": plan.from_name,
        "unknownPolicy": "LIST",
        "messages": messages,
        **plan.settings,
    }
    campaign = str(doors.do(queries.CREATE_CAMPAIGN, input=draft)["campaign"]["id"])
    check = doors.ask(queries.CHECK, campaign=campaign)["campaign"]["check"]
    if check["problems"]:
        raise Refused(" ".join(f"{one['field']}: {one['message']}" for one in check["problems"]))
    return campaign


def send(doors: Doors, campaigns: Sequence[str], watch: Sequence[Watch]) -> None:
    """Launch the campaigns and follow them until every recipient is accounted for."""
    for campaign in campaigns:
        doors.do(queries.LAUNCH, campaign=campaign)
    running = set(campaigns)
    while running:
        for campaign, told in zip(campaigns, watch, strict=True):
            answer = doors.ask(queries.PICTURE, campaign=campaign)["campaign"]
            figures = answer["figures"]
            settled = sum(figures[state] for state in ("skipped", "accepted", "refused", "unknown"))
            told(settled, figures["planned"])
            if answer["state"] == "FINISHED":
                running.discard(campaign)
        time.sleep(0.15)


class Till:
    """Where readers buy: it tells the platform as a shop would, with an API key of its own."""

    def __init__(self, doors: Doors, founded: Sequence[Founded], seed: int) -> None:
        self._doors = doors
        self._by_domain = {each.plan.domain: each for each in founded}
        self._seed = seed
        self._run = f"{int(time.time()):x}"
        places = [each.id for each in founded]
        self._key = str(doors.do(queries.CREATE_KEY, name="The shop of the demo", communities=places)["secret"])
        self.sold: list[Answer] = []

    def sell(self, message: Caught, choice: float) -> None:
        """One reader buys, or says that they will come."""
        founded = self._by_domain[message.sender_domain]
        offer = founded.plan.offer
        chance = random.Random(f"{self._seed} {message.recipient} {choice}")
        told: Answer = {"community": founded.id, "email": message.recipient}
        if offer.amounts:
            told |= {"offer": offer.subject, "amount": chance.choice(offer.amounts), "currency": "EUR"}
        else:
            told |= {"activity": offer.subject}
        event = {
            "specversion": "1.0",
            "id": f"demo-{self._run}-{message.number}",
            "source": f"https://{message.sender_domain}/shop",
            "type": f"fanfare.{offer.event}",
            "time": datetime.now(UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": told,
        }
        self.sold += self._doors.tell(self._key, [event])


def paint(doors: Doors, campaign: str, unit: str, language: str) -> CampaignPicture:
    """The campaign as its figures stand now, told in a language."""
    answer = doors.ask(queries.PICTURE, language, campaign=campaign)["campaign"]
    figures = answer["figures"]
    steps = [
        Step("planned", figures["planned"]),
        Step("accepted", figures["accepted"]),
        Step("opened", figures["opened"], figures["machineOpened"]),
        Step("clicked", figures["clicked"], figures["machineClicked"]),
        Step("converted", figures["converted"]),
        Step("unsubscribed", figures["unsubscribed"]),
    ]
    steps[2:2] = [Step(state, figures[state]) for state in ("refused", "unknown")]
    shown = [step for step in steps if step.key in ("planned", "accepted") or step.people + step.machines]
    skipped = [(one["message"] or one["reason"], one["count"]) for one in figures["skippedByReason"]]
    return CampaignPicture(
        name=answer["name"],
        community=answer["community"]["name"],
        steps=shown,
        skipped=sorted(skipped, key=lambda each: -each[1]),
        addresses=figures["addresses"],
        notes=(words(language)["untracked"],),
        objective=_objective(answer["objective"], unit, language),
    )


def settled(doors: Doors, campaigns: Sequence[str]) -> Callable[[], bool]:
    """Whether the figures have stopped moving between two looks."""
    before: list[Any] = []

    def look() -> bool:
        nonlocal before
        now = [doors.ask(queries.PICTURE, campaign=campaign) for campaign in campaigns]
        for each in now:
            each["campaign"]["objective"]["progress"].pop("timeShare")
        same, before = now == before, now
        return same

    return look


def _objective(answer: Answer, unit: str, language: str) -> ObjectivePicture:
    progress = answer["progress"]
    baseline = answer["baseline"] or 0.0
    forecast = f"{number(progress['forecast'], language)} {unit}. " if progress["forecastKnown"] else ""
    return ObjectivePicture(
        name=answer["name"],
        unit=unit,
        baseline=baseline,
        target=answer["target"],
        value=progress["value"],
        expected=baseline + (answer["target"] - baseline) * progress["timeShare"],
        deadline=day(answer["deadline"], language),
        forecast=forecast + (progress["assumption"] or ""),
    )


def _create(doors: Doors, plan: CommunityPlan) -> str:
    wanted = {
        "name": plan.name,
        "masterName": plan.master_name,
        "masterKind": plan.master_kind,
        "pack": plan.pack,
        "country": "BE",
        "locale": "fr",
        "zone": "Europe/Brussels",
    }
    return str(doors.do(queries.CREATE_COMMUNITY, input=wanted)["community"]["id"])


def _add_account(doors: Doors, plan: CommunityPlan, community: str, smtp_port: int) -> str:
    wanted = {
        "community": community,
        "channel": "email",
        "name": f"{plan.from_name}, 127.0.0.1:{smtp_port}",
        "senderAddress": plan.sender,
        "host": "127.0.0.1",
        "port": smtp_port,
        "security": "NONE",
    }
    return str(doors.do(queries.ADD_ACCOUNT, input=wanted)["account"]["id"])


def _prove_sender(doors: Doors, account: str, sender: str, mailbox: Mailbox) -> None:
    """The proof is mailed to the sender's own address: its link is followed, and its button pressed."""
    before = mailbox.count
    doors.do(queries.PROVE_SENDER, account=account)
    found: list[str] = []

    def arrived() -> bool:
        found[:] = [
            link
            for number in range(before + 1, mailbox.count + 1)
            if (message := mailbox.get(number)) is not None and message.recipient == sender
            for link in message.links
        ]
        return bool(found)

    wait_until(arrived, f"the proof of {sender} in the mail catcher", 20)
    with httpx2.Client(timeout=20) as browser:
        browser.get(found[0]).raise_for_status()
        browser.post(found[0]).raise_for_status()
