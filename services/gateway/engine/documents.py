"""Documents, parsed and validated once: a query is known again by its sha256, and the best known are kept."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, parse, validate

from services.gateway.engine.limits import Cost, Limits, TooMuchAsked, Variables, cost_of
from services.kit.errors import Invalid, NotFound


class UnknownQuery(NotFound):
    reason = "persisted-query-not-found"


class NoSuchOperation(Invalid):
    reason = "no-such-operation"


class QueryRefused(Exception):
    """The document is not valid; ``errors`` say where and why."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sound document, and what its operations cost, by name (the only one also by the empty name)."""

    document: DocumentNode
    costs: dict[str, Cost]
    size: int

    def cost_of(self, name: str | None) -> Cost:
        """What the operation to execute costs. Raises NoSuchOperation where the name chooses none."""
        if not name and len(self.costs) == 1:
            return next(iter(self.costs.values()))
        found = self.costs.get(name or "")
        if found is None:
            raise NoSuchOperation(
                "The document has several operations or none of that name: name one of them.", field="operationName"
            )
        return found


class Documents:
    """Prepares documents within limits and keeps those used last: at most so many, and so many bytes of text."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, most: int = 500, bytes: int = 4 * 1024 * 1024) -> None:
        self._schema = schema
        self._limits = limits
        self._most = most
        self._room = bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._used = 0

    def prepare(self, query: str, sha256: str = "") -> Prepared:
        """The document of a query, or the one kept under its hash where the query is empty.

        Raises UnknownQuery for a hash that is not kept (send the query along), QueryRefused for an unsound document
        and TooMuchAsked for one beyond the limits.
        """
        if not query:
            return self._known(sha256)
        key = hashlib.sha256(query.encode()).hexdigest()
        if sha256 and sha256 != key:
            raise Invalid("The sha256 is not that of the query.", field="extensions.persistedQuery.sha256Hash")
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        prepared = self._prepared(query)
        self._keep(key, prepared)
        return prepared

    def check(self, cost_of_operation: Cost, variables: Variables) -> None:
        """Raises TooMuchAsked where the operation would cost too much with these variables."""
        cost = cost_of_operation(variables)
        if cost > self._limits.cost:
            raise TooMuchAsked(
                f"This query may bring {cost} objects; {self._limits.cost} are the most: ask for smaller pages.",
                most=str(self._limits.cost),
                asked=str(cost),
            )

    def _known(self, sha256: str) -> Prepared:
        with self._lock:
            kept = self._kept.get(sha256)
            if kept is not None:
                self._kept.move_to_end(sha256)
                return kept
        raise UnknownQuery("This query is not known by its hash (any more): send it along.", field="query")

    def _prepared(self, query: str) -> Prepared:
        try:
            document = parse(query, no_location=False, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            raise QueryRefused([error]) from None
        except RecursionError:
            raise TooMuchAsked("The query is nested too deeply.") from None
        if errors := validate(self._schema, document, max_errors=20):
            raise QueryRefused(errors)
        costs: dict[str, Cost] = {}
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else ""
                costs[name] = cost_of(self._schema, document, definition, self._limits)
        return Prepared(document, costs, len(query))

    def _keep(self, key: str, prepared: Prepared) -> None:
        with self._lock:
            if key in self._kept or prepared.size > self._room:
                return
            self._kept[key] = prepared
            self._used += prepared.size
            while len(self._kept) > self._most or self._used > self._room:
                _, dropped = self._kept.popitem(last=False)
                self._used -= dropped.size
