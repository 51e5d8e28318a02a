"""A folder on the portal's own machines, below the one that the operator allows."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage

from core.http.client import Door
from core.http.door import BadAnswer, CallFailed
from integrations.connectors.storage.stores import Shown, Values

_MODE = 0o640


class LocalStore(FileSystemStorage):
    """Django's backend; a file appears whole or not at all, and no link leads out of the root."""

    def __init__(self, root: Path, folder: str) -> None:
        super().__init__(location=root / folder)
        self._root = root

    def put(self, name: str, content: bytes, content_type: str) -> None:
        """Write a file beside its place, and move it there."""
        path = self._inside(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._inside(name)  # again: a folder may have become a link
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _MODE)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def get(self, name: str) -> bytes:
        """Return a file's content."""
        return self._inside(name).read_bytes()

    def delete(self, name: str) -> None:
        """Remove a file."""
        self._inside(name).unlink(missing_ok=True)

    def _inside(self, name: str) -> Path:
        """Return a file's path, which lies below the root also after all links are followed."""
        path = Path(self.path(name))
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise SuspiciousFileOperation
        return path


@contextlib.contextmanager
def opened(config: Values, credentials: Values, door: Door, shown: Shown) -> Iterator[LocalStore]:
    """Open the folder. Raises BadAnswer where the operator allows none, CallFailed where it can't be written."""
    if not settings.STORAGE_LOCAL_ROOT:
        raise BadAnswer(
            "Folders of the portal's machines are not allowed here. Set STORAGE_LOCAL_ROOT to the one that may hold them, or use a bucket.",
            code="not_allowed",
            permanent=True,
        )
    root = Path(os.path.realpath(settings.STORAGE_LOCAL_ROOT))
    if not root.is_dir():
        raise CallFailed(f"STORAGE_LOCAL_ROOT ({root}) is no folder. Make it, and let the portal write there.", code="storage")
    try:
        yield LocalStore(root, config["folder"])
    except SuspiciousFileOperation:
        raise BadAnswer("A link leads out of STORAGE_LOCAL_ROOT. Remove it from the folder.", code="not_allowed", permanent=True) from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise CallFailed(f"The folder can't be used: {why}. Look at its rights and its free space.", code="storage") from None
