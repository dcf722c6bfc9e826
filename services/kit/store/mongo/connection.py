"""How the store reaches MongoDB, and what its troubles are called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.codec_options import CodecOptions, TypeDecoder, TypeRegistry
from bson.errors import InvalidDocument
from bson.int64 import Int64
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from services.kit.errors import FanfareError, Invalid, Unavailable
from services.kit.store.mongo.values import too_large

_FINDING_MS = 5_000  # a server, and a connection to it
_ANSWERING_MS = 60_000
_REFUSING = {
    13: "does not allow this user what the store needs: give the user the role readWrite",
    18: "does not accept the user or the password of FANFARE_STORE",
    8000: "does not accept the user or the password of FANFARE_STORE",
    14031: "is full, or its disk is: free some space, and try again",
    112: "was asked to change one document by too many at once: try again",
    50: "took too long to answer: try again",
    262: "took too long to answer: try again",
}
_TOO_LARGE = frozenset((10334, 17419, 17420, 17280))


class _PlainNumbers(TypeDecoder):
    """Whole numbers are read as Python's own."""

    bson_type = Int64

    def transform_bson(self, value: int) -> int:
        return int(value)


def connect(address: str) -> Database[dict[str, Any]]:
    """The database that a mongodb:// URL names. Raises Invalid naming ``FANFARE_STORE``.

    What a write reports done lies in the journal of most servers; reading sees only what lies there.
    """
    try:
        name = parse_uri(address)["database"]
        if not name:
            raise Invalid("FANFARE_STORE names no database: use mongodb://host:port/database.", field="FANFARE_STORE")
        defaults: dict[str, Any] = {
            "serverSelectionTimeoutMS": _FINDING_MS,
            "connectTimeoutMS": _FINDING_MS,
            "socketTimeoutMS": _ANSWERING_MS,
            "waitQueueTimeoutMS": _FINDING_MS,
        }
        client: MongoClient[dict[str, Any]] = MongoClient(address, connect=False, **_unstated(defaults, address))
    except (InvalidURI, ConfigurationError, ValueError):  # their texts may hold the password
        raise Invalid(
            "FANFARE_STORE is no address that MongoDB has: use mongodb://host:port/database.", field="FANFARE_STORE"
        ) from None
    return client.get_database(
        name,
        codec_options=CodecOptions(type_registry=TypeRegistry([_PlainNumbers()])),
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern(w="majority", j=True),
    )


def _unstated(defaults: dict[str, Any], address: str) -> dict[str, Any]:
    """What the address itself says goes before what we would choose."""
    query = address.partition("?")[2].lower()
    return {name: value for name, value in defaults.items() if f"{name.lower()}=" not in query}


@contextmanager
def troubles(database: str) -> Iterator[None]:
    """Name what goes wrong inside, by the field's words."""
    try:
        yield
    except PyMongoError as error:
        raise named(error, database) from error
    except (InvalidDocument, OverflowError) as error:
        raise Invalid("A document holds what MongoDB cannot keep.", field="document") from error


def named(error: PyMongoError, database: str) -> FanfareError | PyMongoError:
    """The error as the port raises it; what is a mistake of ours stays as it is."""
    if isinstance(error, WaitQueueTimeoutError):
        return Unavailable(f"The store {database} is asked too much at once: try again.", field="store")
    if isinstance(error, ConnectionFailure):
        return Unavailable(f"The store {database} does not answer: is MongoDB running?", field="store")
    if isinstance(error, (WriteConcernError, ExecutionTimeout)) or _is_unconfirmed(error):
        return Unavailable(f"The store {database} could not confirm in time: try again.", field="store")
    if isinstance(error, InvalidOperation) and "close" in str(error):
        return Unavailable("The store is closed.", field="store")
    codes = _codes(error)
    if isinstance(error, DocumentTooLarge) or codes & _TOO_LARGE:
        return too_large()
    for code in codes & _REFUSING.keys():
        return Unavailable(f"The store {database} {_REFUSING[code]}.", field="store")
    return error


def _is_unconfirmed(error: PyMongoError) -> bool:
    return isinstance(error, BulkWriteError) and bool(error.details.get("writeConcernErrors"))


def _codes(error: PyMongoError) -> set[int]:
    if isinstance(error, BulkWriteError):
        return {each["code"] for each in error.details.get("writeErrors", ())}
    return {error.code} if isinstance(error, OperationFailure) and error.code else set()
