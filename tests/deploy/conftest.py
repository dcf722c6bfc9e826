"""The manifests as kustomize builds them, once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.written import DEPLOY

Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """An installation's own overlay, outside the project, with its engines' addresses."""
    overlay = _copied(tmp_path_factory.mktemp("kubernetes"))
    (overlay / "engines.env.example").rename(overlay / "engines.env")
    return list(yaml.safe_load_all(_built(overlay).stdout))


@pytest.fixture
def without_engines(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return _built(_copied(tmp_path), check=False)


def _copied(folder: Path) -> Path:
    return Path(
        shutil.copytree(DEPLOY / "k8s", folder / "k8s", ignore=shutil.ignore_patterns("engines.env")) / "overlay"
    )


def _built(overlay: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    for tool, *command in (("kustomize", "build"), ("kubectl", "kustomize")):
        if shutil.which(tool):
            return subprocess.run((tool, *command, overlay), capture_output=True, text=True, check=check)
    pytest.skip("neither kustomize nor kubectl is installed")
