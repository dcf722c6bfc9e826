"""Documents that every service keeps for its own machinery: leases, parked events, answers given before."""

from __future__ import annotations

import mongoengine

from services.kit.store.documents import FanfareDocument


class LeaseDocument(FanfareDocument):
    """Which worker of a name works now: ``services.kit.lease``."""

    SCHEMA_VERSION = 1
    owner = mongoengine.StringField()  # "": nobody
    epoch = mongoengine.IntField(required=True)
    until = mongoengine.LongField(required=True)

    meta = {"collection": "leases", "looked_up_only": True}  # mongoengine's own form


class DeadLetterDocument(FanfareDocument):
    """An event that could not be handled, with all that is needed to handle it later: ``services.kit.consume``."""

    SCHEMA_VERSION = 1
    group = mongoengine.StringField(required=True)
    subject = mongoengine.StringField(required=True)
    event = mongoengine.DictField(required=True)
    error = mongoengine.StringField(required=True)
    attempts = mongoengine.IntField(required=True)
    parked_at = mongoengine.LongField(required=True)

    meta = {"collection": "dead_letters", "everywhere": [("group", "subject")]}  # mongoengine's own form


class AnsweredRequestDocument(FanfareDocument):
    """An answer given to a ``request_id``: ``services.kit.rpc.answered``."""

    SCHEMA_VERSION = 1
    payload = mongoengine.StringField(required=True)
    answer = mongoengine.StringField()  # null: being worked on
    at = mongoengine.LongField(required=True)

    meta = {"collection": "answered_requests", "looked_up_only": True, "everywhere": ["at"]}  # as above
