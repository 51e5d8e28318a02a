"""Which keys the stored values need, and whether FERNET_KEYS lacks one of them.

The ids of all keys that were ever configured are kept (EncryptionKey), so a start has to look at the tables only when one of
them is gone from FERNET_KEYS, and once at the very first start; besides, the newest rows of each field are looked at each
time. A key that is gone and that no value needs is retired, and never looked for again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from core.encrypted_columns import NO_KEY, columns
from core.errors import Conflict, InvalidInput
from core.fields import key_id


@dataclass(frozen=True)
class KeyUse:
    """One key: where it stands in FERNET_KEYS (from 1; None when it is not there) and how many values of each field need it."""

    key_id: str
    position: int | None
    uses: dict[str, int]
    given_up: bool = False

    @property
    def total(self) -> int:
        """Return how many values need the key."""
        return sum(self.uses.values())

    @property
    def can_be_dropped(self) -> bool:
        """Say whether it may leave FERNET_KEYS."""
        return self.position != 1 and not self.uses

    def __str__(self) -> str:
        places = ", ".join(f"{count:,} of {label}" for label, count in sorted(self.uses.items()))
        return f"{self.key_id} ({places or 'nothing'})"


def status() -> list[KeyUse]:
    """Return every key that is configured or that a value names, in the order of FERNET_KEYS; reads each table once."""
    configured = _configured()
    uses: dict[str, Counter[str]] = {name: Counter() for name in configured}
    for column in columns():
        for name, count in column.counts().items():
            uses.setdefault(name, Counter())[column.label] += count
    given_up = _given_up()
    ordered = [*configured, *sorted(set(uses) - set(configured))]
    return [KeyUse(name, configured.get(name), dict(uses[name]), name in given_up) for name in ordered]


def missing() -> list[KeyUse]:
    """Return the keys that values need and FERNET_KEYS lacks; cheap unless there is reason to suspect one. Changes nothing."""
    if not _suspects():
        return []
    return [use for use in status() if use.position is None and use.key_id != NO_KEY and not use.given_up]


def refuse_missing() -> None:
    """Raise Conflict, naming fields and counts, when a key that is still in use was dropped; otherwise remember the present keys."""
    if lacking := missing():
        raise Conflict(sentence(lacking))
    remember()


def refuse_unstarted() -> None:
    """Raise Conflict where no start has noted the first key yet: what runs now could not read what it encrypts."""
    first = key_id(settings.FERNET_KEYS[0])
    notes = _notes()
    if notes.exists() and not notes.filter(key_id=first, retired_at=None).exists():
        raise Conflict(
            f"The portal was not started with the key {first} yet, so what runs now could not read what is encrypted with it. Restart every"
            " web server and worker first, then run this again. (--stopped skips this, for a portal that does not run.)"
        )


def sentence(lacking: list[KeyUse]) -> str:
    """Return what is wrong and what to do about it."""
    names = "; ".join(map(str, lacking))
    first = lacking[0].key_id
    return (
        f"FERNET_KEYS lacks a key that stored values need: {names}. Put it back behind the others, run `manage.py rotate_keys`, and drop"
        f" it then. If it is lost for good, `manage.py rotate_keys --give-up {first}` lets the portal start without those values."
    )


def remember() -> None:
    """Note the keys of FERNET_KEYS, and retire those that are gone. Only right when missing() found nothing."""
    configured = list(_configured())
    rows = _notes()
    known = set(rows.values_list("key_id", flat=True))
    rows.bulk_create([rows.model(key_id=name) for name in configured if name not in known], ignore_conflicts=True)
    rows.filter(key_id__in=configured).exclude(retired_at=None, given_up_at=None).update(retired_at=None, given_up_at=None)
    rows.filter(retired_at=None, given_up_at=None).exclude(key_id__in=configured).update(retired_at=timezone.now())


def give_up(name: str) -> Model:
    """Declare a key lost; raises InvalidInput for one that is configured, or that no value needs."""
    if name in _configured():
        raise InvalidInput(f"The key {name} is in FERNET_KEYS, so it is not lost.")
    if name not in {use.key_id for use in status()} - {NO_KEY}:
        raise InvalidInput(f"No stored value names a key {name[:20]}; `manage.py rotate_keys --status` lists those there are.")
    key: Model = _notes().update_or_create(key_id=name, defaults={"given_up_at": timezone.now()})[0]
    return key


def _notes() -> QuerySet[Any]:
    # by name: system checks are declared before there are models
    return apps.get_model("core", "EncryptionKey")._default_manager.all()


def _suspects() -> bool:
    configured = set(_configured())
    if not _notes().exists():
        return True  # nothing was ever noted: an update from a release that kept no note, or an empty database
    if _notes().filter(retired_at=None, given_up_at=None).exclude(key_id__in=configured).exists():
        return True
    calm = configured | _given_up() | {NO_KEY}
    return any(column.newest_keys() - calm for column in columns())


def _configured() -> dict[str, int]:
    names: dict[str, int] = {}
    for number, key in enumerate(settings.FERNET_KEYS, start=1):
        names.setdefault(key_id(key), number)
    return names


def _given_up() -> set[str]:
    return set(_notes().filter(given_up_at__isnull=False).values_list("key_id", flat=True))
