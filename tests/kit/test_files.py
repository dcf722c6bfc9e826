"""Files are whole or absent, lie where their key says and nowhere else, and are seen from their own scope only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.errors import Exhausted, Forbidden, Invalid, NotFound
from services.kit.files import FolderFiles
from services.kit.scope import Scope, everywhere

IN_CLUB = Scope("agc_1", frozenset(("com_club",)), "operator:ann")
IN_AGENCY = Scope("agc_1", None, "operator:ann")
ELSEWHERE = Scope("agc_2", None, "operator:eve")


@pytest.fixture
def files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(tmp_path / "files")


def _read(files: FolderFiles, key: str) -> bytes:
    with files.open(IN_CLUB, "com_club", key) as content:
        return content.read()


def test_a_file_is_kept_under_its_key_and_replaced_as_a_whole(files: FolderFiles) -> None:
    stored = files.write(IN_CLUB, "com_club", "imports/1/rows.csv", [b"a;b\n", b"1;2\n"])
    assert (stored.key, stored.size) == ("imports/1/rows.csv", 8)
    assert _read(files, "imports/1/rows.csv") == b"a;b\n1;2\n"
    files.write(IN_CLUB, "com_club", "imports/1/rows.csv", io.BytesIO(b"new"))
    assert _read(files, "imports/1/rows.csv") == b"new"
    assert files.stat(IN_CLUB, "com_club", "imports/1/rows.csv").size == 3  # type: ignore[union-attr]


def test_a_file_whose_writing_fails_leaves_what_was_there(files: FolderFiles, tmp_path: Path) -> None:
    def torn() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    files.write(IN_CLUB, "com_club", "media/logo.svg", [b"old"])
    with pytest.raises(ConnectionError):
        files.write(IN_CLUB, "com_club", "media/logo.svg", torn())
    with pytest.raises(Exhausted):
        files.write(IN_CLUB, "com_club", "media/logo.svg", [b"x" * 11], most=10)
    assert _read(files, "media/logo.svg") == b"old"
    assert not list((tmp_path / "files" / ".writing").iterdir())


def test_files_are_listed_by_prefix_in_order(files: FolderFiles) -> None:
    for key in ("b/2", "a", "a/1", "b/10", "été/ñ o%=~.txt"):
        files.write(IN_AGENCY, "com_club", key, [b"x"])
    assert sorted(each.key for each in files.list(IN_CLUB, "com_club")) == ["a", "a/1", "b/10", "b/2", "été/ñ o%=~.txt"]
    assert [each.key for each in files.list(IN_CLUB, "com_club", "b/1")] == ["b/10"]
    assert files.delete(IN_CLUB, "com_club", "a/1")
    assert not files.delete(IN_CLUB, "com_club", "a/1")
    assert _read(files, "a") == b"x"


def test_another_scope_sees_and_changes_nothing(files: FolderFiles) -> None:
    files.write(IN_CLUB, "com_club", "secret", [b"x"])
    other_community = Scope("agc_1", frozenset(("com_festival",)), "operator:bob")
    for scope in (ELSEWHERE, other_community):
        assert files.stat(scope, "com_club", "secret") is None
        assert not files.delete(scope, "com_club", "secret")
        assert not list(files.list(scope, "com_club"))
        with pytest.raises(NotFound):
            files.open(scope, "com_club", "secret")
    with pytest.raises(Forbidden):
        files.write(other_community, "com_club", "secret", [b"y"])
    with pytest.raises(Invalid):
        files.stat(everywhere("service:members"), "com_club", "secret")
    files.write(ELSEWHERE, "com_club", "secret", [b"theirs"])
    assert _read(files, "secret") == b"x"


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "_", "x" * 300, "\ud800"])
def test_a_key_that_is_none_is_refused(files: FolderFiles, key: str) -> None:
    with pytest.raises(Invalid) as refused:
        files.write(IN_CLUB, "com_club", key, [b"x"])
    assert refused.value.field == "key"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=20))
def test_any_key_stays_within_its_folder(files: FolderFiles, tmp_path: Path, key: str) -> None:
    try:
        files.write(IN_CLUB, "com_club", key, [key.encode()])
    except Invalid:
        return
    assert _read(files, key) == key.encode()
    assert key in [each.key for each in files.list(IN_CLUB, "com_club")]
    assert all(path.is_relative_to(tmp_path / "files") for path in tmp_path.rglob("*") if path.is_file())
