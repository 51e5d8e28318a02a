"""Scanners of which everything that they find is of one kind."""

from __future__ import annotations

SECRET_TOOLS = frozenset(
    {
        "detect-secrets",
        "ggshield",
        "gitguardian",
        "gitleaks",
        "kingfisher",
        "noseyparker",
        "secretlint",
        "talisman",
        "trufflehog",
        "whispers",
    }
)
CONFIG_TOOLS = frozenset(
    {"cfn-lint", "checkov", "hadolint", "kics", "kube-linter", "kubesec", "polaris", "snyk-iac", "terrascan", "tflint", "tfsec"}
)
