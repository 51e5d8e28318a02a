"""A real SMTP server on this machine that takes, refuses, or hangs up as a test tells it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


@dataclass
class Sink:
    """What came, and what is answered."""

    rcpt: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    sender: str = ""
    after_data: Callable[[], None] | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    port: int = 0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.sender:
            return self.sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data.startswith("250"):
            self.raw.append(envelope.content)
            parsed: Any = message_from_bytes(envelope.content, policy=policy.default)
            self.mails.append(parsed)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return self.data


class _OnFreePort(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextlib.contextmanager
def smtp(tls: ssl.SSLContext | None = None, password: str = "") -> Iterator[Sink]:
    """Serve; with a context STARTTLS is offered and asked for, with a password a sign-in as `me` is."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"me", password.encode()), handled=False)

    sink = Sink()
    more: dict[str, Any] = {"tls_context": tls, "require_starttls": True} if tls else {}
    if password:
        more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": tls is not None}
    controller = _OnFreePort(sink, hostname="127.0.0.1", port=0, ready_timeout=60, **more)
    controller.start()
    try:
        sink.port = controller.port
        yield sink
    finally:
        controller.stop(no_assert=True)
