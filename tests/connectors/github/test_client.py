"""GitHub's API behind the door: links, limits, and refusals in words."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from core.errors import OutboundError
from core.http.door import BadAnswer, Throttled
from integrations.connectors.github.client import NotPermitted, NotThere, next_link
from integrations.connectors.github.connector import GitHub
from integrations.contract.connector import Context
from integrations.contract.schema import validate_values
from tests.connectors.door import Answer, FakeDoor, answer

pytestmark = pytest.mark.once
API = "https://api.github.com"


def made(*answers: Answer | Exception, **config: Any) -> GitHub:
    config, credentials = validate_values(GitHub, config, {"token": "github_pat_0a1b"})
    door = FakeDoor(*answers, auth=GitHub.auth(config, credentials))
    return GitHub(Context(uuid.UUID(int=1), "Mine", config, credentials, door))


def calls(github: GitHub) -> list[Any]:
    return github.door.calls  # type: ignore[attr-defined]


def refusal(found: Answer, what: str = "the runs of acme/shop") -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        made(found).client().get("/repos/acme/shop/actions/runs", what=what)
    return caught.value


def test_a_call_pins_the_version_and_signs_in() -> None:
    github = made(answer([]))
    github.client().get("/repos/acme/shop", {"a": "b c"})
    call = calls(github)[0]
    assert call.url == f"{API}/repos/acme/shop?a=b+c"
    assert call.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert call.headers["Accept"] == "application/vnd.github+json"
    assert call.headers["Authorization"] == "Bearer github_pat_0a1b"


def test_an_enterprise_server_has_its_own_address() -> None:
    github = made(answer([]), api_url="https://git.acme.example/api/v3/")
    github.client().get("/user")
    assert calls(github)[0].url == "https://git.acme.example/api/v3/user"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("https://github.com/acme", "web site"), ("https://api.github.com/?x=1", "plain address")],
)
def test_an_address_that_is_no_api_is_refused(url: str, sentence: str) -> None:
    from core.errors import InvalidInput

    with pytest.raises(InvalidInput, match=sentence) as caught:
        made(api_url=url)
    assert list(caught.value.fields) == ["config.api_url"]


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (
            '<https://api.github.com/repositories/1/x?page=2>; rel="next", <https://api.github.com/repositories/1/x?page=9>; rel="last"',
            "page=2",
        ),
        ('<https://api.github.com/x?page=1>; rel="prev", <https://api.github.com/x?after=Y3Vy,=>; rel="next"', "after=Y3Vy,="),
        ("<https://api.github.com/x?page=3>; rel=next", "page=3"),
        ('<https://api.github.com/x?page=1>; rel="first"; title="next"', ""),
        ("", ""),
        ("<<<>;;; rel=", ""),
    ],
)
def test_the_next_page_is_githubs_own_link(header: str, url: str) -> None:
    from requests.structures import CaseInsensitiveDict

    from core.http.door import Reply

    found = next_link(Reply(200, CaseInsensitiveDict({"link": header}), b"", ""))
    assert found.endswith(url)
    assert bool(found) == bool(url)


def test_pages_follow_the_links() -> None:
    first = answer([{"id": 1}], Link=f'<{API}/repositories/7/things?per_page=100&page=2>; rel="next"')
    github = made(first, answer([{"id": 2}]))
    assert [reply.json()[0]["id"] for reply in github.client().pages("/repos/a/b/things", {"state": "open"})] == [1, 2]
    assert [call.url for call in calls(github)] == [
        f"{API}/repos/a/b/things?per_page=100&state=open",
        f"{API}/repositories/7/things?per_page=100&page=2",
    ]


@pytest.mark.parametrize(
    "there", ["https://evil.example/x", "http://api.github.com/x", "https://api.github.com.evil.example/", "https://[x/"]
)
def test_a_link_to_another_place_is_refused_and_the_token_stays(there: str) -> None:
    github = made(answer([], Link=f'<{there}>; rel="next"'), answer([]))
    with pytest.raises(BadAnswer, match="another host") as caught:
        list(github.client().pages("/x", {}))
    assert caught.value.permanent
    assert len(calls(github)) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_limit_says_until_when(status: int) -> None:
    reset = str(int(time.time()) + 1800)
    error = refusal(answer({"message": "API rate limit exceeded"}, status, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))
    assert type(error) is Throttled
    assert error.retry_after == pytest.approx(1800, abs=5)
    assert error.message == "GitHub's rate limit is used up; it takes calls again in 30 minutes."


@pytest.mark.parametrize(
    ("found", "wait"),
    [
        (answer({"message": "You have exceeded a secondary rate limit"}, 403, Retry_After="17"), 17),
        (answer({"message": "You have exceeded a secondary rate limit. Please wait"}, 403), 60),
        (answer({"message": "You have triggered an abuse detection mechanism."}, 403), 60),
        (answer({"message": "slow down"}, 429), 60),
    ],
)
def test_a_secondary_limit_waits_as_it_says_or_a_minute(found: Answer, wait: float) -> None:
    error = refusal(found)
    assert isinstance(error, Throttled)
    assert error.retry_after == wait
    assert not error.permanent


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ("actions=read", "It takes the permission actions: read."),
        ("contents=write,workflows=write; administration=write", "contents: write and workflows: write, or administration: write."),
        ("", ""),
    ],
)
def test_a_refusal_names_the_missing_permission(accepted: str, words: str) -> None:
    error = refusal(answer({"message": "Resource not accessible by personal access token"}, 403, X_Accepted_GitHub_Permissions=accepted))
    assert isinstance(error, NotPermitted)
    assert error.permanent
    assert words in error.message
    assert error.message.startswith("GitHub refuses the runs of acme/shop to these credentials (403).")
    assert error.message.endswith("GitHub says: Resource not accessible by personal access token.")


def test_what_is_hidden_or_missing_is_said_so() -> None:
    error = refusal(answer({"message": "Not Found"}, 404, X_Accepted_GitHub_Permissions="actions=read"))
    assert isinstance(error, NotThere)
    assert error.permanent
    assert error.message == (
        "GitHub knows no runs of acme/shop, or hides it from these credentials (404). Check the name, and that the token or app may see"
        " the repository. It takes the permission actions: read."
    )


def test_an_echoed_token_is_not_shown() -> None:
    for status in (403, 422):
        error = refusal(answer({"message": "no: github_pat_0a1b"}, status, X_Accepted_GitHub_Permissions="github_pat_0a1b=read"))
        assert "github_pat_0a1b" not in f"{error.message} {error!r}"


def test_an_older_answer_is_not_taken_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.http.door import CallFailed, Reply

    github = made(answer([]))
    monkeypatch.setattr(type(github.door), "request", lambda *args, **kwargs: Reply(200, {}, b"[]", "", stale=True))
    with pytest.raises(CallFailed) as caught:
        github.client().get("/user")
    assert caught.value.retry_after


def test_the_check_knows_account_limit_scopes_and_the_tokens_end() -> None:
    found = answer({"login": "octocat"}, X_RateLimit_Limit="5000", X_RateLimit_Remaining="4987", X_OAuth_Scopes="repo, workflow",
                   GitHub_Authentication_Token_Expiration="2026-12-01 09:30:00 UTC")  # fmt: skip
    result = made(found).check()
    assert result.message == "Signed in to GitHub as octocat; 4,987 of 5,000 calls are left this hour."
    assert result.details == {"account": "octocat", "limit": 5000, "remaining": 4987, "scopes": "repo, workflow"}
    assert result.credentials_expire_at is not None
    assert result.credentials_expire_at.isoformat() == "2026-12-01T09:30:00+00:00"
    assert json.dumps(result.details)


def test_an_address_that_is_not_the_apis_is_named() -> None:
    with pytest.raises(NotThere, match=r"^This address answers, but not as GitHub's API \(404\)"):
        made(answer({"message": "Not Found"}, status=404)).check()


def test_an_end_that_cant_be_read_is_none() -> None:
    assert made(answer({"login": "o"}, GitHub_Authentication_Token_Expiration="soon")).check().credentials_expire_at is None
