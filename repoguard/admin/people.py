"""Users, roles and teams. A role is a group named admin, integrator or auditor; every other group is a team."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldAdminTextInputWidget

from access import audit
from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.choices import AuditVerb, Role
from access.principals import ROLE_NAMES
from core.errors import Conflict
from core.models import Owned, Owner

MEMBERS_OFFERED = 1000
_HIDDEN = ("password",)
_IGNORED = frozenset({"last_login", "date_joined"})


class AuditedAdmin(PortalAdmin):
    """For models without a service: records what a form changed, also in its groups or members."""

    owner_path = None

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Store the row; the entry follows when its groups are stored as well."""
        before = self._snapshot(type(obj)._default_manager.get(pk=obj.pk)) if change else {}
        obj.save()
        request._portal_before = before  # type: ignore[attr-defined]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store the groups or members, and record all that changed."""
        form.save_m2m()
        row = type(form.instance)._default_manager.get(pk=form.instance.pk)
        before: dict[str, Any] = request._portal_before  # type: ignore[attr-defined]
        changes = audit.diff(before, self._snapshot(row), _HIDDEN)
        if changes or not change:
            audit.record(AuditVerb.CHANGED if change else AuditVerb.CREATED, row, changes=changes, owner_id=None)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete the row unless something belongs to it. Raises Conflict."""
        self.check_deletable(obj)
        audit.record(AuditVerb.DELETED, obj, owner_id=None)
        obj.delete()

    def check_deletable(self, obj: Model) -> None:
        """Raise Conflict where a user or team owns anything: its logs would lose their owner."""
        owner = Owner.objects.filter(**{"user" if isinstance(obj, User) else "team": obj}).first()
        if owner is None:
            return
        owned = [model for model in apps.get_models() if issubclass(model, Owned)]
        kinds = [str(model._meta.verbose_name_plural) for model in owned if model._default_manager.filter(owner=owner).exists()]
        if kinds:
            advice = "Deactivate the user instead." if isinstance(obj, User) else "Give them to another owner first."
            raise Conflict(f"{obj} still owns {', '.join(kinds)} and can't be deleted. {advice}")

    def _snapshot(self, obj: Any) -> dict[str, Any]:
        found = {name: value for name, value in audit.snapshot(obj).items() if name not in _IGNORED}
        names = obj.groups if isinstance(obj, User) else obj.user_set
        found["groups" if isinstance(obj, User) else "members"] = sorted(str(row) for row in names.all())
        return found


class _UserForm(UserChangeForm):
    """A user; what it may do follows from its roles and teams."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = {
            "groups": "Roles say what a user may do: admin everything, integrator own and team objects, auditor reads everything but "
            "secrets. Every other group is a team, whose members share what it owns.",
            "is_staff": "May open this site. Users without it use API keys only.",
            "is_superuser": "An admin, whatever the groups say.",
            "is_active": "Switch it off instead of deleting a user: logins and the user's API keys end at once.",
        }
        for name, text in words.items():
            if name in self.fields:
                self.fields[name].help_text = text


