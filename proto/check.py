"""Holds the contracts to buf's rules, and to what was last released. Run by `make check`.

buf reads descriptor sets made by protoc, since the contracts import Google's common types, which come from an
installed package and not from a schema registry.
"""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).parent
PACKAGES = sysconfig.get_path("purelib")
BUF = Path(sys.executable).parent / "buf"


def image(folder: Path, target: Path) -> Path:
    """The descriptor set of every contract in the folder."""
    files = [str(path) for path in sorted(folder.rglob("*.proto"))]
    common = str(Path(protoc.__file__).parent / "_proto")
    options = [f"-I{folder}", f"-I{PACKAGES}", f"-I{common}", "--include_imports", "--include_source_info"]
    failed = protoc.main(["protoc", *options, f"--descriptor_set_out={target}", *files])
    if failed:
        sys.exit(failed)
    return target


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=PROTO.parent, check=True, capture_output=True).stdout


def buf(*words: str) -> int:
    return subprocess.run([BUF, *words, "--config", PROTO / "buf.yaml"], cwd=PROTO, check=False).returncode


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        ours = image(PROTO, Path(folder) / "ours.binpb")
        failed = buf("lint", str(ours))
        tags = git("tag", "--list", "v*", "--sort=-v:refname").decode().split()
        if not tags:
            print("proto: no released version yet (no v* tag), so nothing can break")
            return failed
        with tarfile.open(fileobj=io.BytesIO(git("archive", tags[0], "proto"))) as archive:
            archive.extractall(folder, filter="data")
        released = image(Path(folder) / "proto", Path(folder) / "released.binpb")
        return failed or buf("breaking", str(ours), "--against", str(released))


if __name__ == "__main__":
    sys.exit(main())
