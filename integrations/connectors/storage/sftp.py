"""SFTP, by paramiko over a line of the door: the server must show the pinned key, and no agent or file of this machine is asked."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import posixpath
import socket
from collections.abc import Iterator
from typing import Any

import paramiko
from storages.backends.sftpstorage import SFTPStorage

from core.http.client import Door
from core.http.door import BadAnswer, CallFailed, SignInFailed
from core.http.lines import Line, line
from integrations.connectors.storage.fields import host_key_parts
from integrations.connectors.storage.stores import Shown, Values

_PART = ".part"
_MOST_READ = 65_536  # what is read back is the small object of a check
_KEYS: tuple[type[Any], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class LineSftp(SFTPStorage):
    """django-storages' backend over one guarded line; a file appears whole or not at all."""

    def __init__(self, made: Line, config: Values, credentials: Values) -> None:
        super().__init__(
            host=config["host"], params={}, interactive=False, file_mode=None, dir_mode=None, uid=None, gid=None, known_host_file=None,
            root_path=config.get("sftp_folder", ""), base_url=None,
        )  # fmt: skip
        self._line, self._config, self._credentials = made, config, credentials

    def _connect(self) -> None:
        config, left = self._config, self._line.remaining()
        client = self._ssh = paramiko.SSHClient()
        name = config["host"] if config["port"] == 22 else f"[{config['host']}]:{config['port']}"
        client.get_host_keys().add(name, *host_key(*host_key_parts(config["host_key"])))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            config["host"], port=config["port"], username=config["username"], password=self._credentials.get("password"),
            pkey=private_key(self._credentials), sock=self._line.open_ending(), allow_agent=False, look_for_keys=False,
            timeout=left, banner_timeout=left, auth_timeout=left, channel_timeout=left,
        )  # fmt: skip
        self._line.is_up()
        self._sftp = client.open_sftp()

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file: beside its place, and then moved there."""
        path = self._remote_path(name)
        sftp = self._ready()
        folder = posixpath.dirname(path)
        if folder and not self._path_exists(folder):
            with contextlib.suppress(OSError):  # another worker may be making it
                self._mkdir(folder)
        sftp.putfo(io.BytesIO(content), path + _PART, file_size=len(content))
        try:
            sftp.posix_rename(path + _PART, path)
        except OSError:  # a server without that extension
            with contextlib.suppress(OSError):
                sftp.remove(path)
            sftp.rename(path + _PART, path)

    def get(self, name: str) -> bytes:
        """Return a file's content."""
        with self._ready().open(self._remote_path(name), "rb") as file:
            return bytes(file.read(_MOST_READ))

    def delete(self, name: str) -> None:
        """Remove a file."""
        self._ready().remove(self._remote_path(name))

    def _ready(self) -> paramiko.SFTPClient:
        """Return the connection, which waits for no answer longer than there is time."""
        sftp: paramiko.SFTPClient = self.sftp
        if (channel := sftp.get_channel()) is not None:
            channel.settimeout(self._line.remaining())
        return sftp


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[LineSftp]:
    """Open the folder. Raises OutboundError."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what it logs is raised as well
    with line(door, "sftp", config["host"], int(config["port"])) as made:
        store = LineSftp(made, config, credentials)
        try:
            yield store
        except paramiko.BadHostKeyException:
            raise SignInFailed(
                f"{made.host} shows another host key than the pinned one, so nothing was sent. Ask its operator, and correct the key if it "
                "was changed."
            ) from None
        except paramiko.AuthenticationException as error:
            raise SignInFailed(f"{made.host} refused the sign-in ({shown(str(error))}). Check user and key or password.") from None
        except (paramiko.SSHException, EOFError) as error:
            made.remaining()  # where none is left, that is why
            raise _broken(error, made, shown) from None
        except OSError as error:
            made.remaining()
            if made.wire.ready is None or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
                raise
            raise _refused(error, made, shown) from None
        finally:
            with contextlib.suppress(Exception):  # whatever closing says: what was asked for is done or refused by now
                store.close()


def host_key(kind: str, encoded: str) -> tuple[str, paramiko.PKey]:
    """Return the kind of a public key, and the key. Raises BadAnswer for one that can't be read."""
    try:
        return kind, paramiko.PKey.from_type_string(kind, base64.b64decode(encoded, validate=True))
    except (paramiko.SSHException, ValueError, IndexError):
        raise BadAnswer("The host key can't be read. Paste the line that ssh-keyscan prints.", permanent=True) from None


def private_key(credentials: Values) -> paramiko.PKey | None:
    """Return the private key of the credentials, None where there is a password. Raises SignInFailed."""
    text = credentials.get("private_key", "")
    if not text:
        return None
    for kind in _KEYS:
        with contextlib.suppress(paramiko.SSHException, ValueError, TypeError, IndexError):
            found: paramiko.PKey = kind.from_private_key(io.StringIO(text), password=credentials.get("passphrase") or None)
            return found
    raise SignInFailed(
        "The private key can't be read. Paste the whole file, and its passphrase where it has one; Ed25519, ECDSA and RSA work."
    )


def _broken(error: Exception, made: Line, shown: Shown) -> CallFailed:
    said = shown(str(error)) or type(error).__name__
    return CallFailed(f"The SSH connection to {made.host} failed ({said}). Check that an SFTP server listens there.", code="protocol")


def _refused(error: OSError, made: Line, shown: Shown) -> BadAnswer:
    said = shown(str(error.strerror or error)) or type(error).__name__
    return BadAnswer(f"{made.host} refused to store the file ({said}). Check the folder, its rights and the free space.", code="refused")
