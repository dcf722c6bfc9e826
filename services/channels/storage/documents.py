"""The documents of the channels room: schema and indexes, declared once for every engine."""

from __future__ import annotations

from mongoengine import BooleanField, DictField, IntField, ListField, LongField, StringField

from services.kit.store.documents import AggregateDocument, FanfareDocument


class RunDocument(FanfareDocument):
    """What was ordered at launch, and whether it goes on. ``active``: some of its batches may have work left."""

    SCHEMA_VERSION = 1
    order = DictField()
    purpose = StringField()
    account = StringField()
    state = StringField(required=True)
    revision = IntField()
    launched_at = LongField()
    batches = IntField()  # null: the plan is still open
    active = IntField()  # null: nothing left to send

    meta = {"collection": "runs", "indexes": ["launched_at"], "everywhere": ["active"]}


class BatchDocument(FanfareDocument):
    """An ordered list of members, written once. ``sizes`` is empty where nobody shares an address."""

    SCHEMA_VERSION = 1
    run = StringField(required=True)
    sequence = IntField(required=True)
    members = ListField(StringField())
    sizes = ListField(IntField())
    first_member = StringField(required=True)
    last_member = StringField(required=True)

    meta = {"collection": "batches", "indexes": [("run", "first_member")]}


class LedgerDocument(AggregateDocument):
    """Where the members of a batch stand. ``next_at``: when somebody may take it; null: settled."""

    SCHEMA_VERSION = 1
    run = StringField(required=True)
    sequence = IntField(required=True)
    opened_at = LongField(required=True)
    states = StringField(required=True)
    at = ListField(IntField())
    revisions = ListField(IntField())
    notes = DictField()
    next_at = LongField()
    owner = StringField()
    epoch = IntField()
    settled = BooleanField()
    told = StringField()  # the states that the last event told of

    meta = {"collection": "ledgers", "indexes": [("run", "next_at")], "everywhere": ["owner"]}


class AccountDocument(AggregateDocument):
    """One connection of a community to a channel. What is sealed is encrypted, and never read back by anybody."""

    SCHEMA_VERSION = 1
    channel = StringField(required=True)
    name = StringField()
    state = StringField(required=True)
    alarm = StringField()
    sender_address = StringField()
    sender_verified_at = LongField()
    host = StringField()
    port = IntField()
    security = StringField()
    username = StringField()
    sealed_password = StringField()
    rate_per_minute = IntField()
    dkim_domain = StringField()
    dkim_selector = StringField()
    sealed_dkim_key = StringField()
    created_at = LongField()

    meta = {"collection": "accounts"}


class PaceDocument(FanfareDocument):
    """Until when the rate of an account is used up, for all senders together."""

    SCHEMA_VERSION = 1
    free_at = LongField(required=True)

    meta = {"collection": "paces", "looked_up_only": True}


class SuppressionDocument(FanfareDocument):
    """An address (by its keyed hash) or a member that is not written to, for these purposes; ``*`` is all.

    ``since``: when each purpose was last refused (UTC ms).
    """

    SCHEMA_VERSION = 1
    channel = StringField(required=True)
    purposes = ListField(StringField())
    since = DictField()
    causes = ListField(DictField())

    meta = {"collection": "suppressions", "looked_up_only": True}


class HoldDocument(FanfareDocument):
    """Stop everything: of a community, or of an agency."""

    SCHEMA_VERSION = 1
    cause = StringField()
    by = StringField()
    held_at = LongField()
    released_at = LongField()

    meta = {"collection": "holds", "looked_up_only": True}


class ErasureDocument(AggregateDocument):
    """A member's erasure, acknowledged once nothing of theirs is left here."""

    SCHEMA_VERSION = 1
    member = StringField(required=True)
    at = LongField(required=True)

    meta = {"collection": "erasures"}
