"""PortalAdmin: the base of every admin page, and the one place that decides who sees and changes what there.

Admins may do everything their permissions say, integrators the same with their own and their teams' rows, auditors read.
Changes go through the rooms' services, which audit them; what a service refuses is shown beside the field it is about.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin

from access.admin_base import show
from access.admin_base.buttons import Button, added_buttons
from access.admin_base.changelist import BarChangeList, CursorChangeList, UncountedPaginator
from access.models import AuditEntry
from access.principals import Principal, principal
from access.selectors import visible
from core.errors import InvalidInput, RepoGuardError
from core.fields import DecryptError


class PortalAdmin(ModelAdmin):
    """Set `owner_path` to None for rows that belong to nobody: then only admins and auditors see them.

    `empty_text` says on an empty list what would fill it; a list that its filters empty says that instead.
    `shows_id` puts the id of an object, which the API asks for, on its page.
    """

    owner_path: ClassVar[str | None] = "owner_id"
    read_only: ClassVar[bool] = False
    empty_text: ClassVar[str] = "What is created is listed here."
    shows_id: ClassVar[bool] = False
    actions = None
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    list_per_page = 50
    change_list_template = "portal/change_list.html"
    list_fullwidth = True
    compressed_fields = True
    change_form_outer_before_template = "portal/panel.html"
    delete_confirmation_template = "portal/delete.html"
    delete_consequence: ClassVar[str] = "This can't be undone."
    empty_value_display = show.NOTHING
    save_as = False
    save_on_top = False

    # --- Who may what ---

    def who(self, request: HttpRequest) -> Principal:
        """Return on whose behalf this page is shown."""
        return principal(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say whether the role may look at this kind of rows, and the principal at this one."""
        who = self.who(request)
        if not who.role or (self.owner_path is None and not who.sees_all):
            return False
        return bool(super().has_view_permission(request, obj)) and self._sees(who, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say whether the role may create rows here."""
        return not self.read_only and self._may_write(request) and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say whether the role may change rows here, and this one."""
        return not self.read_only and self.may_act(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say whether the role may delete rows here, and this one."""
        if self.read_only or not self._may_write(request):
            return False
        return bool(super().has_delete_permission(request, obj)) and self._sees(self.who(request), obj)

    def may_act(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say whether buttons are for this caller: the change permission of the model, also where the form is read-only."""
        return self._may_write(request) and bool(super().has_change_permission(request, obj)) and self._sees(self.who(request), obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Say whether the pages are listed for this caller."""
        return self.has_view_permission(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row of this key, None where there is none; no key holds a NUL, and PostgreSQL refuses to look for one."""
        # Django takes an empty `_to_field` of the query for the name of a field
        return None if "\0" in object_id else super().get_object(request, object_id, from_field or None)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows this caller sees."""
        rows, who = self.rows(request), self.who(request)
        if self.owner_path is None:
            return rows if who.sees_all else rows.none()
        return visible(rows, who, path=self.owner_path)

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all rows, with what the pages show of them."""
        return super().get_queryset(request)  # type: ignore[no-any-return]

    def _may_write(self, request: HttpRequest) -> bool:
        who = self.who(request)
        return who.may_write and bool(who.role) and (self.owner_path is not None or who.is_admin)

    def _sees(self, who: Principal, obj: Any) -> bool:
        if not isinstance(obj, Model) or self.owner_path is None or who.sees_all:
            return True
        value: Any = obj
        for part in self.owner_path.split("__"):
            value = getattr(value, part, None)
        return isinstance(value, uuid.UUID) and who.owns(value)

    # --- Changes go through services ---

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm[Any]]:
        """Return the form class of this request; a ServiceForm learns who asks, and what the service refused."""
        if not issubclass(self.form, ServiceForm):
            return super().get_form(request, obj, change=change, **kwargs)  # type: ignore[no-any-return]
        writes = self.has_change_permission(request, obj) if change else self.has_add_permission(request)
        names = frozenset(flatten_fieldsets(self.get_fieldsets(request, obj))) if writes else frozenset()
        context = {"who": self.who(request), "refusal": getattr(request, "_portal_refusal", None), "shown_fields": names}
        return type(self.form.__name__, (self.form,), context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show or save the form; what the service refuses comes back as errors of the form, with nothing stored."""
        extra = {"portal_buttons": self._buttons_context(request, object_id), **(extra_context or {})}
        try:
            return super().changeform_view(request, object_id, form_url, extra)
        except DecryptError as error:
            messages.error(request, f"Nothing was saved: {error}")
            return HttpResponseRedirect(request.get_full_path())
        except RepoGuardError as error:
            if not issubclass(self.form, ServiceForm):
                messages.error(request, error.message)
                return HttpResponseRedirect(request.get_full_path())
            request._portal_refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Do nothing more for a ServiceForm: its service has written all there is."""
        if not isinstance(form, ServiceForm):
            super().save_related(request, form, formsets, change)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Leave Django's own history empty: the audit trail has it."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Leave Django's own history empty: the audit trail has it."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Leave Django's own history empty: the audit trail has it."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the object's entries in the audit trail."""
        return HttpResponseRedirect(f"{show.admin_url(AuditEntry, 'changelist')}?q={unquote(object_id)}")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the object itself only: collecting what hangs on it would read logs of any length."""
        return [str(obj) for obj in objs], {}, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Ask and delete; a refusal of the service is shown on the object's page."""
        try:
            return super().delete_view(request, object_id, {"consequence": self.delete_consequence, **(extra_context or {})})
        except RepoGuardError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(show.admin_url(self.model, "change", unquote(object_id)))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BarChangeList]:
        """Return the kind of list that has its filters above it."""
        return BarChangeList

    # --- Buttons ---

    def buttons(self) -> Sequence[Button]:
        """Return the buttons of an object's page."""
        return ()

    def shown_buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """Return what the templates need of the buttons that this caller may press now."""
        if obj is None or not self.may_act(request, obj):
            return []
        base = show.admin_url(self.model, "change", obj.pk).removesuffix("change/")
        return [
            {"button": button, "url": f"{base}do/{button.name}/", "fields": button.fields(request, obj) if button.fields else []}
            for button in self._all_buttons()
            if button.possible(request, obj)
        ]

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the buttons to those of the model."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        own = path("<path:object_id>/do/<slug:button_name>/", self.admin_site.admin_view(self.button_view), name=name)
        return [own, *super().get_urls()]

    def button_view(self, request: HttpRequest, object_id: str, button_name: str) -> HttpResponseBase:
        """Do what a button says: POST only, on an object the caller may change."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        page = HttpResponseRedirect(show.admin_url(self.model, "change", obj.pk))
        if request.method != "POST":
            return page
        button = next((button for button in self._all_buttons() if button.name == button_name), None)
        if button is None or not self.may_act(request, obj):
            raise PermissionDenied
        try:
            if not button.possible(request, obj):
                raise InvalidInput(f"{button.label}: not possible any more; the page below shows how it stands now.")
            with contextlib.nullcontext() if button.calls_out else transaction.atomic():
                return button.do(request, obj)
        except RepoGuardError as error:
            messages.error(request, error.message)
            return page

    def _buttons_context(self, request: HttpRequest, object_id: str | None) -> list[dict[str, Any]]:
        obj = self.get_object(request, unquote(object_id)) if object_id and self._all_buttons() else None
        return self.shown_buttons(request, obj)

    def _all_buttons(self) -> list[Button]:
        return [*self.buttons(), *added_buttons(self.opts.label_lower)]

    # --- Pages ---

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """Return a page of this model in the admin's frame."""
        base = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "media": self.media}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, base | context)

    def secret_page(self, request: HttpRequest, title: str, secret: str, obj: Model, **context: Any) -> HttpResponse:
        """Show a secret, this once: it is part of this answer only; as all of the site it is sent with Cache-Control: no-store."""
        back = show.admin_url(self.model, "change", obj.pk)
        return self.page(request, "portal/secret.html", title, secret=secret, original=obj, back=back, **context)


