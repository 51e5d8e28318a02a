"""Redaction: what logs, stored answers and error sentences may show. The only place that decides it.

All patterns run in linear time: no nested quantifiers, every repetition over a class that its successor excludes or bounded.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

MASK = "***"

# Headers of requests and answers whose values are shown; all others are masked.
SAFE_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "accept-ranges", "age", "allow", "alt-svc", "cache-control", "cf-ray", "connection",
        "content-disposition", "content-encoding", "content-language", "content-length", "content-type", "date", "deprecation", "etag",
        "expires", "keep-alive", "last-modified", "ratelimit-limit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset",
        "retry-after", "server", "server-timing", "strict-transport-security", "sunset", "traceparent", "trailer", "transfer-encoding",
        "upgrade", "user-agent", "vary", "via", "warning", "webhook-id", "webhook-timestamp", "www-authenticate", "x-amzn-requestid",
        "x-cache", "x-content-type-options", "x-correlation-id", "x-delivery-id", "x-frame-options", "x-github-delivery", "x-github-event",
        "x-github-media-type", "x-github-request-id", "x-gitlab-event", "x-powered-by", "x-ratelimit-limit", "x-ratelimit-remaining",
        "x-ratelimit-reset", "x-ratelimit-resource", "x-ratelimit-used", "x-request-id", "x-runtime", "x-slack-req-id", "x-trace-id",
    }
)  # fmt: skip
_SENSITIVE = (
    r"passw|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|credential|signature|cookie|session[_-]?id"
)
_SECRET_PARAMETER = re.compile(_SENSITIVE + r"|^(?:key|sig|code|auth|pass|pwd|jwt|hmac|sid)$", re.IGNORECASE)

# Whole secrets that are known by their shape. The look-behind keeps a scan from starting anew inside a run of token characters.
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"whs(?:ec|k)_[A-Za-z0-9+/=_-]{8,}"
    r"|rg_[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|gl(?:pat|ptt|cbt|rt|dt|soat|ft|imt|agent)-[A-Za-z0-9_.-]{12,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[a-z]-[A-Za-z0-9-]{8,}"
    r"|xapp-[A-Za-z0-9-]{8,}"
    r"|sk-[A-Za-z0-9_-]{20,}"
    r"|sk_live_[A-Za-z0-9]{8,}"
    r"|snyk_[a-z]{3}_[A-Za-z0-9_.-]{16,}"
    r"|dckr_pat_[A-Za-z0-9_-]{16,}"
    r"|npm_[A-Za-z0-9]{30,}"
    r"|pypi-[A-Za-z0-9_-]{30,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r")"
)
_SCHEME = re.compile(r"(?<![A-Za-z0-9])(bearer|basic|token|digest)(\s{1,4}|%20|\+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----")
# "password": "…", 'token' => '…', \"secret\":\"…\", api_key=…, <Password>…; what stands before the word is left alone
_FIELD = re.compile(
    rf"(?P<name>(?:{_SENSITIVE})[A-Za-z0-9_-]{{0,40}})"
    r"(?P<between>\\?[\"']?\s{0,4}[:=>]{1,2}\s{0,4})"
    r"(?P<value>\\\"[^\"\\]*\\\"|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s\"'\\,;&<>{}\[\]]+)",
    re.IGNORECASE | re.DOTALL,
)
_URL = re.compile(r"https?://[^\s\"'<>\\^`{}|]{1,4000}", re.IGNORECASE)

# Addresses whose path is the credential: {host suffix: path segments that stay}
_TOKEN_PATHS = (
    ("hooks.slack.com", 1),
    ("hooks.slack-gov.com", 1),
    ("webhook.office.com", 0),
    ("outlook.office.com", 1),
    ("discord.com", 2),
    ("discordapp.com", 2),
    ("api.telegram.org", 0),
    ("chat.googleapis.com", 3),
    ("maker.ifttt.com", 2),
    ("hooks.zapier.com", 2),
    ("events.pagerduty.com", 1),
    ("webexapis.com", 3),
    ("open.feishu.cn", 4),
    ("open.larksuite.com", 4),
    ("zulip.com", 3),
)
_PIECES = re.compile(r"[-_.~=:]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


def headers(mapping: Mapping[str, str], secret_names: Collection[str] = ()) -> dict[str, str]:
    """Return the headers with every value masked whose name is not known to be harmless, or is in `secret_names`."""
    hidden = {name.lower() for name in secret_names}
    return {name: header(name, value) if name.lower() not in hidden else MASK for name, value in mapping.items()}


def header(name: str, value: str) -> str:
    """Return the value of one header as it may be shown."""
    kind = _kind(name)
    if kind == "url":
        return url(value)
    return value if kind == "safe" else MASK


@lru_cache(maxsize=2048)
def _kind(name: str) -> str:
    lower = name.lower()
    if lower in {"location", "content-location", "referer", "origin"}:
        return "url"
    return "safe" if lower in SAFE_HEADERS else "secret"


def url(text: str) -> str:
    """Return a URL without user info, with secret query values and token-like path parts masked, without its fragment."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").lower()
    except ValueError:
        return MASK
    netloc = parts.netloc.rpartition("@")[2]
    prefix = f"{parts.scheme}://{netloc}" if parts.scheme else (f"//{netloc}" if netloc else "")
    query = "&".join(_parameter(item) for item in parts.query.split("&")) if parts.query else ""
    return f"{prefix}{_path(parts.path, host)}{'?' + query if query else ''}"


