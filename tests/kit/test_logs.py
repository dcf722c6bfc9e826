"""Lines hold ids only; what looks like an address is masked wherever it hides."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from services.kit.logs import masked, start_logging
from services.kit.settings import Settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def started(data: Path, **chosen: str) -> Path:
    start_logging("members", Settings(data=data, **chosen))  # type: ignore[arg-type] # text is converted
    return data / "logs" / "members.log"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


ADDRESSES = [
    "ada.lovelace@example.org",
    "Ada <ada+news@example.co.uk>",
    "jos@münchen.de",
    "用户@例子.公司",
    "ada%40example.org",
    "o'hara@example.org",
    "ada@localhost",
    "+32 470 12 34 56",
    "+32470123456",
    "0032470123456",
    "+33 (0)6 12 34 56 78",
    "0470/12.34.56",
    "0470 12 34 56",
    "06-12-34-56-78",
    "02 123 45 67",
]
NO_ADDRESSES = [
    "mbr_0192f8a1b2c37d4e8f90123456789012",
    "01923456-7890-7123-8123-012345678901",
    "at 1763929392000",
    "127.0.0.1:8080",
    "2026-11-23 08:12:33.123456",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "12000 of 100000 rows in 0.123456789 s",
    "550 5.1.1",
    "fanfare.members.v1.MemberRegistered",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_looks_like_an_address_is_masked(address: str) -> None:
    for text in (address, f"to {address}: refused", f"<{address}>", f"rcpt={address}"):
        said = masked(text)
        assert "[e-mail]" in said or "[phone]" in said
        assert not set(_telling(address)) & set(_telling(said))


def _telling(text: str) -> list[str]:
    return [part for part in text.replace("@", " ").replace("%40", " ").split() if len(part) > 3 and part[0] != "["]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_ids_numbers_and_times_stay_readable(text: str) -> None:
    assert masked(text) == text


@given(
    st.from_regex(r"[a-z0-9._+-]{1,20}@[a-z0-9-]{1,20}\.[a-z]{2,6}", fullmatch=True), st.text(max_size=30), st.text()
)
def test_no_address_survives_whatever_stands_around_it(address: str, before: str, after: str) -> None:
    assert address not in masked(f"{before} {address} {after}")


def test_every_field_of_every_line_is_masked_and_also_those_of_libraries(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = started(tmp_path, log_format="json")
    log = structlog.get_logger("services.test")
    log.info("mail_to ada@example.org", deep={"list": [("+32 470 12 34 56",)], "ada@example.org": 1}, count=3)
    logging.getLogger("library").warning("refused %s", "ada@example.org")
    try:
        raise ValueError("no mailbox ada@example.org")
    except ValueError:
        log.exception("crashed")
    written = path.read_text() + capfd.readouterr().err
    assert "ada@" not in written
    assert "470" not in written
    assert written.count("[e-mail]") >= 8
    assert lines(path)[0]["count"] == 3


def test_a_screen_reads_easily_and_the_file_is_for_machines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = started(tmp_path)
    structlog.get_logger("services.test").info("ready", service="members")
    shown = capfd.readouterr().err
    assert "ready" in shown
    assert "service=members" in shown
    assert "\x1b[" not in shown  # no terminal, no colours
    (line,) = lines(path)
    assert (line["event"], line["service"], line["level"]) == ("ready", "members", "info")
    assert str(line["timestamp"]).endswith("Z")
    assert path.stat().st_mode & 0o077 == 0


def test_in_a_container_lines_go_to_standard_error_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    start_logging("members", Settings(data=tmp_path, log_files=False, log_format="json"))
    structlog.get_logger("services.members").info("ready")
    assert '"event": "ready"' in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_level_decides_what_is_written(tmp_path: Path) -> None:
    path = started(tmp_path, log_level="warning")
    log = structlog.get_logger("services.test")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(path)] == ["loud"]
