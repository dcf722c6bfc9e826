"""The contract's messages as types of the graph.

What a room tells of a thing is declared once, in ``proto/``. Here each field of a message becomes a field of the graph:
in camel case, described in the contract's own comment, read by plain attribute access, absent text as null, instants
and rules as scalars, closed words as enums. A class names what it hides, flattens, or tells better itself.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

import graphene
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.type.money_pb2 import Money as MoneyMessage  # type: ignore[import-untyped] # ships no types
from graphene.types.inputobjecttype import InputObjectTypeOptions
from graphene.types.objecttype import ObjectTypeOptions
from graphene.utils.str_converters import to_camel_case

from services.gateway.amounts import nanos_of
from services.gateway.engine.short import Read
from services.gateway.schema.comments import comments
from services.gateway.schema.scalars import Instant, Json
from services.gateway.schema.words import ENUMS, IDS, INSTANTS, JSON_TEXTS

Descriptor = Any
Field = Any
"""Descriptors come in two makes (Python, upb), which the type stubs tell apart; here they do the same."""

TYPES: dict[str, Any] = {}
"""Graph types by the full name of the message they mirror."""

NAMED: dict[str, Any] = {}
"""Graph types by their own name, so that rooms may refer to each other's."""

INPUTS: dict[str, Any] = {}

_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
MASK = "google.protobuf.FieldMask"
PAGE_REQUEST = "fanfare.access.v1.PageRequest"


class Mirror(graphene.ObjectType):
    """A type of the graph that shows a message of the contract.

    ``Meta``: ``message`` (its class), ``hide`` (fields not shown), ``flatten`` (messages whose fields stand here).
    """

    class Meta:
        abstract = True

    @classmethod
    def __init_subclass_with_meta__(
        cls,
        message: type[Message] | None = None,
        hide: Iterable[str] = (),
        flatten: Iterable[str] = (),
        **options: Any,
    ) -> None:
        if message is None:
            super().__init_subclass_with_meta__(**options)
            return
        meta = ObjectTypeOptions(cls)
        meta.fields = _output_fields(message.DESCRIPTOR, frozenset(hide), frozenset(flatten), ())
        TYPES[message.DESCRIPTOR.full_name] = NAMED[cls.__name__] = cls
        options.setdefault("description", cls.__doc__ or comments().get(message.DESCRIPTOR.full_name))
        super().__init_subclass_with_meta__(_meta=meta, **options)


def type_for(descriptor: Descriptor) -> Any:
    """The graph type of a message: the class written for it, or one made of all its fields."""
    known = TYPES.get(descriptor.full_name)
    if known is None:
        meta = type(
            "Meta", (), {"message": GetMessageClass(descriptor), "description": comments().get(descriptor.full_name)}
        )
        known = type(descriptor.name, (Mirror,), {"Meta": meta})
    return known


# Answers


def _output_fields(
    descriptor: Descriptor, hide: frozenset[str], flatten: frozenset[str], path: tuple[str, ...]
) -> dict[str, graphene.Field]:
    fields: dict[str, graphene.Field] = {}
    for field in descriptor.fields:
        if field.name in hide:
            continue
        if field.name in flatten:
            fields |= _output_fields(field.message_type, hide, frozenset(), (*path, field.name))
        else:
            fields[attribute(field.name)] = _output_field(field, path)
    return fields


def _output_field(field: Field, path: tuple[str, ...]) -> graphene.Field:
    shown, never_null = _output_type(field)
    said = None if isinstance(shown, type(graphene.Enum)) else comments().get(field.full_name)
    return graphene.Field(
        shown,
        name=to_camel_case(field.name),
        required=never_null,
        description=said,
        resolver=Read(_reader(field, path)),
    )


