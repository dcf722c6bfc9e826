"""Mutations: each carries out one rpc of the contract, or one use case of the gateway's own.

Expected errors are part of the payload (``errors { field code message }``); every mutation is written to the audit log,
with the ids it named and those it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import graphene

from services.gateway.access.audit import DONE
from services.gateway.asking import BATCHES, Asking
from services.gateway.contract import request_class, rpc
from services.gateway.engine.short import Read
from services.gateway.saying import said
from services.gateway.schema.comments import comments
from services.gateway.schema.mirror import attribute, fill, input_fields, is_mask, leaf_type, make_input, type_for
from services.gateway.schema.relations import camel
from services.kit.errors import FanfareError


class Error(graphene.ObjectType):
    """Something that was expected to go wrong at times."""

    field = graphene.String(
        description="What to correct, as a path into the input; null where it is not about one field.",
        resolver=Read(lambda refusal: camel(refusal.error.field) or None),
    )
    code = graphene.String(
        required=True,
        description="The stable word for it: `already-launched`.",
        resolver=Read(attrgetter("error.reason")),
    )
    message = graphene.String(
        required=True,
        description="What is wrong and how to put it right, in the language asked for.",
        resolver=Read(attrgetter("message")),
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    error: FanfareError
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a mutation gives: values by name, or why not."""

    values: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[Refusal, ...] = ()


Do = Callable[..., Mapping[str, Any]]


def act(
    rpc_name: str,
    *,
    required: Iterable[str] = (),
    hide: Iterable[str] = (),
    flatten: str = "",
    keeps: tuple[str, str] | None = None,
    name: str = "",
    before: Callable[[Asking, Any], None] | None = None,
) -> Callable[[str], graphene.Field]:
    """A mutation that is an rpc.

    ``flatten`` names the part of the request whose fields stand in the input itself. Where only some of them are given,
    the others stay as they are: by the request's mask, or (``keeps`` = kind, field with its id) by reading them first.
    """
    method = rpc(rpc_name)
    asks = request_class(method)
    parts = (flatten,) if flatten else ()
    masks = [each.name for each in method.input_type.fields if is_mask(each)]
    answers = {each.name: each for each in method.output_type.fields}

    def do(asking: Asking, **given: Any) -> Mapping[str, Any]:
        asking.viewer  # noqa: B018 # raises before anything is asked
        request: Any = asks()
        if keeps is not None:
            kind, key = keeps
            stored = BATCHES[kind](asking, [given[key]]).get(given[key])
            if stored is not None:
                getattr(request, flatten).CopyFrom(getattr(stored, flatten))
                request.version = stored.version  # what others write meanwhile is not overwritten
        named = fill(request, given, flatten=parts)
        for mask in masks:
            getattr(request, mask).paths.extend(named)
        if before is not None:
            before(asking, request)
        try:
            answer = asking.call(rpc_name, request)
        except FanfareError as error:
            error.field = error.field.removeprefix(f"{flatten}.")  # what is flat here names its field as it stands here
            raise
        return {each: getattr(answer, each) for each in answers}

    description = comments().get(f"{method.containing_service.full_name}.{method.name}") or ""
    inputs = input_fields(method.input_type, hide=hide, flatten=parts, required=required)
    gives = {
        attribute(each): graphene.Field(_shown(answers[each]), name=camel(each), resolver=_value(answers[each]))
        for each in answers
    }
    return mutation(do, inputs, gives, description, name=name or method.name)


def _shown(answer: Any) -> Any:
    if answer.message_type is None:
        shown = leaf_type(answer)
    else:
        nested = answer.message_type
        shown = lambda: type_for(nested)  # noqa: E731 # types refer to each other before they exist
    return graphene.List(graphene.NonNull(shown)) if answer.is_repeated else shown


def _value(answer: Any) -> Read:
    name = answer.name
    if answer.is_repeated:
        return Read(lambda outcome: list(outcome.values[name]) if name in outcome.values else None)
    empty_is_null = answer.message_type is None and answer.cpp_type != answer.CPPTYPE_BOOL
    return Read(lambda outcome: (outcome.values.get(name) or None) if empty_is_null else outcome.values.get(name))


def own_act(
    do: Do, inputs: Mapping[str, Any], gives: Mapping[str, Any], *, name: str = ""
) -> Callable[[str], graphene.Field]:
    """A mutation of the gateway's own: ``do(asking, **input)`` returns values for the payload."""
    fields = {
        each: graphene.Field(kind, resolver=Read(lambda outcome, each=each: outcome.values.get(each)))
        for each, kind in gives.items()
    }
    description = (do.__doc__ or "").strip().split("\n\n")[0]
    return mutation(do, inputs, fields, description, name=name)


def mutation(
    do: Do, inputs: Mapping[str, Any], gives: Mapping[str, Any], description: str, *, name: str
) -> Callable[[str], graphene.Field]:
    """The field, once its name in the graph is known."""

    def field_named(field_name: str) -> graphene.Field:
        title = name or field_name[0].upper() + field_name[1:]
        payload = type(
            f"{title}Payload",
            (graphene.ObjectType,),
            {
                **gives,
                "errors": graphene.List(
                    graphene.NonNull(Error),
                    required=True,
                    description="Empty when it was done.",
                    resolver=Read(attrgetter("errors")),
                ),
            },
        )
        ids = [each for each in inputs if _names_things(inputs[each])]

        def resolve(_source: Any, info: Any, **arguments: Any) -> Outcome:
            given = arguments.get("input") or {}
            return carry_out(info.context, field_name, ids, lambda: do(info.context, **given), given)

        arguments = {}
        if inputs:
            needed = any(_is_required(each) for each in inputs.values())
            arguments["input"] = graphene.Argument(make_input(f"{title}Input", inputs, None), required=needed)
        return graphene.Field(payload, required=True, description=description or None, resolver=resolve, **arguments)

    return field_named


def carry_out(
    asking: Asking, operation: str, ids: Iterable[str], do: Callable[[], Mapping[str, Any]], given: Mapping[str, Any]
) -> Outcome:
    """Do it, turn expected errors into the payload's, and write it down."""
    targets = [one for each in ids for one in _listed(given.get(each))]
    try:
        values = do()
    except FanfareError as error:
        _record(asking, operation, targets, error.reason)
        return Outcome(errors=(Refusal(error, said(error, asking.locale)),))
    except Exception:
        _record(asking, operation, targets, "failed")
        raise
    asking.forget_loaded()
    made = [value.id for value in values.values() if isinstance(getattr(value, "id", None), str)]
    _record(asking, operation, [*targets, *made], DONE)
    return Outcome(values)


def _record(asking: Asking, operation: str, targets: Iterable[str], outcome: str) -> None:
    if asking.who is not None:
        asking.desk.audit.record(asking.who.agency, asking.who.actor, operation, list(targets), outcome, asking.trace)


def _listed(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _names_things(each: Any) -> bool:
    kind = getattr(each, "_type", None) or type(each)
    while isinstance(kind, (graphene.List, graphene.NonNull)):
        kind = kind.of_type
    return kind is graphene.ID


def _is_required(each: Any) -> bool:
    return isinstance(getattr(each, "_type", None), graphene.NonNull)
