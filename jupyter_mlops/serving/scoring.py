"""The scoring server: MLflow's routes on loopback, behind one door that every request passes.

``GET /ping`` ``GET /health`` ``GET /version`` ``POST /invocations``, as ``mlflow models serve`` has
them.  What that server leaves open is closed here, in this order: the Host must be a loopback name
(a page in a browser that was rebound to 127.0.0.1 sends its own), the bearer token must be right on
every route and method but ``GET /ping``, a body has a size and a time, and what is scored at once
has a number.  The checks run when the headers are there, before a byte of the body is kept.

This is Tornado's HTTP/1.1 server without its web framework: there are no routes beside the door,
and a request costs a third of the CPU.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import re
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import responses
from typing import Any, Protocol

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream

from ..errors import UsageError
from .access_log import AccessLog
from .payload import bad_input, content_type, show

__all__ = ["Limits", "Scorer", "Scoring", "ScoringServer"]

_log = logging.getLogger(__name__)
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ROUTES = {
    "/ping": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/version": ("GET", "HEAD"),
    "/invocations": ("POST",),
}
_HEADER_LIMIT = 16 * 1024
# A refused body up to this size is read and dropped, so that the connection lives on; the answer
# to a larger one is sent at once, and this much more is read before hanging up on it: a client
# that only sends would otherwise get a reset in place of the answer.
_DRAIN = 1024 * 1024
_LINGER = 64 * 1024 * 1024


# A request this small, of a model whose last ones took (in the median) less than these seconds, is
# scored on the event loop itself: handing it to a thread and back costs more than it takes.
_QUICK_BYTES = 8 * 1024
_QUICK_SECONDS = 0.002
_QUICK_SAMPLE = 16


# HTTP status, the answer's body, and the number of rows if there were any.
Scored = tuple[int, bytes, int | None]


class Scorer(Protocol):
    """What answers ``/invocations``: ``predictor.Predictor``."""

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        """Return the response's body and the number of rows."""

    def score_csv(self, body: bytes) -> tuple[bytes, int]:
        """Return the response's body and the number of rows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one server: bytes of a body, seconds for a request's headers and again for its body,
    requests scored at once (more are answered 503), and connections (more are closed).

    All bodies together may be four times the largest one.
    """

    body: int
    read_timeout: float
    concurrency: int
    connections: int = 512


