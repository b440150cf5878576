"""Every route of the running server, walked by every method: who may, and who may not."""

from __future__ import annotations

import re
from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from jsonschema import Draft202012Validator

from jupyter_mlops.server.operations import OPERATIONS, PREFIX
from jupyter_mlops.server.schemas import BODIES
from jupyter_mlops.server.validation import BODY_LIMIT

from .conftest import BASE, Server

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
EXAMPLES = {
    "[0-7][0-9A-HJKMNP-TV-Z]{25}": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "[0-9A-Za-z]{1,64}": "01ARZ3",
    "[0-9A-Za-z_-]{1,64}": "taxi",
}


def address(pattern: str) -> str:
    """A path below the API's prefix that a route's pattern matches."""
    for group, example in EXAMPLES.items():
        pattern = pattern.replace(f"({group})", example)
    path = pattern.removesuffix("$").replace("\\.", ".")
    assert re.fullmatch(r"[\w./-]+", path), path
    return path.removeprefix(f"{BASE}/{PREFIX}/")


@pytest.fixture(scope="module")
def verbs(server: Server) -> list[tuple[str, str]]:
    """``(method, path)`` of every method that a route of the running server implements."""
    found = [
        (method, address(route["pattern"]))
        for route in server.routes
        for method in route["methods"]
        if method != "OPTIONS"
    ]
    assert len(found) == len(OPERATIONS)
    return found


def test_every_method_of_every_route_is_refused_without_credentials(server: Server) -> None:
    for route in server.routes:
        path = address(route["pattern"])
        for method in METHODS:
            for raw in (None, b"{}", b"not json"):
                answer = server.ask(method, path, raw=raw, token=False)
                assert answer.status in (401, 403), (method, path, answer.status)
            wrong = server.ask(
                method, path, token=False, headers={"Authorization": "token " + "0" * 40}
            )
            assert wrong.status in (401, 403), (method, path, wrong.status)


def test_a_websocket_is_refused_without_credentials(server: Server) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for route in server.routes:
        answer = server.ask("GET", address(route["pattern"]), token=False, headers=upgrade)
        assert answer.status in (401, 403), route


def test_a_foreign_host_is_refused_even_with_the_token(server: Server) -> None:
    for route in server.routes:
        path = address(route["pattern"])
        for method in METHODS:
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
                answer = server.ask(method, path, raw=b"{}", headers={"Host": host})
                assert answer.status == 403, (method, path, host, answer.status)


def test_a_foreign_origin_is_refused_with_a_cookie(server: Server) -> None:
    opener, _ = logged_in(server)
    for method, path in [("GET", "status"), ("POST", "refresh")]:
        answer = Server.ask(
            _with(server, opener), method, path, token=False, raw=b"{}",
            headers={"Origin": "http://evil.example"},
        )  # fmt: skip
        assert answer.status in (403, 404), (method, path)


def test_what_changes_something_is_refused_without_the_xsrf_token(
    server: Server, verbs: list[tuple[str, str]]
) -> None:
    opener, xsrf = logged_in(server)
    browser = _with(server, opener)
    assert browser.ask("GET", "status", token=False).status == 200
    changing = [(method, path) for method, path in verbs if method != "GET"]
    assert changing
    for method, path in changing:
        for headers in ({}, {"X-XSRFToken": "forged"}, {"Referer": "http://evil.example/"}):
            answer = browser.ask(method, path, raw=b"{}", token=False, headers=headers)
            assert answer.status == 403, (method, path, headers, answer.status)
        # With it, the same request gets as far as its missing fields.
        answer = browser.ask(method, path, raw=b"{}", token=False, headers={"X-XSRFToken": xsrf})
        assert answer.status == 400, (method, path, answer.text)
        assert "missing" in answer.data["message"]


