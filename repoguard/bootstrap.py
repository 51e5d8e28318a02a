"""Makes `.venv` with what RepoGuard runs on (`--dev`: and what its tests need). Standard library only: it runs before all else.

A second run sees by a stamp that nothing has changed and does nothing. Pins and hashes are in requirements*.txt.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


class Failed(Exception):
    """Something that a person must put right; the text says what."""


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Make or update the environment; returns the exit code."""
    names = ["requirements.txt", "requirements-dev.txt"] if "--dev" in arguments else ["requirements.txt"]
    try:
        if sys.version_info[:2] < OLDEST:
            raise Failed(f"RepoGuard needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try `make PYTHON=python3.11 …`.")
        handle = os.open(root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # two `make run` at once take turns
            ensure(root, names)
        finally:
            os.close(handle)
    except Failed as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    return 0


def ensure(root: Path, names: list[str]) -> None:
    """Install the named requirement files into `.venv`, unless they are."""
    wanted = fingerprint(root, names)
    stamp = root / ".venv" / f"installed-{len(names)}"
    python = root / ".venv" / "bin" / "python"
    if works(python):
        if _content(stamp) == wanted:
            return
    else:
        make(root)
    print("Installing what RepoGuard needs into .venv …", flush=True)  # noqa: T201
    # the packages are about to change, so no stamp holds until they have
    for old in (root / ".venv").glob("installed-*"):
        old.unlink()
    files = [word for name in names for word in ("-r", str(root / name))]
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes", *files]
    if subprocess.run(command, check=False, cwd=root).returncode != 0:  # noqa: S603 - fixed words
        raise Failed("The packages could not be installed; pip says why above. Running the same command again goes on from here.")
    for count in range(1, len(names) + 1):
        draft = stamp.with_name(f"draft-{count}")
        draft.write_text(fingerprint(root, names[:count]), encoding="utf-8")
        draft.replace(root / ".venv" / f"installed-{count}")


def make(root: Path) -> None:
    """Make an empty environment, in the place of a broken one."""
    print(f"Creating .venv with Python {sys.version.split()[0]} …", flush=True)  # noqa: T201
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(root / ".venv")], check=False, capture_output=True, text=True)  # noqa: S603
    if made.returncode != 0:
        raise Failed(f"{made.stdout}{made.stderr}\nPython's venv module is incomplete. On Debian and Ubuntu: apt-get install python3-venv")


def works(python: Path) -> bool:
    """Say whether the environment's Python runs and has pip: a killed installation, or a removed Python, leaves neither."""
    try:
        return subprocess.run([str(python), "-c", "import pip"], check=False, capture_output=True).returncode == 0  # noqa: S603
    except OSError:
        return False


def fingerprint(root: Path, names: list[str]) -> str:
    """Return a text that changes with the requirement files and the Python."""
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    for name in names:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
