"""Taking an import back: only what nothing later touched, and never an objection by itself.

Promise 3 holds backwards too. An objection that a list brought stays when the list is undone: what was wrong with the
list need not have been wrong about the refusal. A member made only to carry it then keeps an address and the objection,
and nothing else. The operator may say that the objections go as well; that is their act, and kept as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.members.domain.community import Community
from services.members.domain.importing.plan import fingerprint
from services.members.domain.member import ACTIVE, Cause, derive
from services.members.domain.permission import OBJECTION, Record

REMOVE = "remove"
KEEP_OBJECTION = "objection-stays"
CHANGED_SINCE = "changed-since"
IN_TOUCH_SINCE = "in-touch-since"
GONE = "gone"
WARDS_STAY = "wards-stay"

LEFT_BECAUSE: Mapping[str, Mapping[str, str]] = {
    KEEP_OBJECTION: {
        "en": "The list brought an objection: the address and the objection stay, everything else is taken back.",
        "fr": "La liste apportait une opposition : l'adresse et l'opposition restent, tout le reste est repris.",
    },
    CHANGED_SINCE: {
        "en": "Somebody changed it after the import.",
        "fr": "Quelqu'un l'a modifié après l'import.",
    },
    IN_TOUCH_SINCE: {
        "en": "The member received or did something after the import.",
        "fr": "Le membre a reçu ou fait quelque chose après l'import.",
    },
    GONE: {
        "en": "The member was merged, restricted or erased after the import.",
        "fr": "Le membre a été fusionné, limité ou effacé après l'import.",
    },
    WARDS_STAY: {
        "en": "Somebody who stays has this member as guardian.",
        "fr": "Quelqu'un qui reste a ce membre pour responsable.",
    },
}


def judge_created(record: Record, version: int, *, objections_too: bool) -> str:
    """What becomes of a member that the import made and last wrote at ``version``."""
    if record["state"] != ACTIVE:
        return GONE
    if record["version"] != version:
        return CHANGED_SINCE
    if record["engagement"] or record["recent"]:
        return IN_TOUCH_SINCE
    if not objections_too and any(entry["act"] == OBJECTION for entry in record["ledger"]):
        return KEEP_OBJECTION
    return REMOVE


def strip(record: Record, community: Community, cause: Cause) -> None:
    """Leave of a member its name, its addresses and what it refused."""
    record["history"].append(_note("undone", sorted(relation["kind"] for relation in record["relations"]), None, cause))
    record["ledger"] = [entry for entry in record["ledger"] if entry["act"] == OBJECTION]
    for place in ("relations", "reasons", "attributes", "sensitive", "tags"):
        record[place] = []
    _derive(record, community, cause)


def restore(
    record: Record, changed: Mapping[str, Any], community: Community, cause: Cause, *, objections_too: bool
) -> list[str]:
    """Give each field that the import changed what it held before, where nothing later touched it; names the others.

    ``changed`` maps a field to what it held and the fingerprint of what the import wrote.
    """
    left: list[str] = []
    for name, (before, written) in changed.items():
        if name in ("standing", "lifecycle", "permission", "search"):
            continue
        if fingerprint(record[name]) != written:
            left.append(name)
        elif name == "ledger":
            _restore_ledger(record, before, cause, objections_too=objections_too)
        else:
            hidden = name in ("sensitive", "contact_points")
            record["history"].append(_note(name, None if hidden else record[name], None if hidden else before, cause))
            record[name] = before
    _derive(record, community, cause)
    return left


def _derive(record: Record, community: Community, cause: Cause) -> None:
    was = record["standing"]
    derive(record, community, cause.at)
    if record["standing"] != was:
        record["history"].append(_note("standing", was, record["standing"], cause))


def _restore_ledger(record: Record, before: list[Record], cause: Cause, *, objections_too: bool) -> None:
    """Entries that the import brought leave the ledger for the history; nothing of them is lost."""
    held = {entry["_id"] for entry in before}
    kept: list[Record] = []
    for entry in record["ledger"]:
        if entry["_id"] in held or (entry["act"] == OBJECTION and not objections_too):
            kept.append(entry)
        else:
            record["history"].append(_note("ledger", entry, None, cause))
    record["ledger"] = kept


def _note(what: str, was: Any, now: Any, cause: Cause) -> Record:
    return {"at": cause.at, "actor": cause.actor, "what": what, "was": was, "now": now, "cause": cause.source}
