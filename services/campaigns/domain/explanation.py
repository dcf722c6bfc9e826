"""Why did this member (not) get it? What the plan knows, beside what the ledger answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.campaigns.domain.wording import Wording

ABSENT = "absent"
NOT_LAUNCHED = "not_launched"
PLANNED = "planned"
NOT_PLANNED_YET = "not_planned_yet"


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer: the ledger's (``message`` in the caller's language already) or the plan's (``said``)."""

    state: str
    reason: str = ""
    message: str = ""
    said: Wording | None = None
    at: int = 0
    message_id: str = ""
    attempts: int = 0
    reply: str = ""
    revision: int = 0
    shared_with: tuple[str, ...] = ()

    def in_language(self, accepted: str) -> str:
        return self.said.in_language(accepted) if self.said else self.message


_SAID: Mapping[tuple[str, str], Wording] = {
    (NOT_LAUNCHED, ""): Wording(
        "The campaign has not been launched: nobody got it.",
        "La campagne n’a pas été lancée : personne ne l’a reçue.",
    ),
    (PLANNED, ""): Wording(
        "The member is in the plan; the senders have not taken it over yet.",
        "Le membre est dans le plan ; l’envoi ne l’a pas encore pris en charge.",
    ),
    (NOT_PLANNED_YET, ""): Wording(
        "The audience is still being laid out; the member's turn has not come yet.",
        "L’audience est en cours de préparation ; le tour de ce membre n’est pas encore venu.",
    ),
    (ABSENT, "joined-after-launch"): Wording(
        "The member joined after the launch: the audience was frozen then.",
        "Le membre est arrivé après le lancement : l’audience était figée.",
    ),
    (ABSENT, "not-in-segment"): Wording(
        "The member was not in the segment when the campaign was launched.",
        "Le membre n’était pas dans le segment au lancement de la campagne.",
    ),
    (ABSENT, "unmeasurable"): Wording(
        "The segment asks for opens or clicks, and the member may not be tracked: the rule says nothing of them.",
        "Le segment porte sur des ouvertures ou des clics, et ce membre n’est pas suivi : la règle n’en dit rien.",
    ),
    (ABSENT, "no-member"): Wording(
        "There is no such member in this community (any more).",
        "Ce membre n’existe pas, ou plus, dans cette communauté.",
    ),
    (ABSENT, "merged"): Wording(
        "The member was merged into another; look at that one.",
        "Le membre a été fusionné avec un autre ; regardez celui-là.",
    ),
    (ABSENT, "restricted"): Wording(
        "Processing of the member is restricted: nobody is written to who is.",
        "Le traitement de ce membre est limité : on ne lui écrit pas.",
    ),
    (ABSENT, "entered-later"): Wording(
        "The member is in the segment now, and was not when the audience was laid out.",
        "Le membre est aujourd’hui dans le segment, mais n’y était pas quand l’audience a été préparée.",
    ),
    (ABSENT, "plan-ended"): Wording(
        "The plan ended before the member's turn: the campaign was cancelled.",
        "Le plan s’est arrêté avant le tour de ce membre : la campagne a été annulée.",
    ),
}


def explained(state: str, reason: str = "") -> Explanation:
    return Explanation(state, reason, said=_SAID[state, reason])
