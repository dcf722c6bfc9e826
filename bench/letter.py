"""The message that is sent in the benchmarks: 10 KB of HTML, five merge fields, five tracked links, a pixel's place."""

from __future__ import annotations

FIELDS = ("given_name", "family_name", "attribute.city", "attribute.favourite_stage", "attribute.last_purchase")
LINKS = tuple(f"https://festival.example/{page}" for page in ("pass", "line-up", "train", "camping", "family-day"))
SUBJECT = "{{ given_name | fallback('Hello') }}, the line-up is here"
_OCTETS = 10_000
_FILLER = (
    "<p>Three stages by the water, forty concerts, and the campsite under the poplars; a morning for children, an "
    "evening for dancers, and a night for whoever stays.</p>\n"
)


def letter() -> str:
    """HTML of ten thousand octets."""
    merged = " ".join(f'{{{{ {field} | fallback("you") }}}}' for field in FIELDS)
    links = " ".join(f'<a href="{link}">{link.rpartition("/")[2]}</a>' for link in LINKS)
    head = f"<!doctype html><html><body><p>Hello {merged},</p><p>{links}</p>\n"
    tail = '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>\n'
    room = _OCTETS - len(head) - len(tail)
    body = _FILLER * (room // len(_FILLER) - 1)
    return head + body + f"<p>{'and so on, ' * 40}"[: room - len(body) - 5] + "</p>\n" + tail