class LogAdmin(PortalAdmin):
    """A log: read-only for everybody, newest first, paged by a cursor, never counted."""

    read_only = True
    paginator = UncountedPaginator
    ordering = ("-pk",)
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CursorChangeList]:
        """Return the list without COUNT."""
        return CursorChangeList

    def get_paginator(self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any) -> Paginator[Any]:
        """Return a paginator that counts nothing."""
        return UncountedPaginator(queryset, per_page)


class ServiceForm(ModelForm):  # type: ignore[type-arg]
    """A form whose values a service checks and stores; nothing is written by the form itself.

    Its fields are declared, not derived from the model, so each has its own help text and its own rules in one place: the
    service. What that refuses is put beside the field it names.
    """

    who: ClassVar[Principal]
    refusal: ClassVar[RepoGuardError | None] = None
    shown_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in [name for name in self.fields if name not in self.shown_fields]:
            del self.fields[name]

    def clean(self) -> dict[str, Any] | None:
        """Show the service's refusal of these values."""
        cleaned = super().clean()
        if self.refusal is not None:
            named = {name: sentences for name, sentences in self.refusal.fields.items() if name in self.fields}
            for name, sentences in named.items():
                for sentence in sentences:
                    self.add_error(name, sentence[:1].upper() + sentence[1:])
            if not named:
                self.add_error(None, self.refusal.message)
        return cleaned

    def _post_clean(self) -> None:
        """Leave the instance as it is."""

    def _save_m2m(self) -> None:
        """Leave related rows as they are."""
