"""The owner field of forms: a user, a team, or the admins."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from unfold.widgets import UnfoldAdminSelectWidget

from access.admin_base.base import ServiceForm
from access.owners import resolve_owner
from access.principals import ROLE_NAMES, Principal
from core.errors import RepoGuardError
from core.models import Owner

MOST = 500


class OwnerField(forms.CharField):
    """A select of the owners that `who` may name; its clean value is the Owner's text, or None for the admins."""

    widget = UnfoldAdminSelectWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, label="Owner", **kwargs)

    def offer(self, who: Principal, present: str | None) -> None:
        """Fill the select: two statements for admins, one for others."""
        labels = _all_labels() if who.is_admin else _own_labels(who)
        if present and present not in labels:
            labels.append(present)
        choices = [(label, label.replace(":", ": ", 1)) for label in labels]
        self.widget.choices = [*([("", "the admins (nobody else sees it)")] if who.is_admin else []), *choices]

    def resolve(self, text: str, who: Principal) -> uuid.UUID | None:
        """Return the owner's id; raises ValidationError with the reason."""
        try:
            return resolve_owner(text or None, who)
        except RepoGuardError as error:
            raise forms.ValidationError(error.message) from error


class OwnedForm(ServiceForm):
    """A form of what has an owner, in the field `owner`: left as it is, it is no question whether one may name that owner."""

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        if "owner" not in self.changed_data and not self.instance._state.adding:
            return self.instance.owner_id
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None


def _all_labels() -> list[str]:
    users = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)[:MOST]
    teams = Group.objects.exclude(name__in=ROLE_NAMES).order_by("name").values_list("name", flat=True)[:MOST]
    return [*(f"team:{name}" for name in teams), *(f"user:{name}" for name in users)]


def _own_labels(who: Principal) -> list[str]:
    return sorted(str(owner) for owner in Owner.objects.filter(id__in=who.owner_ids).select_related("user", "team"))
