"""One command starts all of it: in an order that can be kept, with settings and commands that exist, and confined."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.kit.settings import load
from tests.deploy.written import COMPOSE, DEPLOY, DOCKERFILE, OURS, in_order, is_command, settings_of, variables


def test_the_file_follows_the_specification_of_compose() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = (checker, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    assert is_command(OURS[name]["command"])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    assert OURS[name]["environment"].keys() <= variables()


@pytest.mark.parametrize("name", OURS)
def test_every_value_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [each for each in os.environ if each.startswith("FANFARE_")]:
        monkeypatch.delenv(variable)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    room = OURS[name]["command"][1].removeprefix("services.")
    load(settings_of(room))


def test_every_room_is_called_where_it_listens() -> None:
    for caller in OURS.values():
        for room in ("members", "campaigns", "channels"):
            variable = f"FANFARE_{room.upper()}_ADDRESS"
            host, _, port = caller["environment"][variable].partition(":")
            listens = OURS[room]["environment"][variable]
            assert listens == f"0.0.0.0:{port}"
            assert host == room or caller is OURS[room]
        assert caller["command"][1:] == ["services.gateway", "init"] or "rooms" in caller["networks"]


def test_what_others_wait_for_can_come_true() -> None:
    services = COMPOSE["services"]
    assert list(in_order(services))[:3] == ["mongodb", "kafka", "init"]
    assert "HEALTHCHECK" in DOCKERFILE
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            healthy = services[needed].get("healthcheck", {}).get("test") or needed in OURS
            ends = services[needed].get("restart") == "no"
            assert ends if how["condition"] == "service_completed_successfully" else healthy and not ends, (
                name,
                needed,
            )


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_everything_is_confined(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert not service.get("privileged")
    if name in OURS:
        assert service["read_only"] is True
        assert service["volumes"] == ["data:/var/lib/fanfare"]


def test_only_the_gateway_is_reached_from_outside_and_the_engines_only_by_services() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["gateway"]
    assert COMPOSE["networks"]["engines"]["internal"] and COMPOSE["networks"]["rooms"]["internal"]
    for engine in ("mongodb", "kafka"):
        assert COMPOSE["services"][engine]["networks"] == ["engines"]


def test_a_process_has_time_to_finish_what_is_in_hand() -> None:
    for service in OURS.values():
        assert float(service["environment"]["FANFARE_DRAIN_SECONDS"]) < float(service["stop_grace_period"][:-1])


def test_nothing_that_is_kept_lies_in_a_container() -> None:
    used = {volume.partition(":")[0] for service in COMPOSE["services"].values() for volume in service["volumes"]}
    assert used == COMPOSE["volumes"].keys()