def attribute(name: str) -> str:
    """A field's name as a Python attribute: `import` becomes `import_`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _output_type(field: Field) -> tuple[Any, bool]:
    """The type that shows a field, and whether it is always there."""
    if _is_map(field):
        return graphene.List(graphene.NonNull(_type_of_map(field))), True
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if field.message_type.full_name == MoneyMessage.DESCRIPTOR.full_name:
            shown: Any = Money
        else:
            nested = field.message_type
            shown = lambda: type_for(nested)  # noqa: E731 # types refer to each other before they exist
        if field.is_repeated:
            return graphene.List(graphene.NonNull(shown)), True
        return shown, False
    leaf = leaf_type(field)
    if field.is_repeated:
        return graphene.List(graphene.NonNull(leaf)), True
    is_text = field.cpp_type == FieldDescriptor.CPPTYPE_STRING
    return leaf, field.name == "id" or not (is_text or leaf is Instant or field.has_presence)


def leaf_type(field: Field) -> Any:
    """The scalar or enum of a field."""
    enum = ENUMS.get(f"{field.containing_type.name}.{field.name}") or ENUMS.get(field.name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if enum is not None:
            return enum
        if _in(field, JSON_TEXTS):
            return Json
        return graphene.ID if is_id(field) else graphene.String
    if field.cpp_type in _INTEGERS:
        return Instant if is_instant(field) else graphene.Int
    if field.cpp_type in _FLOATS:
        return graphene.Float
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return graphene.Boolean
    raise TypeError(f"The graph has no type for {field.full_name}.")


def is_id(field: Field) -> bool:
    """Whether a text is the id of something: such arguments are what the audit log keeps of a mutation."""
    return _in(field, IDS) or (field.is_repeated and field.name.removesuffix("s") in IDS)


def _in(field: Field, names: frozenset[str]) -> bool:
    return field.name in names or f"{field.containing_type.name}.{field.name}" in names


def is_mask(field: Field) -> bool:
    return field.message_type is not None and field.message_type.full_name == MASK


def is_instant(field: Field) -> bool:
    return field.cpp_type == FieldDescriptor.CPPTYPE_INT64 and (field.name.endswith("_at") or field.name in INSTANTS)


def _reader(field: Field, path: tuple[str, ...]) -> Callable[[Any], Any]:
    get = attrgetter(".".join((*path, field.name)))
    if _is_map(field):
        return lambda message: sorted(get(message).items())
    if field.is_repeated:
        return get
    if field.has_presence:
        name = field.name
        if not path:
            return lambda message: getattr(message, name) if message.HasField(name) else None
        parent = attrgetter(".".join(path))
        return lambda message: get(message) if parent(message).HasField(name) else None
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda message: get(message).decode("utf-8", "replace") or None
    if field.name != "id" and (field.cpp_type == FieldDescriptor.CPPTYPE_STRING or is_instant(field)):
        return lambda message: get(message) or None
    return get


def _is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _type_of_map(field: Field) -> Any:
    if field.message_type.fields_by_name["value"].cpp_type in _INTEGERS:
        return Count
    return Entry


class Count(graphene.ObjectType):
    """How many of something."""

    key = graphene.String(required=True, resolver=Read(lambda pair: pair[0]))
    count = graphene.Int(required=True, resolver=Read(lambda pair: pair[1]))


class Entry(graphene.ObjectType):
    """A name and what stands under it."""

    key = graphene.String(required=True, resolver=Read(lambda pair: pair[0]))
    value = graphene.String(required=True, resolver=Read(lambda pair: str(pair[1])))


def amount_of(money: MoneyMessage) -> str:
    """The decimal text of an amount: `12.5`, `-0.00042`."""
    nanos = money.units * 1_000_000_000 + money.nanos
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    whole, fraction = divmod(nanos, 1_000_000_000)
    return f"{sign}{whole}.{f'{fraction:09d}'.rstrip('0').ljust(2, '0')}"


class Money(graphene.ObjectType):
    """An amount in a currency; never converted silently."""

    currency = graphene.String(required=True, description="ISO 4217.", resolver=Read(attrgetter("currency_code")))
    amount = graphene.String(
        required=True, description="A decimal number, exact to a billionth: `12.50`.", resolver=Read(amount_of)
    )


# Requests


class MoneyInput(graphene.InputObjectType):
    """An amount in a currency."""

    currency = graphene.String(required=True, description="ISO 4217.")
    amount = graphene.String(required=True, description="A decimal number: `12.50`.")


def input_fields(
    descriptor: Descriptor,
    *,
    hide: Iterable[str] = (),
    flatten: Iterable[str] = (),
    required: Iterable[str] = (),
    as_arguments: bool = False,
) -> dict[str, Any]:
    """What one may give for a message, by the names of its fields; ``flatten`` sets a message's fields in its place."""
    hidden, flat, asked = frozenset(hide), frozenset(flatten), frozenset(required)
    fields: dict[str, Any] = {}
    for field in descriptor.fields:
        nested = field.message_type.full_name if field.message_type else ""
        if field.name in hidden or nested in (MASK, PAGE_REQUEST):
            continue
        if field.name in flat:
            fields |= input_fields(field.message_type, hide=hidden, required=asked, as_arguments=as_arguments)
        else:
            fields[field.name] = _input_field(field, required=field.name in asked, as_argument=as_arguments)
    return fields