@admin.register(User)
class UserAdmin(DjangoUserAdmin, AuditedAdmin):  # type: ignore[misc,type-arg]
    """People who log in."""

    form = _UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "shown_role", "shown_teams", "email", "is_active", "is_staff", "shown_login")
    list_filter = ()
    ordering = ("username",)
    delete_consequence = "It is refused while the user owns anything; deactivate the user instead to keep the logs readable."
    search_help_text = "name or e-mail"
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("What the user may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("shown_login", "shown_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2")}),)
    readonly_fields = ("shown_login", "shown_joined")

    def rows(self, request: HttpRequest) -> QuerySet[User]:
        """Return the users with their groups."""
        return User.objects.prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave the password's hash out for those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return ((None, {"fields": ("username",)}), *self.fieldsets[1:])
        return super().get_fieldsets(request, obj)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer roles and teams by name."""
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set a password, and record that it was set."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            user = self.get_object(request, id)
            if user is not None:
                audit.record(AuditVerb.ACTED, user, action="set-password", owner_id=None)
        return response

    @admin.display(description="last login", ordering="last_login")
    def shown_login(self, user: User) -> SafeString:
        """Return when the user was last here."""
        return show.moment(user.last_login)

    @admin.display(description="created (UTC)")
    def shown_joined(self, user: User) -> SafeString:
        """Return when the user was made."""
        return show.exact(user.date_joined)

    @admin.display(description="role")
    def shown_role(self, user: User) -> SafeString:
        """Return the role in force."""
        names = {group.name for group in user.groups.all()}
        if user.is_superuser or Role.ADMIN in names:
            return show.badge("admin", show.INFO)
        role = next((role for role in (Role.AUDITOR, Role.INTEGRATOR) if role in names), None)
        return show.badge(role.value) if role else show.NOTHING

    @admin.display(description="teams")
    def shown_teams(self, user: User) -> str:
        """Return the user's teams."""
        return ", ".join(sorted(group.name for group in user.groups.all() if group.name not in ROLE_NAMES))


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]
    """A team and its members."""

    name = forms.CharField(max_length=150, widget=UnfoldAdminTextInputWidget, help_text="What a team is called, such as “payments”.")
    members = forms.ModelMultipleChoiceField(
        User.objects.none(),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="They see and change what the team owns, as far as their role allows. Hold Ctrl to choose several.",
    )

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "members" in self.fields:
            users = User.objects.order_by("username")
            self.fields["members"].queryset = users  # type: ignore[attr-defined]
            self.fields["members"].choices = [(user.pk, user.username) for user in users[:MEMBERS_OFFERED]]  # type: ignore[attr-defined]
            if self.instance.pk:
                self.initial["members"] = list(self.instance.user_set.values_list("pk", flat=True))

    def clean_name(self) -> str:
        """Keep roles and team names apart."""
        name: str = self.cleaned_data["name"].strip()
        if self.instance.pk is None and name.lower() in ROLE_NAMES:
            raise forms.ValidationError("This is the name of a role.")
        if ":" in name:
            raise forms.ValidationError("A team's name holds no colon.")
        return name

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]
        self.instance.user_set.set(self.cleaned_data["members"])


@admin.register(Group)
class GroupAdmin(AuditedAdmin):
    """Roles and teams."""

    form = TeamForm
    list_display = ("name", "shown_kind", "shown_members")
    search_fields = ("name",)
    ordering = ("name",)
    delete_consequence = "Its members lose what they share through it. It is refused while the team owns anything."
    readonly_fields = ("shown_kind", "shown_members")

    def rows(self, request: HttpRequest) -> QuerySet[Group]:
        """Return the groups with their members."""
        return Group.objects.prefetch_related("user_set")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        writes = self.has_change_permission(request, obj) if obj else True
        fields = ("name", "members") if writes else ("name", "shown_members")
        return [(None, {"fields": ("shown_kind", *fields) if obj else fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let a role keep its name."""
        return (*self.readonly_fields, "name") if _is_role(obj) else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no for a role: the portal needs it."""
        return not _is_role(obj) and super().has_delete_permission(request, obj)

    @admin.display(description="kind")
    def shown_kind(self, group: Group) -> SafeString:
        """Return whether it is a role, and which rights it gives."""
        if group.name in ROLE_NAMES:
            return show.badge(f"role – {Role(group.name).label.partition(': ')[2]}", show.INFO)
        return show.badge("team")

    @admin.display(description="members")
    def shown_members(self, group: Group) -> str:
        """Return who is in it."""
        return ", ".join(sorted(user.username for user in group.user_set.all())[:50])


def _is_role(group: Any) -> bool:
    return isinstance(group, Group) and group.name in ROLE_NAMES
