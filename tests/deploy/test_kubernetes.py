"""The manifests build, follow their schemas, and say of every pod what this version of Fanfare can do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import product
from typing import Any

import kubernetes_validate
import pytest
from flask import Flask

from services.campaigns import events_in as campaigns
from services.channels import events_in as channels
from services.gateway.web.health_pages import health_pages
from services.kit.health import LOG, STORE, Health
from services.kit.rpc.server import LIVE
from services.members import events_in as members
from tests.deploy.conftest import Manifest
from tests.deploy.written import ROOMS, is_command, variables

VERSIONS = ("1.30", "1.37")
ASKS = {
    "gateway": {"members", "campaigns", "channels"},
    "campaigns": {"members", "channels"},
    "channels": {"members", "campaigns"},
    "members": set(),
    "init": set(),
}
READS = {
    "members-work": {"members": members.TOPICS, "members-receipts": ("channels",)},
    "campaigns-work": {"campaigns": campaigns.TOPICS},
    "channels-work": {"channels": channels.TOPICS},
}


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pods(manifests: list[Manifest]) -> dict[str, Any]:
    return {name: each["spec"]["template"] for name, each in of_kind(manifests, "Deployment", "Job").items()}


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods(manifests).items():
        for container in pod["spec"]["containers"]:
            yield name, container


def chosen(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_follows_its_schema(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        if manifest["kind"] != "ScaledObject":  # KEDA's own: what it says is compared with the code below
            kubernetes_validate.validate(manifest, version, strict=True)


def test_an_overlay_without_its_engines_is_not_built(without_engines: subprocess.CompletedProcess[str]) -> None:
    assert without_engines.returncode != 0
    assert "engines.env" in without_engines.stderr


def test_every_command_exists(manifests: list[Manifest]) -> None:
    for name, container in containers(manifests):
        assert is_command(container["args"]), name


def test_every_room_serves_and_works(manifests: list[Manifest]) -> None:
    expected = {f"{room}{work}" for room, work in product(ROOMS, ("", "-work"))} | {"gateway"}
    assert of_kind(manifests, "Deployment").keys() == expected


def test_every_variable_is_a_setting(manifests: list[Manifest]) -> None:
    for each in of_kind(manifests, "ConfigMap").values():
        assert each["data"].keys() <= variables()
    (secret,) = of_kind(manifests, "Secret").values()
    assert secret["data"].keys() == {"FANFARE_STORE", "FANFARE_LOG"}
    for name, container in containers(manifests):
        assert {each["name"] for each in container.get("env", ())} <= variables(), name


def test_every_process_is_probed_by_a_door_that_it_has(manifests: list[Manifest]) -> None:
    health = Health({STORE: lambda: None, LOG: lambda: None})
    for name, container in containers(manifests):
        ports = {each["name"]: each["containerPort"] for each in container.get("ports", ())}
        probes = [
            container[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe") if probe in container
        ]
        assert len(probes) == (0 if name == "init" else 3), name
        for probe in probes:
            if "grpc" in probe:
                assert probe["grpc"]["port"] == ports["grpc"]
                assert probe["grpc"].get("service", "") in {"", LIVE, *health.needs}
            elif "httpGet" in probe:
                assert probe["httpGet"]["port"] in ports
                assert _answers(health, probe["httpGet"]["path"])
            else:
                assert is_command(probe["exec"]["command"][1:])
                assert not ports


def test_liveness_never_asks_for_the_engines(manifests: list[Manifest]) -> None:
    for name, container in containers(manifests):
        if probe := container.get("livenessProbe"):
            asked = (
                probe.get("grpc", {}).get("service")
                or probe.get("httpGet", {}).get("path")
                or probe["exec"]["command"][-1]
            )
            assert asked in (LIVE, "/livez"), name


def test_every_pod_is_confined(manifests: list[Manifest]) -> None:
    (namespace,) = of_kind(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(manifests).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10_001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"].keys() == {"requests", "limits"}
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/fanfare", "/tmp"}


def test_a_process_has_time_to_be_forgotten_and_to_finish(manifests: list[Manifest]) -> None:
    (config,) = of_kind(manifests, "ConfigMap").values()
    for deployment in of_kind(manifests, "Deployment").values():
        spec = deployment["spec"]["template"]["spec"]
        pause = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pause + float(config["data"]["FANFARE_DRAIN_SECONDS"]) < spec["terminationGracePeriodSeconds"]


def test_services_and_budgets_choose_exactly_one_deployment_each(manifests: list[Manifest]) -> None:
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"] for name, each in of_kind(manifests, "Deployment").items()
    }
    for name, budget in of_kind(manifests, "PodDisruptionBudget").items():
        assert [one for one in labels if chosen(budget["spec"]["selector"], labels[one])] == [name]
    assert of_kind(manifests, "PodDisruptionBudget").keys() == labels.keys()
    for name, service in of_kind(manifests, "Service").items():
        assert [one for one in labels if chosen({"matchLabels": service["spec"]["selector"]}, labels[one])] == [name]


def test_each_may_speak_to_whom_it_asks_and_to_nobody_else(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    nobody = policies.pop("nobody-to-anybody")["spec"]
    assert (nobody["podSelector"], sorted(nobody["policyTypes"])) == ({}, ["Egress", "Ingress"])
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    ports = {name: each["spec"]["ports"][0]["port"] for name, each in of_kind(manifests, "Service").items()}
    for asker, asked in product(labels, ROOMS):
        allowed = _lets(policies, "egress", labels[asker], labels[asked], ports[asked]) and _lets(
            policies, "ingress", labels[asked], labels[asker], ports[asked]
        )
        assert allowed == (asked in ASKS[asker.removesuffix("-work")]), (asker, asked)
        assert not _lets(policies, "ingress", labels[f"{asked}-work"], labels[asker], ports[asked])


def test_scaling_looks_at_what_the_workers_read(manifests: list[Manifest]) -> None:
    scaled = of_kind(manifests, "ScaledObject")
    assert scaled.keys() == READS.keys()
    for name, each in scaled.items():
        triggers = [one["metadata"] for one in each["spec"]["triggers"] if one["type"] == "kafka"]
        looked_at = {(one["consumerGroup"], one["topic"]) for one in triggers}
        assert looked_at == {
            (f"fanfare.{group}", f"fanfare.{topic}") for group, topics in READS[name].items() for topic in topics
        }
        assert each["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind(manifests, "Deployment")[name]["spec"]


def _answers(health: Health, path: str) -> bool:
    app = Flask(__name__)
    app.register_blueprint(health_pages(health))
    return bool(app.test_client().get(path).status_code != 404)


def _lets(policies: dict[str, Manifest], way: str, of: dict[str, str], other: dict[str, str], port: int) -> bool:
    end = {"egress": "to", "ingress": "from"}[way]
    return any(
        port in [one["port"] for one in rule["ports"]]
        and any(chosen(peer["podSelector"], other) for peer in rule.get(end, ()) if "podSelector" in peer)
        for policy in policies.values()
        if chosen(policy["spec"]["podSelector"], of)
        for rule in policy["spec"].get(way, ())
    )
