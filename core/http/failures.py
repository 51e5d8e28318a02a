"""Why a request failed: the error class and a sentence that says what happened and what probably mends it."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import aiohttp  # noqa: TID251 - this is the door
from aiohttp.http_exceptions import HttpProcessingError  # noqa: TID251

from core import redact
from core.http.connector import Marks
from core.http.messages import Failure, OutboundRequest, UnsendableError

Verdict = tuple[Failure, str]

_NOT_FOUND = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5), getattr(socket, "EAI_ADDRFAMILY", -9)}
_CONNECT_ERRORS = {
    errno.ECONNREFUSED: "The connection was refused: nothing listens on {place}. Check that the receiver runs and the port is right.",
    errno.EHOSTUNREACH: "There is no route to {place}. Check the address, and that no firewall lies between.",
    errno.ENETUNREACH: "The network of {place} can't be reached from here. Check the address, and this machine's network.",
    errno.ECONNRESET: "{place} closed the connection at once. Check that the receiver accepts connections from this machine.",
    errno.ETIMEDOUT: "{place} did not accept a connection. Check that the receiver runs and no firewall drops the packets.",
    errno.EMFILE: "This portal has too many open files. Raise the limit (ulimit -n), or lower DELIVERY_SLOTS.",
}
# X509_V_ERR_* of OpenSSL
_CERTIFICATE_ERRORS = {
    9: "The certificate of {host} is not valid yet. Check the receiver's clock and certificate.",
    10: "The certificate of {host} has expired. Renew it.",
    18: "The certificate of {host} is self-signed. Use one from a trusted authority, or add it to this machine's trusted ones.",
    19: "{host} shows a chain that ends in an unknown authority. Add that authority to this machine's trusted ones.",
    20: "The certificate of {host} has an unknown issuer. Send the whole chain, or add the authority to this machine's trusted ones.",
    21: "The certificate of {host} comes without its chain. Configure the receiver to send the intermediate certificates.",
    23: "The certificate of {host} was revoked. Replace it.",
    62: "The certificate is not for {host}. Use the name that the certificate carries, or get one for this name.",
    64: "The certificate is not for the address {host}. Use the name that the certificate carries.",
}


def classify(exc: BaseException, marks: Marks, request: OutboundRequest, host: str, port: int) -> Verdict:
    """Return the error class and sentence for an exception of the client."""
    place = f"{host}:{port}"
    if marks.refused is not None and marks.ready is None:
        return Failure.ADDRESS_REFUSED, f"{host}: {marks.refused.message}" if not marks.literal else marks.refused.message
    if isinstance(exc, asyncio.TimeoutError):
        return _timeout(marks, request, place, host)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return explain_dns(exc.os_error, host)
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return Failure.TLS, explain_certificate(exc.certificate_error, host)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return explain_connect(exc.os_error, marks, place, host)
    if isinstance(exc, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError):
        return explain_disconnected(marks, host)
    if isinstance(exc, HttpProcessingError):
        return _protocol(exc, host)
    if isinstance(exc, UnicodeError) and marks.dns_start is not None:
        return Failure.DNS, f"The host name {host} can't be looked up: a part of it is too long or empty. Check its spelling."
    if isinstance(exc, UnsendableError):
        return Failure.PROTOCOL, "A header could not be sent: its name or value contains a line break or another forbidden character."
    return Failure.INTERNAL, f"The portal failed to send this request ({type(exc).__name__}); its log has the details."


def _timeout(marks: Marks, request: OutboundRequest, place: str, host: str) -> Verdict:
    if marks.ready is None:
        if not marks.opening:
            return (
                Failure.CONNECT_TIMEOUT,
                "All connections of this portal were busy. It will be tried again; raise DELIVERY_SLOTS if it recurs.",
            )
        if marks.tcp is not None:
            return Failure.TLS, f"{place} accepted the connection, but the TLS handshake did not end in time. Check that it speaks TLS."
        if marks.connect_start is not None or marks.literal or marks.dns_end is not None:
            seconds = f"{min(request.connect_timeout, request.total_timeout):g} s"
            return (
                Failure.CONNECT_TIMEOUT,
                f"{place} did not accept a connection within {seconds}. Check that the receiver runs and no firewall drops the packets.",
            )
        return Failure.DNS, f"The name {host} was not resolved in time. Check the host name and the name server."
    seconds = f"{request.total_timeout:g} s"
    if marks.first_byte is None:
        return (
            Failure.TIMEOUT,
            f"{host} took the request, but did not answer within {seconds}. Answer first (202), and do the work afterwards.",
        )
    return Failure.TIMEOUT, f"{host} began to answer, but did not finish within {seconds}. Send a short answer, and send it at once."


def explain_dns(error: OSError, host: str) -> Verdict:
    """Say why a name could not be looked up."""
    if error.errno in _NOT_FOUND:
        return Failure.DNS, f"The host name {host} was not found. Check its spelling, and that it is known to this machine's name server."
    return Failure.DNS, f"The name server could not be asked about {host}. It will be tried again; check this machine's name server."


def explain_certificate(error: Exception, host: str) -> str:
    """Return the sentence about a certificate that was not accepted."""
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    sentence = _CERTIFICATE_ERRORS.get(code)
    if sentence:
        return sentence.format(host=host)
    reason = getattr(error, "verify_message", "") or type(error).__name__
    return f"The certificate of {host} was not accepted: {redact.text(str(reason))[:200]}."


def explain_connect(error: OSError, marks: Marks, place: str, host: str) -> Verdict:
    """Say why there is no connection, or no TLS over it."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").upper()
        if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
            return Failure.TLS, f"{place} does not speak TLS. Check the port; https:// needs a receiver with a certificate."
        if "VERSION" in reason or "PROTOCOL" in reason:
            return Failure.TLS, f"{place} offers only outdated TLS versions. Enable TLS 1.2 or 1.3 there."
        return Failure.TLS, f"The TLS handshake with {place} failed ({reason.replace('_', ' ').lower() or 'no reason given'})."
    if marks.tcp is not None:
        return Failure.TLS, f"{place} closed the connection during the TLS handshake. Check that it speaks TLS on this port."
    sentence = _CONNECT_ERRORS.get(error.errno or 0)
    if sentence:
        return Failure.CONNECT, sentence.format(place=place, host=host)
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return Failure.CONNECT, f"No connection to {place} ({name}). Check that the receiver runs and can be reached from here."


def explain_disconnected(marks: Marks, host: str) -> Verdict:
    """Say how far a connection got that was closed."""
    if marks.first_byte is None:
        return Failure.DISCONNECTED, f"{host} closed the connection without an answer. Look for a crash or a restart in its log."
    return Failure.DISCONNECTED, f"{host} closed the connection in the middle of its answer. Look for a crash or a proxy limit there."


def _protocol(exc: HttpProcessingError, host: str) -> Verdict:
    message = str(exc.message).lower()
    if "too long" in message or "more than" in message or "too many" in message or "too large" in message:
        return Failure.ANSWER_TOO_LARGE, f"{host} sent more or longer headers than are read. Send fewer: none are needed."
    return Failure.PROTOCOL, f"{host} answered with something that is not HTTP. Check the port and what listens there."
