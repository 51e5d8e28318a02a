"""Inventories: which lock files and SBOMs were uploaded, and the packages that they name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from scans.admin import words
from scans.inventories import keeping
from scans.inventories.formats.detect import FORMATS
from scans.inventories.selectors import packages_in, shown_inventories
from scans.models import Inventory

MOST_SHOWN = 500
_TITLES = {one.key: one.title for one in FORMATS}


@admin.register(Inventory)
class InventoryAdmin(PortalAdmin):
    """One lock file or SBOM on one ref."""

    owner_path = "repository__owner_id"
    empty_text = "Lock files and SBOMs that CI uploads to POST /api/v1/inventories/upload are listed here: what OSV is asked about."
    list_display = ("shown_manifest", "shown_repository", "shown_ref", "shown_commit", "shown_count", "shown_ecosystems", "shown_changed")
    list_display_links = ("shown_manifest",)
    search_fields = ("repository__full_name__exact",)
    search_help_text = "repository (owner/name)"
    ordering = ("-id",)
    delete_consequence = (
        "What was found by this file alone is fixed with the next scan, unless it is the last file: then there is nothing to ask."
    )

    def rows(self, request: HttpRequest) -> QuerySet[Inventory]:
        """Return the inventories with their repositories."""
        return shown_inventories()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: files come from CI."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no: what a file says is not changed here."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an inventory."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, row):
            raise PermissionDenied
        context = {
            "inventory": row,
            "format": _TITLES.get(row.format, row.format),
            "repository": words.repository_link(row.repository),
            "ecosystems": self.shown_ecosystems(row),
            "uploaded": show.exact(row.updated_at),
            "packages": packages_in(row)[:MOST_SHOWN],
            "more": max(0, row.package_count - MOST_SHOWN),
            "delete_url": show.admin_url(Inventory, "delete", row.pk) if self.has_delete_permission(request, row) else "",
        }
        return self.page(request, "portal/inventory.html", "Inventory", subtitle=show.cut_line(row.manifest, 100), **context)

    def delete_model(self, request: HttpRequest, obj: Inventory) -> None:
        """Forget the file through its service."""
        keeping.remove(obj)

    # --- Columns ---

    @admin.display(description="file")
    def shown_manifest(self, row: Inventory) -> str:
        """Return its path."""
        return show.cut_line(row.manifest, 80)

    @admin.display(description="repository")
    def shown_repository(self, row: Inventory) -> SafeString:
        """Return the repository, as a link to its page."""
        return words.repository_link(row.repository)

    @admin.display(description="ref")
    def shown_ref(self, row: Inventory) -> str:
        """Return the branch."""
        return show.cut_line(row.ref, 60)

    @admin.display(description="commit")
    def shown_commit(self, row: Inventory) -> SafeString:
        """Return the beginning of the commit."""
        return show.code(row.commit[:10])

    @admin.display(description="packages")
    def shown_count(self, row: Inventory) -> int:
        """Return how many packages it names."""
        return row.package_count

    @admin.display(description="of which")
    def shown_ecosystems(self, row: Inventory) -> SafeString:
        """Return how many packages there are of each ecosystem."""
        found = sorted(row.ecosystems.items(), key=lambda one: (-one[1], one[0]))[:6]
        return format_html_join(" ", '<span class="rg-badge rg-quiet">{} {}</span>', [(count, name) for name, count in found])

    @admin.display(description="uploaded (UTC)")
    def shown_changed(self, row: Inventory) -> SafeString:
        """Return when it came last."""
        return show.exact(row.updated_at)