def test_each_method_is_authorized_under_its_own_names(
    server: Server, verbs: list[tuple[str, str]]
) -> None:
    wanted = {
        (operation.method.upper(), re.sub(r"\{\w+\}", "*", operation.path)): [
            operation.action,
            operation.resource,
        ]
        for operation in OPERATIONS
    }
    seen = {}
    server.asked()
    # Twice, and in both orders: jupyter_server's decorator remembers its names at the first call.
    for method, path in [*verbs, *reversed(verbs)]:
        server.ask(method, path, raw=None if method == "GET" else b"{}")
        (entry,) = server.asked()
        assert entry[:2] == [method, f"{BASE}/{PREFIX}/{path}"]
        generic = path
        for example in EXAMPLES.values():
            generic = re.sub(rf"(?<=/){example}(?=/|$)", "*", generic)
        assert seen.setdefault((method, generic), entry[2:]) == entry[2:]
    assert seen == wanted
    assert {action for action, _ in seen.values()} == {"read", "write", "execute"}


def test_who_is_not_authorized_is_refused(server: Server, verbs: list[tuple[str, str]]) -> None:
    deny = server.probe / "deny"
    deny.touch()
    try:
        for method, path in verbs:
            answer = server.ask(method, path, raw=None if method == "GET" else b"{}")
            assert answer.status == 403, (method, path)
            assert "not authorized" in answer.data["message"]
    finally:
        deny.unlink()


def test_methods_that_a_route_lacks_are_answered_in_json(server: Server) -> None:
    for route in server.routes:
        for method in sorted(set(METHODS) - set(route["methods"]) - {"HEAD"}):
            answer = server.ask(method, address(route["pattern"]), raw=b"{}")
            assert answer.status == 405, (method, route)
            assert answer.data["reason"] == "method"


def test_a_body_that_does_not_fit_is_refused_by_naming_the_field(server: Server) -> None:
    for operation in OPERATIONS:
        if operation.body is None:
            continue
        method, path = (
            operation.method.upper(),
            operation.path.format(deployment_id="taxi", run_id="01ARZ3"),
        )
        for raw in (b"", b"not json", b"[1]", b"\xff", b'{"path": NaN}'):
            answer = server.ask(method, path, raw=raw)
            assert answer.status == 400, (path, raw, answer.text)
            assert "request body" in answer.data["message"]
        properties = BODIES[operation.body]["properties"]
        required = BODIES[operation.body]["required"]
        good = {name: 1 if properties[name]["type"] == "integer" else "x" for name in required}
        for name in [*properties, "surprise"]:
            for wrong in ({}, [], None, True):
                if Draft202012Validator(properties.get(name, False)).is_valid(wrong):
                    continue
                answer = server.ask(method, path, good | {name: wrong})
                assert answer.status == 400, (path, name, answer.text)
                assert name in answer.data["message"]
                assert answer.data["fields"]["field"] == name
        answer = server.ask(method, path, good, query={"surprise": "1"})
        assert answer.status == 400
        assert "surprise" in answer.data["message"]
        too_large = server.ask(method, path, raw=b'"' + b"x" * BODY_LIMIT + b'"')
        assert too_large.status == 413, too_large.text
        assert too_large.data["reason"] == "too_large"


def test_answers_are_json_that_no_browser_runs(
    server: Server, verbs: list[tuple[str, str]]
) -> None:
    for method, path in verbs:
        answer = server.ask(method, path, raw=None if method == "GET" else b"{}")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.data is not None


def logged_in(server: Server) -> tuple[object, str]:
    """A browser that has logged in: it has the cookie, and knows the XSRF token."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    url = f"http://127.0.0.1:{server.port}{BASE}/login?token={server.token}"
    opener.open(url, timeout=30).close()
    cookies = {cookie.name: cookie.value for cookie in jar}
    assert any(name.startswith("username-") for name in cookies)
    return opener, cookies["_xsrf"]


def _with(server: Server, opener: object) -> Server:
    return Server(
        server.process, server.root, server.probe, server.log, server.token, server.port, opener
    )
