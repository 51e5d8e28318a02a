"""Mail by SMTP: Django's backend over a connection that the guard made, and what servers' answers mean."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from core.errors import OutboundError
from core.http.connector import verifying_context
from core.http.door import BadAnswer, SignInFailed
from core.http.lines import Line
from integrations.connectors.email.fields import Security, port_of
from integrations.connectors.email.sent import Refusal, Sent

Shown = Callable[[str], str]


class LineSmtp(smtplib.SMTP):
    """smtplib's client over a guarded line, with one deadline for all that is said."""

    def __init__(self, made: Line, tls: ssl.SSLContext | None, host: str, port: int, **options: Any) -> None:
        self._line = made
        self._tls = tls
        super().__init__(host, port, **options)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        sock: Any = self._line.open()
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_hostname=host)
        self._line.is_up()
        return sock

    def starttls(self, *_: Any, context: ssl.SSLContext | None = None, **__: Any) -> tuple[int, bytes]:
        """Encrypt the connection. Raises SMTPNotSupportedError where the server does not offer it."""
        self.ehlo_or_helo_if_needed()
        self._line.is_up(False)
        reply = super().starttls(context=context)
        self._line.is_up()
        return reply

    def send(self, s: Any) -> None:
        """Send a command or the mail before the deadline."""
        if self.sock:
            self.sock.settimeout(self._line.remaining())
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer before the deadline."""
        if self.file is None and self.sock:
            self.file = self._line.reader(self.sock)
        return super().getreply()


class LineBackend(EmailBackend):
    """Django's backend on one line; `refused` is what became of recipients that the server did not take, while it took others."""

    def __init__(self, made: Line, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        security = Security(config["security"])
        super().__init__(
            host=config["host"],
            port=port_of(config),
            username=config.get("username", ""),
            password=credentials.get("password", ""),
            use_tls=security == Security.STARTTLS,
            use_ssl=False,
            timeout=made.remaining(),
            ssl_keyfile="",
            ssl_certfile="",
        )
        self.tls = security == Security.TLS
        self.refused: dict[str, tuple[int, bytes]] = {}
        self._line = made
        self._context = verifying_context()

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Return the context that verifies, as for any other call."""
        return self._context

    @property
    def connection_class(self) -> Any:
        """Return what makes the client."""
        return partial(LineSmtp, self._line, self._context if self.tls else None)

    @property
    def client(self) -> smtplib.SMTP:
        """Return the client, signed in; open() was called."""
        return cast("smtplib.SMTP", self.connection)

    def close(self) -> None:
        """Say goodbye; the mail is taken or not by now, whatever the server says to that."""
        found: tuple[smtplib.SMTP | None, ...] = (self.connection, getattr(self, "_partial_connection", None))
        for connection in found:
            if connection is not None:
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    connection.quit()
                connection.close()
        self.connection = self._partial_connection = None

    def _send(self, email_message: Any) -> bool:
        recipients = email_message.recipients()
        encoded = email_message.message().as_bytes(linesep="\r\n")
        envelope = _bare(email_message.from_email)
        self.refused = self.client.sendmail(envelope, [_bare(one) for one in recipients], encoded)
        return True


def check(made: Line, config: Mapping[str, Any], credentials: Mapping[str, Any], shown: Shown) -> None:
    """Connect, sign in, and ask for nothing. Raises OutboundError, OSError."""
    backend = LineBackend(made, config, credentials)
    try:
        backend.open()
        code, said = backend.client.noop()
        if code >= 400:
            raise smtplib.SMTPResponseException(code, said)
    except smtplib.SMTPException as error:
        raise explained(error, made, shown) from None
    finally:
        backend.close()


def send(made: Line, config: Mapping[str, Any], credentials: Mapping[str, Any], mail: EmailMultiAlternatives, shown: Shown) -> Sent:
    """Send a mail. Raises OutboundError, OSError."""
    backend = LineBackend(made, config, credentials)
    try:
        backend.send_messages([mail])
    except smtplib.SMTPException as error:
        raise explained(error, made, shown) from None
    finally:
        backend.close()
    refused = {address: Refusal(shown(_said(code, answer)), passing=code < 500) for address, (code, answer) in backend.refused.items()}
    return Sent(refused=refused)


def explained(error: smtplib.SMTPException, made: Line, shown: Shown) -> OutboundError | OSError:
    """Return what an SMTP error means: for good, or to be tried again; what mends it."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        inner = error.__context__
        return made.wire.cause or inner if isinstance(made.wire.cause or inner, OSError) else ConnectionResetError()  # type: ignore[return-value]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _nobody(error, shown)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _unsupported(error, made)
    if not isinstance(error, smtplib.SMTPResponseException):
        return BadAnswer(f"{made.host} answered in a way that is not SMTP. Check the port, and what listens there.")
    code, said = error.smtp_code, shown(_said(error.smtp_code, error.smtp_error))
    if isinstance(error, smtplib.SMTPAuthenticationError) and code >= 500:
        return SignInFailed(f"{made.host} refused the sign-in: {said}. Check user and password; some providers want an app password.")
    if isinstance(error, smtplib.SMTPSenderRefused):
        sentence = f"{made.host} refused the sender: {said}. Use an address that it may send for, and sign in if it asks for that."
    elif isinstance(error, smtplib.SMTPDataError):
        sentence = f"{made.host} refused the mail: {said}."
    else:
        sentence = f"{made.host} answered: {said}. Check the server, the port and the encryption."
    return BadAnswer(sentence, code="mail_refused" if code >= 500 else "mail_deferred", permanent=code >= 500)


def _nobody(error: smtplib.SMTPRecipientsRefused, shown: Shown) -> OutboundError:
    answers = {address: (int(code), answer) for address, (code, answer) in error.recipients.items()}
    named = "; ".join(f"{address} ({shown(_said(code, answer))})" for address, (code, answer) in list(answers.items())[:5])
    passing = any(code < 500 for code, _ in answers.values())
    mend = "It will be tried again" if passing else "Correct the addresses, or let this server send to them"
    return BadAnswer(f"No recipient was taken: {named}. {mend}.", code="recipients_refused", permanent=not passing)


def _unsupported(error: smtplib.SMTPNotSupportedError, made: Line) -> OutboundError:
    if "STARTTLS" in str(error):
        sentence = f"{made.host} offers no STARTTLS. Choose TLS from the start (often port 465), or another port."
    elif "AUTH" in str(error):
        sentence = f"{made.host} takes no sign-in here. Leave user and password empty, or choose its port for senders (often 587)."
    else:
        sentence = f"{made.host} can't take this mail: {error}."
    return BadAnswer(sentence, code="unsupported", permanent=True)


def _said(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"{code} {' '.join(text.split())}".rstrip(" .")


def _bare(address: str) -> str:
    """Return an address without its name, its domain as SMTP takes it."""
    bare = address.rpartition("<")[2].rstrip(">") if "<" in address else address
    local, _, domain = bare.rpartition("@")
    return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode('ascii')}"
