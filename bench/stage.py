"""What a benchmark plays on: a real platform on an empty folder, a community, a list of any size, an account."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from bench.figure import tell
from bench.letter import SUBJECT, letter
from bench.lists import write_list
from bench.load import press, request
from bench.processes import Spent
from bench.sink import Sink
from demo import queries
from demo.catcher import Caught
from demo.doors import Doors, wait_until
from demo.house import House

SENDER = "hello@bench.example"
_FOLDER = Path("var-bench")

COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "Email": {"target": "email"},
    "Phone": {"target": "phone"},
    "First name": {"target": "given_name"},
    "Last name": {"target": "family_name"},
    "City": {"target": "attribute", "name": "city"},
    "Favourite stage": {"target": "attribute", "name": "favourite_stage"},
    "Editions": {"target": "attribute", "name": "editions"},
    "Camps on site": {"target": "attribute", "name": "camps_on_site"},
    "Last purchase": {"target": "attribute", "name": "last_purchase", "dateOrder": "dmy"},
    "Tags": {"target": "tags", "separators": ","},
}
MAPPING: Mapping[str, Any] = {
    "columns": [{"heading": heading, **meaning} for heading, meaning in COLUMNS.items()],
    "identity": "email",
    "declaration": {
        "purposes": ["NEWS", "PROMOTION", "TRACKING"],
        "channels": ["email"],
        "basis": "consent",
        "evidence": "A list made for measuring.",
    },
}


@dataclass(slots=True)
class Imported:
    """How an import went, in seconds of the clock and of the processors of every process of the platform."""

    rows: int
    upload_seconds: float
    wall_seconds: float
    cpu_by_process: dict[str, float]

    @property
    def cpu_seconds(self) -> float:
        return sum(self.cpu_by_process.values())


@dataclass(slots=True)
class Stage:
    house: House
    doors: Doors
    community: str
    folder: Path

    def bring(self, rows: int) -> Imported:
        """Import a list of so many rows through the public doors."""
        file = write_list(self.folder / f"list-{rows}.csv", rows)
        began = time.perf_counter()
        uploaded = self.doors.upload(file, self.community)
        upload_seconds = time.perf_counter() - began
        spent, began = Spent(self.house.pid), time.perf_counter()
        started = self.doors.do(
            queries.START_IMPORT,
            input={"community": self.community, "file": uploaded, "fileName": file.name, "mapping": MAPPING},
        )
        told = time.perf_counter()
        while True:
            answer = self.doors.ask(queries.IMPORT, **{"import": started["import"]["id"]})["import"]
            state = answer["state"].lower()
            if state in ("finished", "failed", "cancelled"):
                break
            if time.perf_counter() - told > 2:
                tell(f"imported {answer['progress']['rowsDone']} of {rows}")
                told = time.perf_counter()
            time.sleep(0.1)
        wall = time.perf_counter() - began
        if state != "finished" or answer["progress"]["created"] != rows:
            raise ValueError(f"The import did not make {rows} members: {answer}")
        time.sleep(2.0)  # what follows from its events is its cost too
        return Imported(rows, upload_seconds, wall, spent.by_process())

    def account(self, sink: Sink, dkim_key: str = "") -> str:
        """An account that sends to the sink, with its sender proved."""
        wanted = {
            "community": self.community,
            "channel": "email",
            "name": "sink",
            "senderAddress": SENDER,
            "host": "127.0.0.1",
            "port": sink.port,
            "security": "NONE",
        }
        if dkim_key:
            wanted |= {"dkimDomain": "bench.example", "dkimSelector": "bench", "dkimPrivateKey": dkim_key}
        account = str(self.doors.do(queries.ADD_ACCOUNT, input=wanted)["account"]["id"])
        sink.reset()
        self.doors.do(queries.PROVE_SENDER, account=account)
        wait_until(lambda: sink.count() > 0, "the proof of the sender", 20)
        proof = Caught(1, 0, "", SENDER, sink.sample())
        with httpx2.Client(timeout=20) as browser:
            browser.post(proof.links[0]).raise_for_status()
        sink.reset()
        return account

    def campaign(self, account: str, name: str = "bench", **draft: Any) -> str:
        """A campaign with the benchmarks' letter to everybody, ready to be launched."""
        wanted = {
            "community": self.community,
            "name": name,
            "purpose": "NEWS",
            "account": account,
            "fromName": "Bench",
            "unknownPolicy": "LIST",
            "messages": [{"locale": "en", "subject": SUBJECT, "format": "HTML", "body": letter()}],
            **draft,
        }
        campaign = str(self.doors.do(queries.CREATE_CAMPAIGN, input=wanted)["campaign"]["id"])
        check = self.doors.ask(queries.CHECK, campaign=campaign)["campaign"]["check"]
        if check["problems"]:
            raise ValueError(f"The campaign cannot be launched: {check['problems']}")
        return campaign

    def launch(self, campaign: str) -> None:
        self.doors.do(queries.LAUNCH, campaign=campaign)

    def agency(self) -> str:
        return str(self.doors.ask("{ agency { id } }")["agency"]["id"])

    def interact(self, members: int) -> None:
        """Let the members receive a campaign, and up to thirty thousand open it: then timelines hold something."""
        with Sink(self.folder, samples=min(members, 30_000)) as sink:
            campaign = self.campaign(self.account(sink))
            self.launch(campaign)
            sink.wait_for(members, 900)
            self.wait_until_finished(campaign, 120)
            time.sleep(2.5)
            pixels = [
                urlsplit(image).path for source in sink.samples() for image in Caught(1, 0, "", "", source).images
            ]
        tell(f"{len(pixels)} members open it")
        where = ("127.0.0.1", int(self.house.http.rpartition(":")[2]))
        browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}
        press(where, [request("GET", path, headers=browser) for path in pixels], 16, 600.0, total=len(pixels))
        time.sleep(5.0)

    def wait_until_finished(self, campaign: str, timeout_seconds: float) -> dict[str, Any]:
        """Until the campaign says that every recipient is terminal; its figures."""
        found: dict[str, Any] = {}

        def finished() -> bool:
            found.update(self.doors.ask(queries.PICTURE, campaign=campaign)["campaign"])
            return bool(found["state"] == "FINISHED")

        wait_until(finished, "the end of the campaign", timeout_seconds, every_seconds=0.25)
        figures: dict[str, Any] = found["figures"]
        return figures


@contextmanager
def stage(name: str, settings: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """A platform of its own on a new folder, which is removed after (``KEEP=1`` keeps it)."""
    folder = _FOLDER / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    tell(f"starting the platform on {folder}")
    with House(folder / "data", settings={"LOG_LEVEL": "warning", **(settings or {})}) as house:
        doors = Doors(house.address)
        doors.sign_in(house.operator())
        wanted = {
            "name": "Bench",
            "masterName": "Bench",
            "masterKind": "FLAGSHIP_ACTIVITY",
            "pack": "festival",
            "country": "BE",
            "locale": "en",
            "zone": "Europe/Brussels",
        }
        community = str(doors.do(queries.CREATE_COMMUNITY, input=wanted)["community"]["id"])
        yield Stage(house, doors, community, folder)
        doors.close()
    if os.environ.get("KEEP") != "1":
        shutil.rmtree(folder, ignore_errors=True)
