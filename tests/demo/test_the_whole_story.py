"""`make demo` tells its story to the end, and leaves nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.house import answers, free_port

_PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_imports_sends_is_read_and_draws_its_picture(tmp_path: Path) -> None:
    http = f"127.0.0.1:{free_port()}"
    chosen = {
        "FANFARE_DATA": str(tmp_path / "nothing-runs-here"),
        "FANFARE_HTTP": http,
        "DEMO_DATA": str(tmp_path / "demo"),
        "DEMO_EXIT": "1",
        "DEMO_LANGUAGE": "en",
        "COLUMNS": "160",
    }
    told = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=_PROJECT,
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Error" not in told.stdout
    for step in ("Importing listmonk-export.csv", "2000 created", "accepted by their server", "programs", "bought"):
        assert step in told.stdout
    for page in ("report.html", "report.fr.html", "funnel-1.svg", "funnel-2.svg"):
        assert (tmp_path / "demo" / "demo" / page).stat().st_size > 1_000
    assert not answers(f"http://{http}")
    lines = (tmp_path / "demo" / "house.log").read_text()
    assert "@members.example" not in lines, "an address stands in a log"
