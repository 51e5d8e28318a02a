"""Names of scanners: one for each, whatever format it writes. Findings are closed by tool: what scans something else has another name."""

from __future__ import annotations

import re
from functools import lru_cache

NO_NAME = "unnamed"
_LONGEST = 100
_SPACE = re.compile(r"\s+")
_SAME = {
    "aqua security trivy": "trivy",
    "codeql command-line toolchain": "codeql",
    "github advanced security code scanning": "codeql",
    "owasp dependency-check": "dependency-check",
    "dependency check": "dependency-check",
    "nodejsscan": "njsscan",
    "semgrep oss": "semgrep",
    "semgrep pro": "semgrep",
    "semgrep code": "semgrep",
    "opengrep oss": "opengrep",
    "snyk code": "snyk-code",
    "snykcode": "snyk-code",
    "snyk open source": "snyk",
    "snyk container": "snyk-container",
    "snyk iac": "snyk-iac",
    "snyk infrastructure as code": "snyk-iac",
}


@lru_cache(maxsize=1024)
def tool_name(written: str) -> str:
    """Return the portal's name of a scanner, NO_NAME where it gives none."""
    lower = _SPACE.sub(" ", written).strip().lower()[:_LONGEST]
    return _SAME.get(lower, lower.replace(" ", "-")) or NO_NAME
