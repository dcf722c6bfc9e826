"""A handful as a connection sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.channels.domain.handing_off import Answer


@dataclass(slots=True)
class Voyage:
    """Envelopes and messages, made when their turn comes; answers by place."""

    count: int
    envelope: Callable[[int], bytes]  # "MAIL FROM:…\r\nRCPT TO:…\r\nDATA\r\n"
    message: Callable[[int], bytes]  # ends with CRLF; no line of it begins with a dot
    may_begin: Callable[[], Answer | None]
    may_go_on: Callable[[], Answer | None]  # once the envelope was sent
    answers: list[Answer | None]
    deadline: float = float("inf")

    def give_up_from(self, place: int, answer: Answer) -> None:
        """None of those from this place on is begun."""
        self.answers[place:] = [answer] * (self.count - place)
