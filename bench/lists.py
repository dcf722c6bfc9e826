"""Member lists of any size, the same for the same seed: e-mail, phone, name, five attributes, two tags."""

from __future__ import annotations

import csv
import random
from pathlib import Path

HEADINGS = (
    "Email",
    "Phone",
    "First name",
    "Last name",
    "City",
    "Favourite stage",
    "Editions",
    "Camps on site",
    "Last purchase",
    "Tags",
)
CITIES = ("Bruxelles", "Liège", "Gent", "Namur", "Antwerpen", "Mons", "Huy", "Charleroi", "Leuven", "Brugge")
TAGS = ("vinyl", "beta", "press", "volunteer", "camping", "family", "loyal", "local")
_STAGES = ("river", "wood", "tent", "harbour", "tower")
_GIVEN = (
    "Maëlle",
    "Pieter",
    "Roos",
    "Maarten",
    "Femke",
    "Quentin",
    "Gijs",
    "Damien",
    "Lotte",
    "Jérôme",
    "Yaël",
    "Inès",
)
_FAMILY = ("Mertens", "Vandamme", "Willems", "Janssens", "D'Hondt", "Moreau", "Leclercq", "Müller", "Claes", "Łukasik")


def write_list(path: Path, rows: int, seed: int = 1) -> Path:
    """A CSV of ``rows`` members with distinct addresses and numbers."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for number in range(rows):
            writer.writerow(
                (
                    address(number),
                    f"+3247{number % 10}{number // 10:06d}",
                    chance.choice(_GIVEN),
                    chance.choice(_FAMILY),
                    chance.choice(CITIES),
                    chance.choice(_STAGES),
                    chance.randrange(1, 20),
                    chance.choice(("yes", "no")),
                    f"20{chance.randrange(15, 26)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
                    ",".join(chance.sample(TAGS, 2)),
                )
            )
    return path


def address(number: int) -> str:
    """The e-mail address in row ``number``, from 0."""
    return f"user{number:06d}@members.example"
