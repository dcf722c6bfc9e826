"""The gateway's documents: schema and indexes, for every engine."""

from __future__ import annotations

import mongoengine

from services.kit.store.documents import AggregateDocument, FanfareDocument
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument


class AgencyDocument(FanfareDocument):
    """The tenant. Its ``agency`` is itself."""

    SCHEMA_VERSION = 1
    name = mongoengine.StringField(required=True)
    locale = mongoengine.StringField()
    created_at = mongoengine.LongField(required=True)

    meta = {"collection": "agencies", "looked_up_only": True}  # mongoengine's own form


class RoleDocument(mongoengine.EmbeddedDocument):
    name = mongoengine.StringField(required=True)
    community = mongoengine.StringField()  # null: the whole agency


class OperatorDocument(FanfareDocument):
    """A person working for an agency."""

    SCHEMA_VERSION = 1
    email = mongoengine.StringField(required=True)
    name = mongoengine.StringField()
    locale = mongoengine.StringField()
    state = mongoengine.StringField(required=True)  # invited, active, removed
    password = mongoengine.StringField()  # argon2id
    roles = mongoengine.EmbeddedDocumentListField(RoleDocument)
    created_at = mongoengine.LongField(required=True)
    invitation = mongoengine.StringField()  # sha256 of the token
    invited_until = mongoengine.LongField()

    meta = {"collection": "operators", "indexes": ["state"]}  # mongoengine's own form


class LoginDocument(FanfareDocument):
    """Claims an e-mail address, over all agencies; its ``_id`` is made of the address."""

    SCHEMA_VERSION = 1
    operator = mongoengine.StringField(required=True)
    claimed_at = mongoengine.LongField(required=True)

    meta = {"collection": "logins", "looked_up_only": True}  # mongoengine's own form


class SessionDocument(FanfareDocument):
    """Somebody signed in; its ``_id`` is the sha256 of the token."""

    SCHEMA_VERSION = 1
    operator = mongoengine.StringField(required=True)
    created_at = mongoengine.LongField(required=True)
    seen_at = mongoengine.LongField(required=True)
    expires_at = mongoengine.LongField(required=True)

    meta = {  # mongoengine's own form
        "collection": "sessions",
        "indexes": ["operator"],
        "everywhere": ["expires_at"],
    }


class ApiKeyDocument(FanfareDocument):
    """A key for programs; only a hash of its secret is kept."""

    SCHEMA_VERSION = 1
    name = mongoengine.StringField(required=True)
    secret = mongoengine.StringField(required=True)  # sha256
    scopes = mongoengine.ListField(mongoengine.StringField())
    communities = mongoengine.ListField(mongoengine.StringField())
    every_community = mongoengine.BooleanField(required=True)
    created_at = mongoengine.LongField(required=True)
    created_by = mongoengine.StringField(required=True)
    used_at = mongoengine.LongField()
    revoked_at = mongoengine.LongField()

    meta = {"collection": "api_keys", "indexes": ["created_at"]}  # mongoengine's own form


class AuditDocument(FanfareDocument):
    """One mutation: who, what, on which ids, and how it ended. Never what was written."""

    SCHEMA_VERSION = 1
    actor = mongoengine.StringField(required=True)
    operation = mongoengine.StringField(required=True)
    targets = mongoengine.ListField(mongoengine.StringField())
    outcome = mongoengine.StringField(required=True)  # done, or the reason of the refusal
    at = mongoengine.LongField(required=True)
    trace = mongoengine.StringField()

    meta = {"collection": "audit", "indexes": ["actor", "targets"]}  # mongoengine's own form


class UnsubscribeDocument(AggregateDocument):
    """Somebody asked to be left in peace: kept before it is answered, then carried out and told."""

    SCHEMA_VERSION = 1
    run = mongoengine.StringField(required=True)
    campaign = mongoengine.StringField()
    member = mongoengine.StringField(required=True)
    channel = mongoengine.StringField()
    purposes = mongoengine.ListField(mongoengine.StringField())
    also = mongoengine.ListField(mongoengine.StringField())
    source = mongoengine.StringField(required=True)  # page, one_click, preferences
    wording = mongoengine.StringField()
    at = mongoengine.LongField(required=True)

    meta = {"collection": "unsubscribes", "looked_up_only": True}  # mongoengine's own form


class PauseDocument(FanfareDocument):
    """A member asked for peace until a day; its ``_id`` is made of member and channel."""

    SCHEMA_VERSION = 1
    run = mongoengine.StringField(required=True)
    member = mongoengine.StringField(required=True)
    channel = mongoengine.StringField(required=True)
    purposes = mongoengine.ListField(mongoengine.StringField())
    until = mongoengine.LongField(required=True)
    wording = mongoengine.StringField(required=True)
    acted_by = mongoengine.StringField(required=True)

    meta = {"collection": "pauses", "looked_up_only": True, "everywhere": ["until"]}  # mongoengine's own form


DOCUMENTS = (
    AgencyDocument,
    OperatorDocument,
    LoginDocument,
    SessionDocument,
    ApiKeyDocument,
    AuditDocument,
    UnsubscribeDocument,
    PauseDocument,
    LeaseDocument,
    DeadLetterDocument,
)