def _input_field(field: Field, *, required: bool, as_argument: bool) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if field.message_type.full_name == MoneyMessage.DESCRIPTOR.full_name:
            asked: Any = MoneyInput
        else:
            asked = input_for(field.message_type)
    else:
        asked = leaf_type(field)
    if field.is_repeated:
        asked = graphene.List(graphene.NonNull(asked))
    said = None if isinstance(asked, type(graphene.Enum)) else comments().get(field.full_name)
    made = graphene.Argument if as_argument else graphene.InputField
    return made(asked, required=required, description=said)


def input_for(descriptor: Descriptor) -> Any:
    """The input type of a message that stands inside a request."""
    known = INPUTS.get(descriptor.full_name)
    if known is None:
        known = make_input(f"{descriptor.name}Input", input_fields(descriptor), comments().get(descriptor.full_name))
        INPUTS[descriptor.full_name] = known
    return known


def make_input(name: str, fields: Mapping[str, Any], description: str | None) -> Any:
    meta = type("Meta", (), {"description": description})
    made: Any = type(name, (graphene.InputObjectType,), {**fields, "Meta": meta})
    assert isinstance(made._meta, InputObjectTypeOptions)
    return made


def fill(message: Any, given: Mapping[str, Any], *, flatten: Iterable[str] = ()) -> list[str]:
    """Set what was given on a message; returns the names of the fields of flattened messages that were."""
    flat = {
        field.name: message.DESCRIPTOR.fields_by_name[part]
        for part in flatten
        for field in message.DESCRIPTOR.fields_by_name[part].message_type.fields
    }
    named: list[str] = []
    for name, value in given.items():
        if name in message.DESCRIPTOR.fields_by_name and name not in flat:
            _set(message, message.DESCRIPTOR.fields_by_name[name], value)
        elif name in flat:
            inner = getattr(message, flat[name].name)
            inner.SetInParent()
            _set(inner, inner.DESCRIPTOR.fields_by_name[name], value)
            named.append(name)
    return named


def _set(message: Any, field: Field, value: Any) -> None:
    message.ClearField(field.name)
    if value is None:
        return
    if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        plain = [_plain(one) for one in value] if field.is_repeated else _plain(value)
        if field.is_repeated:
            getattr(message, field.name).extend(plain)
        else:
            setattr(message, field.name, plain)
    elif field.is_repeated:
        for one in value:
            _fill_nested(getattr(message, field.name).add(), one)
    else:
        nested = getattr(message, field.name)
        nested.SetInParent()
        _fill_nested(nested, value)


def _fill_nested(message: Any, given: Mapping[str, Any]) -> None:
    if isinstance(message, MoneyMessage):
        set_amount(message, given["currency"], given["amount"])
    else:
        fill(message, given)


def set_amount(money: MoneyMessage, currency: str, amount: str) -> None:
    """Set an amount from its decimal text. Raises Invalid for what is no such number."""
    sign, units, nanos = nanos_of(amount)
    money.currency_code, money.units, money.nanos = currency.upper(), sign * units, sign * nanos


def _plain(value: Any) -> Any:
    """Enum members of graphene stand for their values."""
    return getattr(value, "value", value)
