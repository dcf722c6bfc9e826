"""Names on their way out of a contract into the graph."""

from __future__ import annotations

import pytest

from services.gateway.schema.relations import camel


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("contact_points", "contactPoints"),
        ("mapping.date_order", "mapping.dateOrder"),
        ("rule/all/1/within_days", "rule/all/1/within_days"),
        ("", ""),
    ],
)
def test_a_refusal_points_into_a_rule_in_the_rules_own_words(field: str, shown: str) -> None:
    assert camel(field) == shown
