"""Schema and indexes, declared once for every engine. What each index is for stands beside it."""

from __future__ import annotations

import mongoengine as me

from services.kit.store.documents import AggregateDocument, FanfareDocument


class MoneyDocument(me.EmbeddedDocument):
    currency = me.StringField(required=True)
    units = me.LongField(required=True)
    nanos = me.LongField(required=True)


class MessageDocument(me.EmbeddedDocument):
    locale = me.StringField(required=True)
    subject = me.StringField()
    body = me.StringField()
    format = me.StringField(required=True)
    text = me.StringField()
    preheader = me.StringField()


class DraftDocument(me.EmbeddedDocument):
    name = me.StringField(required=True)
    purpose = me.StringField(required=True)
    channel = me.StringField(required=True)
    rule = me.StringField()
    segment = me.StringField()
    objective = me.StringField()
    reasons = me.ListField(me.StringField())
    account = me.StringField()
    from_name = me.StringField()
    reply_to = me.StringField()
    unknown_policy = me.StringField(required=True)
    send_until = me.LongField()
    quiet_from = me.LongField()
    quiet_until = me.LongField()
    cap_count = me.LongField()
    cap_window_days = me.LongField()
    fallback_locale = me.StringField()
    messages = me.EmbeddedDocumentListField(MessageDocument)
    message_cost = me.EmbeddedDocumentField(MoneyDocument)


class OrderDocument(me.EmbeddedDocument):
    run = me.StringField(required=True)
    campaign = me.StringField(required=True)
    agency = me.StringField(required=True)
    community = me.StringField(required=True)
    channel = me.StringField(required=True)
    purpose = me.StringField(required=True)
    account = me.StringField()
    from_name = me.StringField()
    reply_to = me.StringField()
    unknown_policy = me.StringField(required=True)
    launched_at = me.LongField(required=True)
    send_until = me.LongField(required=True)
    id_ceiling = me.StringField(required=True)
    revision = me.LongField(required=True)
    quiet_from = me.LongField()
    quiet_until = me.LongField()
    cap_count = me.LongField()
    cap_window_days = me.LongField()


class ProblemDocument(me.EmbeddedDocument):
    reason = me.StringField(required=True)
    field = me.StringField()
    en = me.StringField()
    fr = me.StringField()


class CampaignDocument(AggregateDocument):
    """A campaign, as drafted and as launched."""

    SCHEMA_VERSION = 1
    draft = me.EmbeddedDocumentField(DraftDocument, required=True)
    template = me.StringField()
    state = me.StringField(required=True)
    created_at = me.LongField(required=True)
    created_by = me.StringField()
    scheduled_at = me.LongField()
    tried_at = me.LongField()
    problems = me.EmbeddedDocumentListField(ProblemDocument)
    run = me.StringField()
    launched_at = me.LongField()
    finished_at = me.LongField()
    revision = me.LongField()
    links = me.ListField(me.StringField())
    link_offers = me.ListField(me.StringField())
    community_name = me.StringField()
    opening = me.EmbeddedDocumentField(OrderDocument)
    control_since = me.LongField()  # null: the senders have confirmed everything
    due_at = me.LongField()  # null unless scheduled: the next attempt
    opening_since = me.LongField()  # null once the run is there

    meta = {  # mongoengine's own form
        "collection": "campaigns",
        "indexes": ["state", "draft.objective"],  # lists
        "everywhere": ["due_at", "opening_since", "control_since"],  # the scheduler, the opener, the controller
    }


class PlanDocument(me.EmbeddedDocument):
    state = me.StringField(required=True)
    batches = me.LongField()
    members = me.LongField()
    addresses = me.LongField()


class TotalsDocument(me.EmbeddedDocument):
    members = me.LongField()
    addresses = me.LongField()
    handed_off = me.LongField()
    accepted = me.LongField()
    refused = me.LongField()
    unknown = me.LongField()
    waiting = me.LongField()
    messages = me.LongField()
    skipped = me.DictField()


