"""The message that is sent in the benchmarks: 10 KB of HTML, five merge fields, five tracked links, a pixel's place."""

from __future__ import annotations

FIELDS = ("given_name", "family_name", "attribute.city", "attribute.favourite_stage", "attribute.last_purchase")
LINKS = tuple(f"https://festival.example/{page}" for page in ("pass", "line-up", "train", "camping", "family-day"))
SUBJECT = "{{ given_name | fallback('Hello') }}, the line-up is here"
_OCTETS = 10_000
_FILLER = (
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="width:100%">'
    '<tr><td align="left" valign="top" style="padding:12px 24px;font-family:Georgia,serif;font-size:16px;'
    'line-height:24px;color:#1d1b19;background-color:#ffffff">Three stages by the water, forty concerts, and the '
    "campsite under the poplars.</td></tr></table>\n"
)


def letter() -> str:
    """HTML of ten thousand octets."""
    merged = " ".join(f'{{{{ {field} | fallback("you") }}}}' for field in FIELDS)
    links = " ".join(f'<a href="{link}">{link.rpartition("/")[2]}</a>' for link in LINKS)
    head = f"<!doctype html><html><body><p>Hello {merged},</p><p>{links}</p>\n"
    tail = '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>\n'
    room = _OCTETS - len(head) - len(tail)
    body = _FILLER * (room // len(_FILLER) - 1)
    return head + body + f"<p>{'and so on, ' * 90}"[: room - len(body) - 5] + "</p>\n" + tail
