"""A first mapping for a list, from its headings and from what stands below them; an operator corrects it.

The exports of known tools are recognised by their columns. What is not understood is ignored, never forced: a wrong
guess costs more than a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from services.members.domain.community import Community
from services.members.domain.importing import cells
from services.members.domain.importing.cells import NO, YES, CellRefused
from services.members.domain.importing.folding import fold
from services.members.domain.importing.interpreting import split_words
from services.members.domain.importing.mapping import Column, DateOrder, Effect, PermissionColumns, Target
from services.members.domain.importing.mapping import Mapping as ListMapping

Samples = Sequence[Sequence[str]]

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "given_name": ("prenom", "prenoms", "voornaam", "roepnaam", "first name", "firstname", "given name", "forename"),
    "family_name": ("nom", "nom de famille", "naam", "achternaam", "familienaam", "last name", "lastname", "surname",
                    "family name"),
    "full_name": ("name", "full name", "fullname", "nom complet", "nom et prenom", "nom prenom", "volledige naam",
                  "naam en voornaam", "contact"),
    "organisation": ("organisation", "organization", "societe", "entreprise", "bedrijf", "company", "organisatie"),
    "email": ("email", "e mail", "courriel", "mail", "email address", "e mail address", "adresse e mail",
              "adresse email", "adresse mail", "adresse electronique", "e mailadres", "mailadres", "mel"),
    "phone": ("gsm", "telephone", "tel", "phone", "phone number", "mobile", "mobile phone", "portable", "telefoon",
              "telefoonnummer", "gsm nummer", "numero de telephone", "numero de gsm", "n de telephone"),
    "birth_date": ("ne e le", "ne le", "nee le", "date de naissance", "naissance", "geboortedatum", "geboren op",
                   "geboren", "birth date", "birthdate", "date of birth", "dob"),
    "locale": ("langue", "taal", "language", "lang", "locale", "langue de contact"),
    "zone": ("timezone", "time zone", "fuseau horaire", "tijdzone"),
    "tags": ("tags", "tag", "etiquettes", "labels", "mots cles", "trefwoorden", "groupes", "groepen", "groups"),
    "reasons": ("interets", "centres d interet", "interests", "interesses", "motifs", "reasons", "redenen"),
    "relation": ("statut", "relation", "relatie", "lien", "qualite", "hoedanigheid", "kind", "type", "categorie",
                 "category", "rol", "role"),
    "relation_since": ("membre depuis", "inscrit le", "date d inscription", "lid sinds", "member since", "since",
                       "inschrijvingsdatum", "joined", "entree"),
    "relation_until": ("membre jusqu au", "echeance", "lid tot", "member until", "expires", "fin", "vervaldatum"),
    "external_id": ("id", "external id", "identifiant", "identifiant externe", "numero de membre", "n de membre",
                    "member number", "member id", "lidnummer", "customer id", "numero client", "klantnummer", "ref"),
    "permission": ("newsletter", "infolettre", "nieuwsbrief", "optin", "opt in", "consent", "consentement",
                   "toestemming", "accord", "lettre d information", "news", "abonne"),
    "permission_at": ("accord le", "date accord", "date d accord", "date de l accord", "date du consentement",
                      "consent date", "optin date", "opt in date", "optin time", "akkoord op", "datum toestemming",
                      "date optin", "date newsletter"),
    "note": ("remarque", "remarques", "opmerking", "opmerkingen", "note", "notes", "commentaire", "commentaires",
             "comment", "comments", "observation", "observations"),
    "attribute": (),
}  # fmt: skip
_BY_HEADING = {heading: target for target, headings in HEADINGS.items() for heading in headings}

ATTRIBUTE_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "city": ("ville", "city", "stad", "localite", "commune", "gemeente", "woonplaats", "town"),
    "postal_code": ("code postal", "postal code", "postcode", "cp", "zip", "zip code", "zipcode"),
    "country": ("pays", "country", "land", "cc"),
    "grade": ("ceinture", "belt", "gordel", "grade"),
    "fee": ("cotisation", "fee", "lidgeld", "bijdrage"),
    "found_us_through": ("source", "origine", "bron", "venu par"),
    "last_purchase": ("last purchase", "dernier achat", "laatste aankoop"),
    "health_remarks": HEADINGS["note"],
}

RELATION_WORDS: Mapping[str, tuple[str, ...]] = {
    "membre": ("adherent", "member"),
    "adherent": ("adherent", "member"),
    "lid": ("adherent", "member"),
    "member": ("adherent", "member"),
    "essai": ("trial",),
    "a l essai": ("trial",),
    "proef": ("trial",),
    "trial": ("trial",),
    "ancien": ("former_member",),
    "ancien membre": ("former_member",),
    "oud lid": ("former_member",),
    "former": ("former_member",),
    "parent": ("parent",),
    "ouder": ("parent",),
    "sponsor": ("sponsor",),
    "partenaire": ("sponsor",),
    "benevole": ("volunteer",),
    "vrijwilliger": ("volunteer",),
    "volunteer": ("volunteer",),
    "entraineur": ("coach",),
    "trainer": ("coach",),
    "coach": ("coach",),
    "presse": ("press",),
    "pers": ("press",),
    "press": ("press",),
    "client": ("customer",),
    "klant": ("customer",),
    "customer": ("customer",),
    "fan": ("follower", "supporter"),
    "supporter": ("supporter", "follower"),
    "abonne": ("subscriber", "follower"),
    "subscriber": ("subscriber", "follower"),
    "artiste": ("artist",),
    "artist": ("artist",),
    "prospect": (),
}
"""Words of a status column, and the relation kinds they may mean, the likeliest first; none: nothing to relate."""

REASON_WORDS: Mapping[str, tuple[str, ...]] = {
    "kids": ("family_day", "children_training"),
    "enfants": ("family_day", "children_training"),
    "kinderen": ("family_day", "children_training"),
    "children": ("family_day", "children_training"),
    "competition": ("competition",),
    "affiche": ("line_up",),
    "lineup": ("line_up",),
}

MAILCHIMP = "mailchimp"
LISTMONK = "listmonk"
_MARKS: Mapping[str, frozenset[str]] = {
    MAILCHIMP: frozenset(("email address", "leid", "euid")),
    LISTMONK: frozenset(("uuid", "email", "attributes", "status", "created at")),
}
_MAILCHIMP_IGNORED = frozenset(
    ("member rating", "latitude", "longitude", "gmtoff", "dstoff", "region", "last changed", "leid", "euid", "birthday",
     "optin time", "optin ip", "confirm time", "confirm ip", "unsub time", "unsub campaign title", "unsub campaign id",
     "unsub reason", "unsub reason other", "clean time", "clean campaign title", "clean campaign id")
)  # fmt: skip
_FEW = 40  # distinct words that a column of statuses may have


def guess_mapping(community: Community, headings: Sequence[str], samples: Samples) -> ListMapping:
    """What the columns most likely mean to this community."""
    folded = [fold(heading) for heading in headings]
    tool = next((name for name, marks in _MARKS.items() if marks <= set(folded)), "")
    if tool == LISTMONK:
        return _listmonk(community, headings, samples)
    columns: list[Column] = []
    taken: set[str] = set()
    for index, heading in enumerate(headings):
        words = _words(samples, index)
        if tool == MAILCHIMP and folded[index] in _MAILCHIMP_IGNORED:
            columns.append(Column(heading, "ignore"))
            continue
        column = _guess(community, heading, words, taken)
        if column.target not in ("ignore", "attribute", "note", "tags", "email", "phone"):
            taken.add(column.target)
        columns.append(column)
    columns = _whole_names(columns)
    permissions = _mailchimp_permissions(headings) if tool == MAILCHIMP else _permissions(headings, samples)
    mapping = ListMapping(columns=tuple(columns), permissions=permissions, tool=tool)
    return _identified(mapping, headings, samples)


# Columns


def _guess(community: Community, heading: str, words: Sequence[str], taken: set[str]) -> Column:
    name = fold(heading)
    attribute = _attribute_named(community, name)
    target = _BY_HEADING.get(name, "")
    if target in ("permission", "permission_at"):
        return Column(heading, "ignore")
    if target in taken or (target and not _fits(target, words, community)):
        target = ""
    if target == "note":
        kind = community.attributes.get(attribute)
        return Column(heading, "note", name=attribute) if kind and kind.sensitive else Column(heading, "ignore")
    if target == "relation":
        meanings = _relation_words(community, words)
        return Column(heading, "relation", words=meanings, separators="|/") if meanings else Column(heading, "ignore")
    if target == "reasons":
        return _reasons(community, heading, words)
    if target:
        column = Column(heading, _TARGETS[target])
        if target in ("birth_date", "relation_since", "relation_until"):
            column = replace(column, date_order=date_order(words))
        return column
    if attribute:
        kind = community.attributes[attribute]
        column = Column(heading, "attribute", name=attribute)
        if kind.type == "number":
            return replace(column, decimal=decimal_mark(words))
        if kind.type == "date":
            return replace(column, date_order=date_order(words))
        return column
    if words and _mostly(words, cells.email_address):
        return Column(heading, "email")
    return Column(heading, "ignore")


_TARGETS: Mapping[str, Target] = {
    "given_name": "given_name",
    "family_name": "family_name",
    "full_name": "full_name",
    "organisation": "organisation",
    "email": "email",
    "phone": "phone",
    "birth_date": "birth_date",
    "locale": "locale",
    "zone": "zone",
    "tags": "tags",
    "relation_since": "relation_since",
    "relation_until": "relation_until",
    "external_id": "external_id",
}


def _fits(target: str, words: Sequence[str], community: Community) -> bool:
    """Whether what stands in the column bears the heading out; an empty column does."""
    if target == "birth_date":
        order = date_order(words)
        return _mostly(words, lambda text: cells.calendar_date(text, order))
    if target == "email":
        return _mostly(words, cells.email_address)
    if target == "phone":
        return _mostly(words, lambda text: cells.phone_number(text, community.country))
    if target == "locale":
        return _mostly(words, cells.language_tag)
    if target == "zone":
        return _mostly(words, cells.time_zone)
    if target in ("relation_since", "relation_until"):
        return _mostly(words, lambda text: cells.calendar_date(text, date_order(words)))
    return True


def _attribute_named(community: Community, name: str) -> str:
    """The attribute a heading names: by its key, its labels, or their first words (``Cotisation 2026 (€)``)."""
    labels = {
        str(declared["key"]): {fold(declared["key"]), *(fold(label) for label in declared["labels"].values())}
        for declared in community.record["attributes"]
    }
    for key, names in labels.items():
        if name in names or name in ATTRIBUTE_HEADINGS.get(key, ()):
            return key
    for key, names in labels.items():
        if any(name.startswith(f"{known} ") for known in (*names, *ATTRIBUTE_HEADINGS.get(key, ()))):
            return key
    return ""


def _relation_words(community: Community, words: Iterable[str]) -> Mapping[str, str]:
    """What each word of a status column means here; nothing where too many words say too little."""
    distinct = list(dict.fromkeys(fold(word) for word in words))
    if len(distinct) > _FEW:
        return {}
    labels = {
        fold(label): kind["key"]
        for kind in community.record["relations"]
        for label in (kind["key"], *kind["labels"].values())
    }
    meanings: dict[str, str] = {}
    for word in distinct:
        likely = RELATION_WORDS.get(word)
        if likely is not None:
            meanings[word] = next((kind for kind in likely if kind in community.relations), "")
        elif word in labels:
            meanings[word] = labels[word]
    return meanings if any(meanings.values()) or "prospect" in meanings else {}


def _reasons(community: Community, heading: str, words: Sequence[str]) -> Column:
    separators = ",;|"
    labels = {
        fold(label): reason["key"]
        for reason in community.record["reasons"]
        for label in (reason["key"], *reason["labels"].values())
    }
    meanings: dict[str, str] = {}
    for word in dict.fromkeys(fold(part) for text in words for part in split_words(text, separators)):
        likely = (labels.get(word, ""), *REASON_WORDS.get(word, ()))
        meaning = next((key for key in likely if key in community.reasons), "")
        if meaning:
            meanings[word] = meaning
    if not meanings:
        return Column(heading, "tags", separators=separators)
    return Column(heading, "reasons", words=meanings, separators=separators)


def _whole_names(columns: list[Column]) -> list[Column]:
    """``Nom`` alone is the whole name; beside ``Prénom`` it is the family's."""
    targets = {column.target for column in columns}
    if "family_name" in targets and "given_name" not in targets and "full_name" not in targets:
        return [replace(c, target="full_name") if c.target == "family_name" else c for c in columns]
    if "full_name" in targets and "given_name" in targets and "family_name" in targets:
        return [replace(c, target="ignore") if c.target == "full_name" else c for c in columns]
    return columns