class RunDocument(AggregateDocument):
    """One launch, frozen, and its plan."""

    SCHEMA_VERSION = 1
    order = me.EmbeddedDocumentField(OrderDocument, required=True)
    campaign = me.StringField(required=True)
    rule = me.StringField()
    objective = me.StringField()
    community_name = me.StringField()
    plan = me.EmbeddedDocumentField(PlanDocument, required=True)
    settled = me.EmbeddedDocumentField(TotalsDocument)
    settled_at = me.LongField()
    planning_since = me.LongField()  # null once the plan is closed

    meta = {  # mongoengine's own form
        "collection": "runs",
        "indexes": ["objective"],  # an objective's clicks
        "everywhere": ["planning_since"],  # the planner
    }


class ContentDocument(me.EmbeddedDocument):
    locale = me.StringField(required=True)
    subject = me.StringField()
    html = me.StringField()
    text = me.StringField()
    preheader = me.StringField()


class RevisionDocument(FanfareDocument):
    """The content of a run at one revision, `<run>.<number>`; never changed."""

    SCHEMA_VERSION = 1
    run = me.StringField(required=True)
    number = me.LongField(required=True)
    contents = me.EmbeddedDocumentListField(ContentDocument)
    fields = me.ListField(me.StringField())
    links = me.ListField(me.StringField())
    link_offers = me.ListField(me.StringField())

    meta = {"collection": "revisions", "looked_up_only": True}  # mongoengine's own form


class BatchDocument(AggregateDocument):
    """A page of the audience. The last of a run is its end mark: no members, and what the plan comes to."""

    SCHEMA_VERSION = 1
    run = me.StringField(required=True)
    sequence = me.LongField(required=True)
    members = me.ListField(me.StringField())
    last = me.StringField()  # the plan goes on behind it
    members_so_far = me.LongField(required=True)  # with this batch
    addresses_so_far = me.LongField(required=True)
    end = me.BooleanField()

    meta = {  # mongoengine's own form
        "collection": "batches",
        "indexes": [("run", "sequence"), ("run", "last")],  # resuming; which batch a member is in
    }


class BatchTotalsDocument(FanfareDocument):
    """Where the members of a batch stand, `<run>.<sequence>`: the ledger's cumulative totals of the highest version."""

    SCHEMA_VERSION = 1
    run = me.StringField(required=True)
    sequence = me.LongField(required=True)
    totals_version = me.LongField()
    settled = me.BooleanField()
    members = me.LongField()
    addresses = me.LongField()
    handed_off = me.LongField()
    accepted = me.LongField()
    refused = me.LongField()
    unknown = me.LongField()
    waiting = me.LongField()
    messages = me.LongField()
    skipped = me.DictField()

    meta = {"collection": "batch_totals", "indexes": ["run", ("run", "settled")]}  # sums; is all settled?


class ReactionDocument(FanfareDocument):
    """What one member did with one run's message, `<run>:<member>`; the last time of each, null: never.

    Patches of single fields, each giving the same whichever order they come in: `clicks` keeps a person's clicks by
    their second, for attribution; `links` and `machine_links` the last time by number.
    """

    SCHEMA_VERSION = 1
    run = me.StringField(required=True)
    campaign = me.StringField(required=True)
    member = me.StringField(required=True)
    opened_at = me.LongField()
    clicked_at = me.LongField()
    machine_opened_at = me.LongField()
    machine_clicked_at = me.LongField()
    unsubscribed_at = me.LongField()
    converted_at = me.LongField()
    causes = me.DictField()
    links = me.DictField()
    machine_links = me.DictField()
    clicks = me.DictField()

    meta = {  # mongoengine's own form
        "collection": "reactions",
        "looked_up_only": True,
        "indexes": [
            ("run", "opened_at"),  # the figures, and who is behind each
            ("run", "clicked_at"),
            ("run", "machine_opened_at"),
            ("run", "machine_clicked_at"),
            ("run", "unsubscribed_at"),
            ("run", "converted_at"),
            ("member", "clicked_at"),  # attribution
        ],
    }


