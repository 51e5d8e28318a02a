from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.custom_headers import MASK, check_headers, masked


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer abc"}, {"X-Api-Key": " k "}, {"Accept": "application/json"}, {"X-Umlaut": "ü"}, {}]
)
def test_it_accepts_ordinary_headers(headers: dict[str, str]) -> None:
    assert check_headers(headers) == {name: value.strip() for name, value in headers.items()}


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "CONTENT-LENGTH",
        "content-type",
        "Content-Encoding",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "webhook-id",
        "Webhook-Signature",
        "webhook-anything",
        "X-Hub-Signature-256",
        "X-Hub-Signature",
        "Cookie",
        "Set-Cookie",
        "Proxy-Authorization",
        "Sec-Fetch-Mode",
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "Via",
        "User-Agent",
        "Origin",
        "Referer",
        "Date",
        "Expect",
        "X-RepoGuard-Test",
        "Accept-Encoding",
        "Access-Control-Allow-Origin",
    ],
)
def test_it_refuses_names_that_are_not_the_users_to_set(name: str) -> None:
    with pytest.raises(InvalidInput, match="can't be set") as caught:
        check_headers({name: "x"})
    assert name in caught.value.fields["headers"][0]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nX: y", "ü", "a" * 101, "(x)", "a\x00"])
def test_it_refuses_what_is_no_header_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="not a header name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7fb", "日本"])
def test_it_refuses_values_that_would_break_the_request(value: str) -> None:
    with pytest.raises(InvalidInput, match="line break"):
        check_headers({"X-A": value})


@pytest.mark.parametrize("value", [1, None, True, ["a"], {"a": "b"}])
def test_a_value_must_be_a_text(value: Any) -> None:
    with pytest.raises(InvalidInput, match="must have a text"):
        check_headers({"X-A": value})


def test_it_bounds_values_and_their_number() -> None:
    check_headers({"X-A": "x" * 4096})
    with pytest.raises(InvalidInput, match="4097 characters"):
        check_headers({"X-A": "x" * 4097})
    check_headers({f"X-{n}": "x" for n in range(50)})
    with pytest.raises(InvalidInput, match="at most 50"):
        check_headers({f"X-{n}": "x" for n in range(51)})


def test_it_refuses_a_name_given_twice() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        check_headers({"X-A": "1", "x-a": "2"})


@pytest.mark.parametrize("headers", [[], "x", 5])
def test_headers_must_be_an_object(headers: Any) -> None:
    with pytest.raises(InvalidInput, match="must be an object"):
        check_headers(headers)


def test_nothing_is_no_headers() -> None:
    assert check_headers(None) == {}


def test_an_error_never_repeats_a_value() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_headers({"X-A": "sesame\n"[::-1]})
    assert "emases" not in caught.value.message


def test_a_masked_value_keeps_the_stored_one() -> None:
    assert check_headers({"x-a": MASK, "X-B": "new"}, {"X-A": "old", "X-B": "b"}) == {"x-a": "old", "X-B": "new"}
    with pytest.raises(InvalidInput, match="no stored value"):
        check_headers({"X-C": MASK}, {"X-A": "old"})


def test_answers_show_names_only() -> None:
    assert masked({"Authorization": "Bearer abc"}) == {"Authorization": MASK}
    assert masked(None) == {}
