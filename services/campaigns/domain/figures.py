"""What came of it: every member of the audience in exactly one place, and what people did with the message.

The law: planned = skipped + accepted + refused + unknown, once every recipient is terminal; until then, what is
neither is in flight or waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.campaigns.domain.money import Money
from services.campaigns.domain.wording import Wording


@dataclass(frozen=True, slots=True)
class Totals:
    """Members by where they stand, as the ledger counts them; ``addresses`` and ``messages`` beside.

    ``handed_off`` counts everybody who ever was: accepted, refused, unknown, and in flight.
    """

    members: int = 0
    addresses: int = 0
    handed_off: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    waiting: int = 0
    messages: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def all_skipped(self) -> int:
        return sum(self.skipped.values())

    @property
    def in_flight(self) -> int:
        return max(self.handed_off - self.accepted - self.refused - self.unknown, 0)

    @property
    def terminal(self) -> int:
        return self.all_skipped + self.accepted + self.refused + self.unknown


def sum_of(parts: Iterable[Mapping[str, object]]) -> Totals:
    """The sum of batches' totals, given as documents."""
    counts = dict.fromkeys(COUNTS, 0)
    skipped: dict[str, int] = {}
    for part in parts:
        for name in COUNTS:
            counts[name] += part.get(name) or 0  # type: ignore[operator] # counts are whole numbers
        for reason, count in (part.get("skipped") or {}).items():  # type: ignore[attr-defined] # a map of counts
            skipped[reason] = skipped.get(reason, 0) + count
    return Totals(**counts, skipped={reason: count for reason, count in sorted(skipped.items()) if count})


COUNTS = ("members", "addresses", "handed_off", "accepted", "refused", "unknown", "waiting", "messages")


@dataclass(frozen=True, slots=True)
class Reactions:
    """Members by what they did; people and programs apart."""

    opened: int = 0
    clicked: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0
    unsubscribed: int = 0
    converted: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one campaign at ``counted_at`` (UTC ms)."""

    campaign: str
    run: str
    planned: int
    plan_closed: bool
    addresses: int
    totals: Totals
    reactions: Reactions
    conversions: int
    revenue: tuple[Money, ...]
    message_cost: Money | None
    counted_at: int

    @property
    def skipped(self) -> int:
        return self.totals.all_skipped

    @property
    def waiting(self) -> int:
        """Planned, and neither terminal nor in flight: with the senders, or on the way to them."""
        return max(self.planned - self.totals.terminal - self.totals.in_flight, 0)

    @property
    def handed_off(self) -> int:
        """Ever handed off."""
        return self.totals.in_flight + self.totals.accepted + self.totals.refused + self.totals.unknown

    @property
    def add_up(self) -> bool:
        """Every member planned is terminal, once."""
        return self.plan_closed and self.planned == self.totals.terminal and not self.totals.in_flight

    @property
    def cost(self) -> Money | None:
        return self.message_cost.times(self.totals.messages) if self.message_cost else None

    @property
    def cost_per_click(self) -> Money | None:
        return self.cost.shared_by(self.reactions.clicked) if self.cost else None

    @property
    def cost_per_conversion(self) -> Money | None:
        return self.cost.shared_by(self.conversions) if self.cost else None


NO_FIGURES = Totals()

SKIPPED_BECAUSE: Mapping[str, Wording] = {
    "objection": Wording("objected to this purpose", "opposition à cette finalité"),
    "no-permission": Wording("no permission to write", "pas de permission d’écrire"),
    "no-basis": Wording("no basis to write for this purpose", "aucune base pour écrire à cette fin"),
    "evidence-too-weak": Wording("the proof of permission is too weak", "la preuve de la permission est trop faible"),
    "guardian-must-consent": Wording("a guardian must consent first", "un responsable légal doit d’abord consentir"),
    "ask-anew": Wording("of age now, and to be asked anew", "devenu majeur, à interroger de nouveau"),
    "address-not-impersonal": Wording("the address is a person's", "l’adresse est celle d’une personne"),
    "suppressed": Wording("the address is suppressed", "l’adresse est en liste de suppression"),
    "no-contact-point": Wording("no address on this channel", "aucune adresse sur ce canal"),
    "bounced-contact": Wording("the address returned earlier messages", "l’adresse a renvoyé des messages"),
    "cap": Wording("the cap on messages was reached", "le plafond de messages était atteint"),
    "expired": Wording("the time of sending was over", "la période d’envoi était terminée"),
    "cancelled": Wording("the campaign was cancelled", "la campagne a été annulée"),
    "merged": Wording("merged into another member", "fusionné avec un autre membre"),
    "erased": Wording("erased", "effacé"),
    "restricted": Wording("processing is restricted", "le traitement est limité"),
    "missing": Wording("there is no such member any more", "ce membre n’existe plus"),
    "joined-after-launch": Wording("joined after the launch", "arrivé après le lancement"),
}


def said_of(reason: str) -> Wording:
    """A reason for skipping in words; one that this table does not know speaks for itself."""
    plain = reason.replace("-", " ").replace("_", " ")
    return SKIPPED_BECAUSE.get(reason, Wording(plain, plain))
