"""A small SFTP server on this machine, over a folder."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko


class _Signs(paramiko.ServerInterface):
    def __init__(self, password: str, key: paramiko.PKey | None) -> None:
        self._password, self._key = password, key

    def check_auth_password(self, username: str, password: str) -> int:
        good = bool(self._password) and (username, password) == ("me", self._password)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if username == "me" and key == self._key else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"


class _Files(paramiko.SFTPServerInterface):
    root = Path()

    def _at(self, path: str) -> str:
        return str(self.root / path.lstrip("/"))

    def _done(self, call: Any, *args: Any) -> int:
        try:
            call(*args)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._at(path)))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            file = os.fdopen(os.open(self._at(path), flags, 0o644), "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle: Any = paramiko.SFTPHandle(flags)
        handle.filename, handle.readfile, handle.writefile = path, file, file
        handle.stat = lambda: self.stat(path)
        return handle

    def mkdir(self, path: str, attr: Any) -> int:
        return self._done(os.mkdir, self._at(path))

    def remove(self, path: str) -> int:
        return self._done(os.remove, self._at(path))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._done(os.replace, self._at(oldpath), self._at(newpath))


@dataclass
class Server:
    port: int
    host_key: str


@contextlib.contextmanager
def sftp(root: Path, password: str = "", key: paramiko.PKey | None = None) -> Iterator[Server]:
    """Serve a folder to the user `me`."""
    own = paramiko.ECDSAKey.generate()
    files = type("Files", (_Files,), {"root": root})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        made: list[paramiko.Transport] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(own)
                    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
                    made.append(transport)
                    with contextlib.suppress(paramiko.SSHException, EOFError):
                        transport.start_server(server=_Signs(password, key))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Server(listener.getsockname()[1], f"{own.get_name()} {own.get_base64()} of the test")
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for transport in made:
        transport.close()
