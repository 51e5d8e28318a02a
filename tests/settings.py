"""The settings of a test run: RepoGuard's own, on a data folder that lives as long as the run.

Nothing of the machine's environment reaches a test but DATABASE_URL, which chooses the database under test.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def _data_dir() -> Path:
    """Return this process's folder: one below the run's for each xdist worker, since counters live in a file."""
    run = os.environ.get("REPOGUARD_TEST_RUN_DIR")
    if not run:
        run = tempfile.mkdtemp(prefix="repoguard-tests-")
        os.environ["REPOGUARD_TEST_RUN_DIR"] = run
        owner = os.getpid()
        # forked children run exit handlers too, and must leave the folder alone
        atexit.register(lambda: os.getpid() == owner and shutil.rmtree(run, ignore_errors=True))
    return Path(run) / os.environ.get("PYTEST_XDIST_WORKER", "main")


def _clean_environment() -> None:
    for name in re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", (_ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE):
        if name != "DATABASE_URL":
            os.environ.pop(name, None)
            os.environ.pop(f"{name}_FILE", None)


_clean_environment()
_dir = _data_dir()
os.environ["REPOGUARD_DATA_DIR"] = str(_dir)
os.environ["REPOGUARD_ENV_FILE"] = os.devnull

from repoguard import keys  # noqa: E402 - the environment comes first

keys.create_missing(_dir)
(_dir / "static").mkdir(parents=True, exist_ok=True)  # whitenoise warns without it

from repoguard.settings import *  # noqa: E402, F403
from repoguard.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # a file, not memory: threads and processes of a test then meet the same locks as in a run
    DATABASES["default"]["TEST"] = {"NAME": str(_dir / "test.sqlite3")}
    options = DATABASES["default"]["OPTIONS"]
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
