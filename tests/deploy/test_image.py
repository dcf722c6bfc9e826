"""One image for every service: small, without root, with what it needs and nothing that is known to be wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.deploy.written import DEPLOY, DOCKERFILE, IMAGE_ENVIRONMENT, is_command, variables

RUN_STAGE = DOCKERFILE[DOCKERFILE.index(" AS run") :]


def test_the_dockerfile_has_nothing_that_its_linter_knows_to_be_wrong() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run((linter, "--no-color", DEPLOY / "Dockerfile"), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_every_variable_of_the_image_is_a_setting() -> None:
    assert IMAGE_ENVIRONMENT
    assert IMAGE_ENVIRONMENT.keys() <= variables()


def test_its_command_and_its_health_exist() -> None:
    commands = [json.loads(said) for said in re.findall(r"CMD (\[.*\])", DOCKERFILE)]
    assert len(commands) == 2
    assert all(is_command(command[1:] if command[0] == "python" else command) for command in commands)


def test_nobody_is_root_and_nothing_is_installed_unchecked() -> None:
    assert re.findall(r"^USER (.*)$", RUN_STAGE, re.MULTILINE) == ["10001:10001"]
    assert all("--require-hashes" in line for line in DOCKERFILE.splitlines() if "pip install" in line)
    assert "apt-get" not in DOCKERFILE


def test_only_what_the_image_copies_is_sent_to_its_build() -> None:
    sent = {line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {said.strip("/") for said in re.findall(r"^COPY ([a-z]\S*) ", DOCKERFILE, re.MULTILINE)}
    assert sent == copied
