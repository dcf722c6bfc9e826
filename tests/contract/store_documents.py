"""Documents to try the store with: every way of declaring one."""

from __future__ import annotations

from typing import Any, ClassVar

import mongoengine

from services.kit.store.documents import AggregateDocument, FanfareDocument
from tests.contract.store_engines import AGENCY, CLUB


class Attribute(mongoengine.EmbeddedDocument):  # type: ignore[misc] # mongoengine ships no types
    key = mongoengine.StringField()
    value = mongoengine.DynamicField()


class Relation(mongoengine.EmbeddedDocument):  # type: ignore[misc] # mongoengine ships no types
    kind = mongoengine.StringField()
    state = mongoengine.StringField()
    since = mongoengine.IntField()
    notes = mongoengine.ListField(mongoengine.DictField())


class Engagement(mongoengine.EmbeddedDocument):  # type: ignore[misc] # mongoengine ships no types
    score = mongoengine.IntField()
    last_open = mongoengine.IntField()
    recent = mongoengine.ListField(mongoengine.DictField())


class Fan(AggregateDocument):
    SCHEMA_VERSION = 1

    name = mongoengine.StringField()
    nickname = mongoengine.StringField()
    joined_at = mongoengine.IntField()
    height = mongoengine.FloatField()
    tracked = mongoengine.BooleanField()
    lifecycle = mongoengine.StringField()
    due = mongoengine.IntField()
    tags = mongoengine.ListField(mongoengine.StringField())
    permissions = mongoengine.ListField(mongoengine.StringField())
    attributes = mongoengine.EmbeddedDocumentListField(Attribute)
    relations = mongoengine.EmbeddedDocumentListField(Relation)
    engagement = mongoengine.EmbeddedDocumentField(Engagement)
    anything = mongoengine.DynamicField()
    counts = mongoengine.DictField()

    meta: ClassVar = {
        "collection": "fans",
        "indexes": [
            "name",
            "joined_at",
            "tracked",
            "height",
            "engagement.last_open",
            ("lifecycle", "joined_at"),
            "tags",
            "permissions",
            ("attributes.key", "attributes.value"),
            ("relations.kind", "relations.state"),
        ],
        "everywhere": ["due"],
    }


class Key(FanfareDocument):
    """Found by its id alone."""

    SCHEMA_VERSION = 1

    owner = mongoengine.StringField()

    meta: ClassVar = {"collection": "keys", "looked_up_only": True}


class Counter(AggregateDocument):
    """Some of it belongs to patches."""

    SCHEMA_VERSION = 1

    name = mongoengine.StringField()
    seen = mongoengine.EmbeddedDocumentField(Engagement)

    meta: ClassVar = {"collection": "counters", "indexes": ["seen.last_open"], "left_alone": ["seen"]}


CLASSES = (Fan, Key, Counter)


def fan(an_id: str, **values: Any) -> dict[str, Any]:
    return {"_id": an_id, "agency": AGENCY, "community": CLUB, "schema_version": 1, **values}
