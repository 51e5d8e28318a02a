"""Files that are sent to the API: as the body, or as the part `file` of a form."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest

from core.errors import InvalidInput
from core.unpacking import CHUNK


class BodyCap:
    """For a viewset's max_body_bytes: what a setting says at the moment."""

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def __get__(self, instance: object, owner: type) -> int:
        return int(getattr(settings, self._setting))


def file_chunks(request: HttpRequest, content_type: str, *, any_type: bool = False) -> Iterable[bytes]:
    """Return the file's pieces: of the body as it comes, or of a form's part, which is kept on the disk meanwhile.

    `content_type` is what the body should be sent as; with `any_type` it is also taken as what `curl --data-binary` calls it by default.
    Raises InvalidInput for a form without the part.
    """
    kind = (request.content_type or "").lower()
    if kind == "multipart/form-data":
        if not request._read_started:  # type: ignore[attr-defined]
            request.upload_handlers = [TemporaryFileUploadHandler(request)]
        uploaded = request.FILES.get("file")
        if uploaded is None:
            raise InvalidInput.of("file", f"is missing: send it as the part `file`, or as the body with Content-Type: {content_type}.")
        return uploaded.chunks(CHUNK)
    if kind == "application/x-www-form-urlencoded" and not any_type:
        raise InvalidInput.of("file", f"must be sent with Content-Type: {content_type}, or as a form with multipart/form-data.")
    return iter(lambda: request.read(CHUNK), b"")
