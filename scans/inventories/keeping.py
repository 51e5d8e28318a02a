"""Taking lock files and SBOMs in, and removing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum

from access import audit
from access.choices import AuditVerb
from core import context
from core.errors import Conflict, InvalidInput
from integrations.models import Repository
from scans import uploads
from scans.inventories.packed import packed
from scans.inventories.reading import Read, read
from scans.models import Inventory
from scans.normal.paths import canonical_path
from scans.refs import checked_commit, checked_ref
from scans.triggers.packages import on_packages

MOST_FILES = 200
MOST_PACKAGES = 200_000
_LONGEST_PATH = 500


@dataclass(frozen=True)
class FileAbout:
    """What a lock file is about, as its sender says; what is empty follows from the file or the repository."""

    repository: Repository
    ref: str = ""
    commit: str = ""
    manifest: str = ""


@dataclass(frozen=True)
class Kept:
    """What became of a file: whether it is the first of its path and ref."""

    inventory: Inventory
    created: bool


def keep(about: FileAbout, chunks: Iterable[bytes]) -> Kept:
    """Take a file in, in place of the earlier one of its path and ref. The same again changes nothing but when it came.

    Call it outside of a transaction. Raises InvalidInput for what can't be read and for wrong values, TooLarge, and Conflict for too
    many files.
    """
    ref = checked_ref(about.ref) or about.repository.default_branch
    commit = checked_commit(about.commit)
    manifest = _checked_path(about.manifest)
    with uploads.spooled(chunks, "INVENTORY_MAX_BYTES") as (file, size):
        if not size:
            raise InvalidInput("The file is empty: send it as the body, or as the part `file` of a form.", code="empty_file")
        file.seek(0)
        found = read(manifest, file.read())
    values = {
        "format": found.format.key, "commit": commit, "content_hash": found.content_hash, "packages": packed(found.packages),
        "package_count": len(found.packages), "ecosystems": found.ecosystems(), "uploaded_by": context.actor().label[:200],
    }  # fmt: skip
    return _stored(about.repository, ref, manifest or found.format.usual_name, values, found)


def _stored(repository: Repository, ref: str, manifest: str, values: dict[str, object], found: Read) -> Kept:
    with transaction.atomic():
        _check_room(repository, ref, manifest, found)
        known = Inventory.objects.filter(repository=repository, ref=ref, manifest=manifest)
        before = known.select_for_update().values_list("content_hash", flat=True).first()
        row, created = Inventory.objects.update_or_create(repository=repository, ref=ref, manifest=manifest, defaults=values)
        if created or before != found.content_hash:
            verb = AuditVerb.CREATED if created else AuditVerb.CHANGED
            audit.record(verb, row, changes={} if created else {"content_hash": [before, found.content_hash]}, owner_id=repository.owner_id)
            on_packages(repository, ref, row.commit)
    return Kept(row, created)


def remove(inventory: Inventory) -> None:
    """Forget a file: what was found by it alone is fixed with the next scan."""
    with transaction.atomic():
        audit.record(AuditVerb.DELETED, inventory, owner_id=inventory.repository.owner_id)
        Inventory.objects.filter(id=inventory.id).delete()


def _check_room(repository: Repository, ref: str, manifest: str, found: Read) -> None:
    others = Inventory.objects.filter(repository=repository, ref=ref).exclude(manifest=manifest)
    if others.count() >= MOST_FILES:
        raise Conflict(
            f"{repository.full_name} has {MOST_FILES} lock files on {ref}: delete those that are gone first.", code="too_many_files"
        )
    if (others.aggregate(sum=Sum("package_count"))["sum"] or 0) + len(found.packages) > MOST_PACKAGES:
        raise Conflict(
            f"The lock files of {repository.full_name} on {ref} name more than {MOST_PACKAGES} packages.", code="too_many_packages"
        )


def _checked_path(text: str) -> str:
    """Return the path of a file within its repository."""
    path = canonical_path(text) if text else ""
    if len(text) > _LONGEST_PATH or not text.isprintable() or (text and not path):
        raise InvalidInput.of(
            "manifest", f"must be the path of the file in the repository, of at most {_LONGEST_PATH} printable characters."
        )
    return path
