"""``python -m services run | parked | replay``: all of Fanfare on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from services.kit.errors import FanfareError, Unavailable
from services.kit.settings import Settings, load
from services.kit.sockets import make_private
from services.supervisor import AddressTaken, AlreadyRuns, Plan, Program, Screen, check_free, only_one
from services.supervisor_texts import Texts, texts_for

# In the order of who asks whom: each finds those above it answering.
SERVICES = ("members", "campaigns", "channels", "gateway")

_HEAPS = "MALLOC_ARENA_MAX"  # glibc gives each thread a heap of its own, and what lies idle there is lost

_Data = Annotated[Path | None, typer.Option(help="The data folder, instead of FANFARE_DATA.")]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def fanfare() -> None:
    """Fanfare gives every community master a community it owns."""


@app.command()
def run(
    data: _Data = None,
    http: Annotated[str | None, typer.Option(help="The address to listen on, instead of FANFARE_HTTP.")] = None,
) -> None:
    """Start the services and keep them running, until Ctrl-C."""
    _choose(FANFARE_DATA=data, FANFARE_HTTP=http)
    texts = texts_for(os.environ)
    try:
        settings = load(Settings)
        with only_one(settings.data) as lock:
            check_free(settings.http)
            _prepare(settings, texts, lock).become()
    except AlreadyRuns as error:
        _refuse(texts.already_runs.format(data=error.message, pid=error.params["pid"]))
    except AddressTaken as error:
        _refuse(texts.address_taken.format(address=error.message))
    except Unavailable as error:
        _refuse(texts.address_refused.format(reason=error.message) if error.field == "FANFARE_HTTP" else error.message)
    except FanfareError as error:
        _refuse(error.message)


@app.command()
def parked(data: _Data = None) -> None:
    """List the events that a service could not handle, and why; status 1 where there are some."""
    _in_every_service("parked", data)


@app.command()
def replay(data: _Data = None) -> None:
    """Try the events that could not be handled again, in their order, beside a running platform."""
    _in_every_service("replay", data)


def commands(senders: int) -> dict[str, tuple[str, str]]:
    """Who runs on one machine, by name: each service in one process, and beside channels the other senders."""
    others = {f"channels-{number}": ("services.channels", "work") for number in range(2, senders + 1)}
    return {
        "members": ("services.members", "both"),
        "campaigns": ("services.campaigns", "both"),
        "channels": ("services.channels", "both"),
        **others,
        "gateway": ("services.gateway", "serve"),
    }


def _in_every_service(command: str, data: Path | None) -> NoReturn:
    _choose(FANFARE_DATA=data)
    statuses = [subprocess.run((sys.executable, "-m", f"services.{name}", command)).returncode for name in SERVICES]
    sys.exit(max(statuses))


def _choose(**chosen: object) -> None:
    """What the command line says comes before the environment."""
    os.environ |= {name: str(value) for name, value in chosen.items() if value is not None}


def _prepare(settings: Settings, texts: Texts, lock: int) -> Plan:
    """The first steps; then what to run. Exits where they did not succeed."""
    make_private(settings.run_folder)
    plan = Plan(
        programs=[Program(name, (sys.executable, "-m", *how)) for name, how in commands(settings.senders).items()],
        run_folder=settings.run_folder,
        locale=texts.locale,
        greeting=_greeting(settings, texts),
        coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
        plain=settings.log_format == "json",
        lock=lock,
    )
    os.environ |= {"FANFARE_DATA": str(settings.data), "PYTHONUNBUFFERED": "1"}
    os.environ.setdefault(_HEAPS, "2")
    if plan.coloured:
        os.environ["FORCE_COLOR"] = "1"
    screen = Screen(sys.stdout, [program.name for program in plan.programs], coloured=plan.coloured, plain=plan.plain)
    screen.say(texts.first_steps.format(data=settings.data))
    first_steps = (sys.executable, "-m", "services.gateway", "init", "--locale", texts.locale)
    done = subprocess.run(first_steps, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in done.stdout.splitlines():
        screen.line("gateway", line)
    if done.returncode != 0:
        _refuse(texts.first_steps_failed)
    return plan


def _greeting(settings: Settings, texts: Texts) -> str:
    sign_in = texts.sign_in.format(path=settings.data / "first-operator.json")
    return texts.greeting.format(url=f"http://{settings.http}", data=settings.data, sign_in=sign_in)


def _refuse(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    app()
