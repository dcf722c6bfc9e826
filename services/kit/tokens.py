"""Compact signed tokens: links in messages, return paths, proofs by a mailed link. They hold ids, never personal data.

Keys lie in one folder, ``<kid>.key`` (32 random bytes, readable by their owner only); the greatest kid signs, every key
there verifies, so a ring is rotated by adding a key and removing the old one when its last link has had its year.
Each use derives its own key from it: a token of one kind never passes for another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
import threading
from binascii import Error as MalformedBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from services.kit.errors import Kind, NotFound
from services.kit.ids import id_bytes, id_from_bytes

PIXEL = -1
UNSUBSCRIBE = -2
PREFERENCES = -3
HIDDEN_LINK = -4  # a link that nobody sees: who follows it is a program
_GREATEST_NUMBER = 32_767

TOKEN_LENGTH = 64
_KEY_BYTES = 32
_GREATEST_KID = 255
_LINK_MAC = 13
_ENDS_IN_A_BLOCK = 11  # what SHAKE-128 gives in one turn: 168 bytes
_END = 2 + _LINK_MAC  # the number and its MAC; 20 characters, behind the 44 of kid, run and member
_HEAD_LETTERS = 44
_RETURN_MAC = 8
_PROOF_MAC = 16
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_RETURN_PREFIX = "b-"
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"
_LETTERS = [bytes((first, second)) for first in _ALPHABET for second in _ALPHABET]  # ten bits at a time
_SHIFTS = range(70, -1, -10)


class TokenInvalid(NotFound):
    """The token is damaged, or none of ours."""

    kind: ClassVar[Kind] = Kind.NOT_FOUND
    reason: ClassVar[str] = "token-invalid"

    def __init__(self) -> None:
        super().__init__("This link is incomplete or not one of ours: open it again from the message.", field="token")


def add_key(folder: Path) -> int:
    """Add a key, which signs from now on; returns its kid."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kid = 1 + max(_kids(folder), default=0)
    if kid > _GREATEST_KID:
        raise ValueError(f"{folder} has used up its {_GREATEST_KID} key ids: start a new folder.")
    # Written whole under another name first: who sees <kid>.key sees all of it.
    draft = folder / f".{kid}.{os.urandom(8).hex()}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, folder / f"{kid}.key")
    finally:
        draft.unlink()
    return kid


