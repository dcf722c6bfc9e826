"""The documents of the members room: schema and indexes, declared once for every engine.

Records of the domain are kept as they are; what lists and segments ask about a member stands in the member's own
document, so that a page or a count is served by its indexes.
"""

from __future__ import annotations

from mongoengine import (
    BooleanField,
    DictField,
    DynamicField,
    EmbeddedDocument,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    StringField,
)

from services.kit.store.documents import AggregateDocument, FanfareDocument

# Communities


class RelationKindDocument(EmbeddedDocument):
    key = StringField(required=True)
    labels = DictField()
    gives = ListField(StringField())
    retention_days = IntField()


class ReasonKindDocument(EmbeddedDocument):
    key = StringField(required=True)
    labels = DictField()


class AttributeKindDocument(EmbeddedDocument):
    key = StringField(required=True)
    labels = DictField()
    type = StringField()
    sensitive = BooleanField()
    choices = ListField(StringField())


class CommunityDocument(AggregateDocument):
    SCHEMA_VERSION = 1

    name = StringField()
    master_name = StringField()
    master_kind = StringField()
    pack = StringField()
    country = StringField()
    locale = StringField()
    zone = StringField()
    relations = EmbeddedDocumentListField(RelationKindDocument)
    reasons = EmbeddedDocumentListField(ReasonKindDocument)
    attributes = EmbeddedDocumentListField(AttributeKindDocument)
    standing_rule = DictField()
    retention_days = IntField()
    erasures = IntField()
    swept_on = IntField()
    created_at = IntField()

    meta = {"collection": "communities"}


# Members


class ContactPointDocument(EmbeddedDocument):
    id = StringField()
    channel = StringField()
    address = StringField()
    state = StringField()
    shared = BooleanField()


class RelationDocument(EmbeddedDocument):
    kind = StringField()
    since = StringField()
    until = StringField()
    source = StringField()


class ReasonDocument(EmbeddedDocument):
    key = StringField()
    basis = StringField()
    evidence = StringField()
    at = IntField()


class AttributeDocument(EmbeddedDocument):
    key = StringField()
    value = DynamicField()


class EngagementDocument(EmbeddedDocument):
    score = IntField()
    months = DictField()
    email = DictField()
    phone = DictField()
    last_received_at = IntField()
    last_opened_at = IntField()
    last_clicked_at = IntField()
    last_purchased_at = IntField()
    last_signed_up_at = IntField()
    last_attended_at = IntField()
    last_answered_at = IntField()
    merges = IntField()  # when a merge was last added or taken out, UTC ms


class MemberDocument(AggregateDocument):
    SCHEMA_VERSION = 1

    kind = StringField()
    state = StringField()
    merged_into = StringField()
    display_name = StringField()
    given_name = StringField()
    family_name = StringField()
    sort_name = StringField()
    locale = StringField()
    zone = StringField()
    birth_date = StringField()
    external_id = StringField()
    contact_points = EmbeddedDocumentListField(ContactPointDocument)
    relations = EmbeddedDocumentListField(RelationDocument)
    presence = StringField()
    source = StringField()
    reasons = EmbeddedDocumentListField(ReasonDocument)
    attributes = EmbeddedDocumentListField(AttributeDocument)
    sensitive = EmbeddedDocumentListField(AttributeDocument)
    tags = ListField(StringField())
    ledger = ListField(DictField())
    guardians = ListField(StringField())
    wards = ListField(StringField())
    absorbed = ListField(StringField())
    standing = ListField(StringField())
    lifecycle = StringField()
    permission = ListField(StringField())
    search = ListField(StringField())
    shares = ListField(StringField())  # channels on which it shares an address
    engagement = EmbeddedDocumentField(EngagementDocument)
    recent = ListField(DictField())
    history = ListField(DictField())
    registered_at = IntField()
    registered_by = StringField()

    meta = {
        "collection": "members",
        "indexes": [
            "search",
            "tags",
            "standing",
            "permission",
            "shares",
            "relations.kind",
            "reasons.key",
            ("attributes.key", "attributes.value"),
            "sort_name",
            "registered_at",
            ("lifecycle", "state"),
            "engagement.last_opened_at",
        ],
        "left_alone": ["engagement", "recent"],
    }


class ClaimDocument(FanfareDocument):
    """Who owns an address on a channel: the key is community, channel and address."""

    SCHEMA_VERSION = 1

    owners = ListField(StringField())
    claimed_at = IntField()

    meta = {"collection": "claims", "looked_up_only": True}


class ErasedAddressDocument(FanfareDocument):
    """The keyed hash of an erased address: all that is left of it."""

    SCHEMA_VERSION = 1

    erased_at = IntField()

    meta = {"collection": "erased_addresses", "looked_up_only": True}


# What they did


class InteractionDocument(AggregateDocument):
    """One thing a member did; the key is the community and the reporter's event id."""

    SCHEMA_VERSION = 1

    event = StringField()
    member = StringField()
    kind = StringField()
    channel = StringField()
    at = IntField()
    campaign = StringField()
    run = StringField()
    machine = StringField()
    subject = StringField()
    link = IntField()
    points = IntField()
    currency = StringField()
    amount_units = IntField()
    amount_nanos = IntField()
    reverses = StringField()
    told = StringField()  # recognises the report of a partner that is told again
    waiting = IntField()  # since when the member's record lacks it; null: it shows

    meta = {"collection": "interactions", "indexes": [("member", "at")], "everywhere": ["waiting"]}


class ReceiptDocument(FanfareDocument):
    """Whom one settled batch reached: ordered ids, between ``first`` and ``last``."""

    SCHEMA_VERSION = 1

    run = StringField()
    campaign = StringField()
    channel = StringField()
    purpose = StringField()
    sequence = IntField()
    settled = IntField()  # the batch's version that was last taken
    applied = IntField()  # ... and that the members' records show
    members = ListField(StringField())
    instants = ListField(IntField())
    first = StringField()
    last = StringField()
    at = IntField()

    meta = {"collection": "receipts", "indexes": [("first", "last"), "run"]}


# Segments, merges, erasures


class SegmentDocument(FanfareDocument):
    SCHEMA_VERSION = 1

    name = StringField()
    rule = StringField()
    created_at = IntField()
    created_by = StringField()

    meta = {"collection": "segments", "indexes": ["name"]}


class MergeDocument(FanfareDocument):
    SCHEMA_VERSION = 1

    survivor = StringField()
    absorbed = StringField()
    before = DictField()  # the absorbed member as it was; empty once either is erased
    taken = ListField(DictField())
    lines = ListField(ListField(StringField()))
    at = IntField()
    by = StringField()
    undone_at = IntField()
    unfinished = IntField()  # since when a step is missing; null: none is

    meta = {"collection": "merges", "indexes": ["survivor", "absorbed"], "everywhere": ["unfinished"]}


class ErasureDocument(AggregateDocument):
    SCHEMA_VERSION = 1

    member = StringField()
    remembered = BooleanField()
    requested_at = IntField()
    requested_by = StringField()
    acknowledged = ListField(StringField())
    completed_at = IntField()
    told_at = IntField()
    unfinished = IntField()  # since when this room's own part is missing; null: it is done

    meta = {"collection": "erasures", "indexes": ["member"], "everywhere": ["unfinished"]}


class DismissalDocument(FanfareDocument):
    """Two members whom an operator said to be different people: not suggested again."""

    SCHEMA_VERSION = 1

    dismissed_at = IntField()
    dismissed_by = StringField()

    meta = {"collection": "dismissals", "looked_up_only": True}
