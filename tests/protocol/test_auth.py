"""Basic authentication (RFC 7617, THREATS H-17)."""

from __future__ import annotations

import hmac

import pytest

from wsfast.protocol import BasicAuth, Headers, Request, Response
from wsfast.protocol.headers import build_authorization_basic


def request(*values: str) -> Request:
    return Request("/", Headers([("Authorization", value) for value in values]))


def test_credentials():
    auth = BasicAuth("here", credentials=[("a", "b"), ("c", "d\xe9")])
    assert auth.credentials(request(build_authorization_basic("a", "b"))) == ("a", "b")
    assert auth.check("a", "b") is True
    assert auth.check("c", "d\xe9") is True
    for wrong in (
        ("a", "d\xe9"),
        ("a", ""),
        ("x", "b"),
        ("x", ""),
        ("", ""),
        ("A", "b"),
    ):
        assert auth.check(*wrong) is False


def test_one_pair():
    auth = BasicAuth(credentials=("a", ""))
    assert auth.check("a", "") is True
    assert auth.check("b", "") is False


def test_no_time_is_told(monkeypatch):
    seen = []

    def compare(one, other):
        seen.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    auth = BasicAuth(credentials=("a", "b"))
    assert auth.check("a", "b")
    assert not auth.check("unknown", "b")
    assert seen == [(b"b", b"b"), (b"", b"b")]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), b"Missing credentials\n"),
        (("Bearer x",), b"Unsupported credentials\n"),
        (("Basic",), b"Unsupported credentials\n"),
        (("Basic YTpi", "Basic YTpi"), b"Unsupported credentials\n"),
    ],
)
def test_challenge(values, text):
    response = BasicAuth("here", credentials=("a", "b")).credentials(request(*values))
    assert isinstance(response, Response)
    assert response.status_code == 401
    assert response.body == text
    assert response.headers["WWW-Authenticate"] == 'Basic realm="here", charset="UTF-8"'


def test_refuse():
    assert BasicAuth(credentials=("a", "b")).refuse().body == b"Invalid credentials\n"


async def test_check_may_be_a_coroutine():
    async def check(username: str, password: str) -> bool:
        return username == password

    answer = BasicAuth(check_credentials=check).check("a", "a")
    assert not isinstance(answer, bool)
    assert await answer
    assert BasicAuth(check_credentials=lambda u, p: u == p).check("a", "b") is False


def test_wrong_arguments():
    with pytest.raises(ValueError, match="either"):
        BasicAuth()
    with pytest.raises(ValueError, match="either"):
        BasicAuth(credentials=("a", "b"), check_credentials=lambda u, p: True)
    for credentials in ("ab", 5, [("a",)], ["ab"], [("a", 1)]):
        with pytest.raises(TypeError, match="invalid credentials argument"):
            BasicAuth(credentials=credentials)
    with pytest.raises(ValueError, match="WWW-Authenticate"):
        BasicAuth("a\nb", credentials=("a", "b"))
