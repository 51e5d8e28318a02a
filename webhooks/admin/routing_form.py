"""The routing of a webhook in its form: a field for each rule, in the words of docs/routing.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from access.admin_base.owners import OwnedForm
from access.admin_base.show import duration
from access.admin_base.widgets import GroupedChecks
from webhooks.admin.words import parse_schedule
from webhooks.routing.checking import FLOORS
from webhooks.routing.rules import Digest, DigestKey, DigestMode, Lanes

_WITH_DIGEST = {"data-only-if": "digest", "data-only-if-values": " ".join(DigestMode.values)}
FIELDS = (
    "branches", "min_severity", "new_only", "digest", "digest_window", "digest_key", "digest_quiet", "digest_max",
    "critical_first", "supersede", "expires_after",
)  # fmt: skip
_FORM_NAMES = {
    "routing.lanes": "critical_first",
    "routing.digest.window_seconds": "digest_window",
    "routing.digest.key": "digest_key",
    "routing.digest.quiet_seconds": "digest_quiet",
    "routing.digest.max_events": "digest_max",
}


def _switch(label: str, help_text: str) -> forms.BooleanField:
    return forms.BooleanField(required=False, label=label, widget=UnfoldBooleanSwitchWidget, help_text=help_text)


def _time(label: str, placeholder: str, help_text: str, **attrs: str) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder, **attrs})
    return forms.CharField(required=False, label=label, widget=widget, help_text=help_text)


class RoutingForm(OwnedForm):
    """What a webhook's form says of its routing."""

    branches = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "main, release/*, !dependabot/*"}),
        help_text="Only events of these, separated by commas; * stands for anything, ! excludes. Events without a branch pass. Empty: all.",
    )
    min_severity = forms.ChoiceField(
        required=False,
        label="Severity at least",
        choices=[("", "any severity"), *((name, name) for name in FLOORS)],
        widget=UnfoldAdminSelectWidget,
        help_text="Findings, scans and failed gates that are less bad are left out. What has no severity passes.",
    )
    new_only = _switch("Only what is new", "New and reopened findings, scans and gates with some; not what was fixed or accepted.")
    digest = forms.ChoiceField(
        required=False,
        label="Many events",
        choices=[("", "each by itself, at once"), *((value, f"collected: {label}") for value, label in DigestMode.choices)],
        widget=UnfoldAdminSelectWidget,
        help_text="Collected, a scan with 400 findings is one message.",
    )
    digest_window = _time("Collect for", "5 min", "From the first event on; 10 s to 1 d.", **_WITH_DIGEST)
    digest_key = forms.MultipleChoiceField(
        required=False,
        label="A digest for each",
        choices=[("what its events have in common", DigestKey.choices)],
        initial=list(Digest.key),
        widget=GroupedChecks(attrs=dict(_WITH_DIGEST)),
        help_text="Nothing chosen: one digest of everything.",
    )
    digest_quiet = _time(
        "Or until it is quiet for", "30 s", "Leaves earlier when nothing came for so long. Empty: always the whole time.", **_WITH_DIGEST
    )
    digest_max = forms.IntegerField(
        required=False,
        label="Events in one digest",
        widget=UnfoldAdminIntegerFieldWidget(attrs=dict(_WITH_DIGEST)),
        help_text=f"At most; more leave in several. Empty: {Digest.max_events:,}.",
    )
    critical_first = _switch(
        "Critical first", "New critical findings, gates broken by one and integrations that are down overtake what waits."
    )
    supersede = _switch("Only the latest", "A newer result of the same gate, scan or build cancels the older one that still waits.")
    expires_after = _time("Not later than", "1 h", "What waited longer is cancelled instead of sent. Empty: it is sent, however late.")

    def clean_branches(self) -> list[str]:
        """Return the patterns."""
        return [part for part in re.split(r"[,\s]+", self.cleaned_data["branches"]) if part]

    def clean_digest_window(self) -> float | None:
        """Return seconds."""
        return self._seconds("digest_window")

    def clean_digest_quiet(self) -> float | None:
        """Return seconds."""
        return self._seconds("digest_quiet")

    def clean_expires_after(self) -> float | None:
        """Return seconds."""
        return self._seconds("expires_after")

    def _seconds(self, name: str) -> float | None:
        delays = parse_schedule(self.cleaned_data[name])
        if len(delays) > 1:
            raise forms.ValidationError("Write one length of time, such as 5 min.")
        return delays[0] if delays else None

    def has_routing(self) -> bool:
        """Say whether every field of the routing is there and could be read."""
        return all(name in self.cleaned_data for name in FIELDS)

    def routing(self) -> dict[str, Any]:
        """Return the routing that the fields say."""
        data = self.cleaned_data
        digest = None
        if data["digest"]:
            digest = {
                "window_seconds": data["digest_window"],
                "key": data["digest_key"],
                "mode": data["digest"],
                "quiet_seconds": data["digest_quiet"],
                "max_events": data["digest_max"],
            }
        return {
            "branches": data["branches"],
            "min_severity": data["min_severity"] or None,
            "new_only": data["new_only"],
            "digest": digest,
            "lanes": Lanes.SEVERITY if data["critical_first"] else Lanes.PRIORITY,
            "supersede": data["supersede"],
            "expires_after": data["expires_after"],
        }


def form_name(name: str) -> str:
    """Return the form's name of a member of the routing that the service names."""
    return _FORM_NAMES.get(name, name.removeprefix("routing."))


def present(routing: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the fields show of a stored routing."""
    found = dict(routing or {})
    digest = found.get("digest") or {}
    return {
        "branches": ", ".join(found.get("branches", ())),
        "min_severity": found.get("min_severity", ""),
        "new_only": found.get("new_only", False),
        "digest": digest.get("mode", Digest.mode) if digest else "",
        "digest_window": _shown(digest.get("window_seconds")),
        "digest_key": digest.get("key", list(Digest.key)),
        "digest_quiet": _shown(digest.get("quiet_seconds")),
        "digest_max": digest.get("max_events"),
        "critical_first": found.get("lanes") == Lanes.SEVERITY,
        "supersede": found.get("supersede", False),
        "expires_after": _shown(found.get("expires_after")),
    }


def in_words(routing: Mapping[str, Any] | None) -> list[str]:
    """Return the rules in a few words each."""
    found = dict(routing or {})
    digest = found.get("digest")
    said = [
        ", ".join(found.get("branches", ())),
        f"{found['min_severity']} or worse" if "min_severity" in found else "",
        "only what is new" if found.get("new_only") else "",
        _digest_words(digest) if digest else "",
        "critical first" if found.get("lanes") == Lanes.SEVERITY else "",
        "only the latest" if found.get("supersede") else "",
        f"within {_shown(found['expires_after'])}" if "expires_after" in found else "",
    ]
    return [words for words in said if words]


def _digest_words(digest: Mapping[str, Any]) -> str:
    what = "the latest" if digest.get("mode") == DigestMode.LATEST else "a digest"
    key = digest.get("key", Digest.key)
    each = f" for each {' and '.join(DigestKey(name).label for name in key)}" if key else ""
    return f"{what} every {_shown(digest['window_seconds'])}{each}"


def _shown(seconds: float | None) -> str:
    return duration(seconds) if seconds is not None else ""
