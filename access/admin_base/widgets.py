"""Form widgets that unfold lacks."""

from __future__ import annotations

from django.forms import CheckboxSelectMultiple


class GroupedChecks(CheckboxSelectMultiple):
    """Check boxes in titled groups. Choices: [(group, [(value, label), …]), …]."""

    template_name = "portal/grouped_checks.html"
