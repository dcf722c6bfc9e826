"""Why we write: the purposes of product.md, and which of them ask for a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from services.campaigns.domain.content import Message
from services.campaigns.domain.plain_text import text_of
from services.campaigns.domain.wording import Problem, Wording

SERVICE = "service"
STATUTORY = "statutory"
PURPOSES = (SERVICE, STATUTORY, "news", "promotion", "fundraising", "review_request")
UNREFUSABLE = frozenset({SERVICE, STATUTORY})
"""They pass promotional refusals and caps; so they carry no promotion."""

_PROMOTION = re.compile(
    r"""
    -\s?\d{1,2}\s?%                                        # -20 %
    | \d{1,2}\s?%\s(?:off|de\s(?:réduction|remise|rabais)|discount)
    | \b(?:code|bon)\spromo\b | \bpromo(?:tion)?s?\b | \bcode\sde\sréduction\b | \bbon\sd[’']achat\b
    | \bsoldes\b | \bventes?\s(?:flash|privées?)\b | \bblack\sfriday\b
    | \boffres?\s(?:spéciales?|exclusives?|limitées?)\b
    | \bprofitez\s(?:vite|de\s(?:nos|notre|l[’']offre)) | \bachetez\s(?:maintenant|vite|vos|votre) | \bprix\scassés?\b
    | \bdiscounts?\b | \b(?:special|exclusive|limited(?:[\s-]time)?)\soffers?\b | \bbuy\snow\b | \bshop\snow\b
    | \bvouchers?\b | \bcoupons?\b | \bflash\ssale\b | \bon\ssale\b | \bbest\sdeals?\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def promotion_in(messages: Sequence[Message]) -> list[Problem]:
    """What makes content promotional, by language and by the words found: offers on links, and the words of selling."""
    problems = []
    for written in messages:
        said = " ".join((written.subject, written.preheader, text_of(written.body), written.text))
        found = _PROMOTION.search(said)
        words = found[0].strip() if found else "data-offer" if "data-offer" in written.body else ""
        if words:
            problems.append(
                Problem(
                    "promotion-under-service",
                    f"messages.{written.locale}.body",
                    Wording(
                        f"A service message carries no promotion, and this one says “{words}”: take it out, or choose "
                        "the purpose promotion, which reaches those who permit it.",
                        f"Un message de service ne contient pas de promotion, or celui-ci dit « {words} » : retirez-la "
                        "ou choisissez la finalité promotion, qui atteint celles et ceux qui la permettent.",
                    ),
                )
            )
    return problems
