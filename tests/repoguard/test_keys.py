"""The keys of a local installation are made once, whole, and for their owner only."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repoguard import keys
from repoguard.checks import is_weak


def test_it_makes_keys_that_only_their_owner_reads(tmp_path: Path) -> None:
    assert keys.create_missing(tmp_path / "var")
    assert stat.S_IMODE((tmp_path / "var" / "keys.env").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    made = keys.read(tmp_path / "var")
    assert set(made) == set(keys.NAMES)
    assert not any(is_weak(value) for value in made.values())


def test_it_keeps_keys_that_are_there(tmp_path: Path) -> None:
    keys.create_missing(tmp_path)
    before = keys.read(tmp_path)
    assert not keys.create_missing(tmp_path)
    assert keys.read(tmp_path) == before


def test_two_starts_at_once_agree_on_one_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.create_missing(tmp_path), range(8)))
    assert made.count(True) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys.env"]


def test_no_file_means_no_keys(tmp_path: Path) -> None:
    assert keys.read(tmp_path) == {}


def test_production_never_makes_keys(tmp_path: Path) -> None:
    assert not keys.ensure(tmp_path, {"REPOGUARD_MODE": "production"})
    assert keys.read(tmp_path) == {}


def test_given_keys_are_not_made_again(tmp_path: Path) -> None:
    assert not keys.ensure(tmp_path, {"SECRET_KEY": "a", "FERNET_KEYS_FILE": "/run/secrets/b"})
    assert keys.ensure(tmp_path, {"SECRET_KEY": "a"})
