"""What the supervisor says to whoever started it, in English or in French."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. The braces name what is filled in."""

    locale: str
    first_steps: str
    first_steps_failed: str
    ready: str
    died: str
    by_signal: str
    with_status: str
    did_not_start: str
    stopping: str
    killed: str
    stopped: str
    already_runs: str
    address_taken: str
    address_refused: str
    greeting: str
    sign_in: str


ENGLISH = Texts(
    locale="en",
    first_steps="Preparing {data}",
    first_steps_failed="The first steps did not succeed (see above); nothing was started.",
    ready="{service} is ready (process {pid})",
    died="{service} ended {how}; it starts again in {seconds} s, the others go on",
    by_signal="by {signal}",
    with_status="with status {status}",
    did_not_start="{service} did not start (see above); everything is stopped.",
    stopping="Stopping: what is in hand is finished (Ctrl-C again to end at once)",
    killed="{service} did not stop in time and was killed; its work is taken up again at the next start",
    stopped="Stopped.",
    already_runs="Fanfare already runs on {data} (process {pid}). Stop it, or set FANFARE_DATA to another folder.",
    address_taken="{address} is taken by another program. Stop it, or set FANFARE_HTTP to another host:port.",
    address_refused="FANFARE_HTTP cannot be used: {reason}.",
    greeting="""
Fanfare runs.
  Explorer and GraphQL {url}/graphql
  Data                 {data}
  Log files            {data}/logs
  {sign_in}
  Stop with Ctrl-C.
""",
    sign_in="Sign in with         the first credentials, in {path} (only you can read them), or your own",
)

FRENCH = Texts(
    locale="fr",
    first_steps="Préparation de {data}",
    first_steps_failed="Les premières étapes n’ont pas abouti (voir ci-dessus) ; rien n’a été démarré.",
    ready="{service} est prêt (processus {pid})",
    died="{service} s’est arrêté {how} ; il redémarre dans {seconds} s, les autres continuent",
    by_signal="par {signal}",
    with_status="avec le statut {status}",
    did_not_start="{service} n’a pas démarré (voir ci-dessus) ; tout est arrêté.",
    stopping="Arrêt : ce qui est en cours se termine (encore Ctrl-C pour finir tout de suite)",
    killed="{service} ne s’est pas arrêté à temps et a été tué ; son travail sera repris au prochain démarrage",
    stopped="Arrêté.",
    already_runs="Fanfare tourne déjà sur {data} (processus {pid}). Arrêtez-le d’abord, ou donnez à FANFARE_DATA "
    "un autre dossier.",
    address_taken="{address} est pris par un autre programme. Arrêtez-le, ou donnez à FANFARE_HTTP un autre hôte:port.",
    address_refused="FANFARE_HTTP est inutilisable : {reason}.",
    greeting="""
Fanfare tourne.
  Explorateur GraphQL  {url}/graphql
  Données              {data}
  Journaux             {data}/logs
  {sign_in}
  Arrêter : Ctrl-C.
""",
    sign_in="Se connecter avec    les premiers identifiants, dans {path} (lisibles par vous seul), ou les vôtres",
)


def texts_for(environment: Mapping[str, str]) -> Texts:
    """The language that the environment asks for (POSIX: LC_ALL, then LC_MESSAGES, then LANG); else English."""
    asked = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return FRENCH if asked.lower().startswith("fr") else ENGLISH
