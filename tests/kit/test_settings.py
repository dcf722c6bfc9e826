"""Settings come from FANFARE_* variables; what is wrong is named with its remedy, and secrets are not repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import Field

from services.kit.clock import DAY, SECOND
from services.kit.errors import Invalid, Unavailable
from services.kit.settings import Settings, load
from services.kit.sockets import PATH_LIMIT, make_private, socket_folder


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("FANFARE_"):
            monkeypatch.delenv(name)


def test_nothing_need_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(Settings)
    assert settings.data == tmp_path / "var"
    assert settings.http == "127.0.0.1:8080"
    assert settings.store_url("members") == f"sqlite:///{tmp_path}/var/members.sqlite"
    assert settings.log_url == f"sqlite:///{tmp_path}/var/log.sqlite"
    assert settings.address("members") == f"unix:{settings.run_folder}/members.sock"
    assert (settings.log_terms.partitions, settings.log_terms.retention) == (8, 30 * DAY)
    assert (settings.handful, settings.log_terms.lease) == (100, 60 * SECOND)


@pytest.mark.parametrize("url", ["kafka://localhost:9092", "kafka://one:9092,two:9092/fanfare"])
def test_kafka_may_hold_the_log(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("FANFARE_LOG", url)
    assert load(Settings).log_url == url


def test_what_is_set_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "DATA": str(tmp_path / "elsewhere"),
        "STORE": "sqlite:////srv/documents",
        "LOG": "sqlite:////srv/log.sqlite",
        "MEMBERS_ADDRESS": "10.0.0.1:7001",
        "LEASE_SECONDS": "5",
        "LOG_LEVEL": "debug",
    }.items():
        monkeypatch.setenv(f"FANFARE_{name}", value)
    settings = load(Settings)
    assert settings.data == tmp_path / "elsewhere"
    assert settings.store_url("campaigns") == "sqlite:////srv/documents/campaigns.sqlite"
    assert settings.log_url == "sqlite:////srv/log.sqlite"
    assert settings.address("members") == "10.0.0.1:7001"
    assert settings.address("channels").startswith("unix:")
    assert settings.log_terms.lease == 5 * SECOND
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    ("store", "database"),
    [
        ("mongodb://db:27017", "mongodb://db:27017/fanfare_members"),
        ("mongodb://db1,db2/?replicaSet=rs0", "mongodb://db1,db2/fanfare_members?replicaSet=rs0"),
        ("mongodb://db/acme?tls=true", "mongodb://db/acme_members?tls=true"),
        ("mongodb://ann:pw@db", "mongodb://ann:pw@db/fanfare_members?authSource=admin"),
        ("mongodb://ann:pw@db/acme", "mongodb://ann:pw@db/acme_members?authSource=acme"),
        ("mongodb://ann:pw@db/acme?authSource=all", "mongodb://ann:pw@db/acme_members?authSource=all"),
    ],
)
def test_each_service_has_a_database_of_its_own_and_signs_in_where_the_address_says(
    monkeypatch: pytest.MonkeyPatch, store: str, database: str
) -> None:
    monkeypatch.setenv("FANFARE_STORE", store)
    assert load(Settings).store_url("members") == database


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("FANFARE_HTTP", "8080", "as host:port, such as 127.0.0.1:8080"),
        ("FANFARE_HTTP", "localhost:99999", "as host:port"),
        ("FANFARE_HANDFUL", "many", "1 to 200"),
        ("FANFARE_LEASE_SECONDS", "0", "2 to 3600"),
        ("FANFARE_LOG_FORMAT", "xml", "json for machines"),
        ("FANFARE_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("FANFARE_STORE", "postgres://ada:secret@db/fanfare", "mongodb://host:port"),
        ("FANFARE_LOG", "kafka://secret@broker", "sqlite:///<path of a file>"),
        ("FANFARE_LOG", "kafka://secret:word@broker:9092", "kafka://<host>:<port>"),
        ("FANFARE_LOG", "redis://localhost:6379", "kafka://<host>:<port>"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(Invalid) as refused:
        load(Settings)
    assert refused.value.field == variable
    assert variable in refused.value.message
    assert remedy in refused.value.message
    assert "secret" not in refused.value.message


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANFARE_HTTP", "nowhere")
    monkeypatch.setenv("FANFARE_HANDFUL", "0")
    with pytest.raises(Invalid, match=r"FANFARE_HTTP.*FANFARE_HANDFUL"):
        load(Settings)


def test_a_room_adds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class RoomSettings(Settings):
        connections: int = Field(default=16, ge=1, description="How many connections a sender keeps, from 1.")

    assert load(RoomSettings).connections == 16
    monkeypatch.setenv("FANFARE_CONNECTIONS", "none")
    with pytest.raises(Invalid, match=r"FANFARE_CONNECTIONS.*from 1"):
        load(RoomSettings)


def test_sockets_of_a_deep_data_folder_lie_in_a_short_private_one(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "run"
    short = socket_folder(deep, 24)
    assert short != deep
    assert short == socket_folder(deep, 24)
    assert short != socket_folder(deep.parent / "other", 24)
    assert len(str(short / "campaigns.sock")) <= PATH_LIMIT
    assert socket_folder(Path("/srv/run"), 24) == Path("/srv/run")


def test_a_private_folder_is_closed_to_others_and_never_somebody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    assert make_private(folder).stat().st_mode & 0o077 == 0
    if os.getuid() == 0:
        os.chown(folder, 12_345, 12_345)
        with pytest.raises(Unavailable, match="belongs to another user"):
            make_private(folder)
