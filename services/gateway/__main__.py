"""``python -m services.gateway init | serve | parked | replay | schema | add-agency``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.gateway import schema as graph
from services.gateway.access.first_start import found, found_first, make_signing_keys
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import SERVICE, access_of, open_own_store, wire
from services.kit.clock import SystemClock
from services.kit.errors import FanfareError, Invalid
from services.kit.ids import Ids
from services.kit.logs import start_logging
from services.kit.process import carry_out, live
from services.kit.settings import load

SCHEMA_FILE = Path(__file__).parents[2] / "schema.graphql"
_WRONG_SETTING = 2

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def init(locale: Annotated[str, typer.Option(help="fr or en: the first operator's language.")] = "en") -> None:
    """Make what is missing at the first start: keys, a first agency, a first operator."""
    settings = load(GatewaySettings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_signing_keys(settings.keys_folder)
    store = open_own_store(settings)
    try:
        clock = SystemClock()
        access = access_of(store, Ids(clock), clock)
        if found_first(access.people, access.credentials, settings.first_operator_file, settings.own_url, locale):
            print(f"The first operator's credentials are in {settings.first_operator_file}")
    finally:
        store.close()


@app.command()
def add_agency(
    name: Annotated[str, typer.Argument(help="The agency's name.")],
    email: Annotated[str, typer.Argument(help="Its first owner's address.")],
    locale: Annotated[str, typer.Option(help="fr or en.")] = "en",
) -> None:
    """Found another agency. Its owner's password and a first key are printed this once, as JSON."""
    settings = load(GatewaySettings)
    store = open_own_store(settings)
    try:
        clock = SystemClock()
        access = access_of(store, Ids(clock), clock)
        founding = found(access.people, access.credentials, name, email, locale=locale)
    finally:
        store.close()
    typer.echo(
        f'{{"agency": "{founding.agency.id}", "operator": "{founding.operator.id}", '
        f'"email": "{founding.operator.email}", "password": "{founding.password}", "api_key": "{founding.api_key}"}}'
    )


@app.command()
def serve() -> None:
    """Answer requests, and carry on what they began, until told to stop."""
    settings = load(GatewaySettings)
    start_logging(SERVICE, settings)
    parts = wire(settings)
    sys.exit(
        live(
            SERVICE,
            server=parts.server,
            workers=parts.workers,
            close=parts.close,
            health=parts.health,
            drain_seconds=settings.drain_seconds,
        )
    )


@app.command()
def parked() -> None:
    """List the events that could not be handled, and why."""
    _carry_out("parked")


@app.command()
def replay() -> None:
    """Try the events that could not be handled again, in their order."""
    _carry_out("replay")


def _carry_out(command: str) -> None:
    settings = load(GatewaySettings)
    start_logging(SERVICE, settings)
    sys.exit(carry_out(command, SERVICE, wire(settings)))


@app.command()
def schema(
    check: Annotated[
        bool, typer.Option("--check", help="Say whether schema.graphql is fresh, and change nothing.")
    ] = False,
) -> None:
    """Print the graph into schema.graphql."""
    printed = graph.printed()
    if not check:
        SCHEMA_FILE.write_text(printed, encoding="utf-8")
    elif not SCHEMA_FILE.exists() or SCHEMA_FILE.read_text(encoding="utf-8") != printed:
        sys.exit("schema.graphql is not fresh: run `python -m services.gateway schema` and commit it.")


if __name__ == "__main__":
    try:
        app()
    except FanfareError as error:
        print(f"gateway: {error.message}", file=sys.stderr)
        sys.exit(_WRONG_SETTING if isinstance(error, Invalid) else 1)
