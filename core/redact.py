"""Redaction: what logs, stored answers and error sentences may show. The only place that decides it.

It runs on every answer of every receiver and on every finding, so it is linear, and fast where there is nothing to hide: one search
says that no word is there; where one is, words are found with str.find, and patterns are only matched there, over bounded or exclusive
repetitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
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
        "x-ratelimit-reset", "x-ratelimit-resource", "x-ratelimit-used", "x-repoguard-attempt", "x-repoguard-delivery",
        "x-repoguard-event", "x-repoguard-replay", "x-request-id", "x-runtime", "x-slack-req-id", "x-trace-id",
    }
)  # fmt: skip
_WORDS = (
    "passw", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "accesskey", "access_key", "access-key", "privatekey",
    "private_key", "private-key", "authorization", "credential", "signature", "cookie", "sessionid", "session_id", "session-id",
)  # fmt: skip
_PARAMETERS = frozenset({"key", "sig", "code", "auth", "pass", "pwd", "jwt", "hmac", "sid"})
_SCHEMES = ("bearer", "basic", "token", "digest")

# Whole secrets that are known by their shape: how they begin, and what a match at that place looks like
_PREFIXES = (
    "whsec_", "whsk_", "rg_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "glptt-", "glcbt-", "glrt-", "gldt-",
    "glsoat-", "glft-", "glimt-", "glagent-", "AKIA", "ASIA", "xox", "xapp-", "sk-", "sk_live_", "snyk_", "dckr_pat_", "npm_", "pypi-",
    "SG.", "AIza", "eyJ",
)  # fmt: skip
_SHAPE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"  # what begins inside a run of token characters is a part of something else
    r"whs(?:ec|k)_[A-Za-z0-9+/=_-]{8,}"
    r"|rg_[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|gl[a-z]{2,5}-[A-Za-z0-9_.-]{12,}"
    r"|A[KS]IA[A-Z0-9]{16}"
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
_SCHEME = re.compile(r"(?P<name>[A-Za-z]{5,6})(?P<between>\s{1,4}|%20|\+)(?P<value>[A-Za-z0-9._~+/=-]{8,})")
# "password": "…", 'token' => '…', \"secret\":\"…\", api_key=…, <Password>…; what stands before the word is left alone
_FIELD = re.compile(
    r"(?P<name>[A-Za-z0-9_-]{1,60}+)"
    r"(?P<between>\\?[\"']?\s{0,4}[:=>]{1,2}\s{0,4})"
    r"(?P<value>\\\"[^\"\\]*\\\"|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s\"'\\,;&<>{}\[\]]+)",
    re.DOTALL,
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_URL = re.compile(r"[hH][tT][tT][pP][sS]?://[^\s\"'<>\\^`{}|]{1,4000}")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


_RARE = "zqjxk_wvyb-hgpmudflc."
"""Letters of code and of JSON, the rarest first; what is not among them is everywhere."""


def _any_of(words: Collection[str]) -> str:
    """Return a pattern that is found where any of the words is: each is looked for where the rarest of its letters stands."""
    found: dict[str, set[str]] = {}
    for word in words:
        at = min((word.index(letter) for letter in _RARE if letter in word), key=lambda at: _RARE.index(word[at]))
        found.setdefault(word[at], set()).add(f"(?<={re.escape(word[: at + 1])}){re.escape(word[at + 1 :])}")
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(sorted(ends))})" for letter, ends in sorted(found.items()))


# Searched for in lower case, which may find too much and never too little
_SEARCHED = {word.lower() for word in (*_WORDS, *_SCHEMES, *_PREFIXES, "private key-----", "://")}
_EVERYWHERE = {word for word in _SEARCHED if set(_RARE).isdisjoint(word)}
_SUSPICIOUS = re.compile(_any_of(_SEARCHED - _EVERYWHERE))

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
    ("events.eu.pagerduty.com", 1),
    ("webexapis.com", 3),
    ("open.feishu.cn", 4),
    ("open.larksuite.com", 4),
    ("zulip.com", 3),
)
# of these hosts, but with the credential elsewhere: PagerDuty's current API has it in the body
_OPEN_PATHS = frozenset({"/v2/enqueue", "/v2/change/enqueue"})
_PIECES = re.compile(r"[-_.~=:]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


def headers(mapping: Mapping[str, str], secret_names: Collection[str] = ()) -> dict[str, str]:
    """Return the headers with every value masked whose name is not known to be harmless, or is in `secret_names`."""
    if not secret_names:
        return {name: header(name, value) for name, value in mapping.items()}
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


@lru_cache(maxsize=1024)
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
    if kept is not None and path not in _OPEN_PATHS:
        return "/".join(segment if place <= kept or not segment else MASK for place, segment in enumerate(segments))
    return "/".join(MASK if _is_token(segment) else segment for segment in segments)


def _is_token(segment: str) -> bool:
    """Say whether a part of a URL looks random; ids (UUID, commit) and words joined by hyphens do not."""
    if _shapes(segment) != segment:
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
    lower = name.lower()
    secret = lower in _PARAMETERS or any(word in lower for word in _WORDS) or _is_token(value)
    return f"{name}={MASK}" if secret else item


def is_harmless(text: str) -> bool:
    """Say that body() leaves a text alone, and any part of it too; False says nothing."""
    lower = text.lower()
    return _SUSPICIOUS.search(lower) is None and not any(map(lower.__contains__, _EVERYWHERE))


def body(text: str) -> str:
    """Return a body with known secrets, bearer tokens, private keys and the values of secret-like fields masked."""
    if is_harmless(text):
        return text
    clean = _pem(text)
    if "://" in clean:
        clean = _URL.sub(_mask_url, clean)
    clean = _replace(clean, _lowered(clean), _WORDS, _FIELD, _mask_field)
    clean = _replace(clean, _lowered(clean), _SCHEMES, _SCHEME, _mask_scheme)
    return _shapes(clean)


def text(sentence: str) -> str:
    """Return an exception's text or a log line with secrets masked."""
    return body(sentence)


def _shapes(text: str) -> str:
    return _replace(text, text, _PREFIXES, _SHAPE, lambda _match: MASK)


def _replace(text: str, searched: str, words: Collection[str], pattern: re.Pattern[str], mask: Callable[[re.Match[str]], str]) -> str:
    """Put `mask(match)` wherever `pattern` matches at one of the words; `searched` is `text`, perhaps in lower case."""
    places = [place for word in words if word in searched for place in _places(searched, word)]
    if not places:
        return text
    pieces: list[str] = []
    at = 0
    for place in sorted(places):
        match = pattern.match(text, place) if place >= at else None
        if match:
            pieces += [text[at:place], mask(match)]
            at = match.end()
    return "".join([*pieces, text[at:]])


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


def _lowered(text: str) -> str:
    """Return the text in lower case with every character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_LOWER)


def _mask_url(match: re.Match[str]) -> str:
    """Leave most links as they are: they are what makes an answer useful."""
    address = match.group()
    masked = url(address)
    return masked if MASK in masked or "@" in address else address


def _mask_scheme(match: re.Match[str]) -> str:
    value = match["value"]
    prose = value.isalpha() and (value.islower() or value.istitle())  # "Basic authentication", "token expired"
    return match.group() if prose else f"{match['name']}{match['between']}{MASK}"


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
