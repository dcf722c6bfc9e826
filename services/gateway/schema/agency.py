"""The agency: its operators, keys and audit log; and signing in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import graphene

from services.gateway.access.audit import AuditEntry as AuditEntryValue
from services.gateway.access.credentials import ApiKey as ApiKeyValue
from services.gateway.access.people import Agency as AgencyValue
from services.gateway.access.people import Operator as OperatorValue
from services.gateway.access.roles import ROLES, SCOPES, Role
from services.gateway.asking import BATCHES, Asking
from services.gateway.engine.short import Read
from services.gateway.schema.acts import own_act
from services.gateway.schema.mirror import NAMED
from services.gateway.schema.node import KINDS, OWN, Node
from services.gateway.schema.relations import one, paged
from services.gateway.schema.scalars import Instant
from services.kit.errors import NotFound
from services.kit.rpc.trust import WHOLE_AGENCY

ID = graphene.ID
TEXT = graphene.String

RoleName = graphene.Enum(
    "RoleName", [(name.upper(), name) for name in ROLES], description="What an operator may do, in one word."
)
KeyScope = graphene.Enum(
    "KeyScope",
    [(name.replace(".", "_").upper(), name) for name in SCOPES],
    description="What an API key may do.",
)


def _read(path: str, *, empty: bool = False) -> Read:
    get = attrgetter(path)
    return Read(get) if empty else Read(lambda source: get(source) or None)


class HeldRole(graphene.ObjectType):
    """A role in one community, or in the whole agency."""

    name = graphene.Field(RoleName, required=True, resolver=_read("name"))
    community = one("community", "Community", "Null: the whole agency.")


class Operator(graphene.ObjectType):
    """A person working for the agency."""

    class Meta:
        interfaces = (Node,)

    email = TEXT(required=True, resolver=_read("email"))
    name = TEXT(resolver=_read("name"))
    locale = TEXT(resolver=_read("locale"))
    state = TEXT(required=True, description="`invited`, `active` or `removed`.", resolver=_read("state"))
    roles = graphene.List(graphene.NonNull(HeldRole), required=True, resolver=_read("roles", empty=True))
    created_at = graphene.Field(Instant, required=True, resolver=_read("created_at"))


class ApiKey(graphene.ObjectType):
    """A key for programs. Its secret is told once, when it is made."""

    class Meta:
        interfaces = (Node,)

    name = TEXT(required=True, resolver=_read("name"))
    scopes = graphene.List(graphene.NonNull(KeyScope), required=True, resolver=_read("scopes", empty=True))
    communities = graphene.List(
        graphene.NonNull(ID), description="Null: every community.", resolver=_read("communities", empty=True)
    )
    created_at = graphene.Field(Instant, required=True, resolver=_read("created_at"))
    created_by = TEXT(required=True, resolver=_read("created_by"))
    used_at = graphene.Field(Instant, description="To the hour.", resolver=_read("used_at"))
    revoked_at = graphene.Field(Instant, resolver=_read("revoked_at"))


class AuditEntry(graphene.ObjectType):
    """A mutation that somebody asked for: ids only."""

    id = ID(required=True, resolver=_read("id"))
    actor = TEXT(required=True, description="`operator:<id>` or `key:<id>`.", resolver=_read("actor"))
    operation = TEXT(required=True, resolver=_read("operation"))
    targets = graphene.List(graphene.NonNull(ID), required=True, resolver=_read("targets", empty=True))
    outcome = TEXT(required=True, description="`done`, or the reason why not.", resolver=_read("outcome"))
    at = graphene.Field(Instant, required=True, resolver=_read("at"))
    trace = TEXT(resolver=_read("trace"))


def _operators(asking: Asking, _agency: Any, size: int, after: str, _given: Any) -> tuple[Sequence[Any], str]:
    asking.viewer.require_operator("agency.admin")
    return asking.desk.people.page(asking.viewer.agency, size, after)


def _keys(asking: Asking, _agency: Any, size: int, after: str, _given: Any) -> tuple[Sequence[Any], str]:
    asking.viewer.require_operator("agency.admin")
    return asking.desk.credentials.keys(asking.viewer, size, after)


def _audit(asking: Asking, _agency: Any, size: int, after: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], str]:
    asking.viewer.require("agency.admin")
    return asking.desk.audit.page(
        asking.viewer, size, after, actor=given.get("actor") or "", target=given.get("target") or ""
    )


class Agency(graphene.ObjectType):
    """The tenant: a team that manages communities."""

    class Meta:
        interfaces = (Node,)

    name = TEXT(required=True, resolver=_read("name"))
    locale = TEXT(resolver=_read("locale"))
    created_at = graphene.Field(Instant, required=True, resolver=_read("created_at"))
    operators = paged("Operator", _operators, "Who works here.", of_parent=True)
    api_keys = paged("ApiKey", _keys, "The keys of programs.", of_parent=True)
    audit_log = paged(
        "AuditEntry",
        _audit,
        "Who asked for which mutation, newest first.",
        {
            "actor": graphene.Argument(TEXT, description="Only what they asked for: `operator:<id>`."),
            "target": graphene.Argument(ID, description="Only what named this thing."),
        },
        of_parent=True,
    )


class HeldGrants(graphene.ObjectType):
    """What may be done, and where."""

    community = one("community", "Community", "Null: in every community, and in the agency's own affairs.")
    grants = graphene.List(graphene.NonNull(TEXT), required=True, resolver=_read("grants", empty=True))


class _Held:
    __slots__ = ("community", "grants")

    def __init__(self, place: str, grants: frozenset[str]) -> None:
        self.community = "" if place == WHOLE_AGENCY else place
        self.grants = sorted(grants)


def _me(viewer: Any, info: Any) -> Any:
    found = info.context.desk.people.operators(viewer.agency, [viewer.operator]) if viewer.operator else {}
    return found.get(viewer.operator)


class Viewer(graphene.ObjectType):
    """Who asks."""

    actor = TEXT(required=True, description="`operator:<id>` or `key:<id>`.", resolver=_read("actor"))
    operator = graphene.Field(Operator, description="Null for an API key.", resolver=_me)
    agency = graphene.Field(
        Agency,
        required=True,
        resolver=lambda viewer, info: info.context.desk.people.agency(viewer.agency),
    )
    grants = graphene.List(
        graphene.NonNull(HeldGrants),
        required=True,
        resolver=Read(lambda viewer: [_Held(place, held) for place, held in sorted(viewer.grants.items())]),
    )


for _type in (Operator, ApiKey, AuditEntry, Agency):
    NAMED[_type.__name__] = _type
OWN.update({OperatorValue: Operator, ApiKeyValue: ApiKey, AuditEntryValue: AuditEntry, AgencyValue: Agency})
KINDS.update({"opr": "Operator", "key": "ApiKey", "agy": "Agency"})


def _operators_by_id(asking: Asking, ids: Sequence[str]) -> dict[str, Any]:
    viewer = asking.viewer
    if not viewer.operator or not viewer.may("agency.admin"):
        ids = [one for one in ids if one == viewer.operator]
    return dict(asking.desk.people.operators(viewer.agency, ids))


def _keys_by_id(asking: Asking, ids: Sequence[str]) -> dict[str, Any]:
    if not asking.viewer.operator or not asking.viewer.may("agency.admin"):
        return {}
    return dict(asking.desk.credentials.keys_by_id(asking.viewer, ids))


def _agencies_by_id(asking: Asking, ids: Sequence[str]) -> dict[str, Any]:
    mine = asking.viewer.agency
    return {mine: asking.desk.people.agency(mine)} if mine in ids else {}


BATCHES.update({"Operator": _operators_by_id, "ApiKey": _keys_by_id, "Agency": _agencies_by_id})

QUERIES = {
    "viewer": graphene.Field(
        Viewer,
        description="Who asks; null before signing in.",
        resolver=lambda _source, info: info.context.who,
    ),
    "agency": graphene.Field(
        Agency,
        description="Your agency.",
        resolver=lambda _source, info: info.context.desk.people.agency(info.context.viewer.agency),
    ),
}


# Signing in and out


def sign_in(asking: Asking, email: str, password: str, **_remember: Any) -> Mapping[str, Any]:
    """Sign in with an e-mail address and a password. A browser gets a cookie; programs use the token, or an API key."""
    session = asking.desk.credentials.sign_in(email, password, asking.address)
    asking.signed_in = session
    asking.who = asking.desk.credentials.viewer(session.token)
    return {"operator": session.operator, "token": session.token, "expires_at": session.expires_at}


def sign_out(asking: Asking) -> Mapping[str, Any]:
    """End this session."""
    viewer = asking.viewer
    if viewer.session:
        asking.desk.credentials.sign_out(viewer)
    asking.signed_out = True
    return {"signed_out": bool(viewer.session)}


def change_password(asking: Asking, current: str, new: str) -> Mapping[str, Any]:
    """Choose a new password; every other session of yours ends."""
    viewer = asking.viewer
    viewer.require_operator()
    operator = asking.desk.people.change_password(viewer.agency, viewer.operator, current, new)
    asking.desk.credentials.end_sessions(operator.id, but=viewer.session)
    return {"operator": operator}


# Operators


def _known_community(asking: Asking, community: str | None) -> str | None:
    if community and not BATCHES["Community"](asking, [community]):
        raise NotFound("There is no such community.", field="community")
    return community or None


def invite_operator(
    asking: Asking, email: str, role: Any, community: str | None = None, name: str = "", locale: str = "en"
) -> Mapping[str, Any]:
    """Invite somebody to work for the agency, or on one community. The link is told once: hand it on."""
    viewer = asking.viewer
    viewer.require_operator("agency.admin")
    held = Role(role.value, _known_community(asking, community))
    invitation = asking.desk.people.invite(viewer.agency, email, [held], name=name or "", locale=locale or "en")
    return {"operator": invitation.operator, "link": f"{asking.desk.public_url}/i/{invitation.token}"}


def change_operator_role(
    asking: Asking, operator: str, role: Any = None, community: str | None = None
) -> Mapping[str, Any]:
    """Give an operator a role in a community, or in the whole agency; without a role, take it away there."""
    viewer = asking.viewer
    viewer.require_operator("agency.admin")
    place = _known_community(asking, community)
    changed = asking.desk.people.change_role(viewer.agency, operator, place, role.value if role else None)
    return {"operator": changed}


def remove_operator(asking: Asking, operator: str) -> Mapping[str, Any]:
    """They are signed out and can no longer sign in."""
    viewer = asking.viewer
    viewer.require_operator("agency.admin")
    removed = asking.desk.people.remove(viewer.agency, operator)
    asking.desk.credentials.end_sessions(operator)
    return {"operator": removed}


# Keys


def create_api_key(
    asking: Asking, name: str, scopes: Sequence[Any], communities: Sequence[str] | None = None
) -> Mapping[str, Any]:
    """Make a key for a program. Its secret is told this once."""
    viewer = asking.viewer
    viewer.require_operator("agency.admin")
    for community in communities or ():
        _known_community(asking, community)
    key, secret = asking.desk.credentials.create_key(viewer, name, [scope.value for scope in scopes], communities)
    return {"api_key": key, "secret": secret}


def revoke_api_key(asking: Asking, key: str) -> Mapping[str, Any]:
    """The key opens nothing from now on."""
    asking.viewer.require_operator("agency.admin")
    return {"api_key": asking.desk.credentials.revoke_key(asking.viewer, key)}


def _in(kind: Any, description: str = "", *, required: bool = False) -> graphene.InputField:
    return graphene.InputField(kind, required=required, description=description or None)


_SCOPES = graphene.List(graphene.NonNull(KeyScope))
_IDS = graphene.List(graphene.NonNull(ID))

MUTATIONS = {
    "signIn": own_act(
        sign_in,
        {"email": _in(TEXT, required=True), "password": _in(TEXT, required=True)},
        {"operator": Operator, "token": TEXT, "expires_at": Instant},
    ),
    "signOut": own_act(sign_out, {}, {"signed_out": graphene.Boolean}),
    "changePassword": own_act(
        change_password,
        {"current": _in(TEXT, required=True), "new": _in(TEXT, required=True)},
        {"operator": Operator},
    ),
    "inviteOperator": own_act(
        invite_operator,
        {
            "email": _in(TEXT, required=True),
            "role": _in(RoleName, required=True),
            "community": _in(ID, "None: the whole agency."),
            "name": _in(TEXT),
            "locale": _in(TEXT, "`fr` or `en`: the language of the page the link opens."),
        },
        {"operator": Operator, "link": TEXT},
    ),
    "changeOperatorRole": own_act(
        change_operator_role,
        {
            "operator": _in(ID, required=True),
            "role": _in(RoleName, "None: take it away."),
            "community": _in(ID, "None: the whole agency."),
        },
        {"operator": Operator},
    ),
    "removeOperator": own_act(remove_operator, {"operator": _in(ID, required=True)}, {"operator": Operator}),
    "createApiKey": own_act(
        create_api_key,
        {
            "name": _in(TEXT, "Who uses it.", required=True),
            "scopes": _in(_SCOPES, required=True),
            "communities": _in(_IDS, "None: every community."),
        },
        {"api_key": ApiKey, "secret": TEXT},
    ),
    "revokeApiKey": own_act(revoke_api_key, {"key": _in(ID, required=True)}, {"api_key": ApiKey}),
}
