"""Fixtures of the channels room's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.channels.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage = Stage(tmp_path)
    yield a_stage
    a_stage.close()