# Permission


def _permissions(headings: Sequence[str], samples: Samples) -> tuple[PermissionColumns, ...]:
    """A newsletter column, with the date of the agreement where one stands beside it."""
    meanings = [_BY_HEADING.get(fold(heading), "") for heading in headings]
    if "permission" not in meanings:
        return ()
    at = meanings.index("permission")
    dated = meanings.index("permission_at") if "permission_at" in meanings else -1
    found = dict.fromkeys(fold(word) for word in _words(samples, at))
    words: dict[str, Effect] = {}
    for word in found:
        if word in YES or word in ("inscrit", "abonne", "subscribed", "ingeschreven"):
            words[word] = "consent"
        elif word in NO or word in ("desinscrit", "unsubscribed", "uitgeschreven", "stop"):
            words[word] = "objection"
    for usual, effect in (("oui", "consent"), ("yes", "consent"), ("ja", "consent")):
        words.setdefault(usual, effect)  # type: ignore[arg-type] # the three are consents
    for usual in ("non", "no", "nee", "neen"):
        words.setdefault(usual, "objection")
    return (
        PermissionColumns(
            purposes=("news",),
            heading=headings[at],
            words=words,
            at_heading=headings[dated] if dated >= 0 else "",
            date_order=date_order(_words(samples, dated)) if dated >= 0 else "dmy",
            refuses=("promotion",),
        ),
    )


