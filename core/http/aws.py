"""The way of AWS's library through the door. Loaded only where it is used: botocore takes a while."""

from __future__ import annotations

import logging
from typing import Any

from botocore.awsrequest import AWSResponse

from core.http.client import Door
from core.http.libraries import raw_of, whole


def through(door: Door, client: Any) -> None:
    """Have a client of boto3 send all its requests through the door; none reaches its own sockets."""
    logging.getLogger("botocore").setLevel(logging.INFO)  # its debug lines show what is signed

    def send(request: Any, **_: Any) -> AWSResponse:
        headers = {str(name): value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
        reply = door.request(request.method, request.url, headers=headers, body=whole(request.body))
        return AWSResponse(request.url, reply.status, dict(reply.headers), raw_of(reply))

    client.meta.events.register("before-send", send)
