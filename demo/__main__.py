"""``python -m demo``: the main job on real lists, in about a minute.

Beside a running platform (``FANFARE_DATA``, ``FANFARE_HTTP``) it uses that one; else it starts its own on
``./var-demo`` and keeps it up until Ctrl-C. ``DEMO_EXIT=1`` ends when the story is told, ``DEMO_SEED`` tells
another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import queries
from demo.catcher import Caught, Mailbox
from demo.doors import Doors, Refused, wait_until
from demo.house import House, HouseDown, answers, first_operator, free_port, operator_file
from demo.mail_pages import MailServer
from demo.picture import CampaignPicture, funnel_svg, number, report_html
from demo.plan import COMMUNITIES
from demo.readers import Readers
from demo.receiving import receive
from demo.story import Founded, Till, Watch, aim, bring, found, paint, send, settled, write
from demo.words import LANGUAGES, Words, terminal_language, words
from services.kit.clock import SystemClock

_OWN_DATA = Path("var-demo")
_USUAL_HTTP = "127.0.0.1:8080"
_SETTLES_WITHIN_SECONDS = 30.0


def main() -> int:
    language = os.environ.get("DEMO_LANGUAGE", "") or terminal_language()
    say = words(language if language in LANGUAGES else "en")
    console = Console()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)
    with ExitStack() as stack:
        try:
            _tell(stack, console, language if language in LANGUAGES else "en", say)
            if os.environ.get("DEMO_EXIT") != "1":
                console.print(f"\n{say['stays']}")
                threading.Event().wait()
        except KeyboardInterrupt:
            console.print()
        except (Refused, HouseDown, TimeoutError) as error:
            console.print(f"[red]{error}[/red]")
            return 1
    return 0


def _tell(stack: ExitStack, console: Console, language: str, say: Words) -> None:
    platform = _platform()
    mail = stack.enter_context(_mail_at(platform.data / "demo" / "ports.json"))  # first in, so that it is last out
    stack.callback(mail.pages.close)
    if platform.house is not None:
        with console.status(say["starting"]):
            stack.enter_context(platform.house)
    console.print(f"{say['started' if platform.house else 'beside']} {platform.address}/graphql")
    operator = first_operator(platform.data)
    doors = Doors(platform.address, language)
    stack.callback(doors.close)
    doors.sign_in(operator)
    console.print(f"  {say['sign_in']} {operator.email}, {operator_file(platform.data)}", soft_wrap=True)
    console.print(f"  {say['catcher']} [link={mail.pages.address}]{mail.pages.address}[/link]\n")

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
    )
    with bars:
        bar = bars.add_task(say["founding"], total=len(COMMUNITIES), note="")
        communities = []
        for plan in COMMUNITIES:
            communities.append(found(doors, plan, mail.box, mail.smtp_port))
            bars.advance(bar)
        for founded in communities:
            _import(doors, founded, bars, say)
        campaigns = [write(doors, each, aim(doors, each, language), language) for each in communities]
        seed = int(os.environ.get("DEMO_SEED", "1"))
        till = Till(doors, communities, seed)
        readers = mail.hire(seed, till)
        sending = [bars.add_task(f"{say['sending']} – {each.plan.campaign[language]}", note="") for each in communities]
        send(doors, campaigns, [_watch(bars, each) for each in sending])
        _let_them_read(readers, bars, say)
        bar = bars.add_task(say["counting"], total=1, note="")
        with suppress(TimeoutError):
            wait_until(settled(doors, campaigns), say["counting"], _SETTLES_WITHIN_SECONDS, every_seconds=1.5)
        bars.advance(bar)
    if readers.failed:
        console.print(f"[red]{dict(readers.failed)}[/red]")
    _show(console, doors, communities, campaigns, mail.pages.address, platform.data / "demo", language, say)


@dataclass(frozen=True, slots=True)
class _Platform:
    """Where it keeps its data and answers; ``house`` is ours to start, None where it runs already."""

    data: Path
    address: str
    house: House | None


def _platform() -> _Platform:
    """The platform that runs, if we know its operators; or one of our own."""
    http = os.environ.get("FANFARE_HTTP", _USUAL_HTTP)
    data = Path(os.environ.get("FANFARE_DATA", "var")).absolute()
    taken = answers(f"http://{http}")
    if taken and operator_file(data).exists():
        return _Platform(data, f"http://{http}", None)
    house = House(Path(os.environ.get("DEMO_DATA", _OWN_DATA)), f"127.0.0.1:{free_port()}" if taken else http)
    return _Platform(house.data, house.address, house)


class _Mail:
    """The catcher and its readers, on an event loop in a thread of its own."""

    def __init__(self, ports: Path) -> None:
        self._readers: Readers | None = None
        self.box = Mailbox(SystemClock(), self._caught)
        self._loop = asyncio.new_event_loop()
        known = json.loads(ports.read_text()) if ports.exists() else {"smtp": 0, "pages": 0}
        self._server = self._listen(known["smtp"])
        self.smtp_port = int(self._server.sockets[0].getsockname()[1])
        try:
            self.pages = MailServer(self.box, known["pages"])
        except (OSError, SystemExit):  # taken meanwhile
            self.pages = MailServer(self.box)
        ports.parent.mkdir(parents=True, exist_ok=True)
        ports.write_text(json.dumps({"smtp": self.smtp_port, "pages": self.pages.port}))
        self._thread = threading.Thread(target=self._loop.run_forever, name="catcher", daemon=True)
        self._thread.start()

    def hire(self, seed: int, till: Till) -> Readers:
        """From now on, what is caught is read."""

        async def buy(message: Caught, choice: float) -> None:
            await asyncio.to_thread(till.sell, message, choice)

        habits = {plan.domain: plan.habits for plan in COMMUNITIES}

        async def begin() -> Readers:
            return Readers(seed, habits, buy)

        self._readers = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(10)
        return self._readers

    def close(self) -> None:
        if self._readers is not None:
            asyncio.run_coroutine_threadsafe(self._readers.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _caught(self, message: Caught) -> None:
        if self._readers is not None:
            self._readers.receive(message)

    def _listen(self, port: int) -> asyncio.Server:
        try:
            return self._loop.run_until_complete(receive(self.box, port=port))
        except OSError:  # taken meanwhile
            return self._loop.run_until_complete(receive(self.box))


@contextmanager
def _mail_at(ports: Path) -> Iterator[_Mail]:
    """The catcher on the ports it had before, so that accounts made then still reach it."""
    mail = _Mail(ports)
    try:
        yield mail
    finally:
        mail.close()


def _import(doors: Doors, founded: Founded, bars: Progress, say: Words) -> None:
    for planned in founded.plan.lists:
        bar = bars.add_task(f"{say['importing']} {planned.file}", total=None, note="")
        progress = bring(doors, founded, planned, _watch(bars, bar))
        told = [(progress[outcome], say[outcome]) for outcome in ("created", "changed", "left")]
        told.append((progress["refused"] + progress["fieldsRefused"], say["refused_rows"]))
        bars.update(bar, note=", ".join(f"{count} {word}" for count, word in told if count))


def _watch(bars: Progress, bar: TaskID) -> Watch:
    return lambda done, total: bars.update(bar, completed=done, total=total or None)


def _let_them_read(readers: Readers, bars: Progress, say: Words) -> None:
    most = readers.waiting + sum(readers.done.values())
    bar = bars.add_task(say["reading"], total=most, note="")

    def finished() -> bool:
        bars.update(bar, completed=most - readers.waiting)
        return readers.waiting == 0

    wait_until(finished, say["reading"], 90)


def _show(
    console: Console,
    doors: Doors,
    communities: Sequence[Founded],
    campaigns: Sequence[str],
    catcher: str,
    folder: Path,
    language: str,
    say: Words,
) -> None:
    """The picture in the terminal, and as pages and drawings in the folder."""
    for spoken in LANGUAGES:
        pictures = [
            paint(doors, campaign, founded.plan.aim.unit, spoken)
            for campaign, founded in zip(campaigns, communities, strict=True)
        ]
        query = f'{queries.PICTURE}\n\n{{"campaign": "{campaigns[0]}"}}'
        addresses = {words(spoken)["catcher"]: catcher, "GraphQL": f"{doors.address}/graphql"}
        other = next(each for each in LANGUAGES if each != spoken)
        page = report_html(pictures, spoken, addresses, query, _page_name(other))
        (folder / _page_name(spoken)).write_text(page, encoding="utf-8")
        if spoken == language:
            for place, picture in enumerate(pictures, 1):
                _print_picture(console, picture, language, say)
                (folder / f"funnel-{place}.svg").write_text(funnel_svg(picture, spoken), encoding="utf-8")
    report = (folder / _page_name(language)).as_uri()
    console.print(f"\n{say['report']} [link={report}]{report}[/link]", soft_wrap=True)
    console.print(f"{say['query']} {doors.address}/graphql\n", soft_wrap=True)
    console.print(query, style="dim", highlight=False, markup=False)


def _print_picture(console: Console, picture: CampaignPicture, language: str, say: Words) -> None:
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
    for step in picture.steps:
        bar = "█" * round(picture.width(step.people) / 12) + "░" * round(picture.width(step.machines) / 12)
        machines = f" + {step.machines} {say['machines_short']}" if step.machines else ""
        table.add_row(
            say[step.key], f"[red]{bar}[/red] [bold]{number(step.people, language)}[/bold][dim]{machines}[/dim]"
        )
    console.print(f"\n[bold]{picture.community} – {picture.name}[/bold]")
    console.print(table)
    for reason, count in picture.skipped:
        console.print(f"  {number(count, language)} {say['skipped']} : {reason}", style="dim", highlight=False)
    objective = picture.objective
    if objective is not None:
        target = f"{number(objective.target, language)} {objective.unit}".strip()
        console.print(
            f"  {say['objective']} – {objective.name} : [bold]{number(objective.value, language)}[/bold] / {target}. "
            f"{say['forecast']} {objective.forecast}",
            highlight=False,
        )


def _page_name(language: str) -> str:
    return "report.html" if language == "en" else f"report.{language}.html"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
