"""What object stores say when they refuse: XML of S3 and Azure, JSON of Google."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from core.http.door import BadAnswer, SignInFailed

# what the libraries raise on answers that their services never give
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,1000})</Message>")
_SIGN_IN = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
})  # fmt: skip
_MEND = {
    "NoSuchBucket": "Make the bucket, or correct its name",
    "ContainerNotFound": "Make the container, or correct its name",
    "AccessDenied": "Give the key the right to write, read and delete below the folder",
    "AuthorizationPermissionMismatch": "Give the key the right to write, read and delete",
    "AuthorizationHeaderMalformed": "Correct the region",
    "PermanentRedirect": "Correct the region or the address",
    "RequestTimeTooSkewed": "Set the clock of this machine",
}


def explained(error: BadAnswer, title: str, shown: Callable[[str], str]) -> BadAnswer | SignInFailed:
    """Return a refusal with the store's own reason, and what mends it."""
    code, reason = reason_in(error.body)
    if not code and not reason:
        return error
    said = ": ".join(shown(part) for part in (code, reason.rstrip(".")) if part)
    if code in _SIGN_IN:
        return SignInFailed(f"{title} refused the credentials ({said}). Check that they are right and not expired.")
    mend = _MEND.get(code, "Check bucket, address, region and rights")
    return BadAnswer(
        f"{title} answered {error.status_code} ({said}). {mend}.",
        status_code=error.status_code, body=error.body, headers=error.headers, code=error.code, permanent=error.permanent,
        retry_after=error.retry_after,
    )  # fmt: skip


def reason_in(body: bytes) -> tuple[str, str]:
    """Return code and message of an error, "" where there are none."""
    text = body.decode("utf-8", "replace")
    code, message = _CODE.search(text), _MESSAGE.search(text)
    if code or message:
        return (code[1] if code else "", " ".join(message[1].split()) if message else "")
    try:
        found = json.loads(text)["error"]
        return ("", str(found["message"])[:500])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
