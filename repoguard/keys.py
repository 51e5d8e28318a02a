"""The keys of a local installation: made once by `make run`, kept in `<data dir>/keys.env`, readable by its owner only."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "keys.env"
NAMES = ("SECRET_KEY", "FERNET_KEYS")


def read(data_dir: Path) -> dict[str, str]:
    """Return the generated keys, or nothing where none were made."""
    try:
        text = (data_dir / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def create_missing(data_dir: Path) -> bool:
    """Write the key file where there is none; return whether it was written.

    The file is created whole under another name and linked into place, so that two starts at once agree on one set of keys
    and a kill leaves no half a file.
    """
    path = data_dir / FILE_NAME
    if path.exists():
        return False
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = data_dir / f".{FILE_NAME}.{secrets.token_hex(8)}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write("# Made by RepoGuard. Losing FERNET_KEYS makes every stored credential unreadable: back this file up.\n")
        stream.write(f"SECRET_KEY={secrets.token_urlsafe(50)}\n")
        stream.write(f"FERNET_KEYS={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def ensure(data_dir: Path, given: Mapping[str, str]) -> bool:
    """Make keys for a local installation that was given none; return whether they were made.

    In production keys are given, never made: a second machine that made its own could not read the first one's secrets.
    """
    if given.get("REPOGUARD_MODE", "local") != "local" or all(_is_given(name, given) for name in NAMES):
        return False
    return create_missing(data_dir)


def _is_given(name: str, given: Mapping[str, str]) -> bool:
    return bool(given.get(name) or given.get(f"{name}_FILE"))
