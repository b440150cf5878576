"""The door of the scoring server, over real sockets: who gets in, and how much, and how slowly."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.serving import scoring
from jupyter_mlops.serving.payload import bad_input

from .conftest import TOKEN, Served, serving

Serve = Callable[..., Served]
AUTH = {"Authorization": f"Bearer {TOKEN}"}
JSON = AUTH | {"Content-Type": "application/json"}


class Echo:
    """Answers with the length of the body; ``gate`` holds it up until it is set."""

    def __init__(self, *, held: bool = False) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        if not held:
            self.gate.set()

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        self.entered.release()
        assert self.gate.wait(30)
        return json.dumps({"predictions": [len(body)]}).encode(), 1

    def score_csv(self, body: bytes) -> tuple[bytes, int]:
        return self.score_json(body)


def ask(
    served: Served,
    method: str = "POST",
    path: str = "/invocations",
    body: bytes | None = b"{}",
    headers: dict[str, str] = JSON,
) -> tuple[int, Message, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def raw(served: Served, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    client.sendall(data)
    return client


def until_closed(client: socket.socket) -> bytes:
    """All that the server sends before it hangs up; a test that hangs here fails by its timeout."""
    received = bytearray()
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    client.close()
    return bytes(received)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until the server's thread has come that far; the test's timeout ends it otherwise."""
    while not condition():
        time.sleep(0.002)


def head(*lines: str, host: str = "localhost", token: str = TOKEN) -> bytes:
    text = ["POST /invocations HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    text += ["Content-Type: application/json", *lines, "", ""]
    return "\r\n".join(text).encode()


# --- routes, and who gets in -------------------------------------------------------------------


def test_mlflow_routes(serve: Serve) -> None:
    served = serve(Echo())
    for path in ("/ping", "/health"):
        status, headers, body = ask(served, "GET", path, None, AUTH)
        assert (status, body) == (200, b"\n")
        assert headers["Content-Type"] == "application/json"
    assert ask(served, "GET", "/version", None, AUTH)[2] == b"3.17.2"
    status, headers, body = ask(served, body=b'{"a": 1}')
    assert (status, json.loads(body)) == (200, {"predictions": [8]})
    assert headers["X-Model-Version"] == "7"
    assert ask(served, headers=AUTH | {"Content-Type": "text/csv"})[0] == 200
    status, headers, body = ask(served, "HEAD", "/health", None, AUTH)
    assert (status, headers["Content-Length"], body) == (200, "1", b"")


@pytest.mark.parametrize("path", ["/ping", "/health", "/version", "/invocations", "/", "/x", "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_route_is_open_but_ping(serve: Serve, method: str, path: str) -> None:
    served = serve(Echo())
    body = b"{}" if method in ("POST", "PUT", "PATCH") else None
    kind = {"Content-Type": "application/json"}
    status, headers, _ = ask(served, method, path, body, kind)
    if path == "/ping" and method in ("GET", "HEAD"):
        assert status == 200
    else:
        assert status == 401
        assert headers["WWW-Authenticate"] == "Bearer"
    # A page that was rebound to this address sends its own name, with or without the token.
    for given in (kind, JSON):
        assert ask(served, method, path, body, given | {"Host": "evil.example"})[0] == 403


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     "Bearer \xff"],
)  # fmt: skip
def test_wrong_tokens(serve: Serve, authorization: str) -> None:
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    status, _, body = ask(serve(Echo()), headers=headers)
    assert status == 401
    assert json.loads(body)["error_code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:9", "127.0.0.1:1"]
)
def test_loopback_hosts(serve: Serve, host: str) -> None:
    assert ask(serve(Echo()), headers=JSON | {"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost", "",
     "localhost,evil.example", "localhost:", "0.0.0.0", "[::ffff:7f00:1]", "localhost:99999999"],
)  # fmt: skip
def test_other_hosts(serve: Serve, host: str) -> None:
    status, _, body = ask(serve(Echo()), headers=JSON | {"Host": host})
    assert status == 403
    assert json.loads(body)["error_code"] == "PERMISSION_DENIED"


