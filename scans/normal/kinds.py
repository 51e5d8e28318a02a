"""What a finding is about: by the source's word, by what it names, and by the tool that only ever reports one kind."""

from __future__ import annotations

from functools import lru_cache

from scans.choices import Kind

_MOST_WORD = 60
_WORDS = {
    Kind.SECRET: "secret secrets secret-scanning secret-detection credential credentials",
    Kind.CONFIG: "config configuration misconfig misconfiguration misconfigurations misconf iac infrastructure infrastructure-as-code "
    "cloud custom dockerfile kubernetes terraform cloudformation",
    Kind.LICENSE: "license licence licenses licences license-issue",
    Kind.DEPENDENCY: "dependency dependencies vulnerability vulnerabilities package package-vulnerability vuln sca open-source oss "
    "container container-scanning dependency-scanning dependabot os-pkgs lang-pkgs library",
    Kind.CODE: "code sast static code-scanning code-quality quality lint bug code-smell rule",
}
_BY_WORD = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_TOOLS = {
    Kind.SECRET: "gitleaks trufflehog detect-secrets ggshield gitguardian noseyparker kingfisher talisman whispers secretlint",
    Kind.CONFIG: "checkov kics tfsec terrascan hadolint kubelinter kube-linter kube-score kubesec kube-bench polaris dockle cfn-nag "
    "cfn_nag conftest prowler scoutsuite",
}
_BY_TOOL = {tool: kind for kind, tools in _TOOLS.items() for tool in tools.split()}


def kind_of(word: str, tool: str, *, has_package: bool) -> Kind:
    """Return the kind; what names a package is a vulnerable dependency unless its source calls it a secret, a setting or a licence."""
    said = _said(word[:_MOST_WORD]) if word else None
    if has_package:
        return said if said in {Kind.SECRET, Kind.CONFIG, Kind.LICENSE} else Kind.DEPENDENCY
    if said:
        return said
    return _of_tool(tool[:_MOST_WORD]) or Kind.CODE


@lru_cache(maxsize=512)
def _said(word: str) -> Kind | None:
    return _BY_WORD.get(word.strip().lower().replace("_", "-").replace(" ", "-"))


@lru_cache(maxsize=512)
def _of_tool(tool: str) -> Kind | None:
    return _BY_TOOL.get(tool.strip().lower().replace(" ", "-"))