def _path(path: str, host: str) -> str:
    kept = next((kept for suffix, kept in _TOKEN_PATHS if host == suffix or host.endswith("." + suffix)), None)
    segments = path.split("/")
    if kept is not None:
        return "/".join(segment if place <= kept or not segment else MASK for place, segment in enumerate(segments))
    return "/".join(MASK if _is_token(segment) else segment for segment in segments)


def _is_token(segment: str) -> bool:
    """Say whether a part of a URL looks random; ids (UUID, commit) and words joined by hyphens do not."""
    if _SHAPES.search(segment):
        return True
    if len(segment) < 20 or _UUID.fullmatch(segment) or _SHA.fullmatch(segment):
        return False
    return any(_is_random(piece) for piece in _PIECES.split(segment))


def _is_random(piece: str) -> bool:
    digits = any(character.isdigit() for character in piece)
    letters = any(character.isalpha() for character in piece)
    mixed = any(character.isupper() for character in piece) and any(character.islower() for character in piece)
    return letters and digits and (len(piece) >= 16 or (mixed and len(piece) >= 10))


def _parameter(item: str) -> str:
    name, equals, value = item.partition("=")
    if not equals:
        return MASK if _is_token(name) else name
    return f"{name}={MASK}" if _SECRET_PARAMETER.search(name) or _is_token(value) else item


def body(text: str) -> str:
    """Return a body with known secrets, bearer tokens, private keys and the values of secret-like fields masked."""
    if not text:
        return text
    clean = _URL.sub(_mask_url, _pem(text))
    clean = _FIELD.sub(_mask_field, clean)
    clean = _SCHEME.sub(_mask_scheme, clean)
    return _SHAPES.sub(MASK, clean)


def text(sentence: str) -> str:
    """Return an exception's text or a log line with secrets masked."""
    return body(sentence)


def _mask_url(match: re.Match[str]) -> str:
    """Leave most links as they are: they are what makes an answer useful."""
    address = match.group()
    masked = url(address)
    return masked if MASK in masked or "@" in address else address


def _mask_scheme(match: re.Match[str]) -> str:
    value = match[3]
    prose = value.isalpha() and (value.islower() or value.istitle())  # "Basic authentication", "token expired"
    return match.group() if prose else f"{match[1]}{match[2]}{MASK}"


def _mask_field(match: re.Match[str]) -> str:
    value = match["value"]
    if value.startswith('\\"'):
        masked = f'\\"{MASK}\\"'
    elif value[0] in "\"'":
        masked = f"{value[0]}{MASK}{value[0]}"
    elif value in {"null", "true", "false", MASK} or (value.isascii() and value.isdigit() and len(value) < 7):
        return match.group()
    elif value.lower() in {"bearer", "basic", "token", "digest"}:
        return match.group()  # the scheme; what follows it is masked by its own rule
    else:
        masked = MASK
    return f"{match['name']}{match['between']}{masked}"


def _pem(text: str) -> str:
    """Mask private keys from BEGIN to END, or to the end of the text where it was cut off."""
    if "PRIVATE KEY-----" not in text:
        return text
    pieces: list[str] = []
    at = 0
    while begin := _PEM_BEGIN.search(text, at):
        pieces += [text[at : begin.start()], MASK]
        end = _PEM_END.search(text, begin.end())
        if end is None:
            return "".join(pieces)
        at = end.end()
    return "".join([*pieces, text[at:]])