def _mailchimp_permissions(headings: Sequence[str]) -> tuple[PermissionColumns, ...]:
    """OPTIN_TIME with OPTIN_IP shows an act; CONFIRM_TIME alone does not: imported contacts have it too."""
    by_name = {fold(heading): heading for heading in headings}
    found: list[PermissionColumns] = []
    if opted := by_name.get("optin time"):
        trace = by_name.get("optin ip", "")
        found.append(PermissionColumns(("news", "promotion"), at_heading=opted, detail_heading=trace))
    if left := by_name.get("unsub time"):
        refuses = ("promotion", "fundraising", "review_request")
        found.append(PermissionColumns(("news",), at_heading=left, effect="objection", refuses=refuses))
    return tuple(found)


# listmonk


def _listmonk(community: Community, headings: Sequence[str], samples: Samples) -> ListMapping:
    """``enabled`` says that listmonk may send, not that anybody agreed; ``blocklisted`` is a refusal of everything."""
    by_name = {fold(heading): heading for heading in headings}
    objects = _objects(samples, [fold(heading) for heading in headings].index("attributes"))
    inner: list[Column] = []
    for key in dict.fromkeys(key for each in objects for key in each):
        words = [text for each in objects if (text := _written(each.get(key)))]
        column = _guess(community, key, words, set())
        if column.target != "ignore":
            decimal = "." if column.target == "attribute" else column.decimal
            inner.append(replace(column, heading=by_name["attributes"], key=key, decimal=decimal))
    refuses = ("promotion", "fundraising", "review_request")
    plain = (
        (Column(by_name["email"], "email"), Column(by_name["name"], "full_name"))
        if "name" in by_name
        else (Column(by_name["email"], "email"),)
    )
    used = {column.heading for column in (*plain, *inner)}
    ignored = [Column(heading, "ignore") for heading in headings if heading not in used]
    statuses: dict[str, Effect] = {"enabled": "nothing", "disabled": "nothing", "blocklisted": "objection"}
    return ListMapping(
        columns=(*plain, *inner, *ignored),
        permissions=(
            PermissionColumns(purposes=("news",), heading=by_name["status"], words=statuses, refuses=refuses),
        ),
        tool=LISTMONK,
    )


