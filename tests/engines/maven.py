"""Jars with all they depend on, fetched by Maven once and kept between runs. Maven's own settings say from where."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.engines.at_hand import NotAtHand

_PATIENCE = 300.0
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def java() -> str:
    """The command that runs Java. Raises NotAtHand."""
    found = shutil.which("java")
    if found is None:
        raise NotAtHand("Java is not installed here (on Debian: apt-get install openjdk-17-jdk-headless maven)")
    return found


def cache_folder() -> Path:
    """What the tests keep between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fanfare-tests"


def classpath(*coordinates: str) -> str:
    """For ``java -cp``: the jars of ``group:artifact:version`` and what these need. Raises NotAtHand.

    Several processes may ask at once: one fetches, the others wait for it. A folder of jars is complete or absent.
    """
    kept = cache_folder() / "jars" / _folder_name(coordinates)
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.with_name(f"{kept.name}.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not kept.is_dir():
                _fetch(coordinates, kept)
    return str(kept / "*")


def _folder_name(coordinates: Sequence[str]) -> str:
    _, artifact, version = coordinates[0].split(":")
    return f"{artifact}-{version}-{hashlib.sha256(' '.join(coordinates).encode()).hexdigest()[:12]}"


def _fetch(coordinates: Sequence[str], kept: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NotAtHand("Maven is not installed here (on Debian: apt-get install maven)")
    java()
    said = kept.with_name(f"{kept.name}.log")
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder, said.open("w") as output:
        pom = Path(folder) / "pom.xml"
        pom.write_text(_pom(coordinates))
        jars = Path(folder) / "jars"
        command = [maven, "--batch-mode", "--file", str(pom), _COPY, f"-DoutputDirectory={jars}"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=_PATIENCE
            )
        except subprocess.TimeoutExpired:
            raise NotAtHand(f"Maven did not fetch {coordinates[0]} in {_PATIENCE:.0f} s; see {said}") from None
        if done.returncode != 0 or not any(jars.glob("*.jar")):
            raise NotAtHand(f"Maven could not fetch {coordinates[0]}: is there a network? It says why in {said}")
        jars.rename(kept)


def _pom(coordinates: Sequence[str]) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in (escape(each).split(":") for each in coordinates)
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>fanfare</groupId><artifactId>engines</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )
