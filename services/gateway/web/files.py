"""``POST /v1/files``: a list on its way in, streamed to members; ``GET /v1/exports``: members on their way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Blueprint, Response, request

from fanfare.members.v1 import import_service_pb2, privacy_service_pb2
from services.gateway.access.audit import DONE
from services.gateway.asking import Desk
from services.gateway.schema.scalars import Json
from services.gateway.web.doors import asked_by, metadata_for, refused, told
from services.gateway.web.graph import trace_of
from services.kit.errors import FanfareError, Invalid

PIECE = 512 * 1024
PATIENCE_SECONDS = 900.0
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/x-ndjson"}


class FileInvalid(Invalid):
    reason = "file-invalid"


class FileTooLarge(Invalid):
    reason = "file-too-large"


def file_doors(desk: Desk, most_bytes: int) -> Blueprint:
    """The doors."""
    doors = Blueprint("files", __name__)

    @doors.post("/v1/files")
    def take_file() -> Response:
        viewer = asked_by(desk)
        community = request.args.get("community", "")
        if not community:
            raise FileInvalid("Say which community the list is for: /v1/files?community=…&name=…", field="community")
        viewer.require("members.write", community)
        if request.mimetype in _FORM_TYPES:
            raise FileInvalid("Send the file itself as the body, not a form: Content-Type: text/csv.")
        if (request.content_length or 0) > most_bytes:
            raise FileTooLarge(f"A file has at most {most_bytes} bytes: split it.")
        upload = _Upload(request.stream, community, request.args.get("name", "")[:200] or "list", most_bytes)
        metadata = metadata_for(desk, viewer, viewer.grants)
        try:
            answer = desk.rooms.stream("ImportService.UploadFile", upload.pieces(), metadata, PATIENCE_SECONDS)
        except FanfareError:
            if upload.too_large:
                raise FileTooLarge(f"A file has at most {most_bytes} bytes: split it.") from None
            raise
        desk.audit.record(viewer.agency, viewer.actor, "uploadFile", [community, answer.file], DONE, trace_of(request))
        return told({"file": answer.file, "size": answer.size}, 201)

    @doors.get("/v1/exports")
    def give_export() -> Response:
        viewer = asked_by(desk)
        community, written = request.args.get("community", ""), request.args.get("format", "csv")
        if not community:
            raise FileInvalid("Say which community: /v1/exports?community=…&format=csv", field="community")
        if written not in _FORMATS:
            raise FileInvalid("A format is csv or json.", field="format")
        viewer.require("members.write", community)
        asked = privacy_service_pb2.ExportMembersRequest(
            community=community,
            rule=Json.parse_value(request.args.get("rule", "")) if request.args.get("rule") else "",
            format=written,
            with_sensitive=request.args.get("sensitive") == "yes",
        )
        pieces = desk.rooms.answers(
            "PrivacyService.ExportMembers", asked, metadata_for(desk, viewer, viewer.grants), PATIENCE_SECONDS
        )
        first = next(pieces, None)  # what is wrong shows before anything is sent
        response = Response(_contents(first, pieces), mimetype=_FORMATS[written].partition(";")[0])
        response.headers["Content-Type"] = _FORMATS[written]
        response.headers["Content-Disposition"] = f'attachment; filename="members.{written}"'
        response.headers["Cache-Control"] = "no-store"
        desk.audit.record(viewer.agency, viewer.actor, "exportMembers", [community], DONE, trace_of(request))
        return response

    doors.register_error_handler(FanfareError, refused)
    return doors


class _Upload:
    """The pieces of a body, for a call that takes them in a thread of its own."""

    def __init__(self, body: IO[bytes], community: str, name: str, most_bytes: int) -> None:
        self._body = body
        self._community = community
        self._name = name
        self._most = most_bytes
        self.too_large = False

    def pieces(self) -> Iterator[import_service_pb2.UploadFileRequest]:
        piece, sent = self._body.read(PIECE), 0
        yield import_service_pb2.UploadFileRequest(community=self._community, file_name=self._name, data=piece)
        while piece:
            sent += len(piece)
            if sent > self._most:
                self.too_large = True
                raise FileTooLarge(f"A file has at most {self._most} bytes: split it.")  # ends the call
            piece = self._body.read(PIECE)
            if piece:
                yield import_service_pb2.UploadFileRequest(data=piece)


def _contents(
    first: privacy_service_pb2.ExportMembersResponse | None,
    pieces: Iterator[privacy_service_pb2.ExportMembersResponse],
) -> Iterator[bytes]:
    if first is not None:
        yield first.content
    for piece in pieces:
        yield piece.content