def _objects(samples: Samples, index: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for text in _words(samples, index):
        try:
            held = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(held, dict):
            found.append(held)
    return found


def _written(value: Any) -> str:
    if value is None:
        return ""
    return "|".join(str(item) for item in value) if isinstance(value, list) else str(value)


# Identity


def _identified(mapping: ListMapping, headings: Sequence[str], samples: Samples) -> ListMapping:
    """By e-mail; by e-mail and name, with households, where an address comes under several names, or minors do."""
    index = {heading: number for number, heading in enumerate(headings)}
    emails = [index[column.heading] for column in mapping.columns if column.target == "email"]
    names = [index[c.heading] for c in mapping.columns if c.target in ("given_name", "family_name", "full_name")]
    if not emails or not names:
        return mapping
    seen: dict[str, str] = {}
    shared = False
    for row in samples:
        address = row[emails[0]].strip().lower() if emails[0] < len(row) else ""
        name = " ".join(fold(row[number]) for number in names if number < len(row))
        shared = shared or ("@" in address and seen.setdefault(address, name) != name)
    if shared or any(column.target == "birth_date" for column in mapping.columns):
        return replace(mapping, identity="email_name", households=True)
    return mapping


# What stands in a column


def _words(samples: Samples, index: int) -> list[str]:
    return [text for row in samples if index < len(row) and (text := row[index].strip())]


def _mostly(words: Sequence[str], reader: Callable[[str], object]) -> bool:
    """Whether at least seven in ten can be read so."""
    good = 0
    for text in words:
        try:
            reader(text)
        except CellRefused as refused:
            good += refused.code == "date-impossible"  # a date all the same
        else:
            good += 1
    return good >= 0.7 * len(words)


_TWO_NUMBERS = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ]\d{4}")


def date_order(words: Sequence[str]) -> DateOrder:
    """Day first, unless the column shows months first: some second number above 12, and no first one."""
    pairs = [(int(found[1]), int(found[2])) for text in words if (found := _TWO_NUMBERS.match(text))]
    american = any(second > 12 for _, second in pairs) and not any(first > 12 for first, _ in pairs)
    return "mdy" if american else "dmy"


def decimal_mark(words: Sequence[str]) -> str:
    """The comma, unless points stand where decimals do."""
    commas = sum(bool(re.search(r",\d{1,2}\D*$", text)) for text in words)
    points = sum(bool(re.search(r"\.\d{1,2}\D*$", text)) for text in words)
    return "." if points > commas else ","
