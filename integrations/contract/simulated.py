"""Receivers whose platform can be stood in for: realistic samples of what it sends, signed as it signs. They test receivers anywhere.

A folder's samples.json holds {event: {"about": …, "body": …}}, and "form" where the platform sends a form. In the bodies stand marks
for what is new in each request; a text that is nothing but the mark of a number becomes that number:
{{id}} {{id_hex}} {{uuid}} {{commit}} {{parent}} and their _short, {{fingerprint}}; numbers: {{number}} {{unix}} {{unix_ms}} {{began_ms}};
times, of now and of five minutes before: {{time}} {{began}}, as GitLab writes them {{time_gitlab}} {{began_gitlab}}.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from core import signing
from core.errors import InvalidInput, NotAllowed
from integrations.contract.inbound import InboundRequest, Receiver

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
STALE = timedelta(hours=2)
"""Older than any tolerance that a source can have."""
_USER_AGENT = "RepoGuard-Sample/1"
_NUMBERS = ("number", "unix", "unix_ms", "began_ms")
_EVENT = re.compile(r"[\x21-\x7e]{1,100}")


@dataclass(frozen=True)
class Sample:
    """A request as the platform sends it: its word for the event, what it tells of, and its body with marks."""

    event: str
    about: str
    template: str = field(repr=False)
    form: str = ""
    """"": JSON. "fields": a form of the body's fields. "payload": a form whose field `payload` holds the JSON."""

    @property
    def content_type(self) -> str:
        """Return the body's content type."""
        return FORM if self.form else JSON

    def body(self, id: UUID, now: datetime) -> bytes:
        """Return the body of the delivery with this id."""
        text = self.template
        for name, value in _marks(id, now).items():
            if name in _NUMBERS:
                text = text.replace(f'"{{{{{name}}}}}"', value)
            text = text.replace(f"{{{{{name}}}}}", value)
        if self.form == "payload":
            text = urlencode({"payload": text})
        elif self.form:
            text = urlencode(json.loads(text))
        return text.encode()


@dataclass(frozen=True)
class Message:
    """What is about to be signed."""

    event: str
    body: bytes = field(repr=False)
    id: str
    now: datetime

    @property
    def stamp(self) -> int:
        """Return the time in Unix seconds."""
        return int(self.now.timestamp())


@dataclass(frozen=True)
class Signed:
    """What the platform adds to a body: headers, and parameters of the address where the secret stands there."""

    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class SampleRequest:
    """A whole request, ready to be posted."""

    event: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def arrived(self, now: datetime) -> InboundRequest:
        """Return it as a receiver gets it."""
        return InboundRequest({name.lower(): value for name, value in self.headers.items()}, self.body, self.query, now)


class Simulated(Receiver):
    """A receiver that can also make its platform's requests. Its methods are pure."""

    samples: ClassVar[tuple[Sample, ...]] = ()

    @classmethod
    @abstractmethod
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return what the platform sends beside this body: the names of event and delivery, and the proof. Raises InvalidInput."""

    @classmethod
    def sample(cls, event: str) -> Sample:
        """Return the sample of an event; raises InvalidInput, which says which there are."""
        found = next((sample for sample in cls.samples if sample.event == event), None)
        if found is None:
            known = ", ".join(sample.event for sample in cls.samples)
            raise InvalidInput.of("event", f"{ascii(event)[1:-1][:60]} is none of {cls.title}'s samples; there are {known}.")
        return found

    @classmethod
    def request(
        cls, event: str, secret: str, config: Mapping[str, Any], *, id: UUID, now: datetime, body: bytes | None = None
    ) -> SampleRequest:
        """Return a request of an event, signed at `now`: its sample, or `body` to the byte. Raises InvalidInput."""
        sample = cls.sample(event) if body is None else next((one for one in cls.samples if one.event == event), None)
        if not _EVENT.fullmatch(event):
            raise InvalidInput.of("event", "must be 1 to 100 printable ASCII characters without blanks.")
        content = sample.body(id, now) if body is None and sample else body or b""
        signed = cls.sign(Message(event, content, str(id), now), secret, config)
        headers = {"User-Agent": _USER_AGENT, "Content-Type": sample.content_type if sample else JSON, **signed.headers}
        return SampleRequest(event, headers, signed.query, content)

    @classmethod
    def takes(cls, request: SampleRequest, secret: str, config: Mapping[str, Any], now: datetime) -> bool:
        """Say whether a receiver that goes by the rules takes the request at `now`."""
        try:
            cls.verify(request.arrived(now), [secret], config, now)
        except NotAllowed:
            return False
        return True


def read_samples(module: str) -> tuple[Sample, ...]:
    """Return the samples beside a connector's module, in their order."""
    found = json.loads(Path(module).with_name("samples.json").read_bytes())
    return tuple(
        Sample(event, one["about"], json.dumps(one["body"], separators=(",", ":"), ensure_ascii=False), one.get("form", ""))
        for event, one in found.items()
    )


def standard_headers(message: Message, secret: str) -> dict[str, str]:
    """Return the headers of Standard Webhooks; raises InvalidInput for a secret that can't sign."""
    if secret.startswith(signing.PUBLIC_PREFIX):
        raise InvalidInput.of("secret", f"is a public key ({signing.PUBLIC_PREFIX}…), which only verifies; its owner alone can sign.")
    try:
        proof = signing.sign(secret, message.id, message.stamp, message.body)
    except ValueError:
        raise InvalidInput.of("secret", f"must be {signing.PREFIX} and base64, as this scheme has it.") from None
    return {"webhook-id": message.id, "webhook-timestamp": str(message.stamp), "webhook-signature": proof}


def tampered(body: bytes) -> bytes:
    """Return another body of the same kind, as somebody on the way might make it."""
    if body.startswith(b"{"):
        rest = body[1:].lstrip()
        return b'{"tampered":true' + (b"" if rest.startswith(b"}") else b",") + rest
    return body + (b"&tampered=true" if b"=" in body and not body.startswith(b"[") else b" ")


def _marks(id: UUID, now: datetime) -> dict[str, str]:
    now = now.astimezone(UTC)
    began = now - timedelta(minutes=5)
    commit, parent, more = (hashlib.sha256(f"{word} {id}".encode()).hexdigest() for word in ("commit", "parent", "more"))
    iso, gitlab = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC"
    return {
        "id": str(id),
        "id_hex": id.hex,
        "uuid": str(UUID(hex=more[:32], version=4)),
        "commit": commit[:40],
        "commit_short": commit[:12],
        "parent": parent[:40],
        "parent_short": parent[:12],
        "fingerprint": more[:16],
        "number": str(100_000_000 + id.int % 900_000_000),
        "unix": str(int(now.timestamp())),
        "unix_ms": str(int(now.timestamp() * 1000)),
        "began_ms": str(int(began.timestamp() * 1000)),
        "time": now.strftime(iso),
        "began": began.strftime(iso),
        "time_gitlab": now.strftime(gitlab),
        "began_gitlab": began.strftime(gitlab),
    }