class ScoringServer(HTTPServer):
    """Tornado's server with a cap on connections.

    The timeouts are ``_Request``'s, one timer each: Tornado's own make a task and a future for the
    headers and again for the body, which costs more than the rest of reading a small request.
    """

    def initialize(self, app: Scoring) -> None:  # type: ignore[override]
        """Called by Tornado in place of ``__init__``."""
        super().initialize(app, max_header_size=_HEADER_LIMIT)
        self.conn_params.header_timeout = None
        self._app = app

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a connection, unless there are too many."""
        if len(self._connections) >= self._app.limits.connections:
            stream.close()
            return
        super().handle_stream(stream, address)

    async def drain(self, seconds: float) -> None:
        """Stop accepting, wait for the requests in hand, then close what is left."""
        self.stop()
        deadline = time.monotonic() + seconds
        while self._app.in_hand and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await self.close_all_connections()


class Scoring(HTTPServerConnectionDelegate):
    """The routes.  ``version`` is the model's; ``protocol`` what ``/version`` answers."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        token: str,
        version: int,
        protocol: str,
        limits: Limits,
        log: AccessLog,
        threads: int,
    ) -> None:
        self.scorer = scorer
        self.limits = limits
        self.log = log
        self.version = version
        self.protocol = protocol
        self.in_hand = 0
        self.scoring = 0
        self.buffered = 0
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self._took: deque[float] = deque(maxlen=_QUICK_SAMPLE)
        self._token = token.encode()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Called by Tornado for each request."""
        assert isinstance(request_conn, HTTP1Connection)  # noqa: S101  Tornado makes no other.
        return _Request(self, request_conn)

    def headers(self, request_id: str, kind: str, length: int) -> HTTPHeaders:
        """The headers of an answer."""
        return HTTPHeaders(
            {
                "Content-Type": kind,
                "Content-Length": str(length),
                "X-Request-Id": request_id,
                "X-Model-Version": str(self.version),
            }
        )

    def admit(self, method: str, path: str, headers: HTTPHeaders) -> None:
        """Let a request in, or raise the answer that it gets instead."""
        if _HOST.fullmatch(headers.get("Host", "")) is None:
            raise bad_input(
                f"Host {show(headers.get('Host', ''))} is not this machine",
                status=403,
                code="PERMISSION_DENIED",
            )
        if not (path == "/ping" and method in _ROUTES[path]):
            scheme, _, token = headers.get("Authorization", "").partition(" ")
            right = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token)
            if scheme.lower() != "bearer" or not right:
                raise bad_input(
                    "send the deployment's token: Authorization: Bearer ...",
                    status=401,
                    code="UNAUTHENTICATED",
                )
        if path not in _ROUTES:
            raise bad_input(f"no route {show(path)}", status=404, code="ENDPOINT_NOT_FOUND")
        if method not in _ROUTES[path]:
            raise bad_input(f"{path} takes {' and '.join(_ROUTES[path])}", status=405)

    def is_quick(self, body: bytes) -> bool:
        """Whether a request may be scored on the event loop, going by the last small ones."""
        if len(body) > _QUICK_BYTES or len(self._took) < _QUICK_SAMPLE:
            return False
        return sorted(self._took)[_QUICK_SAMPLE // 2] < _QUICK_SECONDS

    def score(self, request_id: str, kind: str, body: bytes) -> Scored:
        """Score a body; called in a thread of the pool, or on the loop where that is quick."""
        try:
            call = self.scorer.score_json if kind == "json" else self.scorer.score_csv
            began = time.perf_counter()
            answer, rows = call(body)
            if len(body) <= _QUICK_BYTES:
                self._took.append(time.perf_counter() - began)
            return 200, answer, rows
        except UsageError as error:
            if "status" in error.fields:
                return error.fields["status"], _error_body(error), None
            failure: Exception = error
        except Exception as error:
            failure = error
        # Paths and values of the server stay in its log.
        _log.error("request %s: the model failed", request_id, exc_info=failure)
        told = bad_input(
            f"the model failed on this request; the server's log has the cause ({request_id})",
            status=500,
            code="INTERNAL_ERROR",
        )
        return 500, _error_body(told), None


class _Request(HTTPMessageDelegate):
    """One request: admitted or refused by its headers, read within limits, answered once."""

    def __init__(self, app: Scoring, connection: HTTP1Connection) -> None:
        self._app = app
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._refusal: UsageError | None = None
        self._answered = False
        self._open = False
        self._kind = "json"
        self._work: asyncio.Future[Scored] | None = None
        # For the headers, the wait for them on a kept connection included.
        self._timer = self._hang_up_after(app.limits.read_timeout)

    # --- called by Tornado -----------------------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, RequestStartLine)  # noqa: S101  This is a server.
        self._timer.cancel()
        self._timer = self._hang_up_after(self._app.limits.read_timeout)  # for the body
        self._started = time.perf_counter()
        self._open = True
        self._app.in_hand += 1
        self._method, self._path = start_line.method, start_line.path.partition("?")[0]
        given = headers.get("X-Request-Id", "")
        self._id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        # Tornado's own limit answers 400 and hangs up; ours is enforced here and below.
        self._connection.set_max_body_size(1 << 62)
        length = headers.get("Content-Length", "0").partition(",")[0]
        size = int(length) if length.isdecimal() and len(length) < 19 else 0
        try:
            self._app.admit(self._method, self._path, headers)
            if self._method == "POST":
                self._kind = content_type(headers.get("Content-Type"))
            self._check_size(size)
        except UsageError as error:
            self._refusal = error
            if headers.get("Expect") == "100-continue":
                self._answer_refusal()
                self._connection.finish()
            elif size > _DRAIN:
                self._answer_refusal()

    def data_received(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._refusal is None:
            self._chunks.append(chunk)
            self._app.buffered += len(chunk)
            try:
                self._check_size(self._size)
            except UsageError as error:
                self._refusal = error
                self._release()
                self._answer_refusal()
        elif self._size > _LINGER:
            if not self._answered:
                self._answer_refusal()
            self._connection.finish()  # Tornado hangs up, since the body is not at its end.
        elif self._size > _DRAIN and not self._answered:
            self._answer_refusal()

    def finish(self) -> None:
        self._timer.cancel()
        if self._refusal is not None:
            if not self._answered:
                self._answer_refusal()
            self._connection.finish()
        elif self._path == "/invocations":
            self._invoke()
        elif self._path == "/version":
            self._answer(200, self._app.protocol.encode(), "text/plain; charset=UTF-8")
            self._connection.finish()
        else:
            self._answer(200, b"\n", "application/json")
            self._connection.finish()

    def on_connection_close(self) -> None:
        self._timer.cancel()
        if self._work is not None:
            self._work.cancel()  # Takes it out of the queue, if no thread has begun on it.
        self._release()
        self._close()

    # --- reading ----------------------------------------------------------------------------------

    def _check_size(self, size: int) -> None:
        limits = self._app.limits
        if size > limits.body:
            raise bad_input(
                f"the body is larger than {limits.body} bytes",
                status=413,
                code="REQUEST_LIMIT_EXCEEDED",
            )
        if self._app.buffered > 4 * limits.body:
            raise _busy()

    def _release(self) -> None:
        if self._chunks:
            self._app.buffered -= sum(map(len, self._chunks))
            self._chunks = []

    # --- answering --------------------------------------------------------------------------------

    def _invoke(self) -> None:
        app = self._app
        if app.scoring >= app.limits.concurrency:
            self._refusal = _busy()
            self._release()
            self._answer_refusal()
            self._connection.finish()
            return
        body = b"".join(self._chunks)
        if app.is_quick(body):
            self._release()
            self._answer_scored(app.score(self._id, self._kind, body))
            return
        app.scoring += 1
        loop = asyncio.get_running_loop()
        self._work = loop.run_in_executor(app.pool, app.score, self._id, self._kind, body)
        self._connection.set_close_callback(self.on_connection_close)
        self._work.add_done_callback(self._from_thread)

    def _from_thread(self, work: asyncio.Future[Scored]) -> None:
        self._app.scoring -= 1
        self._release()
        if work.cancelled() or not self._open:
            return
        self._connection.set_close_callback(None)
        self._answer_scored(work.result())

    def _answer_scored(self, scored: Scored) -> None:
        status, body, rows = scored
        self._answer(status, body, "application/json", rows=rows)
        self._connection.finish()

    def _answer_refusal(self) -> None:
        assert self._refusal is not None  # noqa: S101  Callers have one.
        status = self._refusal.fields["status"]
        extra = {
            401: {"WWW-Authenticate": "Bearer"},
            405: {"Allow": ", ".join(_ROUTES.get(self._path, ()))},
            503: {"Retry-After": "1"},
        }.get(status, {})
        self._answer(status, _error_body(self._refusal), "application/json", extra)

    def _answer(
        self,
        status: int,
        body: bytes,
        kind: str,
        extra: dict[str, str] | None = None,
        *,
        rows: int | None = None,
    ) -> None:
        self._answered = True
        headers = self._app.headers(self._id, kind, len(body))
        headers.update(extra or {})
        written = self._connection.write_headers(
            ResponseStartLine("", status, responses.get(status, "Unknown")),
            headers,
            None if self._method == "HEAD" else body,
        )
        if not written.done():
            # A client need not read a large answer as fast as it must send, but it must read.
            timer = self._hang_up_after(6 * self._app.limits.read_timeout)
            written.add_done_callback(lambda _: timer.cancel())
        if not (self._path == "/ping" and status == 200):
            self._app.log.write(
                time=round(time.time(), 3),
                id=self._id,
                method=self._method[:20],
                path=self._path[:200],
                status=status,
                ms=round((time.perf_counter() - self._started) * 1000, 3),
                rows=rows,
                version=self._app.version,
            )
        self._close()

    def _hang_up_after(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._connection.stream.close)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._app.in_hand -= 1


def _busy() -> UsageError:
    return bad_input("the server is busy; try again", status=503, code="TEMPORARILY_UNAVAILABLE")


def _error_body(error: UsageError) -> bytes:
    return json.dumps({"error_code": error.fields["error_code"], "message": str(error)}).encode()
