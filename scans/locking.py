"""The lock of a repository: whoever writes its findings, or decides on all of them, takes it first, and one after the other does so."""

from __future__ import annotations

import uuid

from integrations.models import Repository


def locked(repository_id: uuid.UUID | str, *, skip: bool = False) -> Repository | None:
    """Return a repository, locked until the caller's transaction ends; None where it is gone, or with `skip` is locked by another.

    SQLite has no such lock: there one transaction writes at a time. What points to the repository can be inserted meanwhile.
    """
    return Repository.objects.select_for_update(no_key=True, skip_locked=skip).filter(pk=repository_id).first()
