"""What a plan makes of rows without anybody known: the very records that ``register`` makes."""

from __future__ import annotations

import io

import pytest

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.importing import reading
from services.members.domain.importing.guessing import guess_mapping
from services.members.domain.importing.interpreting import Interpreter
from services.members.domain.importing.plan import Known, Origin
from services.members.domain.importing.planning import Planner
from services.members.domain.importing.refusals import EXPLANATIONS, explain
from services.members.domain.member import Cause, Profile, register
from services.members.use_cases.imports_room import Imports
from tests.members.importing.conftest import NOW, the_list


@pytest.mark.parametrize(
    ("name", "pack"),
    [("judo-club-members", "club"), ("festival-prospects", "festival"), ("listmonk-export", "festival")],
)
def test_a_plan_makes_the_records_that_registering_makes(
    name: str, pack: str, imports: Imports, scope: Scope, request: pytest.FixtureRequest
) -> None:
    document: Document = request.getfixturevalue(pack)
    community = imports.room.community(scope, document["_id"])
    content = the_list(name)
    file_format = reading.examine(lambda: io.BytesIO(content))
    sample = reading.sample_rows(lambda: io.BytesIO(content), file_format)
    mapping = guess_mapping(community, file_format.headings, sample)
    interpreter = Interpreter(mapping, community, file_format.headings, NOW)
    planner = Planner(community, mapping, interpreter, Origin("imp_1", NOW, "operator:ada"), Known(), {})
    planner.add_all([interpreter.read(row, cells) for row, cells in reading.rows(io.BytesIO(content), file_format)])
    cause = Cause(NOW, "operator:ada", "import:imp_1")
    for made in planner.plan.created.values():
        if made["history"]:
            continue  # a later row told more of somebody
        profile = Profile(
            kind=made["kind"],
            given_name=made["given_name"],
            family_name=made["family_name"],
            display_name=made["display_name"],
            locale=made["locale"],
            zone=made["zone"],
            birth_date=made["birth_date"] or "",
            external_id=made["external_id"] or "",
            contacts=[(p["channel"], p["address"]) for p in made["contact_points"]],
            shared=frozenset((p["channel"], p["address"]) for p in made["contact_points"] if p["shared"]),
            relations=made["relations"],
            reasons=made["reasons"],
            attributes={a["key"]: a["value"] for place in ("attributes", "sensitive") for a in made[place]},
            tags=made["tags"],
            presence=made["presence"],
            guardians=made["guardians"],
            ledger=made["ledger"],
        )
        assert made == register(profile, made["_id"], community, cause) | {"wards": made["wards"]}


def test_every_finding_is_explained_in_french_and_in_english() -> None:
    for code, explanation in EXPLANATIONS.items():
        for text in (*explanation.message.values(), *explanation.remedy.values()):
            assert len(text) > 8, code
        french, english = explain(code, "fr-BE"), explain(code, "en")
        assert french[0] != english[0]
