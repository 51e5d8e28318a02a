"""A service that answers as it is told, on a real socket of this machine, and a door to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from core.http.client import Door
from core.http.door import Auth, Outgoing, Terms

Answer = bytes | Callable[[socket.socket, bytes], None]


def http(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """Return an answer as it goes over the wire; `x_y="z"` is the header X-Y."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if status == 304 else body)


@dataclass
class Service:
    """The stub: give it answers in turn (the last one for ever), and look at what it was asked."""

    answers: list[Answer] = field(default_factory=lambda: [http()])
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def says(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def next(self, request: bytes) -> Answer:
        with self.lock:
            self.requests.append(request)
            return self.answers[min(len(self.requests), len(self.answers)) - 1]


def read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    want = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < want:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Service]:
    """Listen on 127.0.0.1 for as long as the block runs."""
    service = Service(scheme="https" if context else "http")
    listener = socket.create_server(("127.0.0.1", 0))
    service.port = listener.getsockname()[1]
    open_sockets: list[socket.socket] = []
    stopping = threading.Event()

    def talk(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(context.wrap_socket(sock, server_side=True) if context else sock) as peer:
            while request := read_request(peer):
                answer = service.next(request)
                if callable(answer):
                    answer(peer, request)
                    return
                peer.sendall(answer)
                if b"connection: close" in answer.lower():
                    return

    def accept() -> None:
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            service.connections += 1
            open_sockets.append(sock)
            threading.Thread(target=talk, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        stopping.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in open_sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        thread.join(5)


class Token:
    """Credentials of a test: a bearer token that can be renewed."""

    def __init__(self, *tokens: str, header: str = "Authorization", prefix: str = "Bearer ") -> None:
        self.tokens = list(tokens)
        self.header, self.prefix = header, prefix
        self.refusals = 0

    def apply(self, request: Outgoing) -> None:
        request.headers[self.header] = f"{self.prefix}{self.tokens[0]}"

    def fingerprint(self) -> str:
        return f"token {self.tokens[0]}"

    def refused(self) -> bool:
        self.refusals += 1
        if len(self.tokens) > 1:
            self.tokens.pop(0)
            return True
        return False

    def secrets(self) -> list[str]:
        return list(self.tokens)


def door(auth: Auth | None = None, **terms: object) -> Door:
    """Return a door with short times that never sleeps, unless `terms` say otherwise."""
    defaults = {
        "integration_id": uuid.UUID(int=7),
        "name": "Tracker",
        "timeout": 5.0,
        "connect_timeout": 2.0,
        "attempts": 1,
        "longest_wait": 0.0,
    }
    return Door(Terms(**{**defaults, **terms}), auth)  # type: ignore[arg-type]