def test_no_host_at_all(serve: Serve) -> None:
    answer = until_closed(raw(serve(Echo()), b"GET /ping HTTP/1.0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 403")


def test_methods_and_paths(serve: Serve) -> None:
    served = serve(Echo())
    status, headers, _ = ask(served, "GET", "/invocations", None)
    assert (status, headers["Allow"]) == (405, "POST")
    assert ask(served, "POST", "/ping")[0] == 405
    assert ask(served, path="/invocations/")[0] == 404
    assert ask(served, path="/../invocations")[0] == 404
    assert ask(served, path="/invocations?x=1")[0] == 200
    assert ask(served, headers=AUTH)[0] == 415
    assert ask(served, headers=AUTH | {"Content-Type": "text/plain"})[0] == 415


def test_request_ids(serve: Serve) -> None:
    served = serve(Echo())
    assert ask(served, headers=JSON | {"X-Request-Id": "a-1:b"})[1]["X-Request-Id"] == "a-1:b"
    for bad in ("", "a b", "x" * 129, "ü", "<script>"):
        given = ask(served, headers=JSON | {"X-Request-Id": bad})[1]["X-Request-Id"]
        assert len(given) == 16


# --- how much ----------------------------------------------------------------------------------


def test_a_body_may_have_the_limit_and_no_more(serve: Serve) -> None:
    served = serve(Echo(), body=1000)
    assert json.loads(ask(served, body=b"x" * 1000)[2]) == {"predictions": [1000]}
    status, _, body = ask(served, body=b"x" * 1001)
    assert status == 413
    assert json.loads(body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"


def test_a_connection_outlives_a_refused_body(serve: Serve) -> None:
    served = serve(Echo(), body=1000)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    for size, status in ((2000, 413), (10, 200)):
        connection.request("POST", "/invocations", b"x" * size, JSON)
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


@pytest.mark.parametrize("auth", [JSON, {"Content-Type": "application/json"}])
def test_a_client_that_only_sends_still_gets_the_answer(serve: Serve, auth: Any) -> None:
    status = ask(serve(Echo(), body=1000), body=b"x" * (8 << 20), headers=auth)[0]
    assert status == (413 if auth is JSON else 401)


def test_a_refused_body_is_not_asked_for(serve: Serve) -> None:
    client = raw(serve(Echo(), body=10), head("Content-Length: 99", "Expect: 100-continue"))
    answer = until_closed(client)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 (Continue)" not in answer


def test_an_endless_chunked_body(serve: Serve) -> None:
    served = serve(Echo(), body=1000)
    client = raw(served, head("Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while sent < 1 << 30:
            client.sendall(chunk)
            sent += len(chunk)
    client.close()
    assert served.scoring.buffered == 0
    assert ask(served)[0] == 200


def test_the_answer_to_an_endless_body_comes_at_once(serve: Serve) -> None:
    client = raw(serve(Echo(), body=1000), head("Transfer-Encoding: chunked"))
    client.sendall(b"800\r\n" + b"x" * 0x800 + b"\r\n")
    assert client.recv(65536).startswith(b"HTTP/1.1 413")
    client.close()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 99999999999999999999999999"],
        ["Content-Length: -1"],
        ["Content-Length: x"],
        ["Content-Length: 1", "Content-Length: 2"],
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Bad\x00Header: 1"],
    ],
)
def test_malformed_framing(serve: Serve, lines: list[str]) -> None:
    served = serve(Echo(), body=1000)
    answer = until_closed(raw(served, head(*lines) + b"{}"))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
    assert b"HTTP/1.1 200" not in answer
    assert ask(served)[0] == 200


def test_too_many_headers(serve: Serve) -> None:
    served = serve(Echo())
    answer = until_closed(raw(served, head("X-Big: " + "x" * 20_000)))
    assert b"200" not in answer
    assert ask(served)[0] == 200


def test_what_is_scored_at_once_has_a_number(serve: Serve) -> None:
    scorer = Echo(held=True)
    served = serve(scorer, concurrency=3, threads=1)
    answers: list[int] = []
    clients = [threading.Thread(target=lambda: answers.append(ask(served)[0])) for _ in range(3)]
    for client in clients:
        client.start()
    assert scorer.entered.acquire(timeout=30)
    wait_for(lambda: served.scoring.scoring == 3)
    status, headers, body = ask(served)
    assert (status, headers["Retry-After"]) == (503, "1")
    assert json.loads(body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert ask(served, "GET", "/ping", None)[0] == 200  # The loop is free while threads work.
    scorer.gate.set()
    for client in clients:
        client.join(30)
    assert answers == [200, 200, 200]
    wait_for(lambda: served.scoring.in_hand == 0)
    assert (served.scoring.scoring, served.scoring.buffered) == (0, 0)


class Named(Echo):
    """Notes which thread it ran in."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        self.threads.append(threading.current_thread().name.partition("_")[0])
        return super().score_json(body)


def test_quick_models_are_asked_on_the_loop_and_slow_ones_in_threads(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Named()
    served = serve(scorer)
    monkeypatch.setattr(scoring, "_QUICK_SECONDS", 1000.0)  # everything is quick
    for _ in range(17):
        assert ask(served)[0] == 200
    assert scorer.threads[:16] == ["score"] * 16  # until that is known
    assert scorer.threads[16] != "score"
    ask(served, body=b" " * 9000)
    assert scorer.threads[17] == "score"  # a large body may take long
    monkeypatch.setattr(scoring, "_QUICK_SECONDS", 0.0)
    ask(served)
    assert scorer.threads[18] == "score"


def test_a_client_that_leaves_gives_up_its_place(serve: Serve) -> None:
    scorer = Echo(held=True)
    served = serve(scorer, concurrency=3, threads=1)
    request = head("Content-Length: 2") + b"{}"
    first = raw(served, request)
    assert scorer.entered.acquire(timeout=30)
    waiting = [raw(served, request) for _ in range(2)]
    wait_for(lambda: served.scoring.scoring == 3)
    for client in waiting:
        client.close()
    wait_for(lambda: served.scoring.scoring == 1)
    scorer.gate.set()
    assert first.recv(65536).startswith(b"HTTP/1.1 200")
    first.close()
    assert not scorer.entered.acquire(blocking=False)  # The two were never begun on.


def test_bodies_in_hand_have_a_total(serve: Serve) -> None:
    served = serve(Echo(), body=1000)
    clients = [raw(served, head("Content-Length: 1000") + b"x" * 990) for _ in range(4)]
    wait_for(lambda: served.scoring.buffered == 3960)
    assert ask(served, body=b"x" * 50)[0] == 503
    for client in clients:
        client.close()
    wait_for(lambda: served.scoring.buffered == 0)
    assert ask(served)[0] == 200


# --- how slowly --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /invocations HT",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n",
        head("Content-Length: 100"),
        head("Content-Length: 100") + b'{"inputs"',
        head("Transfer-Encoding: chunked") + b"10\r\nabc",
        head("Content-Length: 100", token="wrong"),
        head("Content-Length: 100000000"),
    ],
    ids=["nothing", "line", "headers", "no body", "half a body", "chunk", "refused", "too large"],
)
def test_half_open_clients_are_dropped(serve: Serve, sent: bytes) -> None:
    served = serve(Echo(), read_timeout=0.3)
    answer = until_closed(raw(served, sent))
    assert b" 200 " not in answer
    wait_for(lambda: not (served.scoring.in_hand or served.scoring.buffered))


def test_a_drip_does_not_keep_a_connection(serve: Serve) -> None:
    served = serve(Echo(), read_timeout=0.3)
    for start, drop in (
        (b"GET /ping HTTP/1.1\r\n", b"X: 1\r\n"),
        (head("Content-Length: 99"), b"x"),
    ):
        client = raw(served, start)
        client.settimeout(0.02)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                client.sendall(drop)
                try:
                    if client.recv(100) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    pass
        client.close()


def test_half_open_clients_starve_nobody(serve: Serve) -> None:
    served = serve(Echo(), concurrency=4)
    clients = [raw(served, b"POST /invocations HTTP/1.1\r\nHost: loc") for _ in range(30)]
    clients += [raw(served, head("Content-Length: 50") + b"{") for _ in range(30)]
    wait_for(lambda: served.scoring.in_hand == 30)
    for _ in range(5):
        assert ask(served)[0] == 200
    for client in clients:
        client.close()


def test_connections_have_a_number(serve: Serve) -> None:
    served = serve(Echo(), connections=5)
    clients = [raw(served, b"G") for _ in range(5)]
    extra = raw(served, b"")
    assert until_closed(extra) == b""
    for client in clients:
        client.close()
    while True:
        try:
            assert ask(served)[0] == 200
            break
        except (http.client.RemoteDisconnected, ConnectionResetError):
            pass  # The server has not seen yet that the five have left.


# --- what goes wrong, and the log -------------------------------------------------------------


class Failing:
    """Fails as models do."""

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        raise FileNotFoundError("/home/person/secret.txt")

    def score_csv(self, body: bytes) -> tuple[bytes, int]:
        raise bad_input("no such thing")


def test_a_failure_of_the_model_tells_the_client_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve(Failing())
    status, headers, body = ask(served)
    answer = json.loads(body)
    assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in body.decode()
    assert headers["X-Request-Id"] in answer["message"]
    assert "secret.txt" in caplog.text
    assert headers["X-Request-Id"] in caplog.text
    status, _, body = ask(served, headers=AUTH | {"Content-Type": "text/csv"})
    assert (status, json.loads(body)) == (
        400,
        {"error_code": "BAD_REQUEST", "message": "no such thing"},
    )


def test_the_access_log(serve: Serve) -> None:
    served = serve(Echo())
    ask(served, headers=JSON | {"X-Request-Id": "one"})
    ask(served, "GET", "/ping", None)
    ask(served, "GET", "/nothing%0a{}", None, {"X-Request-Id": "two"})
    wait_for(lambda: len(served.log.read_text().splitlines()) == 2)
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert [(e["id"], e["method"], e["status"], e["rows"]) for e in lines] == [
        ("one", "POST", 200, 1),
        ("two", "GET", 401, None),
    ]
    assert all(e["version"] == 7 and e["ms"] >= 0 for e in lines)
    assert TOKEN not in served.log.read_text()
    assert served.log.stat().st_mode & 0o777 == 0o600


class Large(Echo):
    """Answers with more than any buffer between two processes holds."""

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        return b"x" * (32 << 20), 1


def test_answers_are_sent_before_the_server_ends(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(serving(tmp_path, Large()))
        client = raw(served, head("Content-Length: 2") + b"{}")
        wait_for(lambda: served.log.read_text().count("\n") == 1)
        ending = threading.Thread(target=stack.close)
        ending.start()
        assert len(until_closed(client)) > 32 << 20
        ending.join(30)


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    served = serve(Echo())
    one, two = head("Content-Length: 2") + b"{}", head("Content-Length: 3") + b"{ }"
    last = head("Connection: close", "Content-Length: 4") + b"{  }"
    answer = until_closed(raw(served, one + two + last))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answer.count(b"Connection: close\r\n") == 1
    bodies = [part.partition(b"}")[0] for part in answer.split(b'{"predictions": ')[1:]]
    assert bodies == [b"[2]", b"[3]", b"[4]"]
