"""Tokens are short, hold no personal data, and nobody else can make one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import SystemClock
from services.kit.ids import Ids
from services.kit.tokens import (
    PIXEL,
    DeliveryKey,
    KeyRing,
    Link,
    LinkTokens,
    Numbers,
    ProofTokens,
    ReturnPaths,
    TokenInvalid,
    add_key,
)

IDS = Ids(SystemClock())
RUN, MEMBER, BATCH = IDS.new("run"), IDS.new("mbr"), IDS.new("bat")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("links"))


@given(st.lists(st.integers(-4, 32_767), min_size=1, max_size=12, unique=True))
def test_a_link_reads_back_in_64_characters(ring: KeyRing, numbers: list[int]) -> None:
    tokens = LinkTokens(ring)
    made = tokens.of_run(RUN).make(MEMBER, Numbers.of(numbers))
    for token, number in zip(made, numbers, strict=True):
        assert len(token) == 64
        assert tokens.read(token.decode()) == Link(RUN, MEMBER, number)
        assert tokens.make(RUN, MEMBER, number) == token.decode()


@given(st.integers(0, 63), st.sampled_from("Aa0-_z"))
def test_a_link_changed_in_any_place_is_refused(ring: KeyRing, place: int, letter: str) -> None:
    tokens = LinkTokens(ring)
    token = tokens.make(RUN, MEMBER, 3)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenInvalid):
            tokens.read(changed)


@given(st.text(max_size=80))
def test_nonsense_is_refused_and_nothing_breaks(ring: KeyRing, text: str) -> None:
    for read in (LinkTokens(ring).read, ReturnPaths(ring).read, lambda said: ProofTokens(ring, "sender").read(said, 0)):
        with pytest.raises(TokenInvalid):
            read(text)


@given(st.integers(0, 65_535))
def test_a_return_path_fits_64_octets_and_reads_back_in_any_case(ring: KeyRing, place: int) -> None:
    paths = ReturnPaths(ring)
    (made,) = paths.make(BATCH, [place])
    assert len(made) <= 64 and made.startswith(b"b-") and made == made.lower()
    assert paths.read(made.decode()) == paths.read("b-" + made.decode()[2:].upper()) == DeliveryKey(BATCH, place)
    with pytest.raises(TokenInvalid):
        paths.read(made.decode()[:-1] + ("a" if made[-1:] != b"a" else "b"))


def test_a_proof_is_good_until_its_time_and_for_its_use_alone(ring: KeyRing) -> None:
    proofs = ProofTokens(ring, "sender-proof")
    token = proofs.make("acc_1:abc", until=1_000)
    assert proofs.read(token, now=1_000) == "acc_1:abc"
    with pytest.raises(TokenInvalid):
        proofs.read(token, now=1_001)
    with pytest.raises(TokenInvalid):
        ProofTokens(ring, "something-else").read(token, now=0)


def test_rotation_signs_with_the_new_key_and_still_reads_the_old_ones(tmp_path: Path) -> None:
    gateway, channels = LinkTokens(KeyRing(tmp_path)), LinkTokens(KeyRing(tmp_path))
    old = channels.make(RUN, MEMBER, PIXEL)
    assert add_key(tmp_path) == 2
    new = LinkTokens(KeyRing(tmp_path)).make(RUN, MEMBER, PIXEL)
    assert old != new
    assert gateway.read(old) == gateway.read(new) == Link(RUN, MEMBER, PIXEL), "a new key is found when it is met"
    (tmp_path / "1.key").unlink()
    with pytest.raises(TokenInvalid):
        LinkTokens(KeyRing(tmp_path)).read(old)


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    KeyRing(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys" / "1.key").stat().st_mode) == 0o600