def _kids(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.key") if path.stem.isdecimal()]


class KeyRing:
    """The keys of a folder; makes the first where there is none, reads again when it meets an unknown kid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._keys: dict[int, bytes] = {}
        self._derived: dict[tuple[int, bytes], bytes] = {}
        if not _kids(folder):
            with suppress(FileExistsError):  # another process was quicker
                add_key(folder)
        self._read()

    @property
    def newest(self) -> int:
        return max(self._keys)

    def key(self, kid: int, use: bytes) -> bytes:
        """The key of one use (at most 16 bytes). Raises TokenInvalid for a kid that is not there."""
        derived = self._derived.get((kid, use))
        if derived is None:
            if kid not in self._keys:
                self._read()
            if kid not in self._keys:
                raise TokenInvalid
            derived = hashlib.blake2b(self._keys[kid], digest_size=32, person=use).digest()
            self._derived[kid, use] = derived
        return derived

    def kids(self) -> list[int]:
        """Every kid, the one that signs first."""
        return sorted(self._keys, reverse=True)

    def _read(self) -> None:
        with self._lock:
            self._keys = {kid: (self._folder / f"{kid}.key").read_bytes() for kid in _kids(self._folder)}


@dataclass(frozen=True, slots=True)
class Link:
    """What a link in a message stands for; ``number`` is its place in the run's links, or one of the names above."""

    run: str
    member: str
    number: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Link numbers whose tokens are made together: the blocks they stand in, and where each ends up in the whole."""

    blocks: tuple[tuple[bytes, bytes, bytes], ...]  # each packed; the high and the low octets of its numbers
    starts: tuple[int, ...]  # of each token's end among the characters

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Numbers:
        places = [_place_of(number) for number in numbers]
        blocks = sorted({block for block, _ in places})
        return cls(
            tuple(_packed_block(block) for block in blocks),
            tuple(
                _HEAD_LETTERS + (blocks.index(block) * _ENDS_IN_A_BLOCK + at) * _END // 3 * 4 for block, at in places
            ),
        )


def _place_of(number: int) -> tuple[int, int]:
    """The block a number stands in, and its place there; the first begins with the lowest of the names above."""
    return divmod(number - HIDDEN_LINK, _ENDS_IN_A_BLOCK)


def _packed_block(block: int) -> tuple[bytes, bytes, bytes]:
    first = block * _ENDS_IN_A_BLOCK + HIDDEN_LINK
    octets = b"".join(struct.pack(">h", min(first + at, _GREATEST_NUMBER)) for at in range(_ENDS_IN_A_BLOCK))
    return struct.pack(">h", block), octets[0::2], octets[1::2]


class RunLinks:
    """Makes the tokens of one run: kid, run, member, number, MAC; 64 characters.

    A keyed stream (SHAKE-128: no length extension) over kid, run, member and block holds the MACs of a block of
    numbers, each where its token's end will stand: a message has many links, and hashing is what they cost.
    """

    def __init__(self, kid: int, key: bytes, run: str) -> None:
        self._key = key
        self._head = bytes((kid,)) + id_bytes(run)

    def make(self, member: str, numbers: Numbers) -> list[bytes]:
        head = self._head + id_bytes(member)
        keyed = self._key + head
        ends = bytearray(head)
        for block, high, low in numbers.blocks:
            of_block = bytearray(hashlib.shake_128(keyed + block).digest(_ENDS_IN_A_BLOCK * _END))
            of_block[0::_END], of_block[1::_END] = high, low
            ends += of_block
        encoded = b2a_base64(ends, newline=False).translate(_URLSAFE)
        letters = encoded[:_HEAD_LETTERS]
        return [letters + encoded[start : start + 20] for start in numbers.starts]


class LinkTokens:
    """Makes and reads the tokens behind ``/l/``, ``/o/``, ``/u/`` and the preferences."""

    _USE = b"link"
    _LAYOUT = struct.Struct(">B16s16sh")

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def of_run(self, run: str) -> RunLinks:
        kid = self._ring.newest
        return RunLinks(kid, self._ring.key(kid, self._USE), run)

    def make(self, run: str, member: str, number: int) -> str:
        return self.of_run(run).make(member, Numbers.of((number,)))[0].decode()

    def read(self, token: str) -> Link:
        """What the token stands for. Raises TokenInvalid."""
        if len(token) != TOKEN_LENGTH:
            raise TokenInvalid
        body, mac = _split(_from_urlsafe(token), _LINK_MAC)
        kid, run, member, number = self._LAYOUT.unpack(body)
        block, at = _place_of(number)
        signed = self._ring.key(kid, self._USE) + body[:-2] + struct.pack(">h", block)
        stream = hashlib.shake_128(signed).digest((at + 1) * _END)
        if not hmac.compare_digest(stream[-_LINK_MAC:], mac):
            raise TokenInvalid
        return Link(id_from_bytes("run", run), id_from_bytes("mbr", member), number)


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """One message of the ledger: its batch, and its place there."""

    batch: str
    place: int


class ReturnPaths:
    """Local parts of return paths (VERP): ``b-`` + base32 of kid and batch, then of place and MAC; 46 octets.

    The MACs of a batch are eight bytes each of one keyed stream, in the order of its places.
    """

    _USE = b"return-path"
    _HEAD = 17  # kid, batch
    _HEAD_LETTERS = 28
    _TAIL = 10  # place, MAC

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def make(self, batch: str, places: Sequence[int]) -> list[bytes]:
        kid = self._ring.newest
        key = self._ring.key(kid, self._USE)
        head = bytes((kid,)) + id_bytes(batch)
        start = b"b-" + base64.b32encode(head).rstrip(b"=").lower()
        macs = _return_macs(key, head, max(places, default=0))
        made = []
        for place in places:
            mac = int.from_bytes(macs[place * _RETURN_MAC : (place + 1) * _RETURN_MAC], "big")
            tail = place << 8 * _RETURN_MAC | mac
            made.append(start + b"".join([_LETTERS[tail >> shift & 0x3FF] for shift in _SHIFTS]))
        return made

    def read(self, local_part: str) -> DeliveryKey:
        """Which message came back. Raises TokenInvalid; whoever forged it suppresses nobody."""
        if not local_part.startswith(_RETURN_PREFIX):
            raise TokenInvalid
        letters = local_part.removeprefix(_RETURN_PREFIX).upper()
        try:
            head = base64.b32decode(letters[: self._HEAD_LETTERS] + "====")
            tail = base64.b32decode(letters[self._HEAD_LETTERS :])
        except ValueError as error:
            raise TokenInvalid from error
        if len(head) != self._HEAD or len(tail) != self._TAIL:
            raise TokenInvalid
        packed, mac = _split(tail, _RETURN_MAC)
        place = int.from_bytes(packed, "big")
        macs = _return_macs(self._ring.key(head[0], self._USE), head, place)
        if not hmac.compare_digest(macs[-_RETURN_MAC:], mac):
            raise TokenInvalid
        return DeliveryKey(id_from_bytes("bat", head[1:]), place)


def _return_macs(key: bytes, head: bytes, last: int) -> bytes:
    """The MACs of the places of a batch, up to the last."""
    return hashlib.shake_128(key + head).digest((last + 1) * _RETURN_MAC)


class ProofTokens:
    """Tokens of a mailed link that proves control of an address: what it is about, and until when it is good."""

    def __init__(self, ring: KeyRing, use: str) -> None:
        self._ring = ring
        self._use = use.encode()

    def make(self, subject: str, until: int) -> str:
        """``subject`` is an id; ``until`` UTC milliseconds."""
        kid = self._ring.newest
        body = bytes((kid,)) + until.to_bytes(6, "big") + subject.encode()
        mac = hashlib.blake2b(body, key=self._ring.key(kid, self._use), digest_size=_PROOF_MAC).digest()
        return base64.urlsafe_b64encode(body + mac).rstrip(b"=").decode()

    def read(self, token: str, now: int) -> str:
        """The subject. Raises TokenInvalid, also when its time is over."""
        body, mac = _split(_from_urlsafe(token), _PROOF_MAC)
        if len(body) < 8:
            raise TokenInvalid
        _check(self._ring.key(body[0], self._use), body, mac)
        if int.from_bytes(body[1:7], "big") < now:
            raise TokenInvalid
        return body[7:].decode()


def _from_urlsafe(token: str) -> bytes:
    try:
        raw = token.encode("ascii")
        signed = a2b_base64(raw.translate(_STANDARD) + b"=" * (-len(raw) % 4), strict_mode=True)
    except (UnicodeEncodeError, MalformedBase64) as error:
        raise TokenInvalid from error
    return signed


def _split(signed: bytes, mac_length: int) -> tuple[bytes, bytes]:
    if len(signed) <= mac_length:
        raise TokenInvalid
    return signed[:-mac_length], signed[-mac_length:]


def _check(key: bytes, body: bytes, mac: bytes) -> None:
    expected = hashlib.blake2b(body, key=key, digest_size=len(mac)).digest()
    if not hmac.compare_digest(expected, mac):
        raise TokenInvalid
