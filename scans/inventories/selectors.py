"""Reading inventories."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from integrations.contract.scans import PackageUsed
from integrations.models import Repository
from scans.inventories.packed import unpacked
from scans.models import Inventory


def shown_inventories() -> QuerySet[Inventory]:
    """Return the inventories with their repositories, without the packages."""
    return Inventory.objects.select_related("repository").defer("packages")


def packages_of(repository: Repository, ref: str) -> Sequence[PackageUsed]:
    """Return the packages that a repository uses on a ref, in the order of its files; those of the default branch where it has none.

    Empty where nobody uploaded a lock file or an SBOM. One statement.
    """
    wanted = Inventory.objects.filter(repository=repository, ref__in={ref, repository.default_branch})
    rows = list(wanted.order_by("manifest").values_list("ref", "manifest", "packages"))
    own = [row for row in rows if row[0] == ref] or rows
    return [package for _, manifest, packages in own for package in unpacked(packages, manifest)]


def packages_in(inventory: Inventory) -> list[PackageUsed]:
    """Return the packages of one file."""
    return unpacked(inventory.packages, inventory.manifest)