class ConversionDocument(FanfareDocument):
    """A purchase, sign-up or attendance, or the reversal of one; and the campaign it is owed to."""

    SCHEMA_VERSION = 1
    member = me.StringField(required=True)
    kind = me.StringField(required=True)
    at = me.LongField(required=True)
    subject = me.StringField()
    currency = me.StringField()
    units = me.LongField()
    nanos = me.LongField()
    reverses = me.StringField()  # null, or the conversion that this one takes back
    run = me.StringField()  # null: owed to no campaign
    campaign = me.StringField()
    stands = me.BooleanField()
    left_units = me.LongField()
    left_nanos = me.LongField()

    meta = {  # mongoengine's own form
        "collection": "conversions",
        "looked_up_only": True,
        "indexes": [
            "member",  # attribution
            "reverses",
            "campaign",  # the figures
            ("kind", "at"),  # objectives
        ],
    }


class AliasDocument(FanfareDocument):
    """A member's id that was merged into another: what one did counts as the other's."""

    SCHEMA_VERSION = 1
    into = me.StringField(required=True)

    meta = {"collection": "aliases", "looked_up_only": True, "indexes": ["into"]}


class GoalDocument(me.EmbeddedDocument):
    name = me.StringField(required=True)
    metric = me.StringField(required=True)
    target = me.FloatField(required=True)
    deadline = me.LongField(required=True)
    starts_at = me.LongField(required=True)
    baseline = me.FloatField()
    standing = me.StringField()
    subject = me.StringField()
    currency = me.StringField()


class CountedDocument(me.EmbeddedDocument):
    value = me.FloatField()
    days = me.DictField()
    counted_at = me.LongField()


class ObjectiveDocument(AggregateDocument):
    """An objective and the last count of it."""

    SCHEMA_VERSION = 1
    goal = me.EmbeddedDocumentField(GoalDocument, required=True)
    counted = me.EmbeddedDocumentField(CountedDocument)
    created_at = me.LongField(required=True)

    meta = {  # mongoengine's own form
        "collection": "objectives",
        "indexes": ["goal.deadline"],  # lists; which are open
        "everywhere": ["goal.deadline"],  # the recounting at start
    }


class GainDocument(FanfareDocument):
    """Members who joined or gained a standing, as one event told it: a member, or a chunk of an import."""

    SCHEMA_VERSION = 1
    what = me.StringField(required=True)  # `joined`, `prospect`, `fan`, `client`, `converted`
    at = me.LongField(required=True)
    count = me.LongField(required=True)
    undoes = me.StringField()  # null, or the gain that this one takes back

    meta = {  # mongoengine's own form
        "collection": "gains",
        "looked_up_only": True,
        "indexes": [("what", "at")],  # objectives
    }


class TemplateDraftDocument(me.EmbeddedDocument):
    key = me.StringField(required=True)
    name = me.StringField(required=True)
    purpose = me.StringField(required=True)
    reasons = me.ListField(me.StringField())
    messages = me.EmbeddedDocumentListField(MessageDocument)
    pack = me.StringField()


class TemplateDocument(FanfareDocument):
    """Messages to begin with; the id is made from community and key."""

    SCHEMA_VERSION = 1
    draft = me.EmbeddedDocumentField(TemplateDraftDocument, required=True)
    created_at = me.LongField(required=True)

    meta = {"collection": "templates"}  # mongoengine's own form


class CampaignSettingsDocument(FanfareDocument):
    """How a community counts, `set_<community>`."""

    SCHEMA_VERSION = 1
    attribution_days = me.LongField(required=True)
    message_cost = me.EmbeddedDocumentField(MoneyDocument)

    meta = {"collection": "campaign_settings", "looked_up_only": True}  # mongoengine's own form


class ErasureDocument(AggregateDocument):
    """That a member was erased here, and the acknowledgement of it."""

    SCHEMA_VERSION = 1
    member = me.StringField(required=True)
    erased_at = me.LongField(required=True)

    meta = {"collection": "erasures", "looked_up_only": True}  # mongoengine's own form
