"""What must be right before a campaign may be launched. Each check gives a reason, a field and a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.campaigns.domain.content import Compiled
from services.campaigns.domain.draft import Draft
from services.campaigns.domain.purposes import UNREFUSABLE, promotion_in
from services.campaigns.domain.wording import Problem, Wording


@dataclass(frozen=True, slots=True)
class Sender:
    """What the channels service says of an account."""

    id: str
    community: str
    channel: str
    state: str  # `active`, `paused`, `alarmed`
    verified: bool
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The community's words: merge fields, those that are sensitive, and the reasons for being there."""

    fields: frozenset[str]
    sensitive: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Audience:
    """How many members a rule reaches now, and about how many it says nothing."""

    members: int
    unmeasurable: int = 0


MEMBER_FIELDS = frozenset({"given_name", "family_name", "display_name"})
"""The merge fields that every community has; attributes are written `attribute.<key>`."""


def check(
    draft: Draft,
    community: str,
    compiled: Compiled,
    *,
    sender: Sender | None,
    catalogue: Catalogue,
    audience: Audience | None,
    now: int,
) -> list[Problem]:
    """Everything that stops a launch now; nothing: it may go. ``audience`` is None where the rule cannot be read."""
    return [
        *check_content(draft, compiled, catalogue),
        *_reasons(draft, catalogue),
        *_sender(draft, community, sender),
        *(_audience(audience) if audience else ()),
        *_time(draft, now),
    ]


def check_content(draft: Draft, compiled: Compiled, catalogue: Catalogue) -> list[Problem]:
    """What stops these messages from being sent."""
    return [
        *_content(draft, compiled),
        *_merge_fields(compiled, catalogue),
        *_way_out(draft, compiled),
        *(promotion_in(draft.messages) if draft.purpose in UNREFUSABLE else ()),
    ]


def _content(draft: Draft, compiled: Compiled) -> Iterator[Problem]:
    if not draft.messages:
        yield Problem(
            "no-content",
            "messages",
            Wording("The campaign has no message: write one.", "La campagne n’a pas de message : écrivez-en un."),
        )
    elif draft.fallback_locale and all(message.locale != draft.fallback_locale for message in draft.messages):
        yield Problem(
            "missing-fallback-language",
            "fallback_locale",
            Wording(
                f"There is no message in {draft.fallback_locale}, the language for whoever speaks none of the others: "
                "write it, or choose another.",
                f"Il n’y a pas de message en {draft.fallback_locale}, la langue de qui n’en parle aucune autre : "
                "écrivez-le, ou choisissez-en une autre.",
            ),
        )
    yield from compiled.problems


def _merge_fields(compiled: Compiled, catalogue: Catalogue) -> Iterator[Problem]:
    for name in compiled.fields:
        if name in catalogue.sensitive:
            yield Problem(
                "sensitive-merge-field",
                "messages",
                Wording(
                    f"The merge field {name} is sensitive and is not written into messages: take it out.",
                    f"Le champ de fusion {name} est sensible et ne s’écrit pas dans un message : retirez-le.",
                ),
            )
        elif name not in catalogue.fields:
            known = ", ".join(sorted(catalogue.fields))
            yield Problem(
                "unknown-merge-field",
                "messages",
                Wording(
                    f"There is no merge field {name}: use one of {known}.",
                    f"Il n’y a pas de champ de fusion {name} : utilisez-en un de ceux-ci : {known}.",
                ),
            )


def _way_out(draft: Draft, compiled: Compiled) -> Iterator[Problem]:
    if draft.purpose in UNREFUSABLE:
        return
    for place in compiled.without_unsubscribe:
        yield Problem(
            "missing-unsubscribe-link",
            place,
            Wording(
                "Nobody could unsubscribe from here: add a link to {{ unsubscribe_url }}.",
                "Personne ne pourrait se désabonner d’ici : ajoutez un lien vers {{ unsubscribe_url }}.",
            ),
        )


def _reasons(draft: Draft, catalogue: Catalogue) -> Iterator[Problem]:
    for reason in draft.reasons:
        if reason not in catalogue.reasons:
            known = ", ".join(sorted(catalogue.reasons))
            yield Problem(
                "unknown-reason",
                "reasons",
                Wording(
                    f"The community has no reason {reason}: name one of its own ({known}), or declare it first.",
                    f"La communauté n’a pas de raison {reason} : nommez l’une des siennes ({known}), ou déclarez-la "
                    "d’abord.",
                ),
            )


def _sender(draft: Draft, community: str, sender: Sender | None) -> Iterator[Problem]:
    if sender is None or sender.community not in ("", community) or sender.channel != draft.channel:
        yield Problem(
            "no-account",
            "account",
            Wording(
                "Choose an account of this community that sends on this channel.",
                "Choisissez un compte de cette communauté qui envoie sur ce canal.",
            ),
        )
        return
    if not sender.verified:
        yield Problem(
            "sender-not-verified",
            "account",
            Wording(
                "The sender's address is not proven to be yours: ask for the proof and confirm the link it is mailed.",
                "L’adresse d’expédition n’est pas vérifiée : demandez-la et confirmez le lien qui y arrive.",
            ),
        )
    if sender.state == "paused":
        yield Problem(
            "account-paused",
            "account",
            Wording(
                "The account is paused: resume it, or choose another.",
                "Le compte est en pause : reprenez-le, ou choisissez-en un autre.",
            ),
        )
    elif sender.state == "alarmed":
        yield Problem(
            "account-alarmed",
            "account",
            Wording(
                f"The account has an alarm ({sender.alarm}): settle it, or choose another.",
                f"Le compte est en alarme ({sender.alarm}) : réglez-la, ou choisissez-en un autre.",
            ),
        )


def _audience(audience: Audience) -> Iterator[Problem]:
    if audience.members == 0:
        yield Problem(
            "no-recipients",
            "rule",
            Wording("The segment has no member now: widen it.", "Le segment n’a aucun membre : élargissez-le."),
        )


def _time(draft: Draft, now: int) -> Iterator[Problem]:
    if draft.send_until and draft.send_until <= now:
        yield Problem(
            "send-until-passed",
            "send_until",
            Wording(
                "The end of sending has passed: choose one to come.",
                "La fin de l’envoi est passée : choisissez-en une à venir.",
            ),
        )
