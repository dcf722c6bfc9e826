"""The platform's public doors: signing in, the graph, the upload, partner events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from demo.house import Operator

Answer = dict[str, Any]


class Refused(Exception):
    """A door said no; the message holds its words, and the field that they are about."""


class Doors:
    """A signed-in client of one platform. Safe to share between threads."""

    def __init__(self, address: str, language: str = "en") -> None:
        self.address = address
        self._client = httpx2.Client(base_url=address, timeout=60, headers={"Accept-Language": language})

    def close(self) -> None:
        self._client.close()

    def sign_in(self, operator: Operator) -> None:
        answer = self.do(
            "mutation ($email: String!, $password: String!) { signIn(input: {email: $email, password: $password}) "
            "{ token errors { field code message } } }",
            email=operator.email,
            password=operator.password,
        )
        self._client.headers["Authorization"] = f"Bearer {answer['token']}"

    @property
    def authorization(self) -> str:
        """The header of whoever signed in."""
        return str(self._client.headers.get("Authorization", ""))

    def ask(self, document: str, language: str = "", /, **variables: Any) -> Answer:
        """The data of a query, what people read in it in a language. Raises Refused."""
        spoken = {"Accept-Language": language} if language else {}
        reply = self._client.post("/graphql", json={"query": document, "variables": variables}, headers=spoken)
        answer = reply.json()
        if answer.get("errors"):
            first = answer["errors"][0]
            raise Refused(f"{first['message']} {first.get('path', '')}".strip())
        data: Answer = answer["data"]
        return data

    def do(self, document: str, **variables: Any) -> Answer:
        """The payload of the one mutation in the document. Raises Refused where it holds errors."""
        payload: Answer = next(iter(self.ask(document, **variables).values()))
        if payload.get("errors"):
            first = payload["errors"][0]
            raise Refused(f"{first['message']} ({first.get('field') or first['code']})")
        return payload

    def upload(self, path: Path, community: str) -> str:
        """Bring a file in for a community; the token that names it in a mutation."""
        reply = self._client.post(
            "/v1/files",
            params={"community": community, "name": path.name},
            content=path.read_bytes(),
            headers={"Content-Type": "text/csv"},
        )
        if reply.status_code >= 400:
            raise Refused(reply.text)
        return str(reply.json()["file"])

    def tell(self, key: str, events: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Bring CloudEvents in with an API key; the result of each."""
        reply = self._client.post(
            "/v1/events",
            json=list(events),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents-batch+json"},
        )
        if reply.status_code >= 400:
            raise Refused(reply.text)
        results: list[Answer] = reply.json()["results"]
        return results


def wait_until(
    happened: Callable[[], bool], what: str, timeout_seconds: float = 60.0, every_seconds: float = 0.1
) -> None:
    """Look until it happened. Raises TimeoutError naming ``what``."""
    deadline = time.monotonic() + timeout_seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout_seconds:g} s in vain: {what}.")
        time.sleep(every_seconds)
