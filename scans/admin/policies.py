"""Policies: the conditions of the gate, as rows of a form with their sentences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from core.errors import RepoGuardError
from scans.admin import words
from scans.admin.policy_form import ConditionRows, PolicyForm, rows_of, show_refusal
from scans.gates import trying
from scans.gates.conditions import DEFAULT, load, parse, parse_sla
from scans.gates.policy import InForce
from scans.gates.trying import Trial, Trials
from scans.models import Policy, Scan
from scans.services import policies as services


@admin.register(Policy)
class PolicyAdmin(PortalAdmin):
    """What a commit must fulfil."""

    owner_path = "repository__owner_id"
    empty_text = "Without a policy, a commit may have no new findings of severity high or worse. Add one to ask for something else."
    list_display = ("name", "shown_repository", "shown_conditions", "version", "shown_changed")
    search_fields = ("name", "repository__full_name")
    search_help_text = "name or repository"
    ordering = ("-id",)
    delete_consequence = "The default policy holds then, and without one: no new finding that is high or worse. Decisions made before stay."

    def rows(self, request: HttpRequest) -> QuerySet[Policy]:
        """Return the policies with their repositories."""
        return Policy.objects.select_related("repository")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Make a policy."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._form(request, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show or change a policy."""
        policy = self.get_object(request, unquote(object_id))
        if policy is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        may = self.has_change_permission(request, policy)
        if not self.has_view_permission(request, policy) or (request.method == "POST" and not may):
            raise PermissionDenied
        return self._form(request, policy) if may else self._shown(request, policy, None, None)

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        """Remove the policy through its service."""
        services.delete_policy(obj)

    def _form(self, request: HttpRequest, policy: Policy | None) -> HttpResponse:
        data = request.POST if request.method == "POST" else None
        form = PolicyForm(self.who(request), policy, data)
        rows = rows_of(policy.conditions if policy else [one.stored() for one in DEFAULT], data)
        if data is not None and form.is_valid() & rows.is_valid():
            try:
                if "try" in data:
                    return self._shown(request, policy, form, rows, self._tried(policy, form, rows))
                saved = self._save(policy, form, rows)
            except RepoGuardError as error:
                show_refusal(form, rows, error)
            else:
                messages.success(request, "The policy is saved; it holds from the next decision on.")
                return HttpResponseRedirect(show.admin_url(Policy, "change", saved.pk))
        return self._shown(request, policy, form, rows)

    def _save(self, policy: Policy | None, form: PolicyForm, rows: ConditionRows) -> Policy:
        values, days = rows.values(), form.sla_days()
        if policy is None:
            return services.create_policy(form.cleaned_data["name"], values, form.cleaned_data["repository"], days)
        return services.update_policy(policy, name=form.cleaned_data["name"], conditions=values, sla_days=days)

    def _tried(self, policy: Policy | None, form: PolicyForm, rows: ConditionRows) -> Trials:
        conditions = parse(rows.values())
        tried = InForce(form.cleaned_data["name"], 0, conditions, parse_sla(form.sla_days(), conditions))
        repository = policy.repository if policy else form.cleaned_data["repository"]
        return trying.tried(tried, trying.kept_for(form.who, repository.pk if repository else None, by_default=True))

    def _shown(
        self, request: HttpRequest, policy: Policy | None, form: PolicyForm | None, rows: ConditionRows | None, trials: Trials | None = None
    ) -> HttpResponse:
        context = {
            "trials": trials,
            "trial_rows": [_trial(one) for one in trials.rows] if trials else [],
            "sla": ", ".join(f"{name} {days} days" for name, days in policy.sla_days.items()) if policy else "",
            "policy": policy,
            "original": policy,
            "form": form,
            "rows": rows,
            "sentences": [one.sentence() for one in load(policy.conditions)] if policy else [],
            "repository": self.shown_repository(policy) if policy else "",
            "back": show.admin_url(Policy, "changelist"),
            "delete_url": show.admin_url(Policy, "delete", policy.pk) if policy and self.has_delete_permission(request, policy) else "",
        }
        title = "Policy" if policy else "Add a policy"
        return self.page(request, "portal/policy.html", title, subtitle=policy.name if policy else "", **context)

    # --- Columns ---

    @admin.display(description="repository")
    def shown_repository(self, policy: Policy) -> SafeString:
        """Return whose commits it is about."""
        return words.repository_link(policy.repository) if policy.repository else show.badge("every other repository", show.INFO)

    @admin.display(description="a commit may have")
    def shown_conditions(self, policy: Policy) -> SafeString:
        """Return the conditions in plain words."""
        sentences = [(one.sentence(),) for one in load(policy.conditions)]
        return format_html_join("", "<div>{}</div>", sentences) or show.badge("anything", show.WARN)

    @admin.display(description="changed")
    def shown_changed(self, policy: Policy) -> SafeString:
        """Return when it was changed last."""
        return show.moment(policy.updated_at)


def _trial(one: Trial) -> tuple[Trial, SafeString, SafeString, SafeString]:
    scan = show.link(show.admin_url(Scan, "change", one.result.scan_id), show.exact(one.result.created_at))
    return one, scan, words.gate_badge(one.result.decision), words.gate_badge(one.now)
